"""The effects of turns that stay when these are undone: they happened outside, or are shared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pagefault.errors import FunctionError
from pagefault.functions.executor import FunctionExecutor
from pagefault.quoting import inline
from pagefault.storage import Transaction
from pagefault.types import AgentRecord, EventKind, Message, Role

__all__ = ["beyond_undoing", "timers_set"]

_LONGEST = 64  # characters of a name that a model gave
_SET = re.compile(r"Scheduled as (t\d+);")
_EFFECTS = {
    "send_to_agent": "agent {name} was sent a message",
    "archival_insert": "archive {archive} was written",
    "archival_delete": "passage {id} was deleted",
    "unschedule": "timer {id} was removed",
}
"""The effects of memory functions that are not taken back; an insert only if it is into an archive."""
_UNTOUCHED = ("refused", "expired", "cancelled")


def beyond_undoing(
    tx: Transaction, record: AgentRecord, rows: Sequence[Message], executor: FunctionExecutor
) -> tuple[str, ...]:
    """The effects of rows that stay when these are withdrawn, each in a few words with the row's id."""
    results = {row.call_id: row for row in rows if row.role is Role.RESULT}
    found = list[str]()
    for row in rows:
        result = results.get(row.call_id)
        if row.role is Role.CALL and result and result.meta.decision not in _UNTOUCHED:
            found += _of_call(row, result, executor)
        elif row.role is Role.EVENT and row.name == EventKind.TIMER:
            found += _of_timer(tx, record, row)
    return tuple(found)


def timers_set(rows: Sequence[Message]) -> tuple[str, ...]:
    """The ids of the timers that were set in these rows, those included that have fired since."""
    results = (row for row in rows if row.role is Role.RESULT and not row.meta.failed)
    return tuple(match[1] for row in results if (match := _SET.match(row.text)))


def _of_call(call: Message, result: Message, executor: FunctionExecutor) -> Iterator[str]:
    if result.meta.invalid:
        return
    try:
        prepared = executor.prepare(call.name or "", call.text)
    except FunctionError:  # it was valid when it ran: a function that is not there any more
        yield f"{inline(call.name or '', _LONGEST)} ran ({call.id})"
        return
    if prepared.function.kind == "tool":
        yield f"{prepared.function.name} {'may have run' if result.meta.failed else 'ran'} ({call.id})"
    elif not result.meta.failed and (said := _EFFECTS.get(prepared.function.name)):
        given = {name: inline(str(value), _LONGEST) for name, value in prepared.values.items()}
        if prepared.function.name != "archival_insert" or given.get("archive"):
            yield f"{said.format_map(given)} ({call.id})"


def _of_timer(tx: Transaction, record: AgentRecord, row: Message) -> Iterator[str]:
    """A timer that fired; one that goes on by its cron line is still set."""
    event = tx.event(record.id, row.event) if row.event is not None else None
    timer = (event.key or "").strip("\x1f").partition("@")[0] if event else ""
    if timer and timer not in {each.id for each in tx.schedules(record.id)}:
        yield f"timer {timer} fired ({row.id})"
