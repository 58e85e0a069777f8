"""Memories of mem0: the results of ``get_all`` and ``search``, old and new, and the database of its history.

Each memory is a passage with its date and its end, if it expires; categories, and whose it is, are tags. A
memory that was changed since it was imported is a passage of its own, because both may be wanted. Left out:
hashes, scores, and exports of a schema of the user's own, which cannot be known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from pagefault.errors import UsageError
from pagefault.importers import BadRecord, ImportedMessage, ImportedPassage, ImportItem, ImportOptions, Source
from pagefault.importers.foreign_database import ForeignDatabase, foreign_database, is_database
from pagefault.importers.json_items import Unreadable, json_items, json_outline
from pagefault.importers.letta.stored import time_of_row
from pagefault.importers.reading import fields, items_in
from pagefault.importers.texts import record_name

__all__ = ["Mem0Importer"]

_DATE = len("2026-01-31")
_PLACES = ("results.item", "item", "relations.item")
_WHOSE = {"user_id": "user", "agent_id": "agent", "app_id": "app", "run_id": "run", "session_id": "run"}
_HISTORY = (
    "memory_id",
    "new_memory",
    "new_value",
    "event",
    "created_at",
    "timestamp",
    "is_deleted",
    "actor_id",
)
_MESSAGE = ("id", "session_scope", "role", "content", "name", "created_at")


class Mem0Importer:
    """Reads memories of mem0."""

    title = "mem0 memories"

    def recognises(self, source: Source) -> bool:
        return source.is_file and (_is_history(source) or _is_result(source))

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        del options  # its times name their zone, or are of UTC
        if _is_history(source):
            with foreign_database(source, source.name) as database:
                yield from _from_history(database)
                yield from _messages(database)
            return
        for number, (place, value) in enumerate(json_items(source, source.name, *_PLACES), 1):
            if isinstance(value, Unreadable):
                yield BadRecord(f"memory {number}", value.why)
            elif place == "relations.item":
                yield from _relation(value)
            else:
                yield _memory(value, number)


def _is_history(source: Source) -> bool:
    head = source.head(source.name)
    return is_database(head, b"history") and b"memory_id" in head


def _is_result(source: Source) -> bool:
    found = json_outline(source, source.name)
    return any({f"{place}.id", f"{place}.memory"} <= found.keys() for place in _PLACES[:2])


def _memory(value: object, number: int) -> ImportItem:
    values = fields(value)
    text, id = values.get("memory"), values.get("id")
    where = f"memory {record_name(id) if isinstance(id, str) else number}"
    if not isinstance(text, str) or not text.strip():
        return BadRecord(where, "it has no text")
    try:
        at, until = time_of_row(values.get("created_at")), _end(values.get("expiration_date"))
    except UsageError as error:
        return BadRecord(where, str(error))
    return _passage(text, at, tuple(_tags(values)), id, until)


def _end(value: object) -> datetime | None:
    """When a memory expires; a date without a time is included."""
    at = time_of_row(value or None)
    return at and at + timedelta(days=len(str(value)) <= _DATE)


def _passage(
    text: str, at: datetime | None, tags: tuple[str, ...], id: object, until: datetime | None = None
) -> ImportedPassage:
    named = (
        f"{id}:{sha256(text.encode('utf-8', 'replace')).hexdigest()[:16]}" if isinstance(id, str) else None
    )
    return ImportedPassage(text, at, tags, id=named, valid_until=until)


def _tags(values: Mapping[str, Any]) -> Iterator[str]:
    for each in items_in(values.get("categories")):
        if isinstance(each, str):
            yield each
    for name, kind in _WHOSE.items():
        if isinstance(whose := values.get(name), str) and whose:
            yield f"{kind}:{whose}"


def _relation(value: object) -> Iterator[ImportItem]:
    """A relation of mem0's graph as a sentence."""
    values = fields(value)
    parts = (
        values.get("source"),
        values.get("relationship"),
        values.get("target") or values.get("destination"),
    )
    words = [word for word in parts if isinstance(word, str) and word]
    if len(words) == len(parts):
        yield _passage(" ".join(words), None, ("relation",), "relation")


def _from_history(database: ForeignDatabase) -> Iterator[ImportItem]:
    """The memories as the last event of each left them, in the order in which they were made."""
    first, last = dict[str, Mapping[str, Any]](), dict[str, Mapping[str, Any]]()
    for row in database.rows("history", _HISTORY):
        if isinstance(id := row.get("memory_id"), str):
            first.setdefault(id, row)
            last[id] = row
    for id, row in last.items():
        if row.get("event") == "DELETE" or row.get("is_deleted"):
            continue
        text = row.get("new_memory") or row.get("new_value")
        made = first[id].get("created_at") or first[id].get("timestamp")
        actor = row.get("actor_id")
        yield _memory({"id": id, "memory": text, "created_at": made, "user_id": actor}, 0)


def _messages(database: ForeignDatabase) -> Iterator[ImportItem]:
    """The last messages of each session, which mem0 keeps beside the history."""
    for number, row in enumerate(database.rows("messages", _MESSAGE), 1):
        text, role = row.get("content"), row.get("role")
        name, id = row.get("name"), row.get("id")
        try:
            at = time_of_row(row.get("created_at"))
        except UsageError as error:
            yield BadRecord(f"message {number}", str(error))
            continue
        if isinstance(text, str) and role in ("user", "assistant"):
            speaker = name if isinstance(name, str) else ""
            session = f"mem0:{row.get('session_scope')}"
            yield ImportedMessage(text, role, speaker, at, session, id if isinstance(id, str) else None)
