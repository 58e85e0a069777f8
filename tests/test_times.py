"""Times, cron lines and time zones as people and models write them: read as meant, or refused."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.clock import When, moment, next_due, time_of
from pagefault.errors import FunctionError, UsageError
from pagefault.zones import local_zone_name, zone_named

PARIS = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)  # a Saturday, 10:00 in Paris


def local(text: str, *, now: datetime = NOW, end: bool = False, ahead: bool = True) -> str:
    return f"{moment(text, now, PARIS, end=end, ahead=ahead).astimezone(PARIS):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("+2h", "2026-11-28 12:00"),
        ("＋２Ｈ", "2026-11-28 12:00"),
        ("+٣ days", "2026-12-01 10:00"),
        ("+30m", "2026-11-28 10:30"),
        ("+90s", "2026-11-28 10:01"),
        ("+1 minute", "2026-11-28 10:01"),
        ("+1month", "2026-12-28 10:00"),
        ("+3 months", "2027-02-28 10:00"),
        ("+1 mo", "2026-12-28 10:00"),
        ("+2 years", "2028-11-28 10:00"),
        ("+1 week", "2026-12-05 10:00"),
        ("+1h30m", "2026-11-28 11:30"),
        ("+ 2 days, 3 hours and 5 min", "2026-11-30 13:05"),
        ("in 5 minutes", "2026-11-28 10:05"),
        ("In an hour", "2026-11-28 11:00"),
        ("3 days ago", "2026-11-25 10:00"),
        ("-2h", "2026-11-28 08:00"),
        ("11:00", "2026-11-28 11:00"),
        ("9:00", "2026-11-29 09:00"),
        ("9am", "2026-11-29 09:00"),
        ("9:30 p.m.", "2026-11-28 21:30"),
        ("at 12am", "2026-11-29 00:00"),
        ("noon", "2026-11-28 12:00"),
        ("tomorrow 9am", "2026-11-29 09:00"),
        ("9am tomorrow", "2026-11-29 09:00"),
        ("Tomorrow at noon", "2026-11-29 12:00"),
        ("today 18:15:30", "2026-11-28 18:15"),
        ("monday 10:00", "2026-11-30 10:00"),
        ("next monday 10:00", "2026-11-30 10:00"),
        ("saturday 11:00", "2026-11-28 11:00"),
        ("saturday 9:00", "2026-12-05 09:00"),
        ("next saturday 11:00", "2026-12-05 11:00"),
        ("10:00 on Tue", "2026-12-01 10:00"),
        ("2026-12-01", "2026-12-01 00:00"),
        ("2026-12-01 9:00", "2026-12-01 09:00"),
        ("2026-12-01T9:00", "2026-12-01 09:00"),
        ("2026-12-01 9am", "2026-12-01 09:00"),
        ("2026-12-01T09:00Z", "2026-12-01 10:00"),
        ("2026-12-01 9:00+02:00", "2026-12-01 08:00"),
    ],
)
def test_a_time_is_read_as_people_write_it(text: str, read: str) -> None:
    assert local(text) == read


@pytest.mark.parametrize(
    ("text", "end", "read"),
    [
        ("9:00", False, "2026-11-28 09:00"),
        ("11:00", False, "2026-11-27 11:00"),
        ("yesterday", False, "2026-11-27 00:00"),
        ("yesterday", True, "2026-11-28 00:00"),
        ("today", False, "2026-11-28 00:00"),
        ("monday", False, "2026-11-23 00:00"),
        ("saturday", False, "2026-11-28 00:00"),
        ("last saturday", True, "2026-11-22 00:00"),
        ("2026-11-22", True, "2026-11-23 00:00"),
        ("20261122", True, "2026-11-23 00:00"),
        ("2026-11-22T00:00", True, "2026-11-22 00:00"),
        ("2026-11-22 10:00", True, "2026-11-22 10:00"),
    ],
)
def test_a_filter_looks_back(text: str, end: bool, read: str) -> None:
    assert local(text, end=end, ahead=False) == read


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "+", "+5", "2h", "+h", "+1 weekend", "+1 moon", "+1.5h", "+1d1x", "+1_000d", "+30M"),
        *(
            "+99999999999d",
            "+8000 years",
            f"+{'9' * 5000}d",
            "-3000y",
            "10000-01-01",
            "9999-12-31",
            "0001-01-01",
        ),
        *(
            "9",
            "25:00",
            "9:60",
            "13pm",
            "0am",
            "9:00 10:00",
            "at",
            "next",
            "last 9:00",
            "tomorrow tomorrow 9:00",
        ),
        *(
            "tomorrow",
            "next monday",
            "tonight",
            "now",
            "midnight",
            "this friday 9:00",
            "next week",
            "01/02/2026",
        ),
        *(
            "2026-02-30",
            "2026-12-01T25:00",
            "2026-12-01T09:00+24:00",
            "@daily",
            "\x00",
            "\ud800",
            "a" * 10_000,
        ),
    ],
)
def test_any_other_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(FunctionError) as refused:
        moment(text, NOW, PARIS, ahead=True)
    assert "write" in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("start", "text", "read"),
    [
        ("2026-01-31 10:00", "+1 month", "2026-02-28 10:00"),
        ("2028-01-31 10:00", "+1 month", "2028-02-29 10:00"),
        ("2028-02-29 10:00", "+1 year", "2029-02-28 10:00"),
        ("2026-12-31 10:00", "+2 months", "2027-02-28 10:00"),
        ("2026-03-31 10:00", "1 month ago", "2026-02-28 10:00"),
        ("2026-03-28 12:00", "+1 day", "2026-03-29 12:00"),  # the clocks are put forward: 23 hours
        ("2026-03-28 12:00", "+24h", "2026-03-29 13:00"),
        ("2026-10-24 12:00", "+1 day", "2026-10-25 12:00"),
        ("2026-03-28 12:00", "tomorrow 2:30", "2026-03-29 03:30"),  # skipped
        ("2026-03-28 12:00", "2026-03-29T02:30", "2026-03-29 03:30"),
        ("2026-02-28 02:30", "+1 month 1 day", "2026-03-29 03:30"),
    ],
)
def test_the_calendar_is_respected(start: str, text: str, read: str) -> None:
    now = datetime.fromisoformat(start).replace(tzinfo=PARIS).astimezone(UTC)
    assert local(text, now=now) == read


def test_of_an_hour_that_comes_twice_the_first_is_meant() -> None:
    assert moment("2026-10-25 02:30", NOW, PARIS) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(st.text(max_size=40) | st.from_regex(r"[+-]? ?\d{1,12} ?[a-z]{1,7}( \d{1,2}:\d\d)?", fullmatch=True))
def test_any_text_is_a_time_or_a_sentence(text: str) -> None:
    for ahead in (True, False):
        try:
            found = moment(text, NOW, PARIS, end=not ahead, ahead=ahead)
        except FunctionError:
            continue
        assert found.tzinfo is UTC
        assert found.astimezone(ZoneInfo("Pacific/Kiritimati")).astimezone(ZoneInfo("Pacific/Niue"))


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, None),
        ("", None),
        (date(2026, 12, 1), datetime(2026, 11, 30, 23, tzinfo=UTC)),
        (datetime(2026, 12, 1, 9), datetime(2026, 12, 1, 8, tzinfo=UTC)),  # noqa: DTZ001
        (timedelta(hours=2), datetime(2026, 11, 28, 11, tzinfo=UTC)),
        (timedelta(days=-1), datetime(2026, 11, 27, 9, tzinfo=UTC)),
    ],
)
def test_a_time_may_be_a_value(given: When, read: datetime | None) -> None:
    assert time_of(given, NOW, PARIS) == read


@pytest.mark.parametrize(
    "given",
    [
        *(datetime.max, datetime.min),  # noqa: DTZ901
        *(datetime.max.replace(tzinfo=UTC), timedelta.max, timedelta.min, date.max, "soon"),
    ],
)
def test_a_value_out_of_range_is_a_sentence(given: When) -> None:
    with pytest.raises(UsageError):
        time_of(given, NOW, PARIS, end=True)


@pytest.mark.parametrize(
    ("cron", "reason"),
    [
        *(
            (cron, "five fields")
            for cron in ("", "whenever", "@reboot", "@daily", "* * * * * *", "0 0 9 * * 1")
        ),
        ("0 0 9 * * 1 2026", "five fields"),
        ("60 * * * *", "bad minute"),
        ("* 24 * * *", "bad hour"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("1-5/0 * * * *", "bad minute"),
        ("a b c d e", "bad minute"),
        (f"*/{'9' * 5000} * * * *", "too large"),
    ],
)
def test_a_bad_cron_line_is_refused_with_the_reason(cron: str, reason: str) -> None:
    with pytest.raises(FunctionError, match="is not a cron line") as refused:
        next_due(cron, NOW, PARIS)
    assert reason in str(refused.value)


FIELDS = st.sampled_from(
    ["*", "*/5", "0", "1", "2", "30", "59", "1-3", "L", "LW", "MON", "5L", "1#2", "x", "2,3"]
)


@given(
    st.lists(FIELDS, min_size=5, max_size=5).map(" ".join) | st.text(max_size=20),
    st.integers(0, 4_000_000_000) | st.just(1_792_891_800),  # the second 2:30 of a night in Paris
    st.sampled_from(["Europe/Paris", "Australia/Lord_Howe", "UTC", "CET-1CEST,M3.5.0,M10.5.0/3"]),
)  # fmt: skip
def test_a_cron_line_comes_due_later_than_now(cron: str, second: int, zone: str) -> None:
    after = datetime.fromtimestamp(second, UTC)
    try:
        due = next_due(cron, after, zone_named(zone))
    except FunctionError:
        return
    assert due > after


@pytest.mark.parametrize(
    ("given", "hours"),
    [
        ("", 0), (":", 0), ("UTC0", 0), ("UTC", 0), ("GMT+0", 0), ("Europe/Paris", 2), (":Europe/Paris", 2),
        ("/usr/share/zoneinfo/Europe/Paris", 2), (":/usr/share/zoneinfo/Europe/Paris", 2),
        ("/nowhere/share/zoneinfo/Europe/Paris", 2), ("CET-1CEST,M3.5.0,M10.5.0/3", 2), ("<+03>-3", 3),
        ("EST5EDT", -4), ("EST5EDT,M3.2.0,M11.1.0", -4), ("IST-5:30", 5.5),
        ("AEST-10AEDT,M10.1.0,M4.1.0/3", 10),
    ],
)  # fmt: skip
def test_tz_is_read_as_c_programs_read_it(given: str, hours: float) -> None:
    zone = zone_named(local_zone_name({"TZ": given}))
    assert datetime(2026, 7, 1, tzinfo=zone).utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize(
    "given",
    [
        *(
            "garbage",
            "CET-1CEST",
            "CET-1CEST,M13.5.0,M10.5.0",
            "Europe",
            "Europe/",
            "../etc/passwd",
            "/etc/passwd",
        ),
        *("/nowhere", "\x00", "\ud800", "a" * 5000, "É5", "UTC0\nUTC1", "zone.tab", "."),
    ],
)
def test_any_other_zone_is_named_in_a_sentence(given: str) -> None:
    with pytest.raises(UsageError, match="is not a time zone; write one like Europe/Lisbon"):
        local_zone_name({"TZ": given})
    with pytest.raises(UsageError, match="is not a time zone"):
        zone_named(given)


def test_a_machine_without_a_named_zone_has_the_one_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "localtime"
    file.write_bytes(b"TZif2 and so on\nCET-1CEST,M3.5.0,M10.5.0/3\n")
    assert local_zone_name({"TZ": str(file)}) == "CET-1CEST,M3.5.0,M10.5.0/3"
    assert local_zone_name({}, tmp_path / "missing")


def test_no_zones_of_the_system_are_needed() -> None:
    code = "from pagefault.zones import *; print(zone_named('Asia/Tokyo'), zone_named(local_zone_name()))"
    for variables in ({"PYTHONTZPATH": ""}, {"PYTHONTZPATH": "", "TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.stdout.startswith("Asia/Tokyo "), done.stderr
