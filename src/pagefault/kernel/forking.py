"""Forks: an agent copied under another name, whole or not at all, while it and all others go on.

The copy is made in short transactions, as a draft that nobody sees, and becomes an agent in the last one
(``storage.forking``); a turn of the agent that is open then is waited for. What is left of a fork whose
process ended is deleted before the next one (``drafts``). Each fork has a note of its origin (``origins``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import anyio

from pagefault.assembly import check_new_name
from pagefault.errors import InTurnError, NotFoundError, TurnHeldError, TurnLostError, UsageError
from pagefault.functions.executor import FunctionExecutor
from pagefault.kernel import Kernel
from pagefault.kernel.drafts import clear_drafts, delete_draft
from pagefault.kernel.origins import note_origin
from pagefault.kernel.points import is_marker, point_at, position_of
from pagefault.kernel.rewinding import rewind
from pagefault.storage import Transaction, TurnHold
from pagefault.storage.forking import ForkPlace
from pagefault.types import AgentId, AgentRecord

__all__ = ["fork"]

_TRIES = 3  # of a fork whose agent's log, or draft, is changed by forgetting while it is copied
_LONGEST_TURN = 60.0  # seconds that an open turn is waited for
_PAUSE = 0.1  # seconds between looks whether it is over


async def fork(kernel: Kernel, name: str, new: str, *, at: int | str | None = None) -> AgentRecord:
    """Copy an agent to a new one of another name and return that; with a position ``at`` (``m12``) as it was
    then: what came since is withdrawn in the fork, as by ``withdrawing.undo``, passages from outside too.

    ``UsageError`` for a name or a position that is none, ``NameTakenError`` and ``QuotaError`` if it cannot
    be had, ``InTurnError`` if a turn of the agent stays open or waits for a decision.
    """
    record = await kernel.record(name)
    await kernel.store.read(lambda tx: check_new_name(tx, new))
    back = None
    if at is not None:
        if not 0 <= (position := position_of(at)) <= record.last_seq:
            raise UsageError(
                f"There is no m{position}; the log of agent {name} ends with m{record.last_seq}."
            )
        program = (await kernel.process(name)).program
        back = _Back(position, program.executor, program.fold_at_once)
    await clear_drafts(kernel)
    for _ in range(_TRIES):
        try:
            made = await _copied(kernel, record, new, back)
        except (TurnHeldError, TurnLostError, NotFoundError):  # its draft was taken for one that is left
            await kernel.record(name)
            continue
        if made:
            kernel.forget(new)
            kernel.indexer.wake()
            return made
    raise UsageError(f"The log of agent {name} was changed again and again meanwhile; fork it once more.")


@dataclass(frozen=True, slots=True)
class _Back:
    """The position that a fork is to go back to, and how its agent works."""

    position: int
    executor: FunctionExecutor
    folds: bool


async def _copied(kernel: Kernel, record: AgentRecord, new: str, back: _Back | None) -> AgentRecord | None:
    """Return the fork; None, and there is nothing of it, if its rows are others than those that were read."""
    now = kernel.clock.now()
    draft = (await kernel.store.write(lambda tx: tx.begin_fork(record.id, new, now))).id
    async with kernel.store.turn_lock(draft) as hold:
        made = None
        try:
            place: ForkPlace | None = ForkPlace()
            while place is not None:
                place = await kernel.store.write(
                    lambda tx, place=place: _copy_next(tx, record.id, draft, place), hold
                )
            made = await _finished(kernel, record, draft, new, hold, back)
        finally:
            if made is None:
                with anyio.CancelScope(shield=True):
                    await kernel.scheduler.store.write(lambda tx: delete_draft(tx, draft), hold)
    return made


def _copy_next(tx: Transaction, agent: AgentId, draft: AgentId, place: ForkPlace) -> ForkPlace | None:
    """Copy one part; ``NotFoundError`` if the draft was deleted as one that is left, before it was held."""
    if tx.agent_by_id(draft) is None:
        raise NotFoundError("The draft of this fork was deleted.")
    return tx.copy_next(agent, draft, place)


async def _finished(
    kernel: Kernel, record: AgentRecord, draft: AgentId, new: str, hold: TurnHold, back: _Back | None
) -> AgentRecord | None:
    """Make the draft an agent, between two turns of the other."""

    def work(tx: Transaction) -> AgentRecord | None:
        check_new_name(tx, new)
        made = tx.finish_fork(record.id, draft, new)
        if made is None:
            return None
        last = made.last_seq if back is None else _go_back(tx, made, back, kernel.clock.now())
        note_origin(tx, made, record, last, kernel.clock.now())
        return tx.agent_by_id(made.id)

    end = anyio.current_time() + _LONGEST_TURN
    while True:
        try:
            return await kernel.store.write(work, hold)
        except InTurnError:
            waits = await kernel.store.read(lambda tx: tx.events(record.id, state="waiting"))
            if waits or anyio.current_time() > end:
                raise
        await anyio.sleep(_PAUSE)


def _go_back(tx: Transaction, fork: AgentRecord, back: _Back, now: datetime) -> int:
    """Withdraw what came behind a position, if anything did; return the last row that stands."""
    if all(map(is_marker, tx.messages(fork.id, first=back.position + 1, appended=False))):
        point, by = back.position, fork.last_seq + 1
    else:
        found = point_at(tx, fork, back.position)
        point, by = found.seq, rewind(tx, fork, found, back.executor, back.folds, now).marker.seq
    after = list[int]()
    while batch := tx.stored_passages(fork.id, after[-1] if after else 0):
        after = [each.number for each in batch]
        since = [each.number for each in batch if each.born is not None and each.born > point]
        tx.withdraw_passages(fork.id, by, numbers=since)
    return point
