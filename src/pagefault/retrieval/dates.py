"""Times that a query names, as ranges: `on 8 May`, `last week`, `2024年4月1日`, `vor drei Tagen`.

English months, Chinese and Japanese by patterns; the rest, and German, French, Spanish and Russian, by the
words in the files of ``languages``. A soft boost must be quick and must not see a date where there is none,
which is why no library is used: ``search_dates`` of dateparser 1.5 finds dates in "you may come", "the sun
was out" and "I sat down" and, if it has to find the language too, takes 30 ms a query or more. A date
without a year is the last such one before now; 5.3.2024 has the day first, and so has 5/3/2024 but in
English. Left out: times of day, `before` and `since` (the search functions have filters for those), holidays,
seasons.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

from pagefault.quoting import normal
from pagefault.retrieval.languages import Language, plain, spoken

__all__ = ["Span", "spans"]

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTH = {name[:3]: number for number, name in enumerate(_MONTHS, start=1)}
_NAME = (
    "(?P<month>" + "|".join(f"{name[:3]}(?:{name[3:]})?" if name != "may" else name for name in _MONTHS) + ")"
)
_FULL = "(?P<month>" + "|".join(_MONTHS) + ")"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"

# Tried in this order; text that one pattern has matched is not seen by the next.
_CALENDAR = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_YEAR}-(?P<month>\d\d)-(?P<day>\d\d)\b",
        rf"\b(?P<day>\d{{1,2}})\.\s?(?P<month>\d{{1,2}})\.\s?{_YEAR}\b",
        rf"{_YEAR}年(?P<month>\d{{1,2}})月(?:(?P<day>\d{{1,2}})[日号號])?",
        r"(?<!\d)(?P<month>\d{1,2})月(?P<day>\d{1,2})[日号號]",
        rf"\b{_DAY}(?: of)? {_NAME}\b\.?(?:,? {_YEAR})?",
        rf"\b{_NAME}\b\.? {_DAY}\b(?:,? {_YEAR})?",
        rf"\b{_NAME}\b\.?,? {_YEAR}\b",
        rf"\b(?:in|during|since|this|last|early|mid|late) {_FULL}\b",
        rf"\b(?:in|during|of) {_YEAR}\b",
        rf"{_YEAR}年",
    )
]
_DIGITS = "〇一二三四五六七八九十"
_TEN = 10
_NUMERAL = re.compile(
    "[〇零一二三四五六七八九十]{1,4}(?=个?[年月日号號天周週]|個?[月年]|[かヶカケ]月|日前|週間)"
)
_ERA = re.compile("(?P<era>令和|平成|昭和)(?P<year>[0-9]{1,2}|元)年")
_SLASHES = re.compile(rf"\b(\d\d?)/(\d\d?)/({_YEAR.replace('?P<year>', '')})\b")


@dataclass(frozen=True, slots=True)
class Span:
    """A range of time: ``start`` inclusive, ``end`` exclusive, both aware."""

    start: datetime
    end: datetime

    @property
    def is_narrow(self) -> bool:
        """At most a month or so: narrow enough to be a reason of its own to find what was said then."""
        return self.end - self.start <= timedelta(days=40)


def spans(text: str, now: datetime) -> tuple[Span, ...]:
    """The ranges that ``text`` names, read at ``now`` and in its time zone; none twice."""
    found: list[Span | None] = []
    tongues = spoken(plain(text))
    is_english = any(language.code == "en" for language in tongues)
    text = _ERA.sub(_western, _NUMERAL.sub(_arabic, normal("NFKC", text)))
    text = _SLASHES.sub(r"\3-\1-\2" if is_english else r"\3-\2-\1", text)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)

    def without(text: str, rules: Iterable[_Rule]) -> str:
        """The text without the times that the rules find in it, which are noted."""
        for pattern, resolve in rules:
            text = pattern.sub(lambda match, of=resolve: found.append(of(match, midnight)) or " ", text)
        return text

    words = plain(without(text, [*((pattern, _calendar) for pattern in _CALENDAR), *_HAN]))
    without(words, (rule for language in tongues for rule in _rules_of(language)))
    return tuple(dict.fromkeys(span for span in found if span))


def _arabic(match: re.Match[str]) -> str:
    """A number in Chinese characters, up to 99 or digit by digit, in digits."""
    digits = [_DIGITS.index(digit) for digit in match.group().replace("零", "〇")]
    if _TEN not in digits:
        return "".join(map(str, digits))
    at = digits.index(_TEN)
    tens, ones = digits[:at] or [1], digits[at + 1 :] or [0]
    return str(10 * tens[-1] + ones[0])


def _western(match: re.Match[str]) -> str:
    """A year of a Japanese era in the common calendar."""
    year = 1 if match["year"] == "元" else int(match["year"])
    return f"{ {'令和': 2018, '平成': 1988, '昭和': 1925}[match['era']] + year }年"


def _calendar(match: re.Match[str], now: datetime, named: int = 0) -> Span | None:
    """The day, month (``named``: its number, if the language has names) or year that was matched; None if the
    calendar has none such."""
    day, year, month = map(match.groupdict().get, ("day", "year", "month"))
    try:
        if not month:
            return Span(_at(now, int(year or 0), 1, 1), _at(now, int(year or 0) + 1, 1, 1))
        start = _at(now, int(year or now.year), named or _month(month), int(day or 1))
        if not year and start > now:
            start = start.replace(year=start.year - 1)
        return Span(start, start + timedelta(days=1)) if day else Span(start, _next_month(start))
    except ValueError:
        return None


def _month(name: str) -> int:
    return int(name) if name.isdigit() else _MONTH[name[:3].lower()]


def _at(now: datetime, year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=now.tzinfo)


def _next_month(start: datetime) -> datetime:
    return (start.replace(day=1) + timedelta(days=32)).replace(day=1)


def _days(first: int, length: int = 1) -> Callable[[re.Match[str], datetime], Span]:
    """A span that begins ``first`` days from today's midnight."""
    return lambda _, today: Span(today + timedelta(days=first), today + timedelta(days=first + length))


