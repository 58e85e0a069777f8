"""JSON and JSON Lines: escapes decoded, structure kept as lines of ``name: value``, indented.

A list of records is a document of records, as in JSON Lines. Left out: notebooks (``notebooks``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, cast

from pagefault.errors import UsageError
from pagefault.ingest.pages import Extracted, clean, paginate
from pagefault.ingest.plain import decoded_text, records_of
from pagefault.ingest.reading import Reading, numbers

__all__ = ["json_document", "json_lines"]

_BODIES = ("text", "content", "body")  # a record's field of this name is its text, and needs no label
_INLINE = 200  # characters of a list that stands on one line


def json_document(data: bytes, reading: Reading) -> Extracted:
    """Read JSON. What is no JSON after all is loaded as text, with a note."""
    source = decoded_text(data, reading)
    try:
        value = _loaded(source.lstrip("\ufeff"))
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
    """Read JSON Lines: one value a line. A line that is no JSON is loaded as text, with a note."""
    lines = [line for line in enumerate(decoded_text(data, reading).split("\n"), 1) if line[1].strip()]
    wrong: list[int] = []
    found = records_of(_records(lines, wrong), reading)
    if len(wrong) == len(lines):
        raise UsageError(f"Line {lines[0][0]} is not JSON; correct that line.")
    if wrong:
        reading.note(f"Lines that are not JSON, loaded as plain text: {numbers(wrong)}.")
    return found


def _records(lines: Iterable[tuple[int, str]], wrong: list[int]) -> Iterator[tuple[str, str]]:
    for count, (number, line) in enumerate(lines, 1):
        try:
            record = _record(_loaded(line))
        except (ValueError, RecursionError):
            wrong.append(number)
            record = line
        yield record, f"record {count}"


def _loaded(source: str) -> object:
    return json.loads(source, object_pairs_hook=_fields)


def _fields(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return the fields of an object; one that stands there again is named ``name (2)`` and so on."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        again = Counter[str]()
        fields.clear()
        for name, value in pairs:
            again[name] += 1
            fields[name if again[name] == 1 else f"{name} ({again[name]})"] = value
    return fields


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
