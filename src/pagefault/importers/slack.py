"""Exports of Slack: a folder or ZIP with a folder a channel and a file a day, and ``users.json``; or one day.

Names stand in the place of ids (``<@U1>``), and links of their marks. Answers in threads stand where they
were sent. Left out: notices (who joined, what the topic is), reactions, and the bytes of files, which are
named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import PurePosixPath
from typing import Any

from pagefault.importers import ImportOptions, Source
from pagefault.importers.items import BadRecord, ImportedMessage, ImportItem, Omission
from pagefault.importers.json_items import Unreadable, json_items, json_outline
from pagefault.importers.slack_blocks import block_text
from pagefault.importers.texts import date_of, listed, mapping, text_field, with_attachments

__all__ = ["SlackImporter"]

_DAY = re.compile(r"(?:^|/)\d{4}-\d\d-\d\d\.json$")
_MARK = re.compile(r"<([@#!]?)([^<>|]{1,2000})(?:\|([^<>]{0,2000}))?>")
_SAID = (
    "",
    "bot_message",
    "file_share",
    "thread_broadcast",
    "me_message",
    "file_comment",
    "slackbot_response",
)
_KNOWN = ("user", "subtype", "text", "blocks", "bot_id")
_CHANNELS = ("channels.json", "groups.json", "dms.json", "mpims.json")


class SlackImporter:
    """Reads exports of Slack."""

    title = "an export of Slack"

    def recognises(self, source: Source) -> bool:
        return any(_has_messages(source, name) for name in _days(source)[:5])

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        names, users = _days(source), _users(source)
        if not users and (damaged := [name for name in source.files("users.json") if not source.is_file]):
            yield BadRecord(damaged[0], "It names nobody, so ids stand for names; export it again.")
        channels = _channels(source)
        source.expect(names)
        for name in names:
            channel = PurePosixPath(name).parent.name or source.path.parent.name
            session = channels.get(channel, channel)
            for number, (_, value) in enumerate(json_items(source, name, "item"), 1):
                yield from _message(value, session, f"message {number} of {name}", users, options)


def _days(source: Source) -> list[str]:
    if source.is_file:
        return source.files()
    return [name for name in source.files(".json") if _DAY.search(name)]


def _has_messages(source: Source, name: str) -> bool:
    places = json_outline(source, name)
    return "item.ts" in places and bool({f"item.{each}" for each in _KNOWN} & places.keys())


def _users(source: Source) -> dict[str, str]:
    """The names of people by their ids."""
    names = dict[str, str]()
    for file in [] if source.is_file else source.files("users.json"):
        if PurePosixPath(file).name == "users.json":
            for _, value in json_items(source, file, "item"):
                id, profile = text_field(value, "id"), mapping(mapping(value).get("profile"))
                name = text_field(profile, "display_name", "real_name") or text_field(value, "name")
                if id and name:
                    names[id] = name
    return names


def _channels(source: Source) -> dict[str, str]:
    """The ids of channels by the names of their folders, which may be given to others."""
    ids = dict[str, str]()
    for file in [] if source.is_file else source.files(".json"):
        if PurePosixPath(file).name in _CHANNELS:
            for _, value in json_items(source, file, "item"):
                if id := text_field(value, "id"):
                    ids[text_field(value, "name") or id] = id
    return ids


def _message(
    value: object, session: str, where: str, users: Mapping[str, str], options: ImportOptions
) -> Iterator[ImportItem]:
    if isinstance(value, Unreadable):
        yield BadRecord(where, value.why)
        return
    message = mapping(value)
    id, kind = _time(message.get("ts")), text_field(message, "subtype")
    if not id:
        yield BadRecord(where, "It has no time, by which messages are known.")
        return
    if kind not in _SAID:
        yield Omission("notice", kind)
        return
    attached = [text_field(each, "title", "name", "id") or "file" for each in listed(message.get("files"))]
    yield from (Omission("attachment", each) for each in attached)
    text = with_attachments(_text(message, users), attached)
    yield ImportedMessage(text, "other", _speaker(message, users), date_of(id, options.now), session, id)


def _speaker(message: dict[str, Any], users: Mapping[str, str]) -> str:
    user, profile = text_field(message, "user"), mapping(message.get("user_profile"))
    known = users.get(user) or text_field(profile, "display_name", "real_name", "name")
    return known or text_field(message, "username") or user or text_field(message, "bot_id")


def _time(value: object) -> str:
    """The time by which a message is known; other programs write it as a number."""
    return f"{value:.6f}" if isinstance(value, float) else text_field({"ts": value}, "ts")


def _text(message: dict[str, Any], users: Mapping[str, str]) -> str:
    """The text of a message; of one that has it in blocks or cards only, theirs."""
    text = text_field(message, "text") or block_text(message.get("blocks"))
    if not text:
        text = "\n".join(filter(None, map(_card, listed(message.get("attachments")))))

    def shown(found: re.Match[str]) -> str:
        mark, target, label = found[1], found[2], found[3] or ""
        if mark == "@":
            return f"@{users.get(target) or label or target}"
        if mark == "!":
            return label or f"@{target}"
        if mark:
            return f"#{label or target}"
        return f"{label} ({target})" if label and label != target else target

    return unescape(_MARK.sub(shown, text))


def _card(value: object) -> str:
    return (
        text_field(value, "text")
        or block_text(mapping(value).get("blocks"))
        or text_field(value, "fallback", "title")
    )
