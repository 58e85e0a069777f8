"""The sealer: seals what is large in the background, merges what was sealed and builds it anew.

Searches never wait for it. What a process that ended had begun is gone on with, here or by another process.
Leaves out the steps themselves (``storage.segments``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import anyio

from pagefault.containment import barrier
from pagefault.errors import PagefaultError
from pagefault.redaction import logger_of
from pagefault.storage import Store
from pagefault.storage.segments import SegmentSizes
from pagefault.types import AgentId

__all__ = ["Background", "Sealer"]

T = TypeVar("T")

logger = logger_of(__name__)

_LEAST, _MOST = 60.0, 600.0  # seconds from one look at all archives and agents to the next
_ALL = AgentId(0)
"""Stands for the look itself, which is of no agent."""


class Background(Protocol):
    """Work that is done beside turns."""

    async def run(self) -> None:
        """Work until cancelled."""
        ...


@dataclass(slots=True)
class Sealer:
    """Does the steps of ``Transaction.seal``, one of each agent in turn, until none is left. Where one fails,
    others go on, and it is tried again after ``_MOST`` seconds; the same failure is reported once."""

    store: Store
    sizes: SegmentSizes = field(default_factory=SegmentSizes)
    _woken: anyio.Event = field(default_factory=anyio.Event)
    _failed: dict[AgentId, tuple[float, str]] = field(default_factory=dict[AgentId, tuple[float, str]])

    def wake(self) -> None:
        """There may be something to seal: vectors were made."""
        self._woken.set()

    async def run(self) -> None:
        """Seal until cancelled."""
        while True:
            await self.settled()
            await anyio.sleep(_LEAST)
            with anyio.move_on_after(_MOST - _LEAST):
                await self._woken.wait()
            self._woken = anyio.Event()

    async def settled(self) -> None:
        """Do all that is to be done now."""
        waiting = await self._tried(_ALL, lambda: self.store.read(lambda tx: tx.sealable(self.sizes))) or []
        while waiting:
            waiting = [agent for agent in waiting if await self._tried(agent, lambda a=agent: self._step(a))]

    async def _step(self, agent: AgentId) -> str:
        return await self.store.build(lambda tx: tx.seal(agent, self.sizes))

    async def _tried(self, agent: AgentId, work: Callable[[], Awaitable[T]]) -> T | None:
        """The result of ``work``; None if it failed, now or a short time ago."""
        until, said = self._failed.get(agent, (0.0, ""))
        if anyio.current_time() < until:
            return None
        try:
            with barrier():
                result = await work()
        except PagefaultError as error:
            if said != str(error):
                of = f"agent or archive {agent}" if agent else "any archive"
                logger.warning("for now nothing more is sealed of %s: %s", of, error)
            self._failed[agent] = anyio.current_time() + _MOST, str(error)
            return None
        self._failed.pop(agent, None)
        return result
