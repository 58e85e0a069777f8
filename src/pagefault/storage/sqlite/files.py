"""The files of a database that is open: whether they are still those that were opened.

A file that is deleted or replaced lives on for those who have it open: what they write is lost with them.
Left out: a copy of the same size written over the file in place, which looks like any checkpoint.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pagefault.errors import StorageError
from pagefault.storage.sqlite.connection import Connection

__all__ = ["FileWatch"]


class FileWatch:
    """Compares a connection's files with those at its path."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._path = connection.path
        self._opened = _identity(self._path)
        self._beside = {path: _identity(path) for end in ("-wal", "-shm") for path in [f"{self._path}{end}"]}
        self._size = os.stat(self._path).st_size

    def check(self) -> None:
        """Raise ``StorageError`` if the database or a file beside it was deleted, replaced or truncated."""
        try:
            found = os.stat(self._path)
        except OSError:
            found = None
        if found is None or (found.st_dev, found.st_ino) != self._opened:
            raise StorageError(
                f"The database {self._path} was deleted, moved or replaced while it was open, so changes "
                "cannot be kept in it any more; put it back, or start pagefault anew."
            )
        for path, opened in self._beside.items():
            self._beside[path] = opened or _identity(path)  # SQLite makes it when it is first needed
            if _identity(path) != self._beside[path]:
                raise StorageError(
                    f"{path}, a part of the database, was deleted or replaced while it was open; end all "
                    "processes of pagefault that use it, then run `pagefault db check`."
                )
        if found.st_size < self._size:
            self._check_shrunk()
        self._size = found.st_size

    def _check_shrunk(self) -> None:
        """The file is smaller than it was: truncated, unless somebody has vacuumed it."""
        self._connection.run("PRAGMA shrink_memory")  # what is held in memory is not in the file any more
        with suppress(StorageError):
            if self._connection.one("PRAGMA quick_check(1)") == ("ok",):
                return
        raise StorageError(
            f"The database {self._path} was truncated while it was open; restore it from a backup."
        )


def _identity(path: Path | str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
