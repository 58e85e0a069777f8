"""Exports of Claude: ``conversations.json``, ``projects.json``, ``memories.json``, zipped or not.

Attachments whose text is in the export, and the files of projects, become documents; memories and the
instructions of projects become passages. Left out: thoughts, calls of tools, answers that were replaced, and
the bytes of other files, which are named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from pagefault.importers import ImportOptions, Source
from pagefault.importers.items import (
    BadRecord,
    ImportedDocument,
    ImportedMessage,
    ImportedPassage,
    ImportItem,
    Omission,
)
from pagefault.importers.json_items import Unreadable, json_items, json_outline
from pagefault.importers.texts import date_of, listed, mapping, plain_text, text_field, with_attachments

__all__ = ["ClaudeImporter"]

_SENDERS = {"human": "user", "assistant": "assistant"}
_LEFT_OUT = {"thinking": "thought", "redacted_thinking": "thought", "tool_result": "tool result"}


class ClaudeImporter:
    """Reads exports of Claude."""

    title = "an export of Claude"

    def recognises(self, source: Source) -> bool:
        return any(_kind(source, name) for name in _files(source)[:8])

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        names = _files(source)
        source.expect(names)
        for name in names:
            kind = _kind(source, name)
            if not kind:
                if not source.is_file:
                    yield Omission("file", name)
                continue
            prefix = "item" if "item" in json_outline(source, name) else ""
            for number, (_, value) in enumerate(json_items(source, name, prefix), 1):
                where = f"{kind} {number} of {name}"
                if isinstance(value, Unreadable):
                    yield BadRecord(where, value.why)
                else:
                    yield from _READERS[kind](mapping(value), where, options.now)


def _files(source: Source) -> list[str]:
    """The files, conversations first."""
    names = source.files() if source.is_file else source.files(".json")
    return sorted(names, key=lambda name: not PurePosixPath(name).name.startswith("conversations"))


def _kind(source: Source, name: str) -> str:
    """The kind of records that a file has; empty if it is none that is read."""
    places = json_outline(source, name)
    for prefix in ("item.", ""):
        if f"{prefix}chat_messages" in places:
            return "conversation"
        if f"{prefix}prompt_template" in places or f"{prefix}docs.item.filename" in places:
            return "project"
        if f"{prefix}conversations_memory" in places or f"{prefix}project_memories" in places:
            return "memory"
    return ""


def _conversation(talk: dict[str, Any], where: str, now: datetime) -> Iterator[ImportItem]:
    session = text_field(talk, "uuid")
    if not session:
        yield BadRecord(where, "It has no id; export it again.")
        return
    messages, omitted = [mapping(each) for each in listed(talk.get("chat_messages"))], Counter[Any]()
    shown = _branch(messages)
    if len(shown) < len(messages):
        omitted["message on another branch", text_field(talk, "name")] += len(messages) - len(shown)
    before = date_of(talk.get("created_at"), now)
    for number, message in enumerate(shown, 1):
        id = text_field(message, "uuid")
        role = _SENDERS.get(text_field(message, "sender"))
        if role is None or not id:
            yield BadRecord(f"message {number} in {where}", "It has no id, or no sender that is known.")
            continue
        before = date_of(message.get("created_at"), now) or before
        yield from _documents(message, f"{session}/{id}", before)
        text = with_attachments(_text(message, omitted), _attached(message, omitted))
        if text:
            yield ImportedMessage(text, "user" if role == "user" else "assistant", "", before, session, id)
    yield from (Omission(kind, name, count) for (kind, name), count in omitted.items())


def _branch(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages of the branch that the conversation ends with; all, if none has two answers."""
    parents = [text_field(each, "parent_message_uuid") for each in messages]
    if len(set(parents)) == len(parents) or not all(parents):
        return messages
    by_id = {text_field(each, "uuid"): each for each in messages}
    path, id = dict[str, None](), text_field(messages[-1], "uuid")
    while id in by_id and id not in path:
        path[id] = None
        id = text_field(by_id[id], "parent_message_uuid")
    return [by_id[id] for id in reversed(path)]


def _text(message: dict[str, Any], omitted: Counter[Any]) -> str:
    parts = [mapping(part) for part in listed(message.get("content"))]
    texts = list[str]()
    for part in parts:
        kind = text_field(part, "type")
        if kind in ("text", "voice_note"):
            texts.append(text_field(part, "text"))
        elif kind in ("tool_use", "server_tool_use"):
            omitted["tool call", text_field(part, "name")] += 1
        else:
            omitted[_LEFT_OUT.get(kind, kind or "part of a message"), ""] += 1
    return "\n".join(filter(None, texts)) if parts else text_field(message, "text")


def _attached(message: dict[str, Any], omitted: Counter[Any]) -> list[str]:
    names = list[str]()
    for each in (*listed(message.get("attachments")), *listed(message.get("files"))):
        names.append(text_field(each, "file_name", "file_uuid") or "file")
        if not text_field(each, "extracted_content"):
            omitted["attachment", names[-1]] += 1
    return names


def _documents(message: dict[str, Any], source: str, at: datetime | None) -> Iterator[ImportedDocument]:
    for number, each in enumerate(listed(message.get("attachments")), 1):
        if text := text_field(each, "extracted_content"):
            title = text_field(each, "file_name") or "pasted text"
            yield ImportedDocument(
                f"{source}/{number}", text.encode(), title, "text.txt", ("attachment",), at
            )


def _project(project: dict[str, Any], where: str, now: datetime) -> Iterator[ImportItem]:
    id, name = text_field(project, "uuid"), text_field(project, "name")
    if not id:
        yield BadRecord(where, "It has no id; export it again.")
        return
    said = [text_field(project, field) for field in ("description", "prompt_template")]
    if text := "\n\n".join(filter(None, said)):
        at = date_of(project.get("updated_at"), now)
        yield ImportedPassage(f"Project {name}: {text}", at, ("project",), name, place=f"project {id}")
    for number, each in enumerate(listed(project.get("docs")), 1):
        title, text = text_field(each, "filename"), text_field(each, "content")
        if text:
            source = f"project/{id}/{text_field(each, 'uuid') or title or number}"
            yield ImportedDocument(source, text.encode(), title, "text.txt", ("project",))


def _memory(memory: dict[str, Any], _where: str, _now: datetime) -> Iterator[ImportItem]:
    if text := text_field(memory, "conversations_memory"):
        yield ImportedPassage(text, None, ("memory",), "memory", place="memory")
    for id, value in mapping(memory.get("project_memories")).items():
        if text := plain_text(value):
            yield ImportedPassage(text, None, ("memory", "project"), "memory", place=f"memory {id}")


_READERS = {"conversation": _conversation, "project": _project, "memory": _memory}
