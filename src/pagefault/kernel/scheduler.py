"""The scheduler: which agent runs a turn, and when.

One turn of an agent at a time over all processes (the store's turn lock), many agents at once. A second
process that posts an event follows the log until the first has answered. What a turn does: ``agent``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from pagefault.agent import Process
from pagefault.agent.parking import park_event
from pagefault.agent.turn_writer import post_to
from pagefault.clock import Clock
from pagefault.config import settings_of
from pagefault.containment import Fault, barrier
from pagefault.errors import (
    DamageError,
    PagefaultError,
    ParkedError,
    StorageError,
    TurnHeldError,
    TurnLostError,
)
from pagefault.kernel import inbox
from pagefault.kernel.admission import Admission
from pagefault.kernel.following import Following
from pagefault.kernel.inbox import ATTEMPTS
from pagefault.kernel.ready import ReadyQueue
from pagefault.kernel.slot import AgentSlot, Posting, Slots
from pagefault.kernel.tasks import CountedTasks
from pagefault.redaction import logger_of
from pagefault.storage import Store, TurnHold
from pagefault.storage.signals import AgentReady
from pagefault.types import AgentRecord, Event, Output

logger = logger_of(__name__)

Boot = Callable[[AgentRecord, Callable[[Output], None]], Awaitable[Process]]
"""Makes a loaded process of a stored agent: ``Assembly.boot``."""

_LONGEST_AWAY = 30.0  # seconds between looks whether a store that failed works again


@dataclass(slots=True)
class Scheduler:
    """Runs turns while it is ``running``; else events wait in the inbox. ``turn_ended`` is called after each
    turn, ``admission`` bounds those that are open, ``resident`` the agents that stay loaded between turns."""

    store: Store
    boot: Boot
    turn_ended: Callable[[], None]
    clock: Clock
    admission: Admission
    resident: int = 128
    listeners_to_all: defaultdict[str, set[MemoryObjectSendStream[tuple[str, Output]]]] = field(
        default_factory=lambda: defaultdict(set)
    )
    following: Following = field(init=False)
    slots: Slots = field(init=False)
    _ready: ReadyQueue = field(init=False)
    _tasks: CountedTasks = field(default_factory=CountedTasks)

    def __post_init__(self) -> None:
        self.slots = Slots(self.store, self.listeners_to_all)
        self.following = Following(self.store, self.slots, self.clock, self.wake)
        self.slots.publish = self.following.publish
        self._ready = ReadyQueue(self.slots, self.admission, self.clock, self._tasks, self._serve)

    @property
    def is_running(self) -> bool:
        return self._tasks.is_running

    def running(self) -> AbstractAsyncContextManager[None]:
        """Run turns as long as the context lasts. Turns that are open at its end stay open in the log."""
        return self._tasks.running()

    async def find(self, tenant: str, name: str, *, known: bool = False) -> AgentSlot:
        """The agent of this name; ``NotFoundError`` if there is none. ``known``: as last looked up; ``post``
        notices that another process has given the name to another agent."""
        return await self.slots.find(tenant, name, known=known)

    async def servable(self, tenant: str, name: str) -> AgentSlot:
        """The agent of this name; ``ParkedError`` or ``DamageError`` if no turn of it can be run."""
        agent = self.slots.known(tenant, name)
        if agent is None or agent.process is None:  # another process may have parked, released or mended it
            agent = await self.find(tenant, name)
            settings_of(agent.record)
        if agent.record.parked:
            raise ParkedError(name, agent.record.parked)
        return agent

    def forget(self, tenant: str, name: str) -> None:
        """Drop the agent's process, for changed settings to take effect at its next event; listeners stay."""
        self.slots.forget(tenant, name)

    def wake(self, agent: AgentSlot, posting: Posting | None = None) -> None:
        """Serve the agent: there may be an event for it. If the process is full it waits in the store, and is
        followed if somebody listens."""
        if agent.serving:
            agent.asked = True
        elif self.is_running and self._ready.enter(agent):
            self._serve(agent, posting)
        else:
            self.store.signals.send(AgentReady(agent.record.id, self.store.workers.me))
            if self.is_running and agent.is_heard:
                self._serve(agent)
        self._ready.fill_soon()

    def _serve(self, agent: AgentSlot, posting: Posting | None = None) -> None:
        agent.asked = True
        if not agent.serving:
            agent.serving = True
            self._tasks.start(self._serve_agent, agent, posting)
        elif agent.news:
            agent.news.set()

    async def post(self, agent: AgentSlot, name: str, event: Event) -> Event:
        """Store an event in the agent's inbox and wake it. If it rests, its turn begins in that write.
        ``StaleAgentError`` if the agent has that name no more."""
        if self.is_running and not agent.serving and self._ready.has_room:
            posting = Posting(name, event)
            self.wake(agent, posting)
            await posting.over.wait()
            if posting.error:
                raise posting.error
            if posting.stored:
                return posting.stored
        posted, _ = await self.store.write(lambda tx: post_to(tx, agent.record.id, name, event))
        self.wake(agent)
        return posted

    async def wake_waiting(self) -> None:
        """Serve who waits, as there is room: some now, the others as turns end."""
        if self.is_running:
            await self._ready.admit()
            self._ready.fill_soon()

    async def idle(self, agent: AgentSlot | None = None) -> None:
        """Return when no agent, or this one not, is being served in this process."""
        await (agent.idle() if agent else self._tasks.idle())

    async def _serve_agent(self, agent: AgentSlot, posting: Posting | None) -> None:
        """Run the agent's events until its inbox is empty, or follow whoever else runs them."""
        away = 0
        try:
            while agent.asked:
                agent.asked = False
                try:
                    with barrier():
                        await self._serve_once(agent, posting)
                    away = 0
                except StorageError as error:  # what waits in the store is served when it is back
                    logger.warning("agent %s: %s", agent.record.name, error)
                    if posting:
                        posting.refuse(error)
                    agent.emit(Output("alerted", str(error), None, agent.followed))
                    agent.asked, away = True, away + 1
                    await anyio.sleep(min(_LONGEST_AWAY, 2.0 ** (away - 1)))
                except PagefaultError as error:  # one agent's fault must not end the others
                    logger.warning("agent %s: %s", agent.record.name, error)
                    agent.rest(error, None, self.clock.now())
                    agent.report_ended()
        finally:
            if posting:
                posting.over.set()
            agent.end_serving()
            self._ready.end_serving(agent)
            self.slots.keep_loaded(agent, self.resident)
            self._ready.fill_soon()

    async def _serve_once(self, agent: AgentSlot, posting: Posting | None) -> None:
        has_place = self._ready.enter(agent)
        if has_place and await self._run_turns(agent, posting):
            return agent.report_ended()
        if posting:
            posting.over.set()
        if has_place or agent.is_heard:
            with self._ready.followed(agent, held=has_place):
                goes_on = await self.following.follow(agent)
            agent.asked |= goes_on  # somebody may have asked meanwhile

    async def _run_turns(self, agent: AgentSlot, posting: Posting | None) -> bool:
        """Run turns of an agent that has a place; False if another worker runs them."""
        try:
            async with self.store.turn_lock(agent.record.id) as hold:
                agent.running = True
                await self._drain(agent, hold, posting)
        except (TurnHeldError, TurnLostError):  # they go on in the process that has it: follow that one
            return False
        finally:
            agent.running = False
            if agent.process and agent.process.event:  # the next holder of the turn may end it
                agent.process = None
            self._ready.leave(agent)
        return True

    async def _drain(self, agent: AgentSlot, hold: TurnHold, posting: Posting | None) -> None:
        event = None
        if posting and not posting.over.is_set():
            event = await self._accept(agent, hold, posting)
        while event := event or await inbox.take(self.store, agent, hold, self.clock.now()):
            agent.report_ended()
            try:
                with barrier():
                    process = await self._run(agent, hold, event)
            except (TurnLostError, TurnHeldError):
                agent.process = None
                raise
            except PagefaultError as error:  # the event stays in the inbox; its sender gets a report
                if isinstance(error, DamageError | Fault):  # trying again would not help
                    await inbox.park(self.store, agent, str(error))
                    error = ParkedError(agent.record.name, agent.record.parked)
                logger.warning("agent %s: %s", agent.record.name, error)
                await inbox.forgive(self.store, agent, hold, event)
                return agent.rest(error, event.id, self.clock.now())
            except anyio.get_cancelled_exc_class():  # the kernel is left: the turn stays open in the log
                await inbox.forgive(self.store, agent, hold, event)
                raise
            event = None
            if not self._goes_on(agent, process):
                return

    def _goes_on(self, agent: AgentSlot, process: Process) -> bool:
        """Note that a turn is over; return whether the agent may have the next one now."""
        agent.failures, agent.record = 0, process.record
        agent.process = None if process.writer.outdated else agent.process
        self.turn_ended()
        if agent.record.settings.get("agents"):  # it may have written to others
            self._ready.look()
        if self._ready.must_yield:
            agent.asked = agent.is_heard  # then whoever serves it next is followed
            return False
        return not process.writer.inbox_empty

    async def _run(self, agent: AgentSlot, hold: TurnHold, event: Event) -> Process:
        """Run the event's turn, or park the event if that was begun too often."""
        process = await self.loaded(agent, agent.record)
        process.begin(hold)
        if event.attempts > ATTEMPTS:
            why = f"Its turn was begun {ATTEMPTS} times and each time broken off before it got on."
            agent.end(await park_event(process, event, why))
        else:
            await self._turn(agent, process, event)
        return process

    async def _accept(self, agent: AgentSlot, hold: TurnHold, posting: Posting) -> Event | None:
        """Store a posted event; return it if its turn is open now."""
        try:
            process = agent.process or await self.loaded(agent)
            if process.record.name != posting.name:
                return None
            process.begin(hold)
            await inbox.catch_up(self.store, agent, process.record)
            posting.stored = await process.post(posting.event)
        except StorageError as error:
            posting.refuse(error)
            return None
        except PagefaultError:  # it cannot be loaded; ``_drain`` reports it
            return None
        finally:
            posting.over.set()
        return process.event

    async def _turn(self, agent: AgentSlot, process: Process, event: Event) -> None:
        agent.cancel = scope = anyio.CancelScope()
        done: Output | None = None
        try:
            with scope, barrier():
                done = await process.handle(event)
        except Fault as fault:  # one agent's fault must not end the others
            logger.warning("agent %s: the turn failed", agent.record.name, exc_info=fault)
            done = await process.stop(f"An internal error ended this turn: {fault}")
            if done is None:  # it could not even be opened
                raise
        finally:
            agent.cancel = None
        if scope.cancelled_caught:
            done = await process.cancel()
        if done:
            agent.end(done)

    async def loaded(self, agent: AgentSlot, record: AgentRecord | None = None) -> Process:
        """The agent's process as the store has it now; ``record`` if that was just read."""
        if agent.process is None or agent.is_outdated:  # by another process
            agent.process = await self.boot(agent.record, agent.emit)
            agent.record = agent.process.record
        elif agent.process.event is None:
            await agent.process.load(record)
        self.slots.keep_loaded(agent, self.resident)
        return agent.process
