"""Exports of Telegram as JSON: ``result.json`` of one chat, or of all chats.

An export of all chats says whose it is, so that person is the user without ``--me``. Left out: service
messages, and the bytes of what was attached, which is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pagefault.importers import ImportOptions, Source
from pagefault.importers.items import BadRecord, ImportedMessage, ImportItem, Omission
from pagefault.importers.json_items import BEGINS, Unreadable, json_items, json_outline
from pagefault.importers.texts import (
    date_of,
    listed,
    mapping,
    plain_text,
    record_name,
    text_field,
    with_attachments,
)

__all__ = ["TelegramImporter"]

_ONE = ""
_SEVERAL = ("chats.list.item.", "left_chats.list.item.")
_OWN = {"messages.item.from_id", "messages.item.actor_id", "messages.item.date_unixtime"}
_ATTACHED = ("photo", "file", "poll", "location_information", "contact_information", "game_title")
_NO_FILE = "(File"  # of those that were not exported


class TelegramImporter:
    """Reads exports of Telegram."""

    title = "an export of Telegram"

    def recognises(self, source: Source) -> bool:
        return any(_is_telegram(json_outline(source, name)) for name in _files(source)[:3])

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        names = [name for name in _files(source) if _is_telegram(json_outline(source, name))]
        source.expect(names)
        for name in names:
            yield from _chats(source, name, options)


def _files(source: Source) -> list[str]:
    names = source.files() if source.is_file else source.files(".json")
    return sorted(names, key=lambda name: not PurePosixPath(name).name.startswith("result"))


def _is_telegram(places: dict[str, Any]) -> bool:
    if {"chats.list", "left_chats.list"} & places.keys() or {
        "about",
        "personal_information",
    } <= places.keys():
        return True
    return {"type", "id", "messages"} <= places.keys() and bool(_OWN & places.keys())


@dataclass(slots=True)
class _Chat:
    """The chat that is read. ``owner``: the id of whose export it is; ``number``: of the message."""

    owner: str = ""
    name: str = ""
    type: str = ""
    id: str = ""
    number: int = 0

    def begin(self) -> None:
        self.name = self.type = self.id = ""
        self.number = 0

    @property
    def session(self) -> str:
        return self.id or self.name

    @property
    def where(self) -> str:
        return f"message {self.number} of {record_name(self.name or self.id or self.type or 'a chat')}"


def _chats(source: Source, name: str, options: ImportOptions) -> Iterator[ImportItem]:
    prefixes = ["personal_information.user_id"]
    for chat in (_ONE, *_SEVERAL):
        prefixes += [f"{chat}{each}" for each in ("name", "type", "id", "messages.item")]
        prefixes += [f"{BEGINS}{chat[:-1]}"] if chat else []
    chat = _Chat()
    for place, value in json_items(source, name, *prefixes):
        if place.startswith(BEGINS):
            chat.begin()
        elif place == "personal_information.user_id":
            chat.owner = f"user{value}"
        elif place.endswith("messages.item"):
            chat.number += 1
            yield from _message(value, chat, options)
        elif isinstance(value, Unreadable):
            yield BadRecord(name, value.why)
        else:
            setattr(chat, place.rpartition(".")[2], text_field({"value": value}, "value"))


def _message(value: object, chat: _Chat, options: ImportOptions) -> Iterator[ImportItem]:
    if isinstance(value, Unreadable):
        yield BadRecord(chat.where, value.why)
        return
    message = mapping(value)
    kind, id = text_field(message, "type"), text_field(message, "id")
    if kind == "service":
        yield Omission("service message")
        return
    if kind != "message" or not id:
        yield BadRecord(chat.where, "It has no id, or is of a type that is not known.")
        return
    attached = _attached(message)
    yield from (Omission("attachment", each) for each in attached)
    text = with_attachments(_text(message), attached) + _forwarded(message)
    speaker = text_field(message, "from", "from_id") or chat.name
    at = date_of(text_field(message, "date_unixtime"), options.now) or date_of(
        message.get("date"), options.now
    )
    is_owner = bool(chat.owner) and text_field(message, "from_id") == chat.owner
    yield ImportedMessage(text, "user" if is_owner else "other", speaker, at, chat.session, id)


def _forwarded(message: dict[str, Any]) -> str:
    name = text_field(message, "forwarded_from")
    return f"\n(forwarded from {record_name(name)})" if name else ""


def _text(message: dict[str, Any]) -> str:
    value = message.get("text")
    if isinstance(value, str):
        return plain_text(value)
    pieces = [part if isinstance(part, str) else mapping(part).get("text") for part in listed(value)]
    return plain_text("".join(piece for piece in pieces if isinstance(piece, str)))


def _attached(message: dict[str, Any]) -> list[str]:
    """The names of what was sent with a message."""
    if emoji := text_field(message, "sticker_emoji"):
        return [f"sticker {emoji}"]
    found = list[str]()
    for name in _ATTACHED:
        if message.get(name):
            path = text_field(message, name) or _titled(message, name)
            own = text_field(message, "file_name") if name == "file" else ""
            is_path = name in ("photo", "file")
            known = own or (
                "" if path.startswith(_NO_FILE) else PurePosixPath(path).name if is_path else path
            )
            found.append(known or text_field(message, "media_type") or name.partition("_")[0])
    return found


def _titled(message: dict[str, Any], name: str) -> str:
    """A poll with its question, or a contact with its name."""
    of = mapping(message.get(name))
    said = text_field(of, "question") or " ".join(
        filter(None, (text_field(of, "first_name"), text_field(of, "last_name")))
    )
    return f"{name.partition('_')[0]}: {said}" if said else ""
