"""Several processes that serve one socket: started, started anew when one ends, stopped together.

They are equal and share nothing but the socket and the database. Left out: what each does (``running``).
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from socket import socket

from pagefault.redaction import logger_of
from pagefault.telemetry.prometheus import forget_process

__all__ = ["run_workers"]

logger = logger_of(__name__)

_LOOKS = 0.2  # seconds between looks at the processes
_PAUSE = 1.0  # seconds before a process is started in the place of one that ended


def run_workers(work: Callable[[socket], None], listener: socket, count: int) -> None:
    """Have so many processes do ``work`` until SIGINT or SIGTERM, which they get as SIGTERM."""
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: asked.append(number))
    processes = [_started(work, listener) for _ in range(count)]
    while not asked:
        time.sleep(_LOOKS)
        for place, process in enumerate(processes):
            if not process.is_alive() and not asked:
                logger.warning("worker %s ended with %s; another one starts", process.pid, process.exitcode)
                forget_process(process.pid)
                time.sleep(_PAUSE)
                processes[place] = _started(work, listener)
    passed_on = 0
    while any(process.is_alive() for process in processes):
        if passed_on < len(asked):  # the second signal ends them at once
            passed_on += 1
            for process in processes:
                process.terminate()
        time.sleep(_LOOKS)


def _started(work: Callable[[socket], None], listener: socket) -> SpawnProcess:
    process = multiprocessing.get_context("spawn").Process(target=work, args=(listener,))
    process.start()
    return process
