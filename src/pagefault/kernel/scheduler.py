"""The scheduler: which agent runs a turn, and when.

One turn of an agent at a time over all processes (the store's turn lock), many agents at once. A second
process that posts an event leaves it in the inbox and follows the log until the first has answered. What
happens in a turn is ``agent``'s business.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup
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
    StaleAgentError,
    StorageError,
    TurnHeldError,
    TurnLostError,
)
from pagefault.kernel import inbox
from pagefault.kernel.following import Following
from pagefault.kernel.inbox import ATTEMPTS
from pagefault.kernel.slot import AgentSlot, Posting, Slots
from pagefault.redaction import logger_of
from pagefault.storage import Store, TurnHold
from pagefault.storage.signals import AgentReady
from pagefault.types import AgentId, AgentRecord, Event, Output

logger = logger_of(__name__)

Boot = Callable[[AgentRecord, Callable[[Output], None]], Awaitable[Process]]
"""Makes a loaded process of a stored agent: ``Assembly.boot``."""

_LONGEST_AWAY = 30.0  # seconds between looks whether a store that failed works again


@dataclass(slots=True)
class Scheduler:
    """Runs turns while it is ``running``; else events wait in the inbox.
    ``turn_ended`` is called after each turn, ``open_turns`` bounds the agents in a turn at once,
    ``resident`` those whose process stays loaded while they rest."""

    store: Store
    boot: Boot
    turn_ended: Callable[[], None]
    clock: Clock
    open_turns: int
    resident: int = 128
    _tasks: TaskGroup | None = None
    listeners_to_all: set[MemoryObjectSendStream[tuple[str, Output]]] = field(
        default_factory=set[MemoryObjectSendStream[tuple[str, Output]]]
    )
    following: Following = field(init=False)
    _slots: Slots = field(init=False)
    _resident: dict[AgentId, AgentSlot] = field(default_factory=dict[AgentId, AgentSlot])  # last served, last
    _limit: anyio.Semaphore = field(init=False)
    _serving: int = 0
    _quiet: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self._limit = anyio.Semaphore(self.open_turns)
        self._slots = Slots(self.store, self.listeners_to_all)
        self.following = Following(self.store, self._slots, self.clock, self.wake)
        self._slots.publish = self.following.publish

    @property
    def is_running(self) -> bool:
        return self._tasks is not None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Run turns as long as the context lasts. Turns that are open at its end stay open in the log."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                self._tasks = None
                tasks.cancel_scope.cancel()

    async def find(self, name: str, *, known: bool = False) -> AgentSlot:
        """The agent of this name; ``NotFoundError`` if there is none. ``known``: as last looked up; ``post``
        notices that another process has given the name to another agent."""
        return await self._slots.find(name, known=known)

    async def servable(self, name: str) -> AgentSlot:
        """The agent of this name; ``ParkedError`` or ``DamageError`` if no turn of it can be run."""
        agent = await self.find(name, known=True)
        if agent.process is None:  # it may have been parked, released or mended by another process
            id = agent.record.id
            agent.record = await self.store.read(lambda tx: tx.agent_by_id(id)) or agent.record
            settings_of(agent.record)
        if agent.record.parked:
            raise ParkedError(name, agent.record.parked)
        return agent

    def forget(self, name: str) -> None:
        """Drop the agent's process and record, so that changed settings take effect at its next event. Its
        listeners stay."""
        if agent := self._slots.forget(name):
            self._resident.pop(agent.record.id, None)

    def wake(self, agent: AgentSlot, posting: Posting | None = None) -> None:
        """Serve the agent: there may be an event for it."""
        agent.asked = True
        if self._tasks is None:
            self.store.signals.send(AgentReady(agent.record.id))
        elif not agent.serving:
            agent.serving, agent.rested = True, anyio.Event()
            if not self._serving:
                self._quiet = anyio.Event()
            self._serving += 1
            self._tasks.start_soon(self._serve_agent, agent, posting)

    async def post(self, agent: AgentSlot, name: str, event: Event) -> Event:
        """Store an event in the agent's inbox and wake it. If it rests, its turn begins in that write."""
        if self._tasks is not None and not agent.serving and self._serving < self.open_turns:
            posting = Posting(name, event)
            self.wake(agent, posting)
            await posting.over.wait()
            if posting.error:
                raise posting.error
            if posting.stored:
                return posting.stored
        try:
            posted, _ = await self.store.write(lambda tx: post_to(tx, agent.record.id, name, event))
        except StaleAgentError:
            return await self.post(await self._slots.find_again(name, agent), name, event)
        self.wake(agent)
        return posted

    async def wake_waiting(self) -> None:
        """Wake every agent with an event that is pending or whose turn is unfinished."""
        for record in await self.store.read(lambda tx: tx.waiting()):
            agent = self._slots.of(record)
            if agent.rest_until is None or self.clock.now() >= agent.rest_until:
                self.wake(agent)

    async def idle(self, agent: AgentSlot | None = None) -> None:
        """Return when no agent, or this one not, is being served in this process."""
        while agent.serving if agent else self._serving:
            await (agent.rested if agent else self._quiet).wait()

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
            agent.serving = False
            agent.rested.set()
            self._serving -= 1
            if not self._serving:
                self._quiet.set()

    async def _serve_once(self, agent: AgentSlot, posting: Posting | None) -> None:
        try:
            async with self._limit, self.store.turn_lock(agent.record.id) as hold:
                agent.running = True
                try:
                    await self._drain(agent, hold, posting)
                finally:
                    agent.running = False
        except TurnHeldError:
            if posting:
                posting.over.set()
            agent.asked |= await self.following.follow(agent)
            return
        agent.report_ended()

    async def _drain(self, agent: AgentSlot, hold: TurnHold, posting: Posting | None) -> None:
        event = None
        if posting and not posting.over.is_set():
            event = await self._accept(agent, hold, posting)
        while event := event or await inbox.take(self.store, agent, hold, self.clock.now()):
            agent.report_ended()
            try:
                with barrier():
                    process = await self._run(agent, hold, event)
            except (TurnLostError, TurnHeldError):  # it goes on in the process that took it: follow that one
                agent.process, agent.asked = None, True
                return
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
            event, agent.failures, agent.record = None, 0, process.record
            if process.writer.outdated:
                agent.process = None
            self.turn_ended()
            await self._wake_others(agent)
            if process.writer.inbox_empty:
                return

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
            posting.stored = await process.post(posting.event)
        except StorageError as error:
            posting.refuse(error)
            return None
        except PagefaultError:  # it cannot be loaded; ``_drain`` reports it once the event is stored
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
            done = await process.stop("The turn was cancelled.")
        if done:
            agent.end(done)

    async def _wake_others(self, agent: AgentSlot) -> None:
        """Wake the agents to whom this one may have written."""
        if agent.record.settings.get("agents"):
            await self.wake_waiting()

    async def loaded(self, agent: AgentSlot, record: AgentRecord | None = None) -> Process:
        """The agent's process as the store has it now; ``record`` if that was just read."""
        if agent.process is None or agent.is_outdated:  # by another process
            agent.process = await self.boot(agent.record, agent.emit)
            agent.record = agent.process.record
        elif agent.process.event is None:
            await agent.process.load(record)
        process = agent.process
        self._resident.pop(agent.record.id, None)
        self._resident[agent.record.id] = agent
        self._swap_out()
        return process

    def _swap_out(self) -> None:
        """Let go of the processes of agents served longest ago: they are made again from the store."""
        idle = [id for id, agent in self._resident.items() if not agent.serving]
        for id in idle[: max(0, len(self._resident) - self.resident)]:
            self._resident.pop(id).process = None
