"""Parsers of events, which programs supply: they run in a thread, in bounded time, and may fail.

Left out: the row that the event becomes (``rows``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

from pagefault.containment import contained, in_thread
from pagefault.errors import PagefaultError
from pagefault.redaction import logger_of
from pagefault.types import Event

__all__ = ["EventParser", "read_event"]

logger = logger_of(__name__)

EventParser = Callable[[Event], str]
"""Turns an event into the plain text that the model reads."""


async def read_event(event: Event, parsers: Mapping[str, EventParser], seconds: float) -> Event:
    """Return the event with the text that the parser of its kind makes of it; if that fails, with its plain
    text and a note."""
    if (parser := parsers.get(event.kind)) is None:
        return event
    try:
        parsed = contained(f"the parser of {event.kind}", in_thread(parser, event), seconds)
        text = cast("object", await parsed)
        if isinstance(text, str):
            return replace(event, text=text)
        why = f"it returned {type(text).__name__}, not a text"
    except PagefaultError as error:
        why = str(error)
    except TimeoutError:
        why = f"it did not finish within {seconds:g} s"
    logger.warning("the parser of %s failed: %s", event.kind, why)
    note = f"(The parser of {event.kind} failed: {why}. This is the event as it came.)"
    return replace(event, text=f"{event.text}\n{note}" if event.text else note)
