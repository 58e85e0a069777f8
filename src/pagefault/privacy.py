"""Files of a home that other users of the machine could read: made private, and named once.

New files are private from the start; those of an earlier version, or written by a person, may not be. Left
out: symbolic links and what they lead to, which may be meant for others, and names that are not pagefault's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pagefault.redaction import logger_of

__all__ = ["OWN_NAMES", "keep_private"]

logger = logger_of(__name__)

_DATABASE = "pagefault.db"
OWN_NAMES = frozenset(
    {f"{_DATABASE}{end}" for end in ("", "-wal", "-shm", "-journal")}
    | {f"{kept}.{end}" for kept in ("models", "tool_servers", "trusted_servers") for end in ("json", "new")}
    | {"config.toml", "history", "locks", "cache"}
)
"""The names of all that pagefault keeps in a home."""
_OTHERS = 0o077
_PASSING = 0o011  # without it nothing in a folder can be opened


def keep_private(home: Path) -> None:
    """Take from others the permission to read what pagefault has in a home, and say what they could read.

    The folder itself is closed only if it holds nothing else. Windows has no such permissions.
    """
    folder = Path(os.path.realpath(home))
    try:
        mode = folder.stat().st_mode
        names = set(os.listdir(folder))
    except OSError:  # not there yet, or whoever opens it says what is wrong
        return
    if os.name == "nt":
        return
    closed, left = list[str](), list[str]()
    for path, its_mode in _open_to_others(folder, mode, names):
        try:
            os.chmod(path, stat.S_IMODE(its_mode) & ~_OTHERS)
            closed.append(str(path))
        except OSError as error:
            left.append(f"{path} ({error.strerror})")
    if closed and mode & _OTHERS:
        logger.warning("Other users of this machine could read %s; it is private now.", ", ".join(closed))
    if left and str(folder) not in closed and mode & _PASSING:
        logger.warning(
            "Other users of this machine can read %s; its owner can make it private: chmod go= FILE",
            ", ".join(left),
        )


def _open_to_others(folder: Path, mode: int, names: set[str]) -> Iterator[tuple[Path, int]]:
    """Yield what others have a permission for, each with its mode, the folder first."""
    if mode & _OTHERS and _is_own(folder, mode, names):
        yield folder, mode
    for name in sorted(names & OWN_NAMES):
        with suppress(OSError):
            its_mode = (folder / name).lstat().st_mode
            if its_mode & _OTHERS and (stat.S_ISREG(its_mode) or stat.S_ISDIR(its_mode)):
                yield folder / name, its_mode


def _is_own(folder: Path, mode: int, names: set[str]) -> bool:
    """True for a folder of pagefault alone: not for /tmp or a person's home folder, even if it is empty."""
    if mode & stat.S_ISVTX or folder in (folder.parent, Path(os.path.realpath(os.path.expanduser("~")))):
        return False
    return names <= OWN_NAMES or folder.name == ".pagefault"
