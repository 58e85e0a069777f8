"""Processes that tests kill, forked from a server which has imported all that these need.

Such a process begins in a tenth of the time that the imports take. The tests of one run share that server, so
it imports the modules of all of them; before Python 3.13 it finds them by ``PYTHONPATH`` alone.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

__all__ = ["forking"]

_MODULES = ["test_kills", "test_kills_forgetting", "test_sealed_words"]


def forking() -> ForkServerContext:
    """The context in which such processes are made; its server runs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_MODULES)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(Path(__file__).parent), before)))
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return context
