"""Agents of MemGPT 0.1 and 0.2: a folder each, with the state as JSON, all messages as a pickle, and an
index.

The newest state counts, as for MemGPT itself. The pickle beside it has all messages with their times; without
it there are those of the context alone. Left out: reading pickles (``pickles``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pagefault.errors import UsageError
from pagefault.importers import (
    BadRecord,
    ImportedAgent,
    ImportedPassage,
    ImportedSection,
    ImportItem,
    Omission,
    Source,
)
from pagefault.importers.letta.agents import message_items
from pagefault.importers.letta.messages import StoredMessage
from pagefault.importers.letta.names import model_name
from pagefault.importers.letta.packed import packed_fields, packed_time
from pagefault.importers.letta.stored import message_of
from pagefault.importers.memgpt.pickles import fields_of, read_pickle
from pagefault.importers.reading import fields, items_in, json_object, objects, whole_bytes
from pagefault.quoting import inline

__all__ = ["agents_in", "folder_items", "sections_of"]

_STATE = re.compile(r"(?:(.*)/)?agent_state/[^/]+\.json")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)_(\d\d)_(\d\d)_(\d\d)_([AP]M)_[A-Z]*([+-]\d{4})")


def agents_in(source: Source) -> list[str]:
    """The folders of agents, by their names within the source; the source itself, which may be the file of
    one state, is an empty name."""
    if source.is_file:
        head = source.head(source.name)
        return [""] if all(f'"{key}"'.encode() in head for key in ("system", "functions", "model")) else []
    found = (_STATE.fullmatch(name) for name in source.files(".json"))
    return sorted({each[1] or "" for each in found if each and b'"messages' in source.head(each[0])})


def folder_items(source: Source, folder: str) -> Iterator[ImportItem]:
    """The items of one agent."""
    files = _Files(source, f"{folder}/" if folder else "")
    state_name = files.newest_state()
    try:
        state = json_object(source, state_name)
    except UsageError as error:
        yield BadRecord(state_name, str(error))
        return
    config = files.config()
    name = _first_text(config.get("name"), PurePosixPath(folder).name, source.stem)
    model = _first_text(config.get("model"), state.get("model"))
    provider = _first_text(config.get("model_endpoint_type"), "openai")
    yield ImportedAgent(
        name,
        model_name(f"{provider}/{model}") if model else "",
        _first_text(state.get("system")),
        style="memgpt",
    )
    yield from sections_of(state.get("memory"))
    yield from files.passages()
    yield from files.messages(state_name, state, f"memgpt:{name}")
    yield from (Omission("tool", each) for each in _function_names(state))


def sections_of(memory: object) -> Iterator[ImportedSection]:
    """The sections of a memory: texts by name, or blocks with a value."""
    for name, value in (fields(fields(memory).get("memory")) or fields(memory)).items():
        block = fields(value) or {"value": value}
        text, about = block.get("value"), block.get("description")
        if lines := items_in(text):  # 0.3 had lists of lines, too
            text = "\n".join(each for each in lines if isinstance(each, str))
        if isinstance(text, str):
            yield ImportedSection(name, text, about if isinstance(about, str) else "")


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of one agent. ``prefix``: of their names."""

    source: Source
    prefix: str

    def newest_state(self) -> str:
        if self.source.is_file:
            return self.source.name
        folder = f"{self.prefix}agent_state/"
        names = [each for each in self.source.files(".json") if each.startswith(folder)]
        return max(names, key=self._age)

    def _age(self, name: str) -> tuple[float, str]:
        """The time in a file's name, which MemGPT puts there; else that of the file itself."""
        if found := _STAMP.search(name):
            written = f"{found[1]} {found[2]}:{found[3]}:{found[4]} {found[5]} {found[6]}"
            if at := packed_time(written):
                return at.timestamp(), name
        path = self.source.local(name)
        return path.stat().st_mtime if path else 0.0, name

    def config(self) -> Mapping[str, Any]:
        name = f"{self.prefix}config.json"
        try:
            return json_object(self.source, name) if name in self.source.sizes else {}
        except UsageError:  # it says no more than names
            return {}

    def messages(self, state_name: str, state: Mapping[str, Any], session: str) -> Iterator[ImportItem]:
        raw = list(_undated(state.get("messages")))
        stem = PurePosixPath(state_name).stem
        name = f"{self.prefix}persistence_manager/{stem}.persistence.pickle"
        if name not in self.source.sizes:
            yield Omission("file", name)
        else:
            try:
                value = fields_of(read_pickle(whole_bytes(self.source, name), name))
                raw = list(_dated(value.get("all_messages"))) or raw
            except UsageError as error:
                yield BadRecord(name, str(error))
        read, omitted = list[StoredMessage](), Counter[str]()
        for number, each in enumerate(_with_calls(raw), 1):
            try:
                read.append(message_of(each))
            except UsageError as error:
                yield BadRecord(f"message {number} of {inline(session)}", str(error))
        yield from message_items(read, True, session, omitted)
        yield from (Omission(what, "", count) for what, count in omitted.items())
        total = state.get("messages_total")
        if isinstance(total, int) and total > len(raw):
            yield Omission("older messages", "", total - len(raw))

    def passages(self) -> Iterator[ImportItem]:
        folder = f"{self.prefix}persistence_manager/index/"
        for name, read in ((f"{folder}nodes.pkl", self._nodes), (f"{folder}docstore.json", self._documents)):
            if name in self.source.sizes:
                try:
                    yield from read(name)
                except UsageError as error:
                    yield BadRecord(name, str(error))

    def _nodes(self, name: str) -> Iterator[ImportItem]:
        """The passages that llama_index has pickled."""
        nodes = read_pickle(whole_bytes(self.source, name), name)
        for number, node in enumerate(items_in(nodes), 1):
            yield _passage(fields_of(node), f"passage {number} of {name}")

    def _documents(self, name: str) -> Iterator[ImportItem]:
        """The passages that llama_index has stored as JSON."""
        stored = json_object(self.source, name).get("docstore/data")
        for id, node in fields(stored).items():
            yield _passage(fields_of(fields(node).get("__data__")), f"passage {inline(id)} of {name}")


