"""Secrets planted in every place that an agent's memory has, each beside a text that is to stay.

A place is planted in one transaction; ``secret`` gives its text in one of the spellings that a query finds,
``kept`` one that is only similar. Left out: what a turn writes (``test_forgetting``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from pagefault.approvals import Grant
from pagefault.media import Media, MediaContent
from pagefault.message_meta import MessageMeta
from pagefault.names import system_key
from pagefault.shared import Outgoing
from pagefault.storage import Transaction
from pagefault.types import (
    AgentId,
    Document,
    Event,
    EventKind,
    Message,
    Page,
    Passage,
    Place,
    Role,
    Schedule,
    Section,
)

__all__ = ["MARK", "NEAR", "PLACES", "Planter"]

NOW = datetime(2026, 11, 1, tzinfo=UTC)
MARK = "zanzibarite"
NEAR = "zanzibar ite"


def _wide(text: str) -> str:
    """The text in full width, which NFKC makes the plain one."""
    return "".join(chr(ord(letter) + 0xFEE0) for letter in text)


_SPELLINGS: tuple[Callable[[str], str], ...] = (str.lower, str.upper, str.title, _wide)


@dataclass
class Planter:
    """Plants in the memory of ``agent``; ``tokens`` are words that stand beside each secret, and in nothing
    else: none of them may be left."""

    agent: AgentId
    tokens: list[str] = field(default_factory=list[str])
    kept: list[str] = field(default_factory=list[str])

    def secret(self) -> str:
        number = len(self.tokens)
        self.tokens.append(f"vault{number:04d}qx")
        return f"{_SPELLINGS[number % len(_SPELLINGS)](MARK)} {self.tokens[-1]}"

    def near(self) -> str:
        self.kept.append(f"harmless{len(self.kept):04d}")
        return f"{NEAR} {self.kept[-1]}"

    def texts(self) -> tuple[str, str]:
        return f"It is {self.secret()}.", f"It is {self.near()}."


Plant = Callable[[Transaction, Planter], None]


def _row(make: Callable[[str], Message]) -> Plant:
    def plant(tx: Transaction, planter: Planter) -> None:
        tx.append(planter.agent, [make(text) for text in planter.texts()])

    return plant


def _said(role: Role) -> Plant:
    return _row(lambda text: Message(role, text, NOW, shown=text))


def _call(text: str) -> Message:
    arguments = json.dumps({"text": text, "inner": json.dumps({"again": text})})  # escaped, and twice
    return Message(Role.CALL, arguments, NOW, shown=arguments, name="archival_insert", call_id="c1")


def _image(text: str) -> MediaContent:
    data = f"bytes of {text}".encode()
    return MediaContent(Media(sha256(data).hexdigest(), "image/png", f"{text}.png", len(data)), data)


def _image_row(tx: Transaction, planter: Planter) -> None:
    for text in planter.texts():
        content = _image(text)
        tx.put_media(planter.agent, [content])
        meta = MessageMeta(media=(content.media,))
        tx.append(planter.agent, [Message(Role.USER, "look", NOW, shown="look", meta=meta)])


def _meta(make: Callable[[str], MessageMeta]) -> Plant:
    return _row(lambda text: Message(Role.ASSISTANT, "said", NOW, meta=make(text)))


def _section(tx: Transaction, planter: Planter) -> None:
    secret, near = planter.texts()
    name = f"s{len(planter.tokens)}"
    for text in (near, f"{near}\n{secret}", f"{secret}\n{near}\nlast line"):
        tx.put_section(planter.agent, Section(name, "about it", 400, text), NOW)


def _described(tx: Transaction, planter: Planter) -> None:
    secret, near = planter.texts()
    tx.put_section(planter.agent, Section(f"d{len(planter.tokens)}", secret, 400, near), NOW)


def _removed_section(tx: Transaction, planter: Planter) -> None:
    secret, _ = planter.texts()
    name = f"r{len(planter.tokens)}"
    for limit in (400, 0):
        tx.put_section(planter.agent, Section(name, "", limit, secret), NOW)


def _passage(make: Callable[[str], Passage]) -> Plant:
    def plant(tx: Transaction, planter: Planter) -> None:
        tx.insert_passages(planter.agent, [make(text) for text in planter.texts()])

    return plant


def _document(make: Callable[[str], Document], chunk: str = "a plain chunk") -> Plant:
    def plant(tx: Transaction, planter: Planter) -> None:
        for text in planter.texts():
            tx.put_document(planter.agent, make(text), [Page(1, "", chunk)], [Passage(chunk, NOW)])

    return plant


def _pages(tx: Transaction, planter: Planter) -> None:
    """A page of three lines in two chunks, and a heading; the chunk with the secret goes."""
    secret, near = planter.texts()
    text = f"first line\n{secret}\n{near}"
    cut = len(f"first line\n{secret}\n")
    chunks = [
        Passage(text[:cut], NOW, place=Place(0, 1, "", 0, cut)),
        Passage(text[cut:], NOW, place=Place(0, 1, "", cut, len(text))),
    ]
    source = f"pages{len(planter.tokens)}.txt"
    pages = [Page(1, "top", text), Page(2, planter.secret(), "below")]
    tx.put_document(planter.agent, Document(source, "pages", "text/plain", "x", NOW, 2), pages, chunks)


def _event(make: Callable[[str], Event]) -> Plant:
    def plant(tx: Transaction, planter: Planter) -> None:
        for text in planter.texts():
            posted = tx.post(planter.agent, make(text))
            tx.set_event(planter.agent, posted.id, "done")

    return plant


def _pending(tx: Transaction, planter: Planter) -> None:
    posted = tx.post(planter.agent, Event(EventKind.MESSAGE, planter.secret(), at=NOW))
    tx.set_event(planter.agent, posted.id, "parked", parked=f"It cannot be read: {planter.secret()}")


def _timers(tx: Transaction, planter: Planter) -> None:
    for text in planter.texts():
        tx.add_schedule(planter.agent, Schedule(text, NOW.replace(year=2031), "UTC"))


def _outgoing(tx: Transaction, planter: Planter) -> None:
    for text in planter.texts():
        sent = Outgoing("archive:gone", "insert", json.dumps({"text": text, "tags": []}), NOW)
        number = tx.put_outgoing(planter.agent, sent).number
        tx.park_outgoing(planter.agent, number, "the archive is not there")


def _grants(tx: Transaction, planter: Planter) -> None:
    for text in planter.texts():
        tx.put_grant(planter.agent, Grant(f"tool{len(planter.tokens)}{text[6]}", NOW, by=text))


def _memory_key(tx: Transaction, planter: Planter) -> None:
    """A passage that is kept once by a digest of its text (``edits.remember_once``)."""
    for text in planter.texts():
        key = system_key(f"memory:{sha256(text.encode()).hexdigest()}")
        event = tx.post(planter.agent, Event(EventKind.APPENDED, "", key, at=NOW))
        passage = tx.insert_passage(planter.agent, Passage(text, NOW))
        tx.set_event(planter.agent, event.id, "done", passage.number)


def _withdrawn(tx: Transaction, planter: Planter) -> None:
    rows = tx.append(planter.agent, [Message(Role.USER, text, NOW, shown=text) for text in planter.texts()])
    passages = tx.insert_passages(planter.agent, [Passage(text, NOW) for text in planter.texts()])
    (marker,) = tx.append(planter.agent, [Message(Role.ALERT, "undone", NOW, name="withdrawn")])
    tx.withdraw_rows(planter.agent, rows[0].seq, marker.seq)
    tx.withdraw_passages(planter.agent, marker.seq, numbers=[each.number for each in passages])


PLACES: dict[str, Plant] = {
    **{f"{role} row": _said(role) for role in Role if role is not Role.SUMMARY},
    "call": _row(_call),
    "speaker": _row(lambda text: Message(Role.EVENT, "said", NOW, speaker=text[:60])),
    "only shown": _row(lambda text: Message(Role.USER, "said", NOW, shown=text)),
    "echo": _meta(lambda text: MessageMeta(echo={"provider": "x", "thinking": [text]})),
    "who decided": _meta(lambda text: MessageMeta(decided_by=text)),
    "media name": _image_row,
    "section": _section,
    "description of a section": _described,
    "removed section": _removed_section,
    "passage": _passage(lambda text: Passage(text, NOW)),
    "title": _passage(lambda text: Passage("plain", NOW, title=text)),
    "tag": _passage(lambda text: Passage("plain", NOW, (text,))),
    "source": _passage(lambda text: Passage("plain", NOW, source=text)),
    "source of a document": _document(lambda text: Document(text, "t", "text/plain", "x", NOW, 1)),
    "title of a document": _document(
        lambda text: Document(f"u{hash(text)}", text, "text/plain", "x", NOW, 1)
    ),
    "tag of a document": _document(
        lambda text: Document(f"v{hash(text)}", "t", "text/plain", "x", NOW, 1, (text,))
    ),
    "pages": _pages,
    "event": _event(lambda text: Event(EventKind.MESSAGE, text, at=NOW)),
    "key": _event(lambda text: Event(EventKind.APPENDED, "", f"import:{text}", at=NOW)),
    "sender": _event(lambda text: Event(EventKind.AGENT, "hi", sender=text, at=NOW)),
    "trace": _event(lambda text: Event(EventKind.LOGIN, "in", trace=text, at=NOW)),
    "name in an event": _event(
        lambda text: Event(EventKind.IMAGE, "see", media=(_image(text).media,), at=NOW)
    ),
    "parked event": _pending,
    "timer": _timers,
    "effect on its way": _outgoing,
    "grant": _grants,
    "memory key": _memory_key,
    "withdrawn": _withdrawn,
}
"""The places by name."""
