"""Text, Markdown, CSV and JSON Lines. A table's row or a record becomes lines of ``column: value``.

Left out: formats with a structure of their own (``markup``, ``pdf``).
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

from pagefault.errors import UsageError
from pagefault.ingest.pages import Extracted, Heading, clean, markdown_headings, paginate

__all__ = ["csv_table", "decode", "json_lines", "markdown", "text"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIGH = re.compile(rb"[\x80-\xff]+")
_SAMPLE = 100_000  # bytes looked at to guess a character set or a delimiter
_FRONT_MATTER = re.compile(r"---\n(?P<fields>.*?)\n(?:---|\.\.\.)\n", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*[\"']?(?P<title>.+?)[\"']?[ \t]*$", re.MULTILINE)
_BODIES = ("text", "content", "body")  # a record's field of this name is its text, and needs no label


def decode(data: bytes) -> str:
    """Decode bytes: by byte-order mark, else UTF-8, else GB 18030 if they look like Chinese, else
    Windows-1252. ``UsageError`` if they are no text."""
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), None)
    try:
        decoded = data.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        decoded = data.decode("utf-8" if encoding else _older_encoding(data), "replace")
    if "\0" in decoded:
        raise UsageError("It is not text, and not of a kind that can be loaded; convert it to text or PDF.")
    return decoded


def _older_encoding(data: bytes) -> str:
    """Return GB 18030 if bytes beyond ASCII come in even runs, as two make a Chinese character; accents in
    Windows-1252 come alone."""
    runs = [len(run) for run in _HIGH.findall(data, 0, _SAMPLE)]
    even = sum(length % 2 == 0 for length in runs)
    return "gb18030" if even > 0.9 * len(runs) else "cp1252"


def text(data: bytes) -> Extracted:
    """Plain text."""
    return Extracted("", tuple(paginate(clean(decode(data)), (), markdown=False)))


def markdown(data: bytes) -> Extracted:
    """Markdown; its title is that of the front matter, else its first heading."""
    source, title = clean(decode(data)), ""
    if front := _FRONT_MATTER.match(source):
        source = source[front.end() :]
        if found := _TITLE.search(front["fields"]):
            title = found["title"]
    headings = markdown_headings(source)
    title = title or (headings[0].path if headings else "")
    return Extracted(title, tuple(paginate(source, headings, markdown=True)), markdown=True)


def csv_table(data: bytes) -> Extracted:
    """A table whose first row names its columns."""
    source = decode(data)
    try:
        dialect = csv.Sniffer().sniff(source[:_SAMPLE], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    rows = csv.reader(io.StringIO(source, newline=""), dialect)
    try:
        names = next(rows, list[str]())
        records = [("\n".join(_fields(names, row)), f"row {n}") for n, row in enumerate(rows, 1)]
    except csv.Error as error:
        raise UsageError(f"Line {rows.line_num} is not CSV ({error}); correct that line.") from None
    return _records(records)


def _fields(names: list[str], row: list[str]) -> Iterator[str]:
    for index, value in enumerate(row):
        if value.strip():
            name = names[index].strip() if index < len(names) else ""
            yield f"{name or f'column {index + 1}'}: {value.strip()}"


def json_lines(data: bytes) -> Extracted:
    """One JSON value a line."""
    records: list[tuple[str, str]] = []
    for number, line in enumerate(decode(data).split("\n"), 1):
        if not line.strip():
            continue
        try:
            value: object = json.loads(line)
        except (ValueError, RecursionError):
            raise UsageError(f"Line {number} is not JSON; correct that line.") from None
        records.append((_record(value), f"record {len(records) + 1}"))
    return _records(records)


def _record(value: object) -> str:
    if not isinstance(value, dict):
        return _value(value)
    items = cast(dict[str, Any], value).items()
    said = [(name, _value(item)) for name, item in items if item not in (None, "", [], {})]
    labelled = [f"{name}: {item}" for name, item in said if name not in _BODIES]
    return "\n".join([*labelled, *(item for name, item in said if name in _BODIES)])


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _records(records: Iterable[tuple[str, str]]) -> Extracted:
    """Return records (text, name) one after another with a blank line between; the name is the heading."""
    headings: list[Heading] = []
    parts: list[str] = []
    start = 0
    for record, name in records:
        if body := clean(record).strip():
            headings.append(Heading(start, name))
            parts.append(f"{body}\n\n")
            start += len(body) + 2
    return Extracted("", tuple(paginate("".join(parts), headings, markdown=False)))
