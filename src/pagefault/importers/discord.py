"""Exports of Discord by DiscordChatExporter, as JSON: a channel a file, or several in a folder or ZIP.

Left out: notices (who joined, what was pinned), reactions, and the bytes of attachments, which are named.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pagefault.importers import ImportOptions, Source
from pagefault.importers.items import BadRecord, ImportedMessage, ImportItem, Omission
from pagefault.importers.json_items import Unreadable, json_items, json_outline
from pagefault.importers.texts import (
    date_of,
    listed,
    mapping,
    plain_text,
    record_name,
    text_field,
    with_attachments,
)

__all__ = ["DiscordImporter"]

_SAID = (
    "Default",
    "Reply",
    "ThreadStarterMessage",
    "ChatInputCommand",
    "ContextMenuCommand",
    "0",
    "19",
    "20",
)


class DiscordImporter:
    """Reads exports of DiscordChatExporter."""

    title = "an export of Discord"

    def recognises(self, source: Source) -> bool:
        return any(_is_channel(source, name) for name in _files(source)[:3])

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        names = [name for name in _files(source) if _is_channel(source, name)]
        source.expect(names)
        for name in names:
            yield from _channel(source, name, options)


def _files(source: Source) -> list[str]:
    return source.files() if source.is_file else source.files(".json")


def _is_channel(source: Source, name: str) -> bool:
    return {"guild", "channel", "messages"} <= json_outline(source, name).keys()


def _channel(source: Source, name: str, options: ImportOptions) -> Iterator[ImportItem]:
    session, shown, number = "", name, 0
    for place, value in json_items(source, name, "channel.id", "channel.name", "messages.item"):
        if place == "channel.id":
            session = text_field({"id": value}, "id")
        elif place == "channel.name":
            shown = record_name(value)
        elif place == "messages.item":
            number += 1
            yield from _message(value, session or name, f"message {number} of {shown}", options)
        else:
            yield BadRecord(name, value.why)


def _message(value: object, session: str, where: str, options: ImportOptions) -> Iterator[ImportItem]:
    if isinstance(value, Unreadable):
        yield BadRecord(where, value.why)
        return
    message = mapping(value)
    id, author = text_field(message, "id"), mapping(message.get("author"))
    if not id or not author:
        yield BadRecord(where, "It has no id, or no author.")
        return
    if (kind := text_field(message, "type") or "Default") not in _SAID:
        yield Omission("notice", kind)
        return
    attached = [text_field(each, "fileName", "name") or "file" for each in _attached(message)]
    yield from (Omission("attachment", each) for each in attached)
    text = with_attachments(plain_text(message.get("content")) or _embedded(message), attached)
    speaker = text_field(author, "nickname", "name", "id")
    at = date_of(message.get("timestamp"), options.now)
    is_me = bool(options.me) and options.me.casefold() == text_field(author, "name").casefold()
    yield ImportedMessage(text, "user" if is_me else "other", speaker, at, session, id)


def _attached(message: dict[str, Any]) -> list[Any]:
    return [*listed(message.get("attachments")), *listed(message.get("stickers"))]


def _embedded(message: dict[str, Any]) -> str:
    """The text of a message that has it in cards only."""
    cards = [
        "\n".join(filter(None, (text_field(card, "title"), text_field(card, "description"))))
        for card in listed(message.get("embeds"))
    ]
    return "\n".join(filter(None, cards))
