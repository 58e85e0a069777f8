"""The kernel: many agents, their inboxes, output buffers, timers and recovery.

It is what a program holds: it stores events, hands them to the scheduler, and lets consumers listen.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from math import inf

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from pagefault.accounting.prices import Price
from pagefault.agent import Process
from pagefault.agent.output import output_of
from pagefault.assembly import Assembly, check_new_name
from pagefault.clock import Clock
from pagefault.config import AgentSettings, LoadingSettings
from pagefault.errors import InTurnError, NameTakenError, NotFoundError, UsageError
from pagefault.kernel import recovery, timers
from pagefault.kernel.between_turns import between_turns
from pagefault.kernel.deciding import cancel_waiting
from pagefault.kernel.indexer import Indexer
from pagefault.kernel.outbox import Deliverer
from pagefault.kernel.owners import delete_agent, record_of
from pagefault.kernel.posting import EventOutputs, checked, posting
from pagefault.kernel.scheduler import Scheduler
from pagefault.kernel.sealer import Background, Sealer
from pagefault.kernel.slot import AgentSlot, listening
from pagefault.models.endpoint import ModelSource
from pagefault.names import check_agent_name, check_tenant
from pagefault.redaction import logger_of
from pagefault.shared import StorageOwner
from pagefault.storage import Transaction
from pagefault.storage.within import TenantStore
from pagefault.types import AgentId, AgentRecord, Event, EventKind, Output

logger = logger_of(__name__)


@dataclass(slots=True)
class Kernel:
    """Serves the agents of all tenants while it is entered (``async with kernel``), and finds those of its
    ``tenant``. Not entered, it can be looked at and events can be posted, which then wait in the inbox; then
    ``close`` it. ``own_prices``: the user's, by model; ``loading``: the limits of documents."""

    store: TenantStore
    indexer: Indexer
    sealer: Sealer
    models: ModelSource
    clock: Clock
    scheduler: Scheduler
    assembly: Assembly
    deliverer: Deliverer
    own_prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    loading: LoadingSettings = field(default_factory=LoadingSettings)
    tenant: str = ""
    keepers: list[Background] = field(default_factory=list["Background"])
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.deliverer.wake = lambda record: self.scheduler.wake(self.scheduler.slots.of(record))

    async def __aenter__(self) -> Kernel:
        background = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(background.cancel_scope.cancel)
        for each in (self.indexer, self.sealer, self.deliverer, self.scheduler.following, *self.keepers):
            background.start_soon(each.run)
        await self._stack.enter_async_context(self.scheduler.running())
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Turns that are open stay open in the log; the next start carries them on."""
        await self._stack.aclose()
        await self.close()

    async def close(self) -> None:
        """Close the database and all connections to models and tools; leaving ``async with`` does so."""
        with anyio.CancelScope(shield=True):
            await self.assembly.tool_servers.aclose()
            await self.models.aclose()
            await self.store.close()

    def within(self, tenant: str, by: str = "") -> Kernel:
        """This kernel for another tenant; enter and close one of the two. ``by``: who acts, for the log."""
        check_tenant(tenant)
        return replace(self, store=TenantStore(self.scheduler.store, tenant, by), tenant=tenant)

    async def find(self, name: str, *, known: bool = False) -> AgentSlot:
        """As ``Scheduler.find``, within the tenant."""
        return await self.scheduler.find(self.tenant, name, known=known)

    # agents

    async def agents(self) -> list[AgentRecord]:
        return await self.store.read(lambda tx: tx.agents())

    async def record(self, name: StorageOwner) -> AgentRecord:
        """The agent of this name, or the row of an archive; ``NotFoundError`` if there is none."""
        return await self.store.read(lambda tx: record_of(tx, name))

    async def create_agent(self, name: str, settings: AgentSettings) -> AgentRecord:
        """Store a new agent with its declared sections; ``UsageError`` if it could not work as set."""
        return await self.assembly.create(self.store, name, settings)

    async def ensure_agent(self, name: str, settings: AgentSettings) -> AgentRecord:
        """Return the agent of this name, stored with ``settings`` if there is none. Safe when several ask at
        once, in this process or others: all get the agent of the first."""
        self.models.trust(settings.model)
        try:
            return await self.record(name)
        except NotFoundError:
            pass
        try:
            return await self.create_agent(name, settings)
        except NameTakenError:
            return await self.record(name)

    async def change_settings(self, name: str, settings: AgentSettings) -> None:
        """Store an agent's new settings; ``UsageError``, and nothing is stored, if it could not work so. Its
        sections become those declared; the agent learns by an event of those that came or went."""
        noticed = await self.assembly.change(self.store, await self.record(name), settings)
        self.forget(name)
        if noticed:
            self.scheduler.wake(await self.find(name))

    async def rename(self, name: str, new: str) -> None:
        """Give an agent another name; refused while it is in a turn, and if the name is taken."""
        check_agent_name(new)
        agent = await self.find(name)

        def work(tx: Transaction) -> None:
            check_new_name(tx, new)
            tx.rename_agent(agent.record.id, new)

        async with between_turns(self.store, agent, work):
            pass
        self.forget(name)

    async def window(self, settings: AgentSettings) -> tuple[int, str]:
        """The window of an agent in tokens, and a notice, or ""; ``UsageError`` if no model is called so."""
        window, notice = await self.models.window(settings.model, settings.window)
        return settings.bounded(window), notice

    async def delete(self, name: str) -> None:
        """Delete an agent with all its memory; refused while it is in a turn, and if it is held."""
        agent = await self.find(name)
        await self.deliverer.deliver()  # what it has sent is not lost with it
        async with between_turns(self.store, agent, lambda tx: delete_agent(tx, agent.record.id)):
            pass
        self.forget(name)
        agent.hang_up()

    def forget(self, name: str) -> None:
        """Drop what is held of an agent, so that changed settings take effect at its next event."""
        self.scheduler.forget(self.tenant, name)

    # events and outputs

    async def post(self, name: str, event: Event, only: AgentId | None = None) -> Event:
        """Store an event in an agent's inbox, then wake the agent. When this returns, it is safe.

        ``only``: as in ``posting``. ``UsageError`` for a kind, a sender or a text that no event can have, and
        for too many images; ``ParkedError`` or ``DamageError`` if it cannot be served.
        """
        async with posting(self.scheduler, self.tenant, name, self._checked(event), 0, only) as found:
            return found[1]

    def _checked(self, event: Event) -> Event:
        return checked(event, self.clock.now(), self.assembly.observers.trace)

    def posting(
        self, name: str, event: Event, most: float = inf, only: AgentId | None = None
    ) -> AbstractAsyncContextManager[EventOutputs]:
        """Post an event as ``post`` does; give the id of the agent that has it, the event as stored, and the
        outputs as ``send`` does, until ``most`` of the agent's were not taken. ``only``: to this agent."""
        if not self.scheduler.is_running:
            raise UsageError("The kernel is not running; use it as `async with kernel:`.")
        return posting(self.scheduler, self.tenant, name, self._checked(event), most, only)

    async def send(self, name: str, event: Event | str) -> AsyncIterator[Output]:
        """Post an event (a string is a user message) and yield the outputs of its turn and no others, last
        ``done``, or ``waiting`` if a person has to decide on a call first. Of an event that was posted before
        with this key, they come from the log.

        ``UsageError`` if the kernel is not entered: nothing would ever answer.
        """
        given = Event(EventKind.MESSAGE, event) if isinstance(event, str) else event
        async with self.posting(name, given) as (_, _, outputs):
            async for output in outputs:
                yield output

    @asynccontextmanager
    async def listen(self, name: str, most: float = inf) -> AsyncGenerator[MemoryObjectReceiveStream[Output]]:
        """All outputs of an agent from now on, deltas too, until it is deleted or ``most`` were not taken."""
        agent = await self.find(name)
        if not agent.is_heard and not agent.running:
            agent.followed = max(agent.followed, agent.record.last_seq)
        async with listening(agent.listeners, most) as outputs:
            self.scheduler.following.announce(agent)
            yield outputs

    @asynccontextmanager
    async def listen_all(
        self, *, here: bool = False
    ) -> AsyncGenerator[MemoryObjectReceiveStream[tuple[str, Output]]]:
        """Outputs of all agents of the tenant from now on, each with the agent's name, whichever worker runs
        them; ``here``: of those that this process serves, whoever else may be heard."""
        with nullcontext() if here else self.scheduler.following.hearing_all():
            async with listening(self.scheduler.listeners_to_all[self.tenant]) as outputs:
                yield outputs

    async def outputs(self, name: str, after: int = 0) -> list[Output]:
        """Committed outputs behind a position: for a consumer that went away and came back."""
        agent = await self.find(name)
        rows = await self.store.read(lambda tx: tx.messages(agent.record.id, first=after + 1))
        return [output for row in rows if (output := output_of(row))]

    async def cancel(self, name: str) -> bool:
        """End the agent's open turn, with a consistent log: one that is run in this process, or that waits
        for a decision. False if there is none."""
        agent = await self.find(name)
        if agent.cancel is None:
            id, now = agent.record.id, self.clock.now()
            if is_over := await self.store.write(lambda tx: cancel_waiting(tx, id, now)):
                self.scheduler.wake(agent)
            return is_over
        agent.cancel.cancel()
        return True

    async def process(self, name: str) -> Process:
        """The agent, loaded as it now stands; to look at, between turns."""
        return await self.scheduler.loaded(await self.find(name), await self.record(name))

    async def flush(self, name: str, keep: int | None = None) -> bool:
        """Flush an agent's queue now, to ``keep`` tokens; False if nothing can be evicted, or it is in a turn
        elsewhere or in one that waits for a decision, whose calls must stay before their results."""
        agent, waiting = await self.find(name), list[Event]()

        def look(tx: Transaction) -> None:
            waiting.extend(tx.events(agent.record.id, state="waiting"))

        try:
            async with between_turns(self.store, agent, look) as hold:
                if waiting:
                    return False
                process = await self.scheduler.loaded(agent)
                process.begin(hold)
                return await process.flush(keep)
        except InTurnError:
            return False

    # timers, other processes, vectors

    async def serve(self) -> None:
        """Serve inboxes and timers, those that other processes leave included, until cancelled."""

        async def look() -> None:
            await self.fire_timers()
            await self.deliverer.deliver()
            await self.scheduler.wake_waiting()

        self.store.workers.serve()
        await self.scheduler.following.serve(look)

    async def recover(self, name: str | None = None) -> None:
        """Carry on unfinished turns and serve what waits, due timers included, of all agents or of one; then
        return. On PostgreSQL it waits, for some seconds, until the leases of workers that are gone end."""
        await timers.post_due(self.scheduler.store, self.clock.now())
        await self.deliverer.deliver()
        await recovery.recover(self.scheduler, await self.find(name) if name is not None else None)

    async def fire_timers(self) -> None:
        """Post an event for each timer that is due, and wake whose it is."""
        if await timers.post_due(self.scheduler.store, self.clock.now()):
            await self.scheduler.wake_waiting()

    async def waiting(self, most: int = 100) -> list[str]:
        """The names of agents with an event that is pending or whose turn is unfinished, so many at most."""
        return [record.name for record in await self.store.read(lambda tx: tx.waiting(most))]

    async def wake(self, name: str) -> None:
        """Serve an agent: there may be an event for it."""
        self.scheduler.wake(await self.find(name))

    async def wake_waiting(self) -> None:
        """Wake every agent, of all tenants, with an event that is pending or whose turn is unfinished."""
        await self.scheduler.wake_waiting()

    async def idle(self, name: str | None = None) -> None:
        """Return when no agent, or the one of this name not, is in a turn in this process."""
        await self.scheduler.idle(await self.find(name) if name is not None else None)

    async def settled(self, seconds: float = inf) -> bool:
        """Make the vectors that are missing, for so many seconds; see ``Indexer.settled``."""
        return await self.indexer.settled(seconds)
