"""The limits of this process: its memory, and the files that it may have open. Left out: keeping to them
(``kernel.admission``)."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["MB", "memory_limit", "memory_used", "most_turns"]

MB = 1 << 20

_SHARE = 0.8  # of the memory there is: the rest is for the database's cache and whatever else runs
_OTHER_FILES = 128  # connections to the database, listeners, logs
_FILES_OF_TURN = 2  # the connection to the model, and on SQLite the turn lock


def memory_used() -> int:
    """Return the bytes of this process that are in memory; 0 where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def memory_limit() -> int | None:
    """Return the bytes that this process may take, four fifths of the machine's or the control group's; None
    where the system does not tell what it takes."""
    if not memory_used():
        return None
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for folder in _control_groups():
        for name in ("memory.max", "memory.limit_in_bytes"):
            with suppress(OSError, ValueError):  # "max" is no limit
                limits.append(int((folder / name).read_text("ascii")))
    return int(_SHARE * min(limits))


def most_turns(wanted: int) -> int:
    """Return how many turns may be open, so that the files that each has open are not too many."""
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
    except ImportError:  # Windows
        return wanted
    files, _ = getrlimit(RLIMIT_NOFILE)
    return wanted if files == RLIM_INFINITY else max(1, min(wanted, (files - _OTHER_FILES) // _FILES_OF_TURN))


def _control_groups() -> list[Path]:
    """The folders of the control groups that this process is in, the inmost first."""
    found: list[Path] = []
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers or "memory" in controllers.split(","):
                root = Path("/sys/fs/cgroup", "memory" if controllers else "")
                inmost = root / path.strip("/")
                found += [f for f in (inmost, *inmost.parents) if f.is_relative_to(root)]
    return found
