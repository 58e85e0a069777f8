"""Decisions on calls, each in one transaction; a turn goes on once all of its calls are decided on.

A decision is made once. It is a row beside the log, and the turn stays in the store until whoever takes it
reads that row: no process has to live on, and none needs to hold the turn to decide. Left out: the API for
people (``kernel.approvals``), and what the model is told (``agent.approval``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pagefault.approvals import Approval, Decision, Grant, Remember
from pagefault.errors import NotFoundError, UsageError
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event

__all__ = ["Answer", "cancel_waiting", "decide", "expire", "resume"]


@dataclass(frozen=True, slots=True)
class Answer:
    """The decision of a person. ``changed``: other arguments to run the call with, a JSON object. If an
    approval is for longer than ``once``, it is for the other calls of the function that wait too."""

    approved: bool
    note: str = ""
    changed: str | None = None
    remember: Remember = "once"
    by: str = ""


def decide(
    tx: Transaction, agent: AgentId, number: int, answer: Answer, now: datetime
) -> tuple[Event, Approval]:
    """Decide on a call; return the event as it stands then, ``active`` if its turn can go on, and the call.

    ``NotFoundError`` if no such call waits; ``UsageError`` if it was decided on before, or is too late.
    """
    approvals = tx.approvals(agent, lock=True)
    found = next((each for each in approvals if each.number == number), None)
    if found is None:
        raise NotFoundError(
            f"No call m{number} waits for a decision; `pagefault approval list` shows those that do."
        )
    event = tx.event(agent, found.event)
    if found.decision or event is None or event.state != "waiting":
        raise UsageError(f"The call m{number} was {found.decision or 'given up'} already.")
    if found.expires is not None and found.expires <= now:
        raise UsageError(f"The time to decide on the call m{number} is over; it was not run.")
    made: Decision = "approved" if answer.approved else "refused"
    decided = replace(found, decision=made, decided=now, by=answer.by)
    decided = replace(decided, note=answer.note, changed=answer.changed)
    tx.put_approvals(agent, [decided])
    if answer.remember != "once":
        _allow(tx, agent, found, approvals, answer, now)
    return resume(tx, agent, event), decided


def _allow(
    tx: Transaction,
    agent: AgentId,
    call: Approval,
    approvals: Sequence[Approval],
    answer: Answer,
    now: datetime,
) -> None:
    """Approve the other calls of a function that wait too; if it is allowed for good, store that."""
    if answer.remember == "always":
        tx.put_grant(agent, Grant(call.name, now, answer.by))
    same = [each for each in approvals if each.name == call.name and each is not call and not each.decision]
    tx.put_approvals(agent, [replace(each, decision="approved", decided=now, by=answer.by) for each in same])


def resume(tx: Transaction, agent: AgentId, event: Event) -> Event:
    """Let the turn of an event that waits go on if all of its calls are decided on; return it as it stands
    then."""
    if any(each.event == event.id and not each.decision for each in tx.approvals(agent)):
        return event
    tx.set_event(agent, event.id, "active", attempts=0)
    tx.settle(agent)
    return replace(event, state="active", attempts=0)


def expire(tx: Transaction, agent: AgentId, now: datetime) -> bool:
    """Count the calls of which the time is over as refused; return whether the agent's turn can go on now."""
    approvals = tx.approvals(agent, lock=True)
    late = [each for each in approvals if not each.decision and each.expires and each.expires <= now]
    return _close(tx, agent, [replace(each, decision="expired", decided=now) for each in late])


def cancel_waiting(tx: Transaction, agent: AgentId, now: datetime) -> bool:
    """End the turn that waits, as soon as somebody takes it; False if none does."""
    open_ones = [each for each in tx.approvals(agent, lock=True) if not each.decision]
    return _close(tx, agent, [replace(each, decision="cancelled", decided=now) for each in open_ones])


def _close(tx: Transaction, agent: AgentId, decided: Sequence[Approval]) -> bool:
    if decided:
        tx.put_approvals(agent, decided)
    waiting = tx.events(agent, state="waiting")
    return [resume(tx, agent, event).state for event in waiting] == ["active"]
