"""The ready queue: who waits for a turn, asked of the store in batches and admitted as there is room.

Who waits stands in the store alone: an agent that is not admitted is left there, for this process or another.
Left out: how a turn is run (``scheduler``), and how many fit (``admission``).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio

from pagefault.clock import Clock
from pagefault.containment import barrier
from pagefault.errors import PagefaultError
from pagefault.kernel.admission import Admission
from pagefault.kernel.slot import AgentSlot, Slots
from pagefault.kernel.tasks import CountedTasks
from pagefault.redaction import logger_of
from pagefault.storage.holding import ranked
from pagefault.types import AgentId

__all__ = ["ReadyQueue"]

logger = logger_of(__name__)

_BATCH = 256  # agents that are asked for at once, at most
_SMALL = 16  # times as many turns are open as there is room for: then the room may grow
_GROWING = 0.02  # seconds that it is given to grow
_LEFT = timedelta(seconds=0.3)
"""The time for which an agent is left to the worker that comes first for it: if all tried, all but one would
in vain, and the more who wait, the more of the work would be for nothing."""
_FORGOTTEN = timedelta(seconds=5)
"""The time after that from which on the agent counts as found for the first time again."""


@dataclass(slots=True)
class ReadyQueue:
    """Gives an agent a place, or leaves it in the store; ``serve`` is called for each that was found there
    and has a place now. ``more``: somebody may wait in the store."""

    slots: Slots
    admission: Admission
    clock: Clock
    tasks: CountedTasks
    serve: Callable[[AgentSlot], None]
    more: bool = False
    _after: str | None = None  # the tenant that was served last
    _places: set[AgentId] = field(default_factory=set[AgentId])
    _elsewhere: set[AgentId] = field(default_factory=set[AgentId])  # held by another process, and followed
    _resting: dict[AgentId, AgentSlot] = field(default_factory=dict[AgentId, AgentSlot])
    _left: dict[AgentId, datetime] = field(default_factory=dict[AgentId, datetime])  # to another, until then
    _asking: bool = False
    _filling: bool = False

    @property
    def has_room(self) -> bool:
        """Return whether an agent may be served at once. Not if others wait in the store: they come first,
        unless there is room for them too."""
        room = self.admission.room()
        return room > _BATCH or (room > 0 and not self.more and not self._asking)

    @property
    def must_yield(self) -> bool:
        """Return whether an agent that has had a turn is to make room: others wait, and there is none, or no
        turn is to begin here any more."""
        return self.admission.closed or (self.more and not self.admission.room())

    def enter(self, agent: AgentSlot) -> bool:
        """Give an agent a place if it has none; False if it must wait in the store."""
        id = agent.record.id
        if id not in self._places:
            if not self.has_room:
                self.more = True
                return False
            self._take_place(id)
        return True

    def leave(self, agent: AgentSlot) -> None:
        """Take the place of an agent away."""
        if agent.record.id in self._places:
            self._places.discard(agent.record.id)
            self.admission.leave()

    @contextmanager
    def followed(self, agent: AgentSlot, *, held: bool) -> Generator[None]:
        """Ask for no turn of the agent meanwhile, if another process is known to hold it."""
        if held:
            self._elsewhere.add(agent.record.id)
        try:
            yield
        finally:
            self._elsewhere.discard(agent.record.id)

    def end_serving(self, agent: AgentSlot) -> None:
        """Leave the agent out of the questions from now on if it rests."""
        if agent.failures:
            self._resting[agent.record.id] = agent
        else:
            self._resting.pop(agent.record.id, None)

    def look(self) -> None:
        """Look soon who waits in the store: somebody may."""
        self.more = True
        self.fill_soon()

    def fill_soon(self) -> None:
        """Admit who waits in the store, until nobody does or there is no room, in a task of its own."""
        if self.more and not self._filling and self.admission.room():
            self._filling = True
            self.tasks.start(self._fill)

    async def _fill(self) -> None:
        try:
            with barrier():
                while self.more and not self._asking and (room := self.admission.room()):
                    if room * _SMALL < self.admission.open:  # one question for many, not one for each
                        await anyio.sleep(_GROWING)
                    await self.admit()
        except PagefaultError as error:  # it is asked again, at the end of the next turn or the next look
            logger.warning("%s", error)
        finally:
            self._filling = False

    async def admit(self) -> None:
        """Ask who waits in the store, and admit a batch of them, or as many as there is room for."""
        limit = min(self.admission.room(), _BATCH)
        if self._asking or not limit:
            self.more = True
            return
        self._asking, self.more = True, False
        found = limit
        try:
            after, unwanted = self._after, self._unwanted()
            records = await self.slots.store.read(lambda tx: tx.waiting(limit, after, unwanted))
            found = len(records)
        finally:
            self._asking = False
            self.more |= found == limit
        for record in records:
            self._after = record.tenant
            if self._comes_here(record.id):
                if record.id not in self._places:
                    self._take_place(record.id)
                self.serve(self.slots.of(record))

    def _comes_here(self, agent: AgentId) -> bool:
        """Return whether this worker is to try for an agent that it found: not if another comes first, which
        finds it too, and has not had the time."""
        workers = self.slots.store.workers
        if workers.me not in workers.peers or ranked(workers.peers, agent)[0] == workers.me:
            return True
        if agent in self._left:
            return self._left.pop(agent) <= self.clock.now()
        self._left[agent] = self.clock.now() + _LEFT
        return False

    def _take_place(self, agent: AgentId) -> None:
        self._places.add(agent)
        self.admission.enter()

    def _unwanted(self) -> list[AgentId]:
        """List those that are being served, or rest, or are left to others for now."""
        now = self.clock.now()
        self._left = {id: until for id, until in self._left.items() if now < until + _FORGOTTEN}
        left = [id for id, until in self._left.items() if now < until]
        rest = [id for id, agent in self._resting.items() if agent.rest_until and now < agent.rest_until]
        return [*self._places, *self._elsewhere, *rest, *left]
