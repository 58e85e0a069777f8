"""Why did it say that: a turn step by step, from the log alone.

The first row of each completion keeps what the model saw (sizes, the rows in the queue, the summary) and
what its requests cost; calls, results and speech are rows of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from pagefault.accounting.prices import Prices
from pagefault.cli.render import clip, fold, local, row_data, row_line
from pagefault.cli.session import Session, zone_for
from pagefault.cli.tally import Tally, tally_of
from pagefault.cli.usage import prices_of
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import Kernel
from pagefault.message_meta import MessageMeta, values_of
from pagefault.storage import RowUsage, Transaction
from pagefault.types import AgentId, Event, Message, Role

_RECENT = 5  # events listed under a trace
_LOOK_BACK = 400  # rows in which they are looked for


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn's rows in order, with rows of others (flushes, warnings) that fell between them."""

    event: Event
    rows: tuple[Message, ...]
    recent: tuple[Message, ...]  # the rows by which recent events entered the log
    prices: Prices

    @property
    def steps(self) -> list[list[Message]]:
        """The rows of each completion, results included."""
        groups: dict[int, list[Message]] = {}
        for row in self.rows:
            if row.completion is not None:
                groups.setdefault(row.completion, []).append(row)
        return list(groups.values())

    @property
    def between(self) -> list[Message]:
        """Flushes, warnings and alerts of the turn."""
        return [row for row in self.rows if row.role in (Role.SUMMARY, Role.ALERT)]

    def spent(self, rows: Sequence[Message]) -> Tally:
        """What some of its rows cost."""
        told = [RowUsage(r.seq, r.at, r.event, r.role, r.usage) for r in rows]
        return tally_of(told, self.prices)


def trace(session: Session, name: str, asked: str | None) -> None:
    async def work(kernel: Kernel) -> None:
        record = await kernel.record(name)
        prices = prices_of(kernel, session.installation.own_prices)
        turn = await kernel.store.read(lambda tx: _read(tx, record.id, asked, prices))
        zone = zone_for(record)
        session.show(_data(turn, zone), _text(turn, zone))

    session.run(work)


def _read(tx: Transaction, agent: AgentId, asked: str | None, prices: Prices) -> Turn:
    id = _event_of(tx, agent, asked)
    event = tx.event(agent, id)
    if event is None:
        raise NotFoundError(f"There is no event {id}; `pagefault trace NAME` lists recent ones.")
    own = tx.messages(agent, event=id)
    rows = tx.messages(agent, first=own[0].seq, last=own[-1].seq) if own else []
    turn = [row for row in rows if row.event == id or row.role is Role.SUMMARY]
    return Turn(event, tuple(turn), tuple(_recent(tx, agent)), prices)


def _event_of(tx: Transaction, agent: AgentId, asked: str | None) -> int:
    """The event asked for: by its number, by a message of its turn, or the last user message's."""
    if asked and asked.isdecimal() and len(asked) < 16:
        return int(asked)
    if asked and not re.fullmatch(r"m\d{1,15}", asked):
        raise UsageError(f"{asked!r} is neither an event's number nor a message's id (m12).")
    found = [tx.message(agent, int(asked[1:]))] if asked else []
    rows = found or tx.messages(agent, roles=(Role.USER,), newest=1)
    if not rows or rows[0] is None or rows[0].event is None:
        raise NotFoundError(f"{asked} belongs to no event." if asked else "Nothing has been said to it yet.")
    return rows[0].event


def _recent(tx: Transaction, agent: AgentId) -> list[Message]:
    opened: dict[int, Message] = {}
    for row in tx.messages(agent, newest=_LOOK_BACK):
        if row.event is not None and row.role in (Role.USER, Role.EVENT, Role.ALERT):
            opened.setdefault(row.event, row)
    return list(opened.values())[-_RECENT:]


def _totals(turn: Turn) -> dict[str, Any]:
    calls = [row for row in turn.rows if row.role is Role.CALL]
    failed = [row for row in turn.rows if row.role is Role.RESULT and row.meta.failed]
    seconds = (turn.rows[-1].at - turn.rows[0].at).total_seconds() if turn.rows else 0.0
    return {
        "steps": len(turn.steps),
        "calls": len(calls),
        "failed": len(failed),
        "seconds": seconds,
        **turn.spent(turn.rows).data,
    }


def _data(turn: Turn, zone: ZoneInfo) -> dict[str, Any]:
    event = turn.event
    return {
        "event": {"id": event.id, "kind": event.kind, "text": event.text, "state": event.state},
        "steps": [
            {
                "completion": step[0].completion,
                "at": local(step[0].at, zone),
                "saw": values_of(step[0].meta).get("saw", {}),
                "spent": turn.spent(step).data,
                "rows": [row_data(row, zone) for row in step],
            }
            for step in turn.steps
        ],
        "between": [row_data(row, zone) for row in turn.between],
        "totals": _totals(turn),
        "recent": [row_data(row, zone) | {"event": row.event} for row in turn.recent],
    }


def _text(turn: Turn, zone: ZoneInfo) -> str:
    event, totals = turn.event, _totals(turn)
    lines = [f"Event {event.id} ({event.kind}, {event.state}): {fold(event.text)}"]
    seen: set[int] = set()
    for row in turn.rows:
        if row.completion is None:
            lines.append(f"  {row_line(row, zone)}")
            continue
        if row.completion not in seen:
            seen.add(row.completion)
            lines += [
                f"Step {len(seen)}, at {local(row.at, zone)}",
                f"  saw {_saw_line(row.meta)}; spent {turn.spent([row]).line}",
            ]
        lines.append(f"  {_row_text(row)}")
    lines.append(
        f"In all {totals['steps']} steps, {totals['calls']} calls ({totals['failed']} failed), "
        f"{totals['seconds']:.1f} s; spent {turn.spent(turn.rows).line}."
    )
    lines += ["Recent events:", *(f"  {row.event}: {row_line(row, zone)}" for row in turn.recent)]
    return "\n".join(lines)


def _saw_line(meta: MessageMeta) -> str:
    if (saw := meta.saw) is None:
        return "nothing that the log tells of"
    summary = f", summary m{saw.summary}" if saw.summary else ""
    pinned = f", pinned m{saw.pinned}" if saw.pinned else ""
    repaired = f"; {fold(' '.join(meta.notes))}" if meta.notes else ""
    return (
        f"m{saw.first} to m{saw.last}{summary}{pinned}: instructions {saw.instructions:,}, "
        f"working context {saw.working_context:,}, queue {saw.queue:,} of {saw.window:,} tokens{repaired}"
    )


def _row_text(row: Message) -> str:
    """A row of a completion; calls and speech in full, because they are what is asked about."""
    match row.role:
        case Role.CALL:
            return f"{row.id} → {row.name} {fold(row.text)}"
        case Role.RESULT:
            return f"{row.id} ← {'FAILED ' if row.meta.failed else ''}{clip(row.text, 200)}"
        case Role.ASSISTANT:
            return f"{row.id} said: {fold(row.text)}"
        case _:
            return f"{row.id} {row.role}: {clip(row.text, 200) or '(nothing)'}"
