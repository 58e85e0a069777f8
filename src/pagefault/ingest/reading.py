"""One document at work: its bounds, how it is to be read, and the notes on what was not read as it stands.

A note is a sentence for the report, such as ``20 of 21 pages have no text (pictures).`` Plain values, as the
child process needs them. Left out: the readers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pagefault.errors import UsageError
from pagefault.ingest.bounds import Bounds
from pagefault.ingest.characters import codec_of, decoded

__all__ = ["Reading", "ReadingOptions", "numbers"]

_NOTES = 40  # of one document
_NOTE = 400  # characters
_RUNS = 20  # of numbers in one


def _silent(done: int, total: int) -> None:
    del done, total


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """Options of reading. ``encoding``: the character set of text, by default detected; ``ocr``: text is
    recognised in pages that are pictures; ``password``: of PDFs that have one, never stored or shown;
    ``kind``: what files of text are, by default as their names say."""

    encoding: str = ""
    ocr: bool = False
    password: str = field(default="", repr=False)
    kind: str = ""

    def __post_init__(self) -> None:
        """Raise ``UsageError`` if the encoding is not known."""
        if self.encoding and not codec_of(self.encoding):
            name = self.encoding[:40].encode("ascii", "replace").decode()
            raise UsageError(f"There is no encoding {name!r}; name one such as utf-8, cp1251 or shift_jis.")

    @property
    def mark(self) -> str:
        """Text that differs if other text is read from the same bytes; empty by default."""
        encoding = codec_of(self.encoding)
        how = f"encoding={encoding} ocr={self.ocr} kind={self.kind}"
        return how if encoding or self.ocr or self.kind else ""


@dataclass(slots=True)
class Reading:
    """A document at work. ``on_page(done, total)`` reports the progress of slow kinds; ``file``: its name;
    ``first_row``: the number of a table's first row."""

    bounds: Bounds
    options: ReadingOptions = field(default_factory=ReadingOptions)
    on_page: Callable[[int, int], None] = _silent
    file: str = ""
    first_row: int = 1
    notes: list[str] = field(default_factory=list[str])

    def check(self, characters: int, pages: int = 0) -> None:
        """Raise ``UsageError`` if a text is longer than allowed."""
        self.bounds.check(characters, pages)

    def decode(self, data: bytes, declared: str = "") -> str:
        """Decode the bytes of a text by the option ``encoding``, else as they say, are declared or look."""
        found = decoded(data, declared, self.options.encoding)
        if found.note:
            self.note(found.note)
        return found.text

    def note(self, sentence: str) -> None:
        """Add a sentence to the report, once; past a bound the notes are only counted."""
        line = " ".join(sentence.split())
        line = line if len(line) <= _NOTE else f"{line[: _NOTE - 1]}…"
        if line not in self.notes and len(self.notes) < _NOTES:
            self.notes.append(line if len(self.notes) < _NOTES - 1 else "There are more such places.")


def numbers(ordered: Sequence[int]) -> str:
    """Return numbers as people write them, ``1, 3-5``; cut if they are many."""
    runs: list[tuple[int, int]] = []
    for number in ordered:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in runs[:_RUNS]]
    return ", ".join([*shown, "..."] if len(runs) > _RUNS else shown)
