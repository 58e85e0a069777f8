"""Parked agents, events and effects on what agents share, tried again or given up.

Left out: when something is parked (``scheduler``, ``inbox``, ``timers``, ``outbox``).
"""

from __future__ import annotations

from dataclasses import replace

from pagefault.config import settings_of
from pagefault.containment import barrier
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import Kernel
from pagefault.shared import Outgoing
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event

__all__ = ["drop_effect", "drop_event", "release", "retry_effect", "retry_event"]


async def release(kernel: Kernel, name: str) -> None:
    """Let an agent that is parked be served again. ``UsageError`` if it is not parked; if it cannot be loaded
    still, the error of that, and it stays parked."""
    record = (await kernel.find(name)).record
    record = await kernel.store.read(lambda tx: tx.agent_by_id(record.id)) or record
    settings_of(record)
    if not record.parked:
        raise UsageError(f"Agent {name} is not parked; `pagefault agent list` shows which are.")
    with barrier():
        await kernel.assembly.boot(record, lambda _: None)
    await kernel.store.write(lambda tx: tx.park_agent(record.id, ""))
    kernel.forget(name)
    await kernel.wake(name)


async def retry_event(kernel: Kernel, name: str, event: int) -> Event:
    """Post what a parked event says again, as a new event, which is returned; the old one is done."""
    now = kernel.clock.now()

    def work(tx: Transaction, agent: AgentId) -> Event:
        old = _parked(tx, agent, event)
        tx.set_event(agent, event, "done")
        return tx.post(agent, replace(old, key=None, at=now))

    agent = await kernel.scheduler.servable(kernel.tenant, name)
    posted = await kernel.store.write(lambda tx: work(tx, agent.record.id))
    kernel.scheduler.wake(agent)
    return posted


async def drop_event(kernel: Kernel, name: str, event: int) -> None:
    """Give a parked event up; what the log has of its turn stays."""

    def work(tx: Transaction, agent: AgentId) -> None:
        _parked(tx, agent, event)
        tx.set_event(agent, event, "done")

    agent = (await kernel.find(name)).record.id
    await kernel.store.write(lambda tx: work(tx, agent))


def _parked(tx: Transaction, agent: AgentId, event: int) -> Event:
    found = tx.event(agent, event)
    if found is None or found.state != "parked":
        raise NotFoundError(
            f"There is no parked event {event}; `pagefault event list --parked` shows those there are."
        )
    return found


async def retry_effect(kernel: Kernel, sender: str, number: int) -> int:
    """Send a parked effect again, and return its new number. ``sender``: the agent or, as it is stored
    (``section:plan``), the shared section in whose outbox it is."""

    def work(tx: Transaction) -> int:
        owner, effect = _parked_effect(tx, sender, number)
        tx.remove_outgoing(owner, number)
        return tx.put_outgoing(owner, effect).number

    sent = await kernel.store.write(work)
    await kernel.deliverer.deliver()
    return sent


async def drop_effect(kernel: Kernel, sender: str, number: int) -> None:
    """Give a parked effect up; ``sender`` as for ``retry_effect``."""
    await kernel.store.write(lambda tx: tx.remove_outgoing(_parked_effect(tx, sender, number)[0], number))


def _parked_effect(tx: Transaction, sender: str, number: int) -> tuple[AgentId, Outgoing]:
    kind, _, name = sender.rpartition(":")
    owner = tx.shared("section", name) if kind == "section" else tx.agent(sender)
    found = [each for each in tx.outgoing(owner.id) if each.number == number] if owner else []
    if owner and found and found[0].parked:
        return owner.id, found[0]
    raise NotFoundError(
        f"There is no parked change {number} of {sender}; `pagefault outbox list` shows those there are."
    )
