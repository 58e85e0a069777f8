"""The slots of agents in the scheduler: what a process of the machine holds of each agent.

Left out: when its turns run (``scheduler``).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import inf
from typing import TypeVar

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from pagefault.agent import Process
from pagefault.errors import (
    DailyBudgetSpent,
    PagefaultError,
    StaleAgentError,
    TurnHeldError,
    TurnLostError,
)
from pagefault.kernel.owners import no_agent
from pagefault.kernel.stream_place import StreamPlace
from pagefault.storage import Store
from pagefault.types import CLOSING, AgentId, AgentRecord, Event, Output

T = TypeVar("T")

_REMEMBERED = 15  # events whose ``done`` was shown; a signal that is late repeats one
_LONGEST_REST = 300.0  # seconds between tries of an agent that cannot be served


@dataclass(slots=True)
class Posting:
    """An event on its way into the inbox of an agent that rests: its turn begins in the transaction that
    stores it. Not ``stored`` when it is ``over``: it is to be stored by itself."""

    name: str
    event: Event
    stored: Event | None = None
    error: PagefaultError | None = None
    over: anyio.Event = field(default_factory=anyio.Event)

    def refuse(self, error: PagefaultError) -> None:
        """Report to the sender that the event could not be stored, unless that is decided; a lost turn is no
        reason: the event is stored for whoever has it."""
        if not self.over.is_set() and not isinstance(error, TurnLostError | TurnHeldError):
            self.error = error
        self.over.set()


@dataclass(slots=True)
class AgentSlot:
    """One agent in this process: its process once booted, and the streams that get its outputs.
    ``listeners_to_all`` is shared by all slots of a tenant, and ``publish`` by all: it gets the outputs of
    turns that are run here."""

    record: AgentRecord
    listeners_to_all: set[MemoryObjectSendStream[tuple[str, Output]]]
    publish: Callable[[AgentSlot, Output], None]
    process: Process | None = None
    serving: bool = False
    asked: bool = False  # an event came while it was being served
    cancel: anyio.CancelScope | None = None
    failures: int = 0  # times in a row that it could not be served
    rest_until: datetime | None = None  # before that it is not tried again unasked
    uncounted: int | None = None  # the event of which an attempt could not be taken back
    running: bool = False  # its turns are run here
    followed: int = 0  # up to where the log was shown
    is_behind: bool = False  # nobody has heard it lately: what is shown begins with the next signal
    unended: set[int] = field(default_factory=set[int])  # events of which ``done`` is to be shown
    over: tuple[Output, ...] = ()  # what closed events of other workers and was shown last
    news: anyio.Event | None = None  # set when another worker's turn may have ended; None: it is not followed
    showing: anyio.Lock = field(default_factory=anyio.Lock)
    sent_stream: StreamPlace = field(default_factory=StreamPlace)  # to other workers
    heard_stream: StreamPlace = field(default_factory=StreamPlace)  # of another
    ended: list[Output] = field(default_factory=list[Output])  # ``done``, until the turn lock is free
    ended_elsewhere: list[Output] = field(default_factory=list[Output])  # the same, of other workers' turns
    listeners: set[MemoryObjectSendStream[Output]] = field(
        default_factory=set[MemoryObjectSendStream[Output]]
    )
    _rested: anyio.Event | None = None  # made when somebody waits for the end of its service

    @property
    def is_outdated(self) -> bool:
        """Return whether the process was made for another name, settings or attachments than are stored."""
        made, now = self.process and self.process.record, self.record
        return made is not None and (made.name, made.settings, made.attachment_changes) != (
            now.name, now.settings, now.attachment_changes
        )  # fmt: skip

    @property
    def is_heard(self) -> bool:
        return bool(self.listeners or self.listeners_to_all)

    @property
    def is_ending(self) -> bool:
        """Return whether a ``done`` waits for the turn lock."""
        return bool(self.ended or self.ended_elsewhere)

    def end_serving(self) -> None:
        rested, self._rested, self.serving, self.news = self._rested, None, False, None
        if rested:
            rested.set()

    async def idle(self) -> None:
        """Return when the agent is not being served."""
        while self.serving:
            self._rested = self._rested or anyio.Event()
            await self._rested.wait()

    def emit(self, output: Output) -> None:
        """Give an output of a turn that is run here to all who listen, here and elsewhere."""
        self.publish(self, output)
        self.followed = max(self.followed, output.position)
        self.show(output)

    def show(self, output: Output) -> None:
        """Give an output to all who listen here."""
        if output.type in CLOSING and output.event is not None:
            self.unended.discard(output.event)
        _send(self.listeners, output)
        if self.listeners_to_all:
            _send(self.listeners_to_all, (self.record.name, output))

    def hang_up(self) -> None:
        """End the streams of all who listen to the agent here."""
        for listener in tuple(self.listeners):
            listener.close()

    @contextmanager
    def awaiting(self, event: int) -> Generator[None]:
        """Have the ``done`` of the event shown, whoever runs its turn, and if there is no row of it."""
        self.unended.add(event)
        try:
            yield
        finally:
            self.unended.discard(event)

    def end(self, output: Output) -> None:
        """Keep the ``done`` of an event's turn until ``report_ended``."""
        self.followed = max(self.followed, output.position)
        self.ended.append(output)

    def end_elsewhere(self, output: Output) -> None:
        """Keep what closes an event's turn, run by another worker, until ``report_ended``; once only."""
        self.unended.discard(output.event or 0)
        closed = replace(output, position=0)
        if closed not in self.over:
            self.over = (*self.over[-_REMEMBERED:], closed)
            self.ended_elsewhere.append(output)

    def rest(self, error: PagefaultError, event: int | None, now: datetime) -> None:
        """Leave the agent alone for a while, the longer the more often it failed. Who sent ``event`` gets an
        alert; a ``done`` of no event, with the reason, ends the waiting of all others."""
        self.process = None
        self.failures += 1
        self.rest_until = now + timedelta(seconds=min(_LONGEST_REST, 2.0**self.failures))
        if isinstance(error, DailyBudgetSpent):
            self.rest_until = min(self.rest_until, error.until)
        self.end(Output("alerted", str(error), event, self.followed))
        if event is not None:
            self.end(Output("done", "", event, self.followed))
        self.end(Output("done", str(error), None, self.followed))

    def report_ended(self) -> None:
        """Emit what ``end`` kept: the turn lock is free, or another event's turn begins."""
        elsewhere, self.ended_elsewhere = self.ended_elsewhere, []
        for output in elsewhere:
            self.show(output)
        ended, self.ended = self.ended, []
        for output in ended:
            self.emit(output)


