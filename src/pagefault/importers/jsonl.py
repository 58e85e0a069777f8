"""Messages as lines of JSON, or as one list: ``{"role": "user", "content": "...", "at": "2026-01-15"}``.

Instead of a role a line may have a ``speaker``; ``text`` is as good as ``content``, and ``timestamp`` or
``created_at`` as ``at``. ``id`` and ``session`` (``conversation_id``) are taken if they are there. Left out:
what else a line has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from typing import Any, cast

from pagefault.importers import ImportOptions, Source
from pagefault.importers.items import BadRecord, ImportedMessage, ImportedRole, ImportItem, Omission
from pagefault.importers.json_items import Unreadable, json_items
from pagefault.importers.texts import date_of, text_field

__all__ = ["JsonlImporter"]

_LONGEST = 8 << 20  # bytes of a line
_LOOKED_AT = 5  # lines, to recognise
_TEXTS = ("content", "text", "message", "body")
_DATES = ("at", "timestamp", "created_at", "date", "time", "datetime", "date_time", "ts")
_SPEAKERS = ("speaker", "sender", "from", "author", "name")
_SAID_BY = ("role", *_SPEAKERS)
_SESSIONS = ("session", "session_id", "conversation_id", "thread_id", "chat_id")
_ROLES: dict[str, ImportedRole] = {
    "user": "user", "human": "user", "assistant": "assistant", "ai": "assistant", "bot": "assistant",
    "model": "assistant",
}  # fmt: skip
_LEFT_OUT = ("system", "developer", "tool", "function")


class JsonlImporter:
    """Reads JSON Lines, and lists of the same objects."""

    title = "messages as JSON"

    def recognises(self, source: Source) -> bool:
        if not source.is_file:
            return False
        first = source.head(source.name).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        if first == b"[":
            found = next((value for _, value in json_items(source, source.name, "item")), None)
            return is_message(found)
        return first == b"{" and any(is_message(_parsed(line)) for line in _first_lines(source))

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        for where, value in _records(source, source.name):
            yield from message_items(value, where, source.stem, options.now)


def is_message(value: object) -> bool:
    """Return whether a value has what a message has: a text, and who said it."""
    if not isinstance(value, dict):
        return False
    record = cast("dict[str, Any]", value)
    said = any(isinstance(record.get(name), (str, list)) for name in _TEXTS)
    return said and any(isinstance(record.get(name), str) for name in _SAID_BY)


def message_items(value: object, where: str, session: str, now: datetime) -> Iterator[ImportItem]:
    """The items of one record."""
    if isinstance(value, Unreadable):
        yield BadRecord(where, value.why)
        return
    if not is_message(value):
        yield BadRecord(where, 'It is no message; one is like {"role": "user", "content": "..."}.')
        return
    record = cast("dict[str, Any]", value)
    named = text_field(record, "role").lower()
    if named in _LEFT_OUT:
        yield Omission(f"{named} message")
        return
    text, omitted = _text_of(record)
    yield from omitted
    speaker, role = text_field(record, *_SPEAKERS), _ROLES.get(named, "other")
    if role == "other" and not speaker:
        speaker = named
    at = next((found for name in _DATES if (found := date_of(record.get(name), now))), None)
    id = text_field(record, "id", "uuid", "message_id") or None
    place = None if at else where
    if text:
        own = text_field(record, *_SESSIONS)
        yield ImportedMessage(text, role, speaker, at, own or session, id, place)
    elif not omitted:
        yield Omission("empty message")


def _text_of(record: dict[str, Any]) -> tuple[str, list[Omission]]:
    """The text of a message, and what of its parts is none."""
    content = next((record[name] for name in _TEXTS if record.get(name)), "")
    if isinstance(content, str):
        return content, []
    texts, omitted = list[str](), list[Omission]()
    for part in cast("list[object]", content) if isinstance(content, list) else []:
        text = part if isinstance(part, str) else text_field(part, "text")
        if text:
            texts.append(text)
        else:
            omitted.append(Omission(text_field(part, "type") or "part of a message"))
    return "\n".join(texts), omitted


def _records(source: Source, name: str) -> Iterator[tuple[str, object]]:
    """The records of a file, each with where it stands."""
    if source.head(name).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"[":
        for number, (_, value) in enumerate(json_items(source, name, "item"), 1):
            yield f"message {number}", value
        return
    with source.open(name) as file:
        number = 0
        while line := file.readline(_LONGEST):
            number += 1
            if len(line) == _LONGEST and not line.endswith(b"\n"):
                while (rest := file.readline(_LONGEST)) and not rest.endswith(b"\n"):
                    pass
                yield f"line {number}", Unreadable(f"It is longer than {_LONGEST:,} bytes.")
            elif line.strip(b"\xef\xbb\xbf \t\r\n"):
                yield f"line {number}", _parsed(line)


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        return None


def _first_lines(source: Source) -> Iterator[bytes]:
    """The first lines: one of them may be damaged."""
    with source.open(source.name) as file:
        yield from islice(iter(lambda: file.readline(_LONGEST), b""), _LOOKED_AT)
