"""Undo, edit and retry: what came since a point of the log is withdrawn, and said or answered anew.

It is done by whoever takes the agent's turn, between turns, in one transaction: a process that dies before
has undone nothing, one that dies after it all. Left out: what that does (``rewinding``).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from math import inf

import anyio

from pagefault.agent import Process
from pagefault.agent.output import output_of
from pagefault.errors import UsageError
from pagefault.kernel import Kernel, inbox
from pagefault.kernel.between_turns import between_turns, refuse_open_turn
from pagefault.kernel.owners import no_agent
from pagefault.kernel.points import (
    RewindPoint,
    before_edit,
    before_retry,
    before_turns,
    point_at,
    position_of,
)
from pagefault.kernel.posting import EventOutputs, log_end, outputs_of
from pagefault.kernel.rewinding import Rewound, UndoReport, rewind
from pagefault.kernel.slot import AgentSlot, listening
from pagefault.kernel.undo_keys import DoneBefore, UndoKey
from pagefault.storage import Transaction, TurnHold
from pagefault.types import AgentRecord

__all__ = ["UndoReport", "edited", "retried", "undo"]

FindPoint = Callable[[Transaction, AgentRecord], RewindPoint]


async def undo(
    kernel: Kernel, name: str, *, to: int | str | None = None, turns: int = 1, key: str | None = None
) -> UndoReport:
    """Withdraw the last turns of an agent, so many, or all that came behind a position (``m12``), and return
    what that did. ``key``: given again with the same, nothing more is done, and the report is that of then.

    ``UsageError``, and nothing is done, if there is nothing to undo, and (``InTurnError``) while the agent is
    in a turn, or one waits for a decision.
    """
    if to is None:
        find: FindPoint = partial(before_turns, turns=turns)
        asked = ("turns", turns)
    else:
        find = partial(point_at, position=position_of(to))
        asked = ("to", position_of(to))
    agent = await kernel.find(name)
    return (await _rewound(kernel, agent, find, UndoKey(key, asked) if key else None)).report


def edited(
    kernel: Kernel, name: str, position: int | str | None, text: str, most: float = inf,
    key: str | None = None,
) -> AbstractAsyncContextManager[EventOutputs]:  # fmt: skip
    """Withdraw a user's message (None: the last one) with all behind it, and post it with another text in the
    same transaction; give the agent's id, the event, and its outputs as ``Kernel.posting`` does. ``key``:
    given again with the same, nothing more is done, and the event is that of then."""
    number = None if position is None else position_of(position)
    find = partial(before_edit, position=number, text=text, now=kernel.clock.now())
    return _answered_anew(kernel, name, find, most, UndoKey(key, ("edit", number), text) if key else None)


def retried(
    kernel: Kernel, name: str, most: float = inf, key: str | None = None
) -> AbstractAsyncContextManager[EventOutputs]:
    """Withdraw the last turn in which the model was asked, and post its event again, as ``edited`` does."""
    find = partial(before_retry, now=kernel.clock.now())
    return _answered_anew(kernel, name, find, most, UndoKey(key, ("retry",)) if key else None)


@asynccontextmanager
async def _answered_anew(
    kernel: Kernel, name: str, find: FindPoint, most: float, key: UndoKey | None
) -> AsyncGenerator[EventOutputs]:
    if not kernel.scheduler.is_running:
        raise UsageError("The kernel is not running; use it as `async with kernel:`.")
    agent = await kernel.scheduler.servable(kernel.tenant, name)
    async with listening(agent.listeners, most) as heard:
        since = await log_end(kernel.scheduler, agent) if key else 0
        event = (await _rewound(kernel, agent, find, key)).posted[0]
        yield agent.record.id, event, outputs_of(kernel.scheduler, agent, event, heard, since)


async def _rewound(
    kernel: Kernel, agent: AgentSlot, find: FindPoint, key: UndoKey | None
) -> Rewound | DoneBefore:
    """Go back to the point that is found, and report it to all who listen; of a key that is known, in a turn
    too, return what was done."""
    id = agent.record.id
    if key and (known := await kernel.store.read(lambda tx: key.known(tx, id))):
        return known
    async with between_turns(kernel.store, agent, lambda tx: _resting(tx, agent.record)) as hold:
        process = await kernel.scheduler.loaded(agent)
        await inbox.catch_up(kernel.store, agent, process.record)
        done = await _written(kernel, agent, process, find, hold, key)
    kernel.scheduler.wake(agent)
    return done


async def _written(
    kernel: Kernel, agent: AgentSlot, process: Process, find: FindPoint, hold: TurnHold, key: UndoKey | None
) -> Rewound | DoneBefore:
    program, now, known = process.program, kernel.clock.now(), agent.record

    def work(tx: Transaction) -> Rewound | DoneBefore:
        record = _resting(tx, known)
        if key and (before := key.known(tx, record.id)):
            return before
        done = rewind(tx, record, find(tx, record), program.executor, program.fold_at_once, now)
        if key:
            key.keep(tx, record.id, done, now)
        return done

    done = list[Rewound | DoneBefore]()
    with anyio.CancelScope(shield=True):
        done.append(await kernel.store.write(work, hold))
        await process.load()
        agent.record = process.record
        if isinstance(done[0], Rewound) and (output := output_of(done[0].marker)):
            agent.emit(output)
    return done[0]


def _resting(tx: Transaction, known: AgentRecord) -> AgentRecord:
    """The agent as it is stored, between turns."""
    record = tx.agent_by_id(known.id)
    if record is None:
        raise no_agent(known.name)
    refuse_open_turn(tx, record.id, record.name)
    return record
