"""The stores keep every promise of the store protocol, and find and score alike. (PostgreSQL's promises are
held in ``test_postgres``.)"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.message_meta import MessageMeta
from pagefault.storage import Filter, Found, Match, Store
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.storage.terms import terms
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.postgres import Databases
from pagefault.testing.store_opening import NOW, said, unit
from pagefault.testing.stores import StoreConformance
from pagefault.types import AgentId, AgentRecord, Passage, Role, Tier


class TestMemoryStore(StoreConformance):
    places: dict[Path, MemoryDatabase]

    def setup_method(self) -> None:
        self.places = {}

    def open(self, place: Path) -> Store:
        return MemoryStore(self.places.setdefault(place, MemoryDatabase()))

    def lose_turn(self, place: Path, agent: AgentId) -> bool:
        return self.places[place].turns.pop(agent, None) is not None


class TestSQLiteStore(StoreConformance):
    def open(self, place: Path) -> Store:
        return SQLiteStore.open(place / "pagefault.db")

    def lose_turn(self, place: Path, agent: AgentId) -> bool:
        (place / "locks" / f"pagefault-{agent}.lock").unlink()
        return True


_WORDS = (
    "red",
    "blue",
    "the",
    "key",
    "42",
    "7f3a",
    "上海",
    "海上",
    "🍕",
    "Ærø",
    "ﬁ",
    "สวัสดี",
    "-",
    '"',
    "\n",
    "\0",
)
_TEXTS = st.lists(st.sampled_from(_WORDS) | st.text(max_size=5), max_size=8).map(" ".join)
_ROLES = st.sampled_from(list(Role))
_HOURS = st.none() | st.integers(0, 6).map(lambda hours: NOW + timedelta(hours=hours))
_VECTORS = st.tuples(st.integers(-4, 4), st.integers(1, 4)).map(lambda xy: unit(*xy))


@dataclass(frozen=True)
class Case:
    """Rows stored (text, role, hour, recalled), passages stored (text, tags), and what is looked for."""

    rows: list[tuple[str, Role, int, bool]]
    passages: list[tuple[str, list[str]]]
    match: Match
    filter: Filter


_CASES = st.builds(
    Case,
    st.lists(st.tuples(_TEXTS, _ROLES, st.integers(0, 6), st.booleans()), max_size=8),
    st.lists(st.tuples(_TEXTS, st.lists(st.sampled_from("abc"), max_size=3)), max_size=5),
    st.builds(
        Match,
        _TEXTS.map(terms).map(tuple),
        st.lists(_TEXTS.map(terms).map(tuple), max_size=2).map(tuple),
        st.none() | _VECTORS,
        st.just(0.35),
    ),
    st.builds(
        Filter,
        st.lists(_ROLES, max_size=8).map(tuple),
        st.lists(st.sampled_from("abc"), max_size=2).map(tuple),
        _HOURS,
        _HOURS,
        st.none() | st.integers(1, 8),
    ),
)


async def _candidates(store: Store, case: Case) -> list[Found]:
    """What a store finds in either tier. A row's vector follows from its number; every third has none."""
    ana = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))).id
    for text, role, hours, recalled in case.rows:
        row = said(text, role, hours=hours, meta=MessageMeta(sources=("m1",)) if recalled else None)
        await store.write(lambda tx, row=row: tx.append(ana, [row]))
    for text, tags in case.passages:
        passage = Passage(text, NOW, tuple(tags))
        await store.write(lambda tx, passage=passage: tx.insert_passage(ana, passage))
    waiting = await store.read(lambda tx: tx.pending_vectors("f", 99))
    chosen = [item for item in waiting if item.number % 3]
    if chosen:
        # One window, or two of which the first is the better one for some queries.
        vectors = [
            np.stack([unit(item.number % 4 - 1.5, 1.0), unit(0, -1)][: 1 + item.number % 2])
            for item in chosen
        ]
        await store.write(lambda tx: tx.put_vectors("f", chosen, vectors))
    tiers: tuple[Tier, ...] = get_args(Tier)
    found = [
        await store.read(lambda tx, tier=tier: tx.search(ana, tier, case.match, case.filter, "f"))
        for tier in tiers
    ]
    await store.write(lambda tx: tx.delete_agent(ana))
    return found


def _exact(found: Found) -> dict[str, list[object]]:
    return {
        "rows": np.stack([found.number, found.position, found.session, found.at, found.units]).tolist(),
        "speakers": [found.speakers[index] for index in found.speaker],
        "flags": np.stack([found.question, found.matched, found.may_show]).tolist(),
        "more": found.more.tolist(),
    }


def _assert_alike(one: Found, other: Found) -> None:
    assert _exact(one) == _exact(other)
    np.testing.assert_allclose(one.lexical, other.lexical, rtol=0, atol=1e-4)
    np.testing.assert_allclose(one.cosine, other.cosine, rtol=0, atol=1e-3)
    np.testing.assert_allclose(one.whole, other.whole, rtol=1e-5)


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Generator[list[Store]]:
    """A store of each kind that keeps its data."""
    with databases.one() as url:
        file = tmp_path_factory.mktemp("alike") / "pagefault.db"
        stores: list[Store] = [SQLiteStore.open(file), PostgresStore.open(url, connections=1)]
        yield stores
        for store in stores:
            asyncio.run(store.close())


@given(case=_CASES)
def test_all_stores_find_and_score_alike(case: Case, on_disk: list[Store]) -> None:
    async def compare() -> None:
        plain = await _candidates(MemoryStore(), case)
        for store in on_disk:
            for found, wanted in zip(await _candidates(store, case), plain, strict=True):
                _assert_alike(found, wanted)

    asyncio.run(compare())
