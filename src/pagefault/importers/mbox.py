"""Mailboxes: mbox files, alone, in a folder or in a ZIP, as Google Takeout and Thunderbird write them.

Of each mail its subject and its text are read, without the mail that it quotes at its end. The sender is the
speaker; ``--me`` may be a name or an address. Left out: spam, trash and drafts, by Gmail's labels, and the
bytes of attachments, which are named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import parseaddr, parsedate_to_datetime
from html.parser import HTMLParser
from typing import BinaryIO

from pagefault.importers import ImportOptions, Source
from pagefault.importers.items import BadRecord, ImportedMessage, ImportItem, Omission
from pagefault.importers.texts import date_of, plain_text, with_attachments

__all__ = ["MboxImporter"]

_BEGINS = re.compile(rb"From \S+ .{0,100}\d\d:\d\d.{0,40}\d{4}\s{0,4}\r?\n")
_FIELD = re.compile(rb"^[\x21-\x39\x3b-\x7e]{1,76}:", re.M)
_MOST = 32 << 20  # bytes of a mail; of a longer one what is behind is not looked at
_LINE = 1 << 20
_LONGEST_PAGE = 1 << 20  # characters of HTML
_LEFT_OUT = ("spam", "trash", "draft", "drafts", "junk")
_ATTRIBUTION = re.compile(
    r"^(?:-{2,}.{0,60}-{2,}|.{0,300}(?:wrote|writes|schrieb|écrit|escribió|escreveu|ha scritto|schreef|skrev"
    r"|napisał\(?a?\)?|написала?|пишет|yazdı|写道|寫道|작성|\S@\S{1,100}>).{0,3}[:：])$"
)
_DIGIT = re.compile(r"\d")
_FOLDED = re.compile(r"(?:On|Am|Le|El|Em|Il|Op|Den|W dniu)\s.{0,40}\d")
_FAULTS = (
    MessageError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    IndexError,
    RecursionError,
    AssertionError,
)
"""The exceptions that the standard library's parser raises on mails that are none."""


class MboxImporter:
    """Reads mailboxes."""

    title = "a mailbox"

    def recognises(self, source: Source) -> bool:
        return any(_is_mailbox(source.head(name)) for name in _files(source)[:5])

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        names = [name for name in _files(source) if _is_mailbox(source.head(name))]
        source.expect(names)
        for name in names:
            with source.open(name) as file:
                for number, (data, is_cut) in enumerate(_mails(file), 1):
                    yield from _mail(data, is_cut, f"mail {number} of {name}", options)


def _files(source: Source) -> list[str]:
    return source.files() if source.is_file else [*source.files(".mbox"), *source.files("mbox")]


def _is_mailbox(head: bytes) -> bool:
    return _BEGINS.match(head) is not None and len(_FIELD.findall(head[:8192])) >= 2


def _mails(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """The bytes of each mail, and whether it was cut: one begins at a line ``From ``, the first or behind an
    empty one."""
    lines, size, is_after_gap = list[bytes](), 0, True
    while line := file.readline(_LINE):
        if is_after_gap and _BEGINS.fullmatch(line):
            if size:
                yield b"".join(lines), size > _MOST
            lines, size = [], 0
        else:
            size += len(line)
            if size <= _MOST:
                lines.append(line[1:] if line.startswith(b">From ") else line)
        is_after_gap = not line.strip()
    if size:
        yield b"".join(lines), size > _MOST


def _mail(data: bytes, is_cut: bool, where: str, options: ImportOptions) -> Iterator[ImportItem]:
    if is_cut:
        yield Omission("end of a mail that is too large")
    try:
        item, omitted = _read(data, options)
    except _FAULTS as error:
        yield BadRecord(where, f"It cannot be read as a mail: {type(error).__name__}.")
        return
    yield from omitted
    if item:
        yield item


def _read(data: bytes, options: ImportOptions) -> tuple[ImportedMessage | None, list[Omission]]:
    mail = message_from_bytes(data, policy=policy.default)
    labels = {label.strip().lower() for label in str(mail.get("X-Gmail-Labels", "")).split(",")}
    if found := next((label for label in _LEFT_OUT if label in labels), None):
        return None, [Omission(f"mail in {found}")]
    name, address = parseaddr(str(mail.get("From", "")))
    attached = [part.get_filename() or part.get_content_type() for part in mail.iter_attachments()]
    subject = " ".join(str(mail.get("Subject", "")).split())
    body = _without_quote(_body(mail))
    text = with_attachments("\n\n".join(filter(None, (subject, body))), attached)
    omitted = [Omission("attachment", each) for each in attached]
    if not text:
        return None, [*omitted, Omission("empty message")]
    me = options.me.casefold()
    is_me = bool(me) and me in (name.casefold(), address.casefold())
    id = plain_text(str(mail.get("Message-ID", ""))) or None
    role = "user" if is_me else "other"
    return ImportedMessage(text, role, name or address, _date(mail, options.now), "mail", id), omitted


def _date(mail: EmailMessage, now: datetime) -> datetime | None:
    try:
        return date_of(parsedate_to_datetime(str(mail.get("Date", ""))), now)
    except ValueError:
        return None


def _body(mail: EmailMessage) -> str:
    part = mail.get_body(("plain", "html"))
    if part is None:
        return ""
    try:
        content = part.get_content()
    except LookupError:  # a character set that does not exist
        payload = part.get_payload(decode=True)
        content = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
    text = content if isinstance(content, str) else ""
    return _plain(text) if part.get_content_subtype() == "html" else plain_text(text)


class _Plain(HTMLParser):
    """The texts of a page of HTML, on lines."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces = list[str]()
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._hidden += tag in ("script", "style", "head", "title")
        if tag in ("p", "br", "div", "tr", "li", "h1", "h2", "h3", "blockquote"):
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in ("script", "style", "head", "title")))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(" ".join(data.split()) + (" " if data[-1:].isspace() else ""))


def _plain(page: str) -> str:
    reader = _Plain()
    reader.feed(page[:_LONGEST_PAGE])
    reader.close()
    return plain_text(re.sub(r"\s*\n\s*", "\n", "".join(reader.pieces)))


def _without_quote(text: str) -> str:
    """A mail without the one that it quotes at its end, unless it has nothing else."""
    lines = text.split("\n")
    end = len(lines)
    while end and (not lines[end - 1].strip() or lines[end - 1].startswith(">")):
        end -= 1
    if end == len(lines) or end == 0:
        return text
    while end and (not lines[end - 1].strip() or _ATTRIBUTION.match(lines[end - 1].strip())):
        end -= _height(lines[:end])
    return "\n".join(lines[:end]).rstrip() or text


def _height(lines: list[str]) -> int:
    """The lines that the last one takes: what names the quoted mail has a date, and is folded before its end
    where it is long."""
    last, before = lines[-1].strip(), lines[-2].strip() if len(lines) > 1 else ""
    is_folded = bool(last) and not _DIGIT.search(last) and _FOLDED.match(before) is not None
    return 2 if is_folded else 1
