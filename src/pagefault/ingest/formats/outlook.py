"""Messages of Outlook (MSG), written again as Internet messages and read as those.

The library reads the compound file; which stream is what, the published format says ([MS-OXMSG]). Left out:
appointments' and contacts' own fields.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from importlib import import_module
from io import BytesIO
from typing import Any

from pagefault.errors import UsageError
from pagefault.ingest.formats.mail import mail
from pagefault.ingest.formats.rtf import rtf_html
from pagefault.ingest.packed import BROKEN, LibraryFaults
from pagefault.ingest.pages import Extracted, clean
from pagefault.ingest.reading import Reading

__all__ = ["outlook"]

_SUBJECT, _SENDER, _ADDRESS, _SMTP, _TO, _CC = 0x0037, 0x0C1A, 0x0C1F, 0x5D01, 0x0E04, 0x0E03
_BODY, _HTML, _RTF = 0x1000, 0x1013, 0x1009
_SENT, _DELIVERED = 0x0039, 0x0E06
_OF_HTML, _OF_TEXT = (0x3FDE, 0x3FFD), (0x3FFD, 0x3FDE)  # code pages
_DATA, _LONG_NAME, _NAME, _MIME = 0x3701, 0x3707, 0x3704, 0x370E
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_DEEPEST = 8
_MOST_ATTACHED = 1_000


def outlook(data: bytes, reading: Reading) -> Extracted:
    """Read a message of Outlook."""
    olefile: Any = import_module("olefile")
    try:
        with olefile.OleFileIO(BytesIO(data)) as held:
            message = _Storage(held, _children(held), (), reading).message(0)
        return mail(message.as_bytes(), reading)
    except (*BROKEN, struct.error) as error:
        raise UsageError(f"It is not a message that can be read ({error}); save it as .eml.") from None


@dataclass(frozen=True, slots=True)
class _Storage:
    """One message in the file, at a path: the file's own, or one that is attached."""

    held: Any
    children: dict[tuple[str, ...], set[str]]
    path: tuple[str, ...]
    reading: Reading

    def message(self, depth: int) -> EmailMessage:
        made = EmailMessage()
        numbers = self._numbers(32 if not self.path else 24)
        self._headers(made, numbers)
        self._bodies(made, numbers)
        within = self.children.get(self.path, set())
        attached = sorted(name for name in within if name.startswith("__attach_version1.0_"))
        for name in attached[:_MOST_ATTACHED]:
            self._attach(made, self._within(self.path, name), depth)
        return made

    def _headers(self, made: EmailMessage, numbers: dict[int, int]) -> None:
        address = self.text(_SMTP, numbers) or self.text(_ADDRESS, numbers)
        sender = self.text(_SENDER, numbers)
        if "@" in address and sender != address and sender.isascii():
            sender = formataddr((sender, address))
        headers = {"Subject": self.text(_SUBJECT, numbers), "X-Pagefault-From": sender or address}
        headers |= {"X-Pagefault-To": self.text(_TO, numbers), "X-Pagefault-Cc": self.text(_CC, numbers)}
        if stamp := numbers.get(_SENT) or numbers.get(_DELIVERED):
            headers["Date"] = format_datetime(_EPOCH + timedelta(microseconds=min(stamp, 1 << 60) // 10))
        for name, value in headers.items():
            if value:
                made[name] = " ".join(clean(value).split())[:5_000]

    def _bodies(self, made: EmailMessage, numbers: dict[int, int]) -> None:
        body, html = clean(self.text(_BODY, numbers)), self.html(numbers)
        if not body.strip() and not html and (packed := self.data(_RTF)):
            unpack: Any = import_module("compressed_rtf")
            try:
                with LibraryFaults("{}"):
                    html = rtf_html(unpack.decompress(packed), self.reading)[0]
            except (*BROKEN, UsageError) as error:
                self.reading.note(f"Its formatted text cannot be read ({error}).")
        made.set_content(body)
        if html:
            made.add_alternative(html.encode("utf-8", "replace").decode(), subtype="html")

    def _attach(self, made: EmailMessage, part: _Storage, depth: int) -> None:
        names: dict[int, int] = {}
        name = part.text(_LONG_NAME, names) or part.text(_NAME, names) or "part"
        inner = self._within(part.path, "__substg1.0_3701000D")
        if inner.path in self.children:
            if depth < _DEEPEST:
                made.add_attachment(inner.message(depth + 1))
            else:
                self.reading.note(f"Messages more than {_DEEPEST} deep are left out.")
        elif data := part.data(_DATA):
            main, _, sub = part.text(_MIME, names).partition("/")
            known = main.isalnum() and sub and main.lower() not in ("multipart", "message", "text")
            kind = (main, sub) if known else ("application", "octet-stream")
            made.add_attachment(
                data, maintype=kind[0], subtype=kind[1], filename=" ".join(clean(name).split())
            )

    def html(self, numbers: dict[int, int]) -> str:
        data = self.data(_HTML)
        return self.reading.decode(data, _codec(numbers, _OF_HTML)) if data else self.text(_HTML, numbers)

    def text(self, tag: int, numbers: dict[int, int]) -> str:
        """Return a property that is text; empty if there is none."""
        wide = self._stream(f"__substg1.0_{tag:04X}001F")
        if wide:
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        narrow = self._stream(f"__substg1.0_{tag:04X}001E")
        return self.reading.decode(narrow, _codec(numbers, _OF_TEXT)).rstrip("\0") if narrow else ""

    def data(self, tag: int) -> bytes:
        return self._stream(f"__substg1.0_{tag:04X}0102")

    def _within(self, path: tuple[str, ...], name: str) -> _Storage:
        return _Storage(self.held, self.children, (*path, name), self.reading)

    def _stream(self, name: str) -> bytes:
        place = [*self.path, name]
        return self.held.openstream(place).read() if self.held.exists(place) else b""

    def _numbers(self, head: int) -> dict[int, int]:
        """Return the properties of fixed size: tag to value."""
        data = self._stream("__properties_version1.0")[head:]
        entries = struct.iter_unpack("<HHIQ", data[: len(data) // 16 * 16])
        return {tag: value for _, tag, _, value in entries}


def _children(held: Any) -> dict[tuple[str, ...], set[str]]:
    """Return what each storage of a compound file holds, by its path."""
    children: dict[tuple[str, ...], set[str]] = {}
    for entry in held.listdir(streams=True, storages=True):
        children.setdefault(tuple(entry[:-1]), set()).add(entry[-1])
    return children


def _codec(numbers: dict[int, int], tags: tuple[int, int]) -> str:
    number = next((numbers[tag] & 0xFFFF for tag in tags if tag in numbers), 0)
    return {65001: "utf-8", 20127: "utf-8", 28591: "cp1252"}.get(number, f"cp{number}" if number else "")
