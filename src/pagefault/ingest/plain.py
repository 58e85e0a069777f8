"""Text, Markdown and CSV. A table's row becomes lines of ``column: value``.

Left out: formats with a structure of their own (``markup``, ``pdf``).
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice

from pagefault.errors import UsageError
from pagefault.ingest.pages import Extracted, Heading, clean, markdown_headings, paginate
from pagefault.ingest.reading import Reading

__all__ = ["csv_table", "decoded_text", "delimiter_of", "markdown", "records_of", "text"]

_FRONT_MATTER = re.compile(r"---\n(?P<fields>.*?)\n(?:---|\.\.\.)\n", re.DOTALL)
_TOML = re.compile(r"\+\+\+\n(?P<fields>.*?)\n\+\+\+[ \t]*\n", re.DOTALL)
_DELIMITERS = ",;\t|"
_ROWS = 50  # that the delimiter is guessed from
_SAMPLE = 100_000  # characters of a table that these are within, or of a text that is looked at
_SEPARATOR = re.compile(r"(\"?)sep=([^\r\n])\1(?:\r\n?|\n)", re.IGNORECASE)  # a line that spreadsheets write
_ZEROS = re.compile(r"\0+")  # that a crash leaves in a log
_CONTROLS = re.compile(r"[\x01-\x06\x0e-\x1a\x1c-\x1f\x7f]")  # those that files of text do not have


def decoded_text(data: bytes, reading: Reading) -> str:
    """Decode bytes; ``UsageError`` if they are no text, or too long a one."""
    decoded = reading.decode(data)
    reading.check(len(decoded))
    size = min(len(decoded), _SAMPLE)
    controls, gaps = (len(each.findall(decoded, 0, _SAMPLE)) for each in (_CONTROLS, _ZEROS))
    if (controls > 1 and controls * 50 > size) or (gaps > 1 and gaps * 8 > size):
        raise UsageError("It is not text, and not of a kind that can be loaded; convert it to text or PDF.")
    if zeros := decoded.count("\0"):
        reading.note(f"Zero bytes left out: {zeros:,}.")
    return decoded.replace("\0", "")


def text(data: bytes, reading: Reading) -> Extracted:
    """Plain text."""
    return Extracted("", tuple(paginate(clean(decoded_text(data, reading)), (), markdown=False)))


def markdown(data: bytes, reading: Reading) -> Extracted:
    """Markdown; its title is that of the front matter, else its first heading."""
    source, title = clean(decoded_text(data, reading)), ""
    if front := _FRONT_MATTER.match(source):
        source = source[front.end() :]
        title = _field(front["fields"], "title")
    elif front := _TOML.match(source):
        source = source[front.end() :]
        title = _toml_title(front["fields"])
    headings = markdown_headings(source)
    title = title or (headings[0].path if headings else "")
    return Extracted(title, tuple(paginate(source, headings, markdown=True)), markdown=True)


def _toml_title(front_matter: str) -> str:
    """Return the field ``title``; empty if there is none, or the fields are not TOML."""
    with suppress(tomllib.TOMLDecodeError, RecursionError):
        title = tomllib.loads(front_matter).get("title")
        return " ".join(title.split()) if isinstance(title, str) else ""
    return ""


def _field(front_matter: str, name: str) -> str:
    """Return the first field of this name, without quotes; empty if there is none."""
    lines = (line.partition(":") for line in front_matter.split("\n"))
    found = next((value.strip() for key, _, value in lines if key == name), "")
    return found[1:-1].strip() if len(found) > 1 and found[0] == found[-1] and found[0] in "\"'" else found


def csv_table(data: bytes, reading: Reading) -> Extracted:
    """A table whose first row names its columns."""
    source = decoded_text(data, reading)
    if said := _SEPARATOR.match(source):
        rows = csv.reader(io.StringIO(source[said.end() :], newline=""), delimiter=said[2])
    else:
        rows = csv.reader(io.StringIO(source, newline=""), delimiter=delimiter_of(source[:_SAMPLE]))
    csv.field_size_limit(reading.bounds.characters)
    try:
        names = next(rows, list[str]())
        numbered = enumerate(rows, reading.first_row)
        found = records_of((("\n".join(_fields(names, row)), f"row {n}") for n, row in numbered), reading)
        head = " | ".join(name.strip() for name in names if name.strip())
        return found if any(leaf.text for leaf in found.leaves) else records_of([(head, "row 1")], reading)
    except csv.Error as error:
        raise UsageError(f"Line {rows.line_num} is not CSV ({error}); correct that line.") from None


def delimiter_of(sample: str) -> str:
    """Return the character that parts the most of the first rows into as many columns as their first."""

    def agreement(delimiter: str) -> tuple[int, int]:
        rows = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter)
        with suppress(csv.Error):  # the sample may end within a row
            widths = [len(row) for row in islice(rows, _ROWS) if row]
            alike = sum(width == widths[0] for width in widths)
            return (alike, widths[0]) if widths and widths[0] > 1 else (0, 0)
        return 0, 0

    return max(_DELIMITERS, key=agreement)


def _fields(names: list[str], row: list[str]) -> Iterator[str]:
    for index, value in enumerate(row):
        if value.strip():
            name = names[index].strip() if index < len(names) else ""
            yield f"{name or f'column {index + 1}'}: {value.strip()}"


def records_of(records: Iterable[tuple[str, str]], reading: Reading) -> Extracted:
    """Return records (text, name) one after another with a blank line between; the name is the heading."""
    headings: list[Heading] = []
    parts: list[str] = []
    start = 0
    for record, name in records:
        if body := clean(record).strip():
            headings.append(Heading(start, name))
            parts.append(f"{body}\n\n")
            start += len(body) + 2
            reading.check(start)  # each row names its columns again
    return Extracted("", tuple(paginate("".join(parts), headings, markdown=False)))
