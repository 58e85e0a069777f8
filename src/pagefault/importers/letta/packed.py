"""Texts that MemGPT and Letta's older agents pack as JSON: who speaks, and what a function returned.

The same forms from MemGPT 0.1 to Letta 0.16. A text that has another form is a text. Everything in this
module is pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from pagefault.models.json_text import read_json

__all__ = ["Packed", "packed_fields", "packed_time", "returned", "unpacked"]

_LONGEST = 2_000_000  # characters
_CONTROL = "automated system message hidden from the user"
_TIME = re.compile(r"([\d-]{8,10} [\d:]{7,8} [AP]M)(?: [A-Za-z]{0,6}([+-]\d{4}))?", re.ASCII)
_FIELDS: dict[str, frozenset[str]] = {
    "user_message": frozenset({"type", "message", "time", "name", "location"}),
    "system_alert": frozenset({"type", "message", "time", "name"}),  # the name is of our exports
    "login": frozenset({"type", "last_login", "time", "location"}),
    "heartbeat": frozenset({"type", "reason", "time"}),
}
"""The packed texts by type, with the fields that each may have."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed text. ``is_control``: it only gave control back to the model, and nobody said it."""

    type: str
    text: str
    at: datetime | None = None
    speaker: str = ""

    @property
    def is_said(self) -> bool:
        """Return True if a user said it."""
        return self.type == "user_message"

    @property
    def is_control(self) -> bool:
        return self.type == "heartbeat"


def unpacked(text: str) -> Packed | None:
    """The text that is packed in a user's row; None if none is."""
    values = packed_fields(text)
    kind = values.get("type")
    if not isinstance(kind, str) or not values.keys() <= _FIELDS.get(kind, frozenset()):
        return None
    at, speaker = packed_time(values.get("time")), values.get("name")
    said = values.get({"login": "last_login", "heartbeat": "reason"}.get(kind, "message"))
    if not isinstance(said, str):
        return None
    if kind == "login":
        said = f"The user logged in; the last login was: {said}"
    elif kind == "heartbeat" and _CONTROL not in said:
        return Packed("system_alert", said, at)
    return Packed(kind, said, at, speaker if isinstance(speaker, str) else "")


def returned(text: str) -> tuple[str, bool]:
    """The value in a function's packed result, and whether it is an error; the text itself if it has another
    form."""
    values = packed_fields(text)
    if not {"status", "message"} <= values.keys() <= {"status", "message", "time"}:
        return text, False
    message = values["message"]
    said = message if isinstance(message, str) else "None" if message is None else text
    return said, values["status"] not in ("OK", "success")


def packed_time(given: object) -> datetime | None:
    """A time as MemGPT writes it, ``2023-11-20 08:00:00 PM UTC-0800``; None if it is none."""
    if not isinstance(given, str):
        return None
    found = _TIME.fullmatch(given.strip())
    if found is None:
        return None
    try:
        return datetime.strptime(f"{found[1]} {found[2] or '+0000'}", "%Y-%m-%d %I:%M:%S %p %z")
    except ValueError:
        return None


def packed_fields(text: str) -> dict[str, Any]:
    """The fields of a text that is a JSON object; none if it is another text."""
    stripped = text.strip()
    if not (stripped.startswith("{") and stripped.endswith("}")) or len(text) > _LONGEST:
        return {}
    try:
        values = read_json(stripped)
    except ValueError:
        return {}
    return cast("dict[str, Any]", values) if isinstance(values, dict) else {}
