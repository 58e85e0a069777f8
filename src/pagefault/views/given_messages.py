"""Messages that were said elsewhere, as people and other libraries write them.

A text, an ``AppendedMessage``, or a mapping of the shape of chat APIs, ``{"role": "user", "content": "..."}``
with ``speaker`` (or ``name``), ``at`` (or ``date``, ``timestamp``) and ``key`` besides. Wrong
ones raise ``UsageError``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, cast

from pagefault.errors import UsageError
from pagefault.kernel.conversations import AppendedMessage

__all__ = ["given_message", "given_messages"]

_FIELDS = {
    "role": "role", "content": "text", "text": "text", "name": "speaker", "speaker": "speaker", "at": "at",
    "date": "at", "timestamp": "at", "key": "key",
}  # fmt: skip
_EXAMPLE = '{"role": "user", "content": "..."}'


def given_messages(given: object) -> list[AppendedMessage]:
    """The messages that are meant: by one, or by several in their order."""
    if isinstance(given, str | Mapping | AppendedMessage):
        return [given_message(cast("object", given), 1)]
    if not isinstance(given, Iterable):
        raise UsageError(f"Messages are a list, and {type(given).__name__} is none; write [{_EXAMPLE}].")
    return [given_message(each, number) for number, each in enumerate(cast("Iterable[object]", given), 1)]


def given_message(given: object, number: int) -> AppendedMessage:
    """The message that is meant; ``number``: its place, for an error."""
    if isinstance(given, AppendedMessage):
        return given
    if isinstance(given, str):
        return AppendedMessage(given)
    if not isinstance(given, Mapping):
        raise UsageError(f"Message {number}: {type(given).__name__} is no message; write {_EXAMPLE}.")
    values = dict[str, Any]()
    for name, value in cast("Mapping[str, object]", given).items():
        field = _FIELDS.get(name)
        if field is None:
            raise UsageError(
                f"Message {number}: {name!r} is nothing that a message has; it has role, content, speaker, "
                "at and key."
            )
        if field in values:
            raise UsageError(f"Message {number}: {name!r} is there under another name too; give one of them.")
        values[field] = _value(number, field, value)
    if "text" not in values:
        raise UsageError(f"Message {number} has no content; write {_EXAMPLE}.")
    return AppendedMessage(**{name: value for name, value in values.items() if value is not None})


def _value(number: int, field: str, value: object) -> object:
    if field == "text" and isinstance(value, list):
        return _text_of(number, cast("list[object]", value))
    fits = isinstance(value, str | date | timedelta) if field == "at" else isinstance(value, str)
    if fits or (value is None and field != "text"):
        return value
    form = "time, such as 2026-03-01T14:30," if field == "at" else "text,"
    raise UsageError(f"Message {number}: its {field} is a {form} and {type(value).__name__} is none.")


def _text_of(number: int, parts: list[object]) -> str:
    """The text of content in parts, as chat APIs have it."""
    texts = list[str]()
    for part in parts:
        text = cast("Mapping[str, object]", part).get("text") if isinstance(part, Mapping) else part
        if not isinstance(text, str):
            raise UsageError(
                f"Message {number}: only text can be appended; send images with an event, or as documents."
            )
        texts.append(text)
    return "\n".join(texts)
