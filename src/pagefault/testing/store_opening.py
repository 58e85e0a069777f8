"""The base of the parts of the store suite: opening a store, working on it from plain code, rows to store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pagefault.errors import TurnHeldError
from pagefault.message_meta import MessageMeta, RequestUsage
from pagefault.storage import Filter, Found, Match, PendingVector, Store, Transaction
from pagefault.storage.terms import terms
from pagefault.types import AgentId, AgentRecord, Event, Message, Passage, Role, Schedule, Section, Tier

__all__ = ["NOW", "WILD", "Opened", "Shown", "StoreOpening", "can_take_turn", "refused", "said", "unit"]

T = TypeVar("T")

NOW = datetime(2026, 3, 1, 12, 30, 15, 1, tzinfo=UTC)

WILD = (
    "",
    " \n\t ",
    "nothing \x00 after a null \x00",
    "'; DROP TABLE agents; --",
    '"quoted" AND (NEAR * OR ^col: -x) NOT "',
    "你好，世界。こんにちは 안녕하세요",
    "👩‍👩‍👧 🫠 👍🏽 ☎",
    "%s %(x)s :agent ? {y}",
    "e\u0301 \u00e9 \u0130stanbul ﬁ ² ½ Ⅷ क्षि",
    "word " * 200_000,
    "unbroken" * 125_000,
)
"""Texts that a store must give back unchanged: blank, hostile, of many scripts, large (1 MB)."""


def said(
    text: str,
    role: Role = Role.USER,
    *,
    hours: int = 0,
    meta: MessageMeta | None = None,
    usage: Sequence[RequestUsage] = (),
) -> Message:
    """A row of the log, so many hours after ``NOW``."""
    return Message(role, text, NOW + timedelta(hours=hours), meta=meta or MessageMeta(), usage=tuple(usage))


def unit(*values: float) -> NDArray[np.float32]:
    """A unit vector in the direction of ``values``."""
    vector = np.array(values, dtype=np.float32)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def refused(kind: type[BaseException], action: Callable[[], object]) -> None:
    """Assert that ``action`` raises ``kind``."""
    try:
        action()
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised")


class Opened:
    """An open store and an event loop to work on it with."""

    def __init__(self, store: Store, runner: asyncio.Runner) -> None:
        self.store = store
        self._runner = runner

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(doing)

    def write(self, work: Callable[[Transaction], T]) -> T:
        return self.run(self._write(work))

    def read(self, work: Callable[[Transaction], T]) -> T:
        return self.run(self._read(work))

    def agent(self, name: str) -> AgentId:
        """Create an agent."""
        return self.write(lambda tx: tx.create_agent(AgentRecord(name, {}, NOW))).id

    def fill(self, agent: AgentId) -> None:
        """One of everything; row and passage have the word "words"."""

        def work(tx: Transaction) -> None:
            tx.append(agent, [said("words said")])
            tx.insert_passage(agent, Passage("words kept", NOW, ("tag",)))
            tx.put_section(agent, Section("human", "", 10, "x"), NOW)
            tx.post(agent, Event("message", key="k"))
            tx.add_schedule(agent, Schedule("x", NOW, "UTC"))

        self.write(work)

    def found(
        self, agent: AgentId, tier: Tier, query: str = "", *exact: str, filter: Filter | None = None
    ) -> list[int]:
        """The numbers that a search for any word of ``query`` and for all of ``exact`` finds."""
        match = Match(tuple(terms(query)), tuple(tuple(terms(text)) for text in exact))
        chosen = filter or Filter()
        return self.search(agent, tier, match, chosen).numbers

    def search(
        self, agent: AgentId, tier: Tier, match: Match, filter: Filter | None = None, fingerprint: str = "f"
    ) -> Shown:
        """The rows that a search finds."""
        found = self.read(lambda tx: tx.search(agent, tier, match, filter or Filter(), fingerprint))
        return Shown.of(found)

    def embed(self, items: Sequence[PendingVector], *vectors: NDArray[np.float32]) -> None:
        """Store vectors under the fingerprint "f"."""
        self.write(lambda tx: tx.put_vectors("f", items, [np.atleast_2d(vector) for vector in vectors]))

    async def _write(self, work: Callable[[Transaction], T]) -> T:
        return await self.store.write(work)

    async def _read(self, work: Callable[[Transaction], T]) -> T:
        return await self.store.read(work)


@dataclass(frozen=True, slots=True)
class Shown:
    """The rows of a search that match and may be shown, newest first."""

    numbers: list[int]
    lexical: list[float]
    cosine: list[float]

    @classmethod
    def of(cls, found: Found) -> Shown:
        rows = np.flatnonzero(found.matched & found.may_show)[::-1]
        listed = sorted([*found.number[rows].tolist(), *found.more.tolist()], reverse=True)
        return cls(listed, found.lexical[rows].tolist(), found.cosine[rows].tolist())


class StoreOpening:
    """The parts that a back end supplies: how it is opened and, if that can be, how a turn's lock is lost."""

    frees_with_the_last_write = False
    """Set for a store where a turn is free with the write that leaves nothing in the inbox."""

    def open(self, place: Path) -> Store:
        """A store on the data at ``place``, made if need be; twice open it is the same data twice."""
        raise NotImplementedError

    def lose_turn(self, place: Path, agent: AgentId) -> bool:
        """Free the agent's turn lock behind its holder's back, as a removed file or a cut connection does;
        False if nothing can."""
        del place, agent
        return False

    @contextmanager
    def opened(self, place: Path) -> Generator[Opened]:
        store = self.open(place)
        with asyncio.Runner() as runner:
            try:
                yield Opened(store, runner)
            finally:
                runner.run(_close(store))


async def _close(store: Store) -> None:
    await store.close()


async def can_take_turn(store: Store, agent: AgentId) -> bool:
    """Return whether the agent's turn is nobody's, by taking it, with its first write, and freeing it."""
    try:
        async with store.turn_lock(agent) as hold:
            await store.write(lambda tx: tx.agent_by_id(agent), hold)
    except TurnHeldError:
        return False
    return True
