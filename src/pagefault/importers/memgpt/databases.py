"""Databases of MemGPT 0.3 and 0.4 and of Letta to 0.5: agents, their messages and passages, of SQLite.

All agents of a file are in one table of each kind. Ids are texts or the bytes of a UUID, as the version had
it. Left out: tokens, which are API keys; vectors; data sources, whose passages an agent has as its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from pagefault.errors import UsageError
from pagefault.importers import BadRecord, ImportedAgent, ImportedPassage, ImportItem, Omission, Source
from pagefault.importers.foreign_database import ForeignDatabase, foreign_database, is_database
from pagefault.importers.letta.agents import message_items
from pagefault.importers.letta.messages import StoredMessage, in_order
from pagefault.importers.letta.names import model_name
from pagefault.importers.letta.stored import message_of, time_of_row
from pagefault.importers.memgpt.folders import sections_of
from pagefault.importers.reading import fields, items_in, objects
from pagefault.models.json_text import read_json
from pagefault.quoting import inline

__all__ = ["database_items", "databases_in"]

_RECALL = ("memgpt_recall_memory_agent", "letta_recall_memory_agent", "messages")
_ARCHIVAL = ("memgpt_archival_memory_agent", "letta_archival_memory_agent", "passages")
_AGENT = (
    "id", "name", "system", "llm_config", "state", "memory", "description", "agent_type", "tools",
)  # fmt: skip
_MESSAGE = ("id", "agent_id", "role", "text", "name", "tool_calls", "tool_call_id", "created_at")
_PASSAGE = ("id", "agent_id", "text", "data_source", "created_at")


def databases_in(source: Source) -> list[str]:
    """The names of the databases of MemGPT or Letta in a source."""
    marks = [name.encode() for name in (*_RECALL[:2], *_ARCHIVAL[:2])]
    return [name for name in source.files(".db") if is_database(source.head(name), *marks)]


def database_items(source: Source, name: str) -> Iterator[ImportItem]:
    """The items of all agents of a database."""
    for beside in (f"{name}-wal", f"{name}-journal"):
        if _has_content(source, beside):
            yield BadRecord(beside, "its changes are not in the database yet; start and stop MemGPT once")
    try:
        with foreign_database(source, name) as database:
            rows = list(database.rows("agents", _AGENT))
            if not rows:
                yield BadRecord(name, "it has no table of agents, or nobody in it")
            for number, row in enumerate(rows, 1):
                yield from _StoredAgent(database, row, number).items()
            yield from _left_out(source, name, database)
    except UsageError as error:
        yield BadRecord(name, str(error))


def _has_content(source: Source, name: str) -> bool:
    """Return whether there is such a file with something in it, beside a single file too."""
    if not source.is_file:
        return bool(source.sizes.get(name))
    path = source.path.with_name(name)
    return path.is_file() and path.stat().st_size > 0


def _left_out(source: Source, name: str, database: ForeignDatabase) -> Iterator[ImportItem]:
    yield from (
        Omission("data source", each["name"])
        for each in database.rows("sources", ("name",))
        if isinstance(each["name"], str)
    )
    if secrets := sum(1 for _ in database.rows("tokens", ("id",))):
        yield Omission("secret", "", secrets)
    folder = str(PurePosixPath(name).parent)
    chroma = f"{'' if folder == '.' else f'{folder}/'}chroma/"
    if any(each.startswith(chroma) for each in source.sizes):
        yield Omission("archival memory in Chroma", chroma)


@dataclass(slots=True)
class _StoredAgent:
    database: ForeignDatabase
    row: Mapping[str, Any]
    number: int
    omitted: Counter[str] = field(default_factory=Counter[str])

    def items(self) -> Iterator[ImportItem]:
        row = self.row
        name = _text(row.get("name")) or f"agent-{self.number}"
        state = _fields(row.get("state"))
        config = _fields(row.get("llm_config"))
        model = _text(config.get("model"))
        provider = _text(config.get("model_endpoint_type")) or "openai"
        yield ImportedAgent(
            name,
            model_name(f"{provider}/{model}") if model else "",
            _text(row.get("system")) or _text(state.get("system")),
            style="memgpt",
        )
        memory = _fields(row.get("memory")) or _fields(state.get("memory"))
        yield from sections_of(memory or {each: state.get(each) for each in ("persona", "human")})
        yield from self._passages(name)
        yield from self._messages(name)
        yield from (Omission("tool", tool) for tool in _tool_names(row.get("tools")))
        yield from (Omission(what, "", count) for what, count in self.omitted.items())

    def _own(self, tables: tuple[str, ...], columns: tuple[str, ...]) -> Iterator[Mapping[str, Any]]:
        wanted = _id(self.row.get("id"))
        for table in tables:
            for each in self.database.rows(table, columns):
                if _id(each.get("agent_id")) == wanted:
                    yield each

    def _passages(self, name: str) -> Iterator[ImportItem]:
        for number, each in enumerate(self._own(_ARCHIVAL, _PASSAGE), 1):
            text, source = _text(each.get("text")), _text(each.get("data_source"))
            try:
                at = time_of_row(each.get("created_at"))
            except UsageError as error:
                yield BadRecord(f"passage {number} of {inline(name)}", str(error))
                continue
            if text.strip():
                tags = (source,) if source and source != name else ()
                yield ImportedPassage(text, at, tags, id=_id(each.get("id")) or None)

    def _messages(self, name: str) -> Iterator[ImportItem]:
        read = list[StoredMessage]()
        for number, each in enumerate(self._own(_RECALL, _MESSAGE), 1):
            calls = _json(each.get("tool_calls"))
            try:
                read.append(message_of({**each, "content": _text(each.get("text")), "tool_calls": calls}))
            except UsageError as error:
                yield BadRecord(f"message {number} of {inline(name)}", str(error))
        yield from message_items(in_order(read), True, f"memgpt:{name}", self.omitted)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _id(value: object) -> str:
    """An id as a text, also one that is the bytes of a UUID."""
    if isinstance(value, bytes) and len(value) == 16:
        return str(UUID(bytes_le=value))
    return _text(value)


def _json(value: object) -> object:
    try:
        return read_json(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _fields(value: object) -> Mapping[str, Any]:
    """The fields of a JSON object, which may be a text of the database."""
    return fields(value) or fields(_json(value))


def _tool_names(value: object) -> list[str]:
    """The names of the tools of an agent, which are names or objects that have one."""
    found = _json(value)
    return [name for name in items_in(found) if isinstance(name, str)] + [
        name for each in objects(found) if isinstance(name := each.get("name"), str)
    ]
