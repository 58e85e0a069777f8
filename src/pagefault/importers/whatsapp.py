"""Chats of WhatsApp as text, of Android and iOS, in any order of day and month; alone, or in a ZIP or folder.

The order of day and month is found over the whole file. A line that does not begin with a date goes on with
the message before it: what somebody sent that looks like the beginning of a message cannot be told from one.
Left out: notices, and the bytes of what was attached, which is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from io import TextIOWrapper

from pagefault.importers import ImportOptions, Source
from pagefault.importers.day_order import DayOrder, Written, order_of
from pagefault.importers.items import BadRecord, ImportedMessage, ImportItem, Omission, Remark
from pagefault.importers.texts import date_of, plain_text, record_name, with_attachments

__all__ = ["WhatsAppImporter"]

_MARKS = "\u200e\u200f\u202a\u202c\ufeff"  # of direction, and of byte order
_HALVES = (
    r"[ap]\.?\s?m\.?|上午|下午|오전|오후|午前|午後|[صم]"
    r"|[πμ]\.?\s?μ\.?|SA|CH|凌晨|清晨|早上|中午|傍晚|晚上|पूर्वाह्न|अपराह्न"
)
_DATE = r"(?P<one>\d{1,4})(?P<by>[./-])\s?(?P<two>\d{1,2})(?P=by)\s?(?P<three>\d{1,4})(?:\.|\sг\.)?"
_CLOCK = r"(?P<hour>\d{1,2})[:.](?P<minute>\d\d)(?:[:.](?P<second>\d\d))?"
_TIME = rf"(?:(?P<ahead>{_HALVES})\s?)?{_CLOCK}(?:\s?(?P<half>{_HALVES}))?"
_HEADER = re.compile(
    rf"(?P<open>\[)?{_DATE}[,،]?(?:\s(?:à|às|um|klo?\.?|at))?\s{{1,3}}{_TIME}(?(open)\]\s|\s-\s)(?P<rest>.*)",
    re.I | re.S,
)
_TIME_FIRST = re.compile(
    rf"(?P<open>\[)?{_TIME},\s{_DATE}(?(open)\]\s|\s-\s)(?P<rest>.*)", re.I | re.S
)  # Vietnamese, and what is copied out of the page in a browser
_DATE_SIGNS = str.maketrans("年월月년日일", "////  ")
_PM = re.compile(r"p|下午|오후|午後|م|μ|CH|中午|傍晚|晚上|अपराह्न", re.I)
_ATTACHED = re.compile(
    r"<attached: (?P<ios>[^<>]{1,200})>|(?P<android>\S{1,200}\.\w{2,5}) \((?P<said>[^()\n]{3,40})\)"
)
_SAID = (
    "file attached", "archivo adjunto", "arquivo anexado", "ficheiro anexado", "datei angehängt",
    "fichier joint", "file allegato", "bestand bijgevoegd", "файл добавлен", "文件附件", "附件文件",
)  # fmt: skip
_OMITTED = re.compile(r"<[^<>\n]{3,60}>|[^<>\n]{1,30} omitted", re.I)
_EDITED = re.compile(r"\s*\u200e?<This message was edited>\s*$")
_DELETED = ("This message was deleted", "You deleted this message", "null")
_BEFORE_NAME = "~ \u00a0\u202f"  # of those who are not in the address book
_LONGEST_LINE = 1 << 20
_LONGEST_NAME = 80
_LONGEST_HEADER = 60  # up to the name
_LONGEST_DATE = 16
_MARKED = re.compile(rf".{{0,{_LONGEST_HEADER}}}[{_MARKS}]")
_LOOKED_AT = 30  # lines, to recognise


@dataclass(slots=True)
class _Entry:
    """A line that begins a message or notice. ``style``: of how its date is written."""

    style: str
    written: Written
    at: time
    rest: str
    line: int


class WhatsAppImporter:
    """Reads chats that WhatsApp exported."""

    title = "a chat of WhatsApp"

    def recognises(self, source: Source) -> bool:
        return any(_is_chat(source.head(name)) for name in _files(source)[:3])

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        names = [name for name in _files(source) if _is_chat(source.head(name))]
        source.expect([*names, *names])  # each is read twice
        for name in names:
            yield from _chat(source, name, options)


def _files(source: Source) -> list[str]:
    return source.files(".txt")


def _is_chat(head: bytes) -> bool:
    """Return whether a text begins with a message or a notice, and has a speaker soon."""
    lines = head.decode("utf-8", "replace").splitlines()[:_LOOKED_AT]
    entries = [entry for number, line in enumerate(lines, 1) if (entry := _entry(line, number))]
    begins = bool(lines) and _entry(lines[0], 1) is not None
    return begins and any(_speaker(entry.rest)[0] for entry in entries)


def _entry(line: str, number: int) -> _Entry | None:
    plain = _without_marks(line.strip(_MARKS))
    spaced = plain.replace("\u202f", " ").replace("\u00a0", " ")
    spaced = spaced[:_LONGEST_DATE].translate(_DATE_SIGNS) + spaced[_LONGEST_DATE:]
    found = _HEADER.match(spaced) or _TIME_FIRST.match(spaced)
    if found is None:
        return None
    half = found["half"] or found["ahead"]
    hour = int(found["hour"])
    if half and hour <= 12:
        hour = hour % 12 + (12 if _PM.match(half) else 0)
    try:
        at = time(hour, int(found["minute"]), int(found["second"] or 0))
    except ValueError:
        return None
    style = f"{found['by']}{'12' if half else '24'}"
    return _Entry(
        style,
        (int(found["one"]), int(found["two"]), int(found["three"])),
        at,
        plain[found.start("rest") :],
        number,
    )


def _without_marks(line: str) -> str:
    """A line without the marks of direction within its date, where one writes from the right."""
    if not _MARKED.match(line):
        return line
    ends = [at for sign in (" - ", "]") if 0 < (at := line.find(sign)) < _LONGEST_HEADER]
    end = min(ends, default=0)
    return line[:end].translate(dict.fromkeys(map(ord, _MARKS))) + line[end:]


def _lines(source: Source, name: str) -> Iterator[tuple[int, str]]:
    with TextIOWrapper(source.open(name), "utf-8-sig", "replace", newline="\n") as file:
        number = 0
        while line := file.readline(_LONGEST_LINE):
            number += 1
            yield number, line.rstrip("\r\n")


def _orders(source: Source, name: str, today: date) -> dict[str, DayOrder]:
    """The order of day and month for each style of dates in a file. Of styles that differ only in the clock,
    those that are sure decide for the others."""
    dates = dict[str, dict[Written, None]]()
    for number, line in _lines(source, name):
        if entry := _entry(line, number):
            dates.setdefault(entry.style, {})[entry.written] = None
    found = {style: order_of(each, today, prefers_month=style == "/12") for style, each in dates.items()}
    for style, order in found.items():
        sure = [other for name, other in found.items() if name[0] == style[0] and other.is_sure]
        if not order.is_sure and sure:
            found[style] = sure[0]
    return found


def _chat(source: Source, name: str, options: ImportOptions) -> Iterator[ImportItem]:
    orders = _orders(source, name, options.now.astimezone(options.zone).date())
    for style, order in orders.items():
        if not order.is_sure:
            yield Remark(f"Dates like 1{style[0]}2{style[0]}2024 in {name} are read as {order.name}.")
    session, entry, more = _session(source, name), None, list[str]()
    for number, line in _lines(source, name):
        if found := _entry(line, number):
            if entry:
                yield from _message(entry, more, orders, session, options)
            entry, more = found, []
        elif entry is None:
            yield BadRecord(f"line {number}", "It stands before the first message.")
        else:
            more.append(line)
    if entry:
        yield from _message(entry, more, orders, session, options)


def _session(source: Source, name: str) -> str:
    """The name of a chat: of its file, unless that is the same for all chats."""
    stem = name.rpartition("/")[2].rpartition(".")[0]
    if stem.strip("_").lower() != "chat":
        return stem
    return source.stem if not source.is_file else source.path.absolute().parent.name


def _speaker(rest: str) -> tuple[str, str]:
    """The name before the first colon, and what is behind it; an empty name if there is none."""
    name, colon, text = rest.partition(": ")
    if not colon and rest.endswith(":"):
        name, colon = rest[:-1], ":"
    is_name = bool(colon) and len(name) <= _LONGEST_NAME and not set('"“”«»') & set(name)
    return (name.strip(_MARKS + _BEFORE_NAME), text) if is_name else ("", rest)


def _message(
    entry: _Entry, more: list[str], orders: dict[str, DayOrder], session: str, options: ImportOptions
) -> Iterator[ImportItem]:
    day = orders[entry.style].read(entry.written)
    name, first = _speaker(entry.rest)
    if day is None:
        yield BadRecord(f"line {entry.line}", f"Its date is none as {orders[entry.style].name}.")
        return
    if not name:
        yield Omission("notice")
        return
    body = _EDITED.sub("", "\n".join((first, *more)))
    is_marked, body = body.startswith("\u200e"), body.strip(_MARKS)
    is_notice = is_marked and "\n" not in body and "://" not in body  # polls and places are marked, too
    text, attached = _attached(body, is_marked)
    if attached:
        yield Omission("attachment", attached[0])
    elif is_notice or body.rstrip(".") in _DELETED:
        yield Omission("notice")
        return
    text = plain_text(with_attachments(text.replace("\u200e", "") if is_marked else text, attached))
    at = date_of(datetime.combine(day, entry.at), options.now)
    yield ImportedMessage(text, "other", name, at, session)


def _attached(body: str, is_marked: bool) -> tuple[str, list[str]]:
    """The text of a message without the line that stands for an attachment, and the name of that."""
    line, _, rest = body.partition("\n")
    found = _ATTACHED.fullmatch(line.strip(_MARKS))
    if found and (found["ios"] or is_marked or found["said"].lower() in _SAID):
        return rest, [record_name(found["ios"] or found["android"])]
    if _OMITTED.fullmatch(line) and (is_marked or line.startswith("<")):
        return rest, [record_name(line.strip("<>"))]
    return body, []