def _passage(values: Mapping[object, object], where: str) -> ImportItem:
    text, id = values.get("text"), values.get("id_") or values.get("doc_id")
    if not isinstance(text, str) or not text.strip():
        return BadRecord(where, "it has no text")
    return ImportedPassage(text, id=id if isinstance(id, str) else None)


def _undated(messages: object) -> Iterator[dict[str, Any]]:
    """The messages of a state, each with the time that its text has."""
    for each in objects(messages):
        yield each | {"created_at": _time_within(each.get("content"))}


def _dated(messages: object) -> Iterator[dict[str, Any]]:
    """The messages of a pickle with their times."""
    for each in items_in(messages):
        stored = fields_of(each)
        message = {str(name): _plain(value) for name, value in fields_of(stored.get("message")).items()}
        at = packed_time(stored.get("timestamp"))
        yield message | {"created_at": (at and at.isoformat()) or _time_within(message.get("content"))}


def _plain(value: object, levels: int = 8) -> Any:
    """A value of a pickle as a JSON value, with objects as dicts."""
    if isinstance(value, str | int | float | None):
        return value
    if levels and (items := items_in(value)):
        return [_plain(each, levels - 1) for each in items]
    return (
        {str(name): _plain(each, levels - 1) for name, each in fields_of(value).items()} if levels else None
    )


def _time_within(content: object) -> str | None:
    at = packed_time(packed_fields(content).get("time")) if isinstance(content, str) else None
    return at.isoformat() if at else None


def _with_calls(messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The messages with the calls of 2023 as those of today: a function's row answers the last call."""
    last = ""
    for number, message in enumerate(messages):
        call, role = fields(message.get("function_call")), message.get("role")
        changed: dict[str, Any] = {}
        if call and not message.get("tool_calls"):
            last = f"call-{number}"
            changed["tool_calls"] = [{"id": last, "function": call}]
        if role == "function":
            changed |= {"role": "tool", "tool_call_id": last}
        yield message | changed


def _function_names(state: Mapping[str, Any]) -> list[str]:
    return [name for each in objects(state.get("functions")) if isinstance(name := each.get("name"), str)]


def _first_text(*values: object) -> str:
    return next((value for value in values if isinstance(value, str) and value), "")
