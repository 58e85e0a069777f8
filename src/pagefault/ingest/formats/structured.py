"""JSON and JSON Lines: escapes decoded, structure kept as lines of ``name: value``, indented.

A list of records is a document of records, as in JSON Lines. Left out: notebooks (``notebooks``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from pagefault.errors import UsageError
from pagefault.ingest.pages import Extracted, clean, paginate
from pagefault.ingest.plain import decoded_text, records_of
from pagefault.ingest.reading import Reading

__all__ = ["json_document", "json_lines"]

_BODIES = ("text", "content", "body")  # a record's field of this name is its text, and needs no label
_INLINE = 200  # characters of a list that stands on one line


def json_document(data: bytes, reading: Reading) -> Extracted:
    """Read JSON. What is no JSON after all is loaded as text, with a note."""
    source = decoded_text(data, reading)
    try:
        value: object = json.loads(source.lstrip("\ufeff"))
    except ValueError as error:
        why = error if isinstance(error, json.JSONDecodeError) else "a number is too long"
        reading.note(f"It is not JSON ({why}); it was loaded as plain text.")
        return Extracted("", tuple(paginate(clean(source), (), markdown=False)))
    except RecursionError:
        raise UsageError("It is nested too deeply; save it in a plainer form.") from None
    if isinstance(value, list):
        records = cast(list[object], value)
        named = ((_record(each), f"record {number}") for number, each in enumerate(records, start=1))
        return records_of(named, reading)
    if isinstance(value, dict):
        fields = cast(dict[str, object], value).items()
        title = next((each for name, each in fields if name == "title" and isinstance(each, str)), "")
        found = records_of(((outline({name: each}), name) for name, each in fields), reading)
        return Extracted(" ".join(title.split()), found.leaves)
    return records_of([(outline(value), "")], reading)


def json_lines(data: bytes, reading: Reading) -> Extracted:
    """Read JSON Lines: one value a line."""
    return records_of(_records(decoded_text(data, reading)), reading)


def _records(source: str) -> Iterator[tuple[str, str]]:
    count = 0
    for number, line in enumerate(source.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value: object = json.loads(line)
        except (ValueError, RecursionError):
            raise UsageError(f"Line {number} is not JSON; correct that line.") from None
        count += 1
        yield _record(value), f"record {count}"


def _record(value: object) -> str:
    """Return a record as lines; the field that is its text comes last, without its name."""
    if not isinstance(value, dict):
        return outline(value)
    items = cast(dict[str, Any], value).items()
    fields = {name: item for name, item in items if item not in (None, "", [], {})}
    bodies = {name: item for name, item in fields.items() if name in _BODIES and isinstance(item, str)}
    labelled = {name: item for name, item in fields.items() if name not in bodies}
    return "\n".join(filter(None, (outline(labelled), *map(clean, bodies.values()))))


def outline(value: object, indent: str = "") -> str:
    """Return a value as lines; what is within another is indented, items of lists begin with ``-``."""
    return _inline(value) or "\n".join(_lines(value, indent))


def _lines(value: object, indent: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in cast(dict[str, object], value).items():
            yield from _labelled(f"{indent}{name}:", each, indent)
    elif isinstance(value, list):
        for each in cast(list[object], value):
            yield from _labelled(f"{indent}-", each, indent)
    else:
        yield f"{indent}{_scalar(value, indent)}"


def _inline(value: object) -> str:
    """Return a short list of plain values as one line; empty if it is none."""
    if not isinstance(value, list) or any(
        isinstance(each, dict | list) for each in cast(list[object], value)
    ):
        return ""
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= _INLINE and "\\" not in line else ""


def _labelled(label: str, value: object, indent: str) -> Iterator[str]:
    if not isinstance(value, dict | list):
        yield f"{label} {_scalar(value, f'{indent}  ')}".rstrip()
    elif value and (line := _inline(cast(object, value))):
        yield f"{label} {line}"
    elif value:
        yield label
        yield from _lines(cast(object, value), f"{indent}  ")
    else:
        yield f"{label} {'{}' if isinstance(value, dict) else '[]'}"


def _scalar(value: object, indent: str) -> str:
    if isinstance(value, str):
        return clean(value).replace("\n", f"\n{indent}")
    return json.dumps(value, ensure_ascii=False)
