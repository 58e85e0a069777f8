"""Outputs and wake-ups between workers: turns that others run are followed here, ours are reported to them.

Whoever listens here to an agent that another worker runs announces that, and the worker sends signals: that
the log grew, what is not in the log, that a turn ended. Rows are read from the log, up to where the signal
says, so that outputs come in order and once. A lost signal costs time: who waits looks again by itself. Left
out: when a turn is run (``scheduler``), how signals travel (``storage``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic

import anyio
from anyio.abc import TaskGroup

from pagefault.clock import Clock
from pagefault.containment import barrier
from pagefault.errors import PagefaultError
from pagefault.kernel import inbox, timers
from pagefault.kernel.slot import AgentSlot, Slots
from pagefault.kernel.wakeups import Wakeups
from pagefault.redaction import logger_of
from pagefault.storage import Store, Transaction
from pagefault.storage.signals import (
    AgentReady,
    LogGrew,
    OutputsWanted,
    Signal,
    SignalQueue,
    SilentSignals,
    UncommittedOutput,
)
from pagefault.types import CLOSING, UNCOMMITTED, AgentId, AgentRecord, Event, Output

__all__ = ["Following"]

logger = logger_of(__name__)

_SAFETY = 1.0  # seconds between looks while signals arrive
_POLL = 0.05  # seconds between looks at another process's turn while they do not, if somebody listens
_UNHEARD = 0.5  # the same, if nobody does, and between looks for what others posted
_SHORTEST = 0.05  # seconds between looks at least: a timer may be late because it cannot be fired
_LONGEST_PAUSE = 30.0  # seconds between looks while they fail
_ANNOUNCED = 5.0  # seconds between announcements of who is heard here
_WANTED = 12.0  # seconds that one holds
_LOOKS = 0.1  # seconds between looks because there are more
_SECOND = 0.15  # seconds until the second of the workers looks whether the first serves an agent
_MOST_SHOWN = 64  # agents whose logs are read at once because others say that they grew
_MOST_WANTED = 10_000  # agents that others want to hear; from here on it counts as all


@dataclass(slots=True)
class Following:
    """The remote side of one kernel. ``wake`` serves an agent here."""

    store: Store
    slots: Slots
    clock: Clock
    wake: Callable[[AgentSlot], None]
    wakeups: Wakeups = field(init=False)
    heard_all: int = 0  # listeners here to all agents of all workers
    safety: float = _SAFETY
    _wanted: dict[AgentId | None, float] = field(default_factory=dict[AgentId | None, float])  # until then
    _arriving: dict[AgentId, SignalQueue] = field(default_factory=dict[AgentId, SignalQueue])
    _tasks: TaskGroup | None = None

    def __post_init__(self) -> None:
        self.wakeups = Wakeups(self.store, self.slots, self.clock, self.wake)

    async def run(self) -> None:
        """Hear the signals of others until cancelled."""
        if isinstance(self.store.signals, SilentSignals):
            return
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._look_again)
            while True:
                await self._receive(await self.store.signals.received())

    # what is told to others

    def publish(self, agent: AgentSlot, output: Output) -> None:
        """Send an output of a turn that is run here to the workers that want it."""
        id, now = agent.record.id, monotonic()
        if not self._wanted or max(self._wanted.get(id, 0.0), self._wanted.get(None, 0.0)) < now:
            return
        if output.type in UNCOMMITTED:
            start = agent.sent_stream.start_of(output)
            signal: Signal = UncommittedOutput(id, output, agent.followed, start)
        else:
            done = output.event if output.type in CLOSING else None
            signal = LogGrew(id, min(agent.followed, output.position), output.position, done)
        self.store.signals.send(signal)

    def announce(self, agent: AgentSlot) -> None:
        """Have the worker that runs the agent's turns send their outputs here."""
        if agent.is_heard:
            self.store.signals.send(OutputsWanted(agent.record.id))

    @contextmanager
    def hearing_all(self) -> Generator[None]:
        """Have all workers send the outputs of their turns here."""
        self.heard_all += 1
        self.slots.fall_behind()
        self.store.signals.send(OutputsWanted(None))
        try:
            yield
        finally:
            self.heard_all -= 1

    # another worker's turn, and what others posted

    async def follow(self, agent: AgentSlot) -> bool:
        """Another worker runs the agent's turns: show what it commits, then wait until the turn may have
        ended. False: there is no turn any more."""
        self.announce(agent)
        news = agent.news = agent.news or anyio.Event()
        if await self._look(agent):
            agent.report_ended()
        elif not agent.is_ending:
            return False
        with anyio.move_on_after(self._pace(agent.is_heard)):
            await news.wait()
        agent.news = anyio.Event()
        return True

    async def serve(self, look: Callable[[], Awaitable[None]]) -> None:
        """Serve what others post: as their signals come, and by looks at it, until cancelled."""
        self.wakeups.serves, failures = True, 0
        while True:
            try:
                with barrier():
                    await look()
                    seconds = await self._until_timer(self._pace(False))
                failures = 0
            except PagefaultError as error:  # the next look may find it mended
                failures += 1
                logger.warning("%s", error)
                seconds = min(_LONGEST_PAUSE, _UNHEARD * 2.0**failures)
            with anyio.move_on_after(seconds):
                await self.wakeups.many.wait()
                self.wakeups.many = anyio.Event()
                await anyio.sleep(_LOOKS)

    async def _until_timer(self, seconds: float) -> float:
        """Return so many seconds, or those until a timer is due or an approval expires, if they are fewer."""
        now = self.clock.now()
        until = now + timedelta(seconds=seconds)
        due = await self.store.read(lambda tx: timers.next_at(tx, until))
        return max(_SHORTEST, (due - now).total_seconds()) if due else seconds

    def _pace(self, heard: bool) -> float:
        if self.store.signals.alive:
            return self.safety
        return _POLL if heard else _UNHEARD

    async def _look(self, agent: AgentSlot) -> Event | None:
        """Show what the log has; return the agent's next event."""
        id = agent.record.id

        def read(tx: Transaction) -> tuple[AgentRecord | None, Event | None]:
            return tx.agent_by_id(id), tx.next_event(id)

        record, event = await self.store.read(read)
        if record is None:
            agent.hang_up()
        else:
            if agent.is_heard and agent.unended and record.last_seq == agent.followed:
                await inbox.show_missed(self.store, agent)
            await inbox.catch_up(self.store, agent, record)
        return event

    async def _look_again(self) -> None:
        """See, at times, to what signals may have missed: announce who is heard, and look at their logs."""
        while True:
            await anyio.sleep(_ANNOUNCED if self.store.signals.alive else _UNHEARD)
            if self.heard_all:
                self.store.signals.send(OutputsWanted(None))
            for agent in self.slots.heard():
                if not agent.running:
                    self.announce(agent)
                if not agent.serving:
                    agent.report_ended()
                    await self._contained(self._look(agent))
            self._wanted = {agent: until for agent, until in self._wanted.items() if until > monotonic()}

    async def _receive(self, signals: Sequence[Signal]) -> None:
        ready: list[AgentReady] = []
        for signal in signals:
            match signal:
                case AgentReady():
                    ready.append(signal)
                case OutputsWanted(agent):
                    self._want(agent)
                case _:
                    self._take_in(signal)
        if ready:
            is_looking = bool(self.wakeups.second)
            await self._contained(self.wakeups.serve_first(ready))
            if self.wakeups.second and self._tasks and not is_looking:
                self._tasks.start_soon(self._look_second)

    async def _look_second(self) -> None:
        await anyio.sleep(_SECOND)
        await self._contained(self.wakeups.serve_second())

    def _want(self, agent: AgentId | None) -> None:
        """Keep in mind that the outputs of the agent are wanted; of one that is not known here, too: it may
        be run here soon."""
        key = agent if agent in self._wanted or len(self._wanted) < _MOST_WANTED else None
        self._wanted[key] = monotonic() + _WANTED

    def _take_in(self, signal: LogGrew | UncommittedOutput) -> None:
        """Show an output of another worker's turn, after those that came before it."""
        agent = self.slots.known_by_id(signal.agent)
        if not self.heard_all and not (agent and agent.listeners):
            return
        queue = self._arriving.get(signal.agent)
        if queue is None and self._tasks and len(self._arriving) < _MOST_SHOWN:
            queue = self._arriving[signal.agent] = SignalQueue()
            self._tasks.start_soon(self._show_all, signal.agent, queue)
        if queue is not None:
            queue.put(signal)

    async def _show_all(self, id: AgentId, queue: SignalQueue) -> None:
        try:
            while signals := queue.take():
                await self._contained(self._show(id, signals))
        finally:
            del self._arriving[id]

    async def _show(self, id: AgentId, signals: Sequence[Signal]) -> None:
        agent = self.slots.known_by_id(id)
        if agent is None:
            record = await self.store.read(lambda tx: tx.agent_by_id(id))
            if record is None:
                return
            met, agent = self.slots.known_by_id(id), self.slots.of(record)
            if met is None:  # it begins with these signals
                agent.followed, agent.is_behind = 0, True
        for signal in signals:
            if agent.running:  # by now it is this worker's turn
                return
            match signal:
                case LogGrew(position=position):
                    await self._show_rows(agent, signal)
                case UncommittedOutput(position=position):
                    await self._show_uncommitted(agent, signal)
                case _:
                    continue
            if agent.followed < position:  # no such row: the signal is no worker's
                return

    async def _show_rows(self, agent: AgentSlot, signal: LogGrew) -> None:
        if signal.position > agent.followed or signal.done is not None:
            await inbox.show_missed(self.store, agent, signal)
        if signal.done is not None:
            agent.report_ended()
            if agent.news:
                agent.news.set()

    async def _show_uncommitted(self, agent: AgentSlot, signal: UncommittedOutput) -> None:
        """Show it, unless the row it belongs to was shown, or a part of the text before it is missing."""
        output = signal.output
        if output.position > agent.followed:
            await inbox.show_missed(
                self.store, agent, LogGrew(agent.record.id, signal.after, output.position)
            )
        if output.position == agent.followed and agent.heard_stream.continues(output, signal.start):
            agent.show(output)

    async def _contained(self, work: Awaitable[object]) -> None:
        """Do it; a failure ends nothing, and is seen to by the next look."""
        try:
            with barrier():
                await work
        except PagefaultError as error:
            logger.warning("%s", error)
