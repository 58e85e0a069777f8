"""Exports of ChatGPT: ``conversations.json`` or several (``conversations-000.json``), zipped or not, and
files of one conversation each.

Of each conversation the branch is read that it ends with; the messages of others are counted. Left out: what
is hidden, thoughts, calls of tools and what they returned, and the bytes of attachments, which are named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from pagefault.importers import ImportOptions, Source
from pagefault.importers.items import BadRecord, ImportedMessage, ImportItem, Omission
from pagefault.importers.json_items import Unreadable, json_items, json_outline
from pagefault.importers.texts import date_of, listed, mapping, plain_text, text_field, with_attachments

__all__ = ["ChatGptImporter"]

_LOOKED_AT = 8  # files, to recognise
_OWN = {"title", "create_time", "conversation_id", "current_node"}  # of a conversation, before its messages
_TEXT_TYPES = ("text", "multimodal_text")
_LEFT_OUT = {
    "thoughts": "thought", "reasoning_recap": "thought", "code": "tool call",
    "execution_output": "tool result", "user_editable_context": "custom instructions",
    "model_editable_context": "memory notice",
}  # fmt: skip


class ChatGptImporter:
    """Reads exports of ChatGPT."""

    title = "an export of ChatGPT"

    def recognises(self, source: Source) -> bool:
        return any(_prefix(source, name) is not None for name in _files(source)[:_LOOKED_AT])

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        names = _files(source)
        source.expect(names)
        for name in names:
            prefix = _prefix(source, name)
            if prefix is None and not (source.is_file or _is_named(name)):
                yield Omission("file", name)
                continue
            place = "item" if prefix is None else prefix
            for number, (_, value) in enumerate(json_items(source, name, place), 1):
                yield from _conversation(value, f"conversation {number} of {name}", options.now)


def _files(source: Source) -> list[str]:
    """The files that hold conversations: in a folder those that are called so, else all that may be one."""
    if source.is_file:
        return source.files()
    names = source.files(".json")
    return list(filter(_is_named, names)) or names


def _is_named(name: str) -> bool:
    return PurePosixPath(name).name.lower().startswith("conversations")


def _prefix(source: Source, name: str) -> str | None:
    """The place of a file's conversations: of each in a list, or of the only one; None if it has none."""
    places = json_outline(source, name)
    if "item.mapping" in places:
        return "item"
    return "" if _OWN & places.keys() and "mapping" in places else None


def _conversation(value: object, where: str, now: datetime) -> Iterator[ImportItem]:
    if isinstance(value, Unreadable):
        yield BadRecord(where, value.why)
        return
    talk = mapping(value)
    nodes = mapping(talk.get("mapping"))
    session = text_field(talk, "conversation_id", "id")
    if not nodes or not session:
        yield BadRecord(where, "It has no messages, or no id; export it again.")
        return
    path = _path(nodes, talk.get("current_node"), now)
    before = date_of(talk.get("create_time"), now)
    omitted = Counter[tuple[str, str]]()
    for id in path:
        message = mapping(mapping(nodes[id]).get("message"))
        text, role = _said(message, omitted)
        if text:
            before = date_of(message.get("create_time"), now) or before
            is_user = role == "user"
            yield ImportedMessage(text, "user" if is_user else "assistant", "", before, session, id)
    others = Counter[tuple[str, str]]()
    others_said = sum(
        1 for id in nodes.keys() - set(path) if _said(mapping(mapping(nodes[id]).get("message")), others)[0]
    )
    if others_said:
        omitted["message on another branch", text_field(talk, "title")] += others_said
    yield from (Omission(kind, name, count) for (kind, name), count in omitted.items())


def _path(nodes: dict[str, Any], current: object, now: datetime) -> list[str]:
    """The ids from the root to the node that the conversation ends with, each once: links may go round."""
    id = current if isinstance(current, str) and current in nodes else _newest_leaf(nodes, now)
    path = dict[str, None]()
    while isinstance(id, str) and id in nodes and id not in path:
        path[id] = None
        id = mapping(nodes[id]).get("parent")
    return list(reversed(path))


def _newest_leaf(nodes: dict[str, Any], now: datetime) -> str:
    """The leaf with the newest date; one without has that of the node before it."""

    parents = {id: text_field(node, "parent") for id, node in nodes.items()}
    inner = set(parents.values())

    def made(id: str) -> datetime | None:
        return date_of(mapping(mapping(nodes.get(id)).get("message")).get("create_time"), now)

    def age(id: str) -> tuple[bool, float]:
        at = made(id) or made(parents[id])
        return id not in inner, at.timestamp() if at else 0.0

    return max(nodes, key=age)


def _said(message: dict[str, Any], omitted: Counter[tuple[str, str]]) -> tuple[str, str]:
    """The text that a message shows, with its role; an empty one if it shows none, which is counted."""
    content, about = mapping(message.get("content")), mapping(message.get("metadata"))
    role = text_field(message.get("author"), "role")
    if not message or about.get("is_visually_hidden_from_conversation") is True:
        return "", role
    if why := _why_not(message, content, role):
        omitted[why] += 1
        return "", role
    texts, attached = _parts(content)
    attached += [text_field(each, "name", "id") or "file" for each in listed(about.get("attachments"))]
    for name in attached:
        omitted["attachment", name] += 1
    text = with_attachments("\n".join(texts), attached)
    if not text and role != "system":
        omitted["empty message", ""] += 1
    return text, role


def _why_not(message: dict[str, Any], content: dict[str, Any], role: str) -> tuple[str, str] | None:
    """The kind and name under which a message is left out; None if it is taken."""
    kind, recipient = text_field(content, "content_type"), text_field(message, "recipient") or "all"
    if role == "system" and listed(content.get("parts")) in ([], [""]):
        return None  # it is empty in every conversation
    if role not in ("user", "assistant"):
        return f"{role or 'unknown'} message", text_field(message.get("author"), "name")
    if recipient != "all":
        return "tool call", recipient
    return None if kind in _TEXT_TYPES else (_LEFT_OUT.get(kind, kind or "empty message"), "")


def _parts(content: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The texts of a message's parts, and the names of what else it has."""
    texts, attached = list[str](), list[str]()
    for part in listed(content.get("parts")):
        text = plain_text(part) or text_field(part, "text")
        if text:
            texts.append(text)
        elif part:
            kind = text_field(part, "content_type") or "part"
            attached.append("image" if kind == "image_asset_pointer" else kind.removesuffix("_asset_pointer"))
    return texts, attached
