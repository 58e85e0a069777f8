"""Points of an agent's log to go back to: by position, by a number of turns, by a message.

Left out: going back (``rewinding``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from pagefault.agent.output import WITHDRAWN
from pagefault.errors import NotFoundError, UsageError
from pagefault.names import check_text
from pagefault.quoting import inline
from pagefault.storage import Transaction
from pagefault.types import AgentId, AgentRecord, Event, EventKind, Message, Role

__all__ = [
    "RewindPoint",
    "before_edit",
    "before_retry",
    "before_turns",
    "is_marker",
    "point_at",
    "position_of",
]

_READ = 64  # rows read at once to find a turn
_UNANSWERED = (EventKind.PRESSURE, EventKind.OVERHEARD, EventKind.SLEEP)


@dataclass(frozen=True, slots=True)
class RewindPoint:
    """A row of the log, by number, behind which all is withdrawn. ``asked``: the number that was asked for,
    if that is in the middle of a turn; ``events``: to be posted then."""

    seq: int
    asked: int | None = None
    events: tuple[Event, ...] = ()


def position_of(position: int | str) -> int:
    """A position as people give it, as a number: ``12``, or the id of a row, ``m12``."""
    if isinstance(position, int) and not isinstance(position, bool):
        return position
    if match := re.fullmatch(r"m?(\d{1,15})", str(position), re.ASCII):
        return int(match[1])
    given = inline(str(position), 64).strip() or "That"
    raise UsageError(f"{given} is no position; write the id of a message, as in m12.")


def is_marker(row: Message) -> bool:
    """Return whether the row says that others were withdrawn."""
    return row.role is Role.ALERT and row.name == WITHDRAWN


def point_at(tx: Transaction, record: AgentRecord, position: int) -> RewindPoint:
    """The point of a position: it itself or, in the middle of a turn, the row before that turn; of the last
    that was said in a turn, the end of the turn. ``UsageError`` if there is nothing behind it."""
    if not 0 <= position <= record.last_seq:
        raise UsageError(f"There is no m{position}; the log of agent {record.name} ends with "
                         f"m{record.last_seq}.")  # fmt: skip
    point = RewindPoint(position)
    rows = tx.messages(record.id, first=position + 1, appended=False)
    opened = next((row.event for row in rows if row.event is not None), None)
    if opened is not None and (first := _first(tx, record.id, opened)) <= position:
        rest = [row for row in rows if row.event == opened]
        is_said = all(row.role is Role.RESULT for row in rest)
        point = RewindPoint(rest[-1].seq) if is_said else RewindPoint(first - 1, position)
    if all(is_marker(row) for row in rows if row.seq > point.seq):
        raise UsageError(f"There is nothing to undo behind m{position}.")
    return point


def before_turns(tx: Transaction, record: AgentRecord, turns: int) -> RewindPoint:
    """The point before the last turns, so many; warnings of memory pressure do not count. ``UsageError`` if
    there are fewer."""
    if turns < 1:
        raise UsageError(f"{turns} turns cannot be undone; give 1 or more.")
    last, found = record.last_seq, 0
    while found < turns:
        if (turn := _turn_before(tx, record.id, last)) is None:
            raise UsageError(_too_few(record.name, found, turns))
        event, first = turn
        last, found = first - 1, found + (event is None or event.kind != EventKind.PRESSURE)
    return RewindPoint(last)


def _too_few(name: str, found: int, turns: int) -> str:
    if not found:
        return f"There is nothing to undo: agent {name} has had no turn, or all were withdrawn."
    return f"Agent {name} has {found} turn{'s' * (found > 1)} that can be undone, not {turns}."


def before_edit(
    tx: Transaction, record: AgentRecord, position: int | None, text: str, now: datetime
) -> RewindPoint:
    """The point before the turn of a user's message (None: the last one), which is posted with another text.
    ``NotFoundError`` if there is no such row; ``UsageError`` if it is no message of a user that stands."""
    check_text(text)
    if not text.strip():
        raise UsageError("The text is empty; write what the message is to say.")
    row, agent = _user_row(tx, record, position), record.id
    event = tx.event(agent, row.event) if row.event is not None else None
    if row.role is not Role.USER or row.is_appended or event is None:
        raise UsageError(f"{row.id} is no message of a user to the agent; only such a message can be edited.")
    if row.withdrawn is not None:
        raise UsageError(f"{row.id} was withdrawn; edit a message that stands.")
    return RewindPoint(_first(tx, agent, event.id) - 1, events=(_anew(replace(event, text=text), now),))


def _user_row(tx: Transaction, record: AgentRecord, position: int | None) -> Message:
    if position is not None:
        if row := tx.message(record.id, position):
            return row
        raise NotFoundError(f"There is no message m{position}; the log ends with m{record.last_seq}.")
    rows = tx.messages(record.id, roles=[Role.USER], newest=1, appended=False)
    if not rows:
        raise UsageError(f"There is nothing to edit: agent {record.name} has had no message of a user.")
    return rows[0]


def before_retry(tx: Transaction, record: AgentRecord, now: datetime) -> RewindPoint:
    """The point before the last turn in which the model was asked, whose event is posted again. What was
    overheard since is posted again behind it. ``UsageError`` if there is no such turn."""
    last, overheard = record.last_seq, list[Event]()
    while turn := _turn_before(tx, record.id, last):
        event, first = turn
        if event is not None and event.kind not in _UNANSWERED:
            _check_known(tx, record, first)
            events = (event, *reversed(overheard))
            return RewindPoint(first - 1, events=tuple(_anew(each, now) for each in events))
        if event is not None and event.kind == EventKind.OVERHEARD and not _row(tx, record, first).erased:
            overheard.append(event)
        last = first - 1
    raise UsageError(f"There is nothing to retry: agent {record.name} has answered nothing that stands.")


def _check_known(tx: Transaction, record: AgentRecord, first: int) -> None:
    """Raise ``UsageError`` if the row that opened a turn was forgotten."""
    if _row(tx, record, first).erased:
        raise UsageError(f"m{first}, which was answered last, was forgotten; write a new message.")


def _row(tx: Transaction, record: AgentRecord, seq: int) -> Message:
    (row,) = tx.messages(record.id, first=seq, last=seq)
    return row


def _anew(event: Event, now: datetime) -> Event:
    """The event as it is posted once more."""
    return Event(
        event.kind, event.text, sender=event.sender, at=now, hops=event.hops, trace=event.trace,
        media=event.media,
    )  # fmt: skip


def _turn_before(tx: Transaction, agent: AgentId, last: int) -> tuple[Event | None, int] | None:
    """The newest turn up to a row that was not withdrawn: its event, if it is known, and its first row."""
    while rows := tx.messages(agent, last=last, newest=_READ):
        for row in reversed(rows):
            if row.event is not None:
                return tx.event(agent, row.event), _first(tx, agent, row.event)
        last = rows[0].seq - 1
    return None


def _first(tx: Transaction, agent: AgentId, event: int) -> int:
    return tx.messages(agent, event=event)[0].seq
