"""Acts between two turns of an agent: undo, forgetting, renaming, deleting, a flush that was asked for.

Each has the agent's turn lock. Whoever has it without a turn (a look into the inbox, another such act, here
or elsewhere) is waited for; a turn is not.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import anyio

from pagefault.errors import InTurnError, OpenTurnError, TurnHeldError
from pagefault.kernel.slot import AgentSlot
from pagefault.storage import Store, Transaction, TurnHold
from pagefault.storage.within import TenantStore
from pagefault.types import AgentId, EventKind

__all__ = ["between_turns", "refuse_open_turn", "refuse_turn"]

_LONGEST = 60.0  # seconds that whoever has the lock is waited for
_LOOKS = 0.02  # seconds between looks whether it is free


@asynccontextmanager
async def between_turns(
    store: Store | TenantStore, agent: AgentSlot, first: Callable[[Transaction], object]
) -> AsyncGenerator[TurnHold]:
    """Hold the agent's turn lock, in which ``first`` was written. The turn of a warning, which nobody sent,
    is waited for; ``InTurnError`` while another one is run. Raises as ``first`` does."""
    end = anyio.current_time() + _LONGEST
    async with AsyncExitStack() as stack:
        while True:
            try:
                hold = await stack.enter_async_context(store.turn_lock(agent.record.id))
                await store.write(first, hold)  # on some stores it is this that takes the turn
                break
            except TurnHeldError:
                await stack.aclose()
            if anyio.current_time() > end or await store.read(lambda tx: _is_sent(tx, agent.record.id)):
                raise InTurnError(agent.record.name)
            await anyio.sleep(_LOOKS)
        yield hold


def _is_sent(tx: Transaction, agent: AgentId) -> bool:
    """Return whether the turn of an event is open that somebody or something sent."""
    return any(event.kind != EventKind.PRESSURE for event in tx.events(agent, state="active"))


def refuse_open_turn(tx: Transaction, agent: AgentId, name: str) -> None:
    """Raise ``OpenTurnError`` if a turn of the agent is open in the log, to a holder of its turn lock."""
    _refuse_waiting(tx, agent, name)
    if tx.events(agent, state="active"):
        raise OpenTurnError(name, "is unfinished; let it be carried on, or cancel it")


def refuse_turn(tx: Transaction, agent: AgentId, name: str) -> None:
    """Raise ``InTurnError`` if a turn of the agent waits for a decision, or one that was sent is run, to
    anybody."""
    _refuse_waiting(tx, agent, name)
    if _is_sent(tx, agent):
        raise InTurnError(name)


def _refuse_waiting(tx: Transaction, agent: AgentId, name: str) -> None:
    if tx.events(agent, state="waiting"):
        raise OpenTurnError(name, "waits for a decision; decide on it, or cancel it")
