"""The bounds of one document, as the child process that reads it is told them; a setting each.

Plain values, so that the child needs no settings library. Left out: the bounds of fetching (``sources``).
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from pagefault.errors import UsageError

__all__ = ["Bounds", "is_out_of_memory", "raising"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """``seconds`` of processor time, ``memory`` in MB, ``characters`` and ``pages`` of the text."""

    seconds: float
    memory: int
    characters: int
    pages: int

    def check(self, characters: int, pages: int = 0) -> None:
        """Raise ``UsageError`` if a text is longer than allowed."""
        if characters > self.characters:
            raise UsageError(
                f"It has more than {self.characters:,} characters of text; {raising('characters')}"
            )
        if pages > self.pages:
            raise UsageError(f"It has more than {self.pages:,} pages; {raising('pages')}")

    @property
    def patience(self) -> float:
        """Seconds in all: other work may have the processor meanwhile."""
        return 3 * self.seconds

    @property
    def out_of_time(self) -> str:
        return f"It was not read within {self.seconds:g} s; {raising('seconds')}"

    @property
    def out_of_memory(self) -> str:
        return f"Reading it needs more than {self.memory:,} MB of memory; {raising('memory')}"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error is one of memory: Python's own, the system's, or that of a library that had no
    room left to be loaded."""
    match error:
        case MemoryError():
            return True
        case OSError():
            return error.errno == errno.ENOMEM
        case ImportError():
            return "failed to map segment" in str(error)  # glibc and musl
        case _:
            return False


def raising(setting: str) -> str:
    """Return the end of a refusal: how a document is loaded all the same."""
    return f"split it, or raise {setting} under [loading] in config.toml."
