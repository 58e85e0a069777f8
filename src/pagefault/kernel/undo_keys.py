"""Keys of requests to undo, edit or retry: a request that is repeated withdraws nothing more.

An event that is done keeps the key with what was asked and done, stored in the transaction that withdraws.
Left out: that transaction (``withdrawing``), and the keys of what is sent (``storage``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter

from pagefault.errors import UsageError
from pagefault.kernel.rewinding import Rewound, UndoReport
from pagefault.names import system_key
from pagefault.quoting import inline
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event, EventKind

__all__ = ["DoneBefore", "UndoKey"]

_NAMED = 64  # characters of a key in an error
_POSTING = ("edit", "retry")


@dataclass(frozen=True, slots=True)
class DoneBefore:
    """The outcome of a request whose key was given before: the report, and the events that were posted."""

    report: UndoReport
    posted: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class _KeptUndo:
    """The text of the event that keeps a key. ``posted``: the numbers of the events that were posted."""

    asked: tuple[int | str | None, ...]
    report: UndoReport
    posted: tuple[int, ...]


_KEPT = TypeAdapter(_KeptUndo)


@dataclass(frozen=True, slots=True)
class UndoKey:
    """The key of a request. ``asked``: the act, and a position or number of turns; ``text``: of an edit, the
    new one, which is not kept twice: it is compared with the event that was posted."""

    key: str
    asked: tuple[int | str | None, ...]
    text: str | None = None

    def known(self, tx: Transaction, agent: AgentId) -> DoneBefore | None:
        """The outcome of the key if it was given before, else None; ``UsageError`` if that was with another
        request, or what is kept cannot be used: an import has brought it, or a part was forgotten."""
        if (event := tx.event_of_key(agent, self._stored)) is None:
            return None
        try:
            kept = _KEPT.validate_json(event.text)
        except ValueError:
            raise self._used() from None
        posted = [found for number in kept.posted if (found := tx.event(agent, number))]
        is_same = kept.asked == self.asked and (self.text is None or [e.text for e in posted] == [self.text])
        if not is_same or len(posted) != len(kept.posted) or (bool(posted) != (self.asked[0] in _POSTING)):
            raise self._used()
        return DoneBefore(kept.report, tuple(posted))

    def keep(self, tx: Transaction, agent: AgentId, done: Rewound, now: datetime) -> None:
        """Store the key with what was done."""
        kept = _KeptUndo(self.asked, done.report, tuple(event.id for event in done.posted))
        text = _KEPT.dump_json(kept).decode()
        event = tx.post(agent, Event(EventKind.EDITED, text, self._stored, at=now))
        tx.set_event(agent, event.id, "done")

    @property
    def _stored(self) -> str:
        return system_key(f"undo:{self.key}")

    def _used(self) -> UsageError:
        named = inline(self.key, _NAMED)
        return UsageError(f"The key {named} was given with another request before; choose another key.")