def _weeks(first: int) -> Callable[[re.Match[str], datetime], Span]:
    def resolve(_: re.Match[str], today: datetime) -> Span:
        monday = today - timedelta(days=today.weekday()) + timedelta(weeks=first)
        return Span(monday, monday + timedelta(weeks=1))

    return resolve


def _months(first: int) -> Callable[[re.Match[str], datetime], Span]:
    def resolve(_: re.Match[str], today: datetime) -> Span:
        whole = today.year * 12 + today.month - 1 + first
        start = today.replace(year=whole // 12, month=whole % 12 + 1, day=1)
        return Span(start, _next_month(start))

    return resolve


def _years(first: int) -> Callable[[re.Match[str], datetime], Span]:
    def resolve(_: re.Match[str], today: datetime) -> Span:
        start = today.replace(year=today.year + first, month=1, day=1)
        return Span(start, start.replace(year=start.year + 1))

    return resolve


_CHINESE_WEEKDAYS = {
    day: number
    for number, days in enumerate(("一月", "二火", "三水", "四木", "五金", "六土", "日天"))
    for day in days
}


def _chinese_weekday(match: re.Match[str], today: datetime) -> Span:
    monday = _weeks(-1)(match, today).start
    start = monday + timedelta(days=_CHINESE_WEEKDAYS[match["weekday"]])
    return Span(start, start + timedelta(days=1))


def _ago(match: re.Match[str], today: datetime) -> Span:
    size = 1 if match["unit"] in "天日" else 7
    start = today - timedelta(days=size * int(match["count"]))
    return Span(start, start + timedelta(days=size))


_Rule = tuple[re.Pattern[str], Callable[[re.Match[str], datetime], Span | None]]
_HAN: list[_Rule] = [
    (re.compile(pattern), resolve)
    for pattern, resolve in (
        (r"上(?:周|週|[个個]?星期|[个個]?[礼禮]拜)(?P<weekday>[一二三四五六日天])", _chinese_weekday),
        (r"先週の?(?P<weekday>[月火水木金土日])曜日?", _chinese_weekday),
        (r"上上个?(?:周|週|星期)|先々週|先先週", _weeks(-2)),
        (r"大前天", _days(-3)),
        (r"今天|今日", _days(0)),
        (r"昨天|昨日", _days(-1)),
        (r"前天|一昨日|おととい", _days(-2)),
        (r"[这這]周|本周|[这這]週|本週|[这這][个個]?星期|今週", _weeks(0)),
        (r"上周|上週|上[个個]?星期|先週", _weeks(-1)),
        (r"[这這][个個]月|本月|今月", _months(0)),
        (r"上[个個]?月|先月", _months(-1)),
        (r"今年", _years(0)),
        (r"去年|昨年", _years(-1)),
        (r"(?P<count>\d{1,3})个?(?P<unit>[天日周週])(?:間)?之?前", _ago),
    )
]
_NAMED = {
    "before_yesterday": _days(-2),
    "yesterday": _days(-1),
    "today": _days(0),
    "week_before_last": _weeks(-2),
    "last_week": _weeks(-1),
    "this_week": _weeks(0),
    "last_month": _months(-1),
    "this_month": _months(0),
    "last_year": _years(-1),
    "this_year": _years(0),
}


@cache
def _rules_of(language: Language) -> tuple[_Rule, ...]:
    """The rules that the words of a language's file make, for texts as made by ``plain``."""
    words = language.dates
    if not words:
        return ()
    rules: list[_Rule] = []
    if words["months"].strip():
        month, number = _numbered(words["months"])
        day = rf" (?P<day>\d{{1,2}})(?:er|o|a)? (?:de )?(?P<month>{month})(?: (?:del? )?{_YEAR})? "

        def calendar(match: re.Match[str], now: datetime) -> Span | None:
            return _calendar(match, now, number[match["month"]])

        for pattern in (
            day,
            rf" (?P<month>{month}) (?:del? )?{_YEAR} ",
            rf" (?:{_spaced(words['in'])}) (?P<month>{month}) ",
        ):
            rules.append((re.compile(pattern), calendar))
    weekday, index = _numbered(words["weekdays"])
    last = _spaced(words["last"])

    def on_weekday(match: re.Match[str], today: datetime) -> Span:
        back = (today.weekday() + 1 - index[match["weekday"]]) % 7 or 7
        return _days(-back)(match, today)

    rules.append((re.compile(rf" (?:{last}) (?P<weekday>{weekday}) "), on_weekday))
    rules.append((re.compile(rf" (?P<weekday>{weekday}) (?:{last}) "), on_weekday))
    rules += [
        (re.compile(rf" (?:{_spaced(words[name])}) "), resolve)
        for name, resolve in _NAMED.items()
        if words[name].strip()
    ]
    return (*rules, _ago_rule(words))


def _ago_rule(words: dict[str, str]) -> _Rule:
    numeral, count = _numbered(words["numbers"])
    unit, size = _numbered(words["units"])
    what = rf"(?P<count>\d{{1,3}}|{numeral}) (?P<unit>{unit})"

    def ago(match: re.Match[str], today: datetime) -> Span | None:
        times = int(match["count"]) if match["count"].isdigit() else count[match["count"]]
        in_units = (_days(-times), _days(-7 * times, 7), _months(-times), _years(-times))
        try:
            return in_units[size[match["unit"]] - 1](match, today)
        except ValueError:  # before the year 1, or the 29th of February
            return None

    return re.compile(f" {_spaced(words['ago'].strip()).format(what)} "), ago


def _spaced(words: str) -> str:
    return words.strip().replace("_", " ")


def _numbered(words: str) -> tuple[str, dict[str, int]]:
    """Alternatives in order, longest first, as a pattern and with their numbers from 1."""
    numbers = {
        name: number for number, names in enumerate(words.split(), start=1) for name in names.split("|")
    }
    return "|".join(sorted(numbers, key=len, reverse=True)), numbers
