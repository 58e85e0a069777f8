"""Messages (EML, MHTML) and mailboxes (MBOX): subject, sender, date and text; what is attached is a document
of its own.

Of the forms of one text the plain one is taken, unless it has less than half of the words of the other. Left
out: pictures that belong to the layout, signatures, and decryption.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from email.utils import parsedate_to_datetime
from mimetypes import guess_extension
from typing import cast

from pagefault.ingest.formats.trees import page_of
from pagefault.ingest.html import declared_encoding
from pagefault.ingest.pages import Extracted, Heading, Leaf, ReadPart, clean, paginate
from pagefault.ingest.reading import Reading

__all__ = ["mail", "mailbox"]

_HEADERS = ("From", "To", "Cc", "Date")
_BEGIN = re.compile(rb"(?:\A|\r?\n\r?\n)(?=From [^\r\n]{0,300}\d\d:\d\d[^\r\n]{0,60}\r?\n)")
_COUNTED = re.compile(rb"\s*\d{1,12}\s*\n(?=[\w-]+:)")  # how Apple's messages begin
_LAYOUT = re.compile(r"image/|font/|text/css|text/javascript|application/(?:x-)?(?:javascript|font)")
_SIGNATURES = ("application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature")
_ENCRYPTED = ("application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted")
_RICH = ("text/html", "multipart/related", "multipart/mixed")
_DEEPEST = 40
_LONG = 1_000  # characters of a header
_MOST_PARTS = 2_000


def mail(data: bytes, reading: Reading) -> Extracted:
    """Read one message."""
    counted = _COUNTED.match(data)
    found = _message(data[counted.end() :] if counted else data, reading)
    return Extracted(found.subject, tuple(found.leaves()), markdown=found.markdown, parts=tuple(found.parts))


def mailbox(data: bytes, reading: Reading) -> Extracted:
    """Read a mailbox: each message begins a page."""
    places = [found.end() for found in _BEGIN.finditer(data)]
    leaves: list[Leaf] = []
    parts: list[ReadPart] = []
    size = 0
    for number, (start, stop) in enumerate(zip(places, [*places[1:], len(data)], strict=True), 1):
        _, _, text = data[start:stop].partition(b"\n")
        found = _message(text, reading)
        pages = list(found.leaves())
        leaves += pages
        parts += (
            ReadPart(f"{number}/{each.name}", each.declared, each.data, each.why) for each in found.parts
        )
        size += sum(len(leaf.text) for leaf in pages)
        reading.check(size, len(leaves))
        reading.on_page(number, len(places))
    return Extracted("", tuple(leaves), parts=tuple(parts[:_MOST_PARTS]))


def _message(data: bytes, reading: Reading) -> _Mail:
    found = _Mail(BytesParser(policy=compat32).parsebytes(data), reading)
    found.read()
    return found


@dataclass(slots=True)
class _Mail:
    """One message: its headers and text, and what is attached."""

    message: Message
    reading: Reading
    markdown: bool = False
    parts: list[ReadPart] = field(default_factory=list[ReadPart])
    _texts: list[str] = field(default_factory=list[str])
    _layout: int = 0

    @property
    def subject(self) -> str:
        return self._header("Subject")

    def read(self) -> None:
        self._walk(self.message, 0)
        if self._layout:
            self.reading.note(f"Pictures and styles that belong to its layout, left out: {self._layout}.")

    def leaves(self) -> Iterator[Leaf]:
        """Yield the pages: the headers, the text, the names of what is attached."""
        head = [f"Subject: {self.subject}"] if self.subject else []
        head += [f"{name}: {value}" for name in _HEADERS if (value := self._header(name))]
        attached = ", ".join(each.name for each in self.parts)
        blocks = ["\n".join(head), *self._texts, f"Attached: {attached}" if attached else ""]
        text = "\n\n".join(filter(str.strip, blocks))
        where = " – ".join(filter(None, (self.subject, self._header("From"), self._header("Date"))))
        return paginate(text, [Heading(0, where[:200])] if where else [], markdown=self.markdown)

    def _header(self, name: str) -> str:
        held = {key.lower(): value for key, value in reversed(list(self.message.raw_items()))}
        value = held.get(name.lower()) or held.get(f"x-pagefault-{name.lower()}", "")
        text = _decoded_header(str(value)[: 20 * _LONG], self.reading)[:_LONG]
        if name == "Date" and text:
            try:
                return parsedate_to_datetime(text).strftime("%Y-%m-%d %H:%M %z").strip()
            except (ValueError, TypeError, OverflowError, IndexError):
                return text
        return text

    def _walk(self, part: Message, depth: int) -> None:
        """Take a part of the message, with those within it."""
        kind = _kind(part)
        if depth > _DEEPEST:
            self.reading.note(f"Parts more than {_DEEPEST} deep are left out.")
        elif kind in _ENCRYPTED:
            self.reading.note("Its text is encrypted, and not loaded; decrypt it in your mail program.")
        elif kind == "multipart/alternative":
            self._alternative(_within(part), depth)
        elif kind == "message/rfc822" or (part.get_content_maintype() == "message" and _within(part)):
            self._attach_message(part)
        elif part.is_multipart():
            for number, each in enumerate(_within(part)):
                if number and kind == "multipart/related" and _is_layout(each):
                    self._layout += 1
                else:
                    self._walk(each, depth + 1)
        else:
            self._leaf(part, kind)

    def _leaf(self, part: Message, kind: str) -> None:
        if kind in _SIGNATURES:
            return
        text = kind in ("text/plain", "text/html", "text/enriched") and not _is_attached(part)
        if not text:
            self._attach(part, kind)
        elif said := self._text(part, kind):
            self.markdown = self.markdown or kind == "text/html"
            self._texts.append(said)

    def _alternative(self, forms: list[Message], depth: int) -> None:
        """Take one form of a text; what is none, such as an invitation, is attached."""
        plain = next((each for each in forms if each.get_content_type() == "text/plain"), None)
        rich = next((each for each in forms if each.get_content_type() in _RICH), None)
        taken = plain if rich is None or (plain is not None and self._is_whole(plain, rich)) else rich
        for each in forms:
            if each is taken or (each is not plain and each is not rich):
                self._walk(each, depth + 1)

    def _is_whole(self, plain: Message, rich: Message) -> bool:
        """Return whether the plain form has at least half of the words of the other."""
        words = len(self._text(plain, "text/plain").split())
        html = next((each for each in rich.walk() if each.get_content_type() == "text/html"), None)
        return words > 0 and (html is None or 2 * words >= len(self._text(html, "text/html").split()))

    def _text(self, part: Message, kind: str) -> str:
        data, declared = _payload(part), part.get_content_charset("") or ""
        if kind == "text/html":
            html = self.reading.decode(data, declared or declared_encoding(data))
            return page_of(html, self.reading).text.strip()
        return clean(self.reading.decode(data, declared)).strip()

    def _attach(self, part: Message, kind: str) -> None:
        name = _decoded_header(part.get_filename("") or "", self.reading)[:_LONG]
        name = name or f"part {len(self.parts) + 1}{guess_extension(kind) or ''}"
        self._add(ReadPart(name, kind, _payload(part)))

    def _attach_message(self, part: Message) -> None:
        for inner in _within(part):
            name = _decoded_header(str(inner.get("Subject", "")), self.reading)[:100].replace("/", "-")
            try:
                self._add(ReadPart(f"{name or 'message'}.eml", "message/rfc822", inner.as_bytes()))
            except (LookupError, ValueError, AttributeError, TypeError) as error:
                self._add(ReadPart(f"{name or 'message'}.eml", why=f"It cannot be taken out ({error})."))

    def _add(self, part: ReadPart) -> None:
        if len(self.parts) < _MOST_PARTS:
            self.parts.append(part)
        else:
            self.reading.note(f"What is attached beyond {_MOST_PARTS:,} parts is left out.")


def _kind(part: Message) -> str:
    """Return what a part is: text, if it says that it has parts, and they are not told apart."""
    kind = part.get_content_type()
    is_one = kind.startswith("multipart/") and kind not in _ENCRYPTED and not part.is_multipart()
    return "text/plain" if is_one else kind


def _within(part: Message) -> list[Message]:
    inner = part.get_payload()
    return (
        [each for each in cast(list[object], inner) if isinstance(each, Message)]
        if isinstance(inner, list)
        else []
    )


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or bool(part.get_filename())


def _is_layout(part: Message) -> bool:
    """Return whether a part belongs to a page of HTML, and was not attached by a person."""
    named = "Content-ID" in part or "Content-Location" in part
    return (
        named
        and part.get_content_disposition() != "attachment"
        and bool(_LAYOUT.match(part.get_content_type()))
    )


def _payload(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _decoded_header(value: str, reading: Reading) -> str:
    """Return a header on one line, its encoded words decoded; bytes beyond ASCII are decoded as text is."""
    if not value.isascii():
        value = reading.decode(value.encode("utf-8", "surrogateescape"))
    try:
        pieces = [
            reading.decode(piece, charset or "") if isinstance(piece, bytes) else piece
            for piece, charset in decode_header(value)
        ]
    except (HeaderParseError, ValueError, LookupError):
        pieces = [value]
    return " ".join(clean("".join(pieces)).split())
