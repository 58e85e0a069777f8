"""Foreign texts made storable: what somebody said, names of speakers, agents and sections, dates.

Left out: how they stand in a prompt, which admission and search see to for all that is stored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, cast

from pagefault.errors import UsageError
from pagefault.importers.letta import names
from pagefault.names import LONGEST, check_agent_name, check_sender, shown_sender
from pagefault.quoting import whole

__all__ = [
    "agent_name", "date_of", "listed", "mapping", "plain_text", "record_name", "section_name", "speaker_name",
    "text_field", "with_attachments",
]  # fmt: skip

NOBODY = "unknown"
"""The speaker whose name is missing, or is none that can be shown."""

_EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(days=2)  # clocks and zones differ
_DIGITS = re.compile(r"-?\d{1,20}(?:\.\d{1,9})?")
_MILLISECONDS = 1e11  # seconds since 1970 are fewer, and milliseconds are more
_MICROSECONDS = 1e14
_MOST_NAMED = 10


def plain_text(value: object) -> str:
    """A text as it is stored, without the ends that are empty; anything else is an empty one. Null characters
    go, halves of a pair are joined or replaced."""
    if not isinstance(value, str):
        return ""
    return whole(value.replace("\0", "")).strip()


def text_field(record: object, *names: str) -> str:
    """The first of these fields that a record has as a text, or as a number; else an empty text."""
    values = mapping(record)
    for name in names:
        value = values.get(name)
        if isinstance(value, str) and value.strip():
            return plain_text(value)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 64:
            return str(value)
    return ""


def speaker_name(value: object) -> str:
    """A speaker's name as senders are called: on one line, short, without what could pass for a frame."""
    name = plain_text(value)
    shown = shown_sender(unicodedata.normalize("NFC", name[: 16 * LONGEST])) if name else ""
    try:
        check_sender(shown)
    except UsageError:
        return NOBODY
    return shown


def agent_name(value: object) -> str:
    """An agent's name that is as near as can be to a foreign one; ``imported`` if none is."""
    name = names.agent_name(plain_text(value)[: 16 * LONGEST])
    try:
        check_agent_name(name)
    except UsageError:
        return "imported"
    return name


def section_name(value: object) -> str:
    """A section's name that is as near as can be to a foreign one; ``section`` if none is."""
    try:
        return names.section_name(plain_text(value)[: 16 * LONGEST])
    except UsageError:
        return "section"


def record_name(value: object) -> str:
    """A foreign id as it stands in a report: one short line."""
    return speaker_name(str(value)[:LONGEST])


def with_attachments(text: str, names: Iterable[str]) -> str:
    """A message with the names of what was attached to it, which stays outside."""
    named = [record_name(name) for name in names]
    listed = ", ".join(named[:_MOST_NAMED]) + (" ..." if len(named) > _MOST_NAMED else "")
    return "\n".join(filter(None, (text, f"(attached: {listed})" if named else "")))


def mapping(value: object) -> dict[str, Any]:
    """The value, if it is a JSON object; else an empty one."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:
    """The value, if it is a JSON list; else an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def date_of(value: object, now: datetime) -> datetime | None:
    """A date as files have them: seconds, milli- or microseconds since 1970, or ISO 8601, with a zone or
    without; None for anything else, and for what is before 1971 or to come."""
    found = _read(value)
    if found is None:
        return None
    try:
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        is_possible = _EARLIEST <= aware.astimezone(UTC) <= now + _AHEAD
    except (OverflowError, ValueError):
        return None
    return found if is_possible else None


def _read(value: object) -> datetime | None:
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str):
            text = value.strip()
            if not _DIGITS.fullmatch(text):
                return _dated(text) if 8 <= len(text) <= 40 else None
            value = float(text)
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value)
            size = abs(seconds)
            per = 1e6 if size >= _MICROSECONDS else 1e3 if size >= _MILLISECONDS else 1
            return datetime.fromtimestamp(seconds / per, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _dated(text: str) -> datetime:
    """A date of ISO 8601, or as mail and HTTP write it."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parsedate_to_datetime(text)