def for_sender(output: Output, event: int) -> tuple[Output, ...]:
    """The outputs for the sender of an event: its own, and the end of its waiting if the agent rests."""
    if output.event is None and output.type == "done":
        alert = replace(output, type="alerted", event=event)
        return alert, replace(output, text="", event=event)
    return (output,) if output.event == event else ()


@asynccontextmanager
async def listening(
    listeners: set[MemoryObjectSendStream[T]], most: float = inf
) -> AsyncGenerator[MemoryObjectReceiveStream[T]]:
    """The items that are sent to ``listeners`` from now on; they end when more than ``most`` were not
    taken."""
    send, receive = anyio.create_memory_object_stream[T](most)
    listeners.add(send)
    try:
        with send, receive:
            yield receive
    finally:
        listeners.discard(send)


def _send(listeners: set[MemoryObjectSendStream[T]], item: T) -> None:
    for listener in tuple(listeners):
        try:
            listener.send_nowait(item)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            listeners.discard(listener)
        except anyio.WouldBlock:
            listener.close()


@dataclass(slots=True)
class Slots:
    """The slots of the agents that this process has met, by number and by tenant and name.
    ``listeners_to_all``: those to all agents of each tenant."""

    store: Store
    listeners_to_all: Mapping[str, set[MemoryObjectSendStream[tuple[str, Output]]]]
    publish: Callable[[AgentSlot, Output], None] = lambda _agent, _output: None
    _loaded: dict[AgentId, AgentSlot] = field(default_factory=dict[AgentId, AgentSlot])  # last served, last
    _agents: dict[AgentId, AgentSlot] = field(default_factory=dict[AgentId, AgentSlot])
    _ids: dict[tuple[str, str], AgentId] = field(default_factory=dict[tuple[str, str], AgentId])

    async def find(self, tenant: str, name: str, *, known: bool = False) -> AgentSlot:
        """As ``Scheduler.find``."""
        if not known or (agent := self.known(tenant, name)) is None:
            record = await self.store.read(lambda tx: tx.within(tenant).agent(name))
            if record is None:
                self.forget(tenant, name)
                raise no_agent(name)
            agent, self._ids[tenant, name] = self.of(record), record.id
        return agent

    def known(self, tenant: str, name: str) -> AgentSlot | None:
        """The agent that had this name when it was last looked up."""
        agent = self._agents.get(self._ids.get((tenant, name), AgentId(0)))
        return agent if agent and agent.record.name == name else None

    async def find_again(self, name: str, former: AgentSlot) -> AgentSlot:
        """The agent that has the name now of one that was deleted or renamed. Who listens to that one hears
        no other: the streams of one that was deleted end."""
        tenant, id = former.record.tenant, former.record.id
        self.forget(tenant, name)
        if await self.store.read(lambda tx: tx.agent_by_id(id)) is None:
            former.hang_up()
        agent = await self.find(tenant, name)
        if agent is former:
            raise StaleAgentError(name)
        return agent

    def known_by_id(self, id: AgentId) -> AgentSlot | None:
        return self._agents.get(id)

    def heard(self) -> list[AgentSlot]:
        """The slots of the agents to which somebody listens by name."""
        return [agent for agent in self._agents.values() if agent.listeners]

    def fall_behind(self) -> None:
        """Nobody has heard the agents that are not heard: what somebody hears begins with what comes next."""
        for agent in self._agents.values():
            agent.is_behind = not agent.is_heard and not agent.running

    def of(self, record: AgentRecord) -> AgentSlot:
        """The slot of an agent as it was just read."""
        to_all = self.listeners_to_all[record.tenant]
        fresh = AgentSlot(record, to_all, self.publish, followed=record.last_seq)
        agent = self._agents.setdefault(record.id, fresh)
        if not agent.serving:
            agent.record = record
        return agent

    def forget(self, tenant: str, name: str) -> AgentSlot | None:
        """Drop the agent's process; look the name up anew the next time."""
        agent = self._agents.get(self._ids.pop((tenant, name), AgentId(0)))
        if agent:
            agent.process = agent.rest_until = None
        return agent

    def reload(self) -> None:
        """Have the process of each agent made anew at its next event."""
        for agent in self._agents.values():
            if agent.serving and agent.process:
                agent.process.writer.outdated = True
            elif not agent.serving:
                agent.process = None

    def keep_loaded(self, agent: AgentSlot, most: int) -> None:
        """Keep the process of an agent between turns, let go of that served longest ago, beyond ``most``."""
        self._loaded.pop(agent.record.id, None)
        if agent.process is not None and not agent.serving:
            self._loaded[agent.record.id] = agent
            while len(self._loaded) > most:
                self._loaded.pop(next(iter(self._loaded))).process = None
