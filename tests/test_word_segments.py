"""Words in sealed segments: postings are those of the rows that are there, and searches score what plain BM25
does, wherever building, merging, cleaning and deleting have come to."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagefault.storage.index.cache import IndexCache
from pagefault.storage.postgres.connection import PostgresConnection, adapt
from pagefault.storage.postgres.sessions import ONE_PLAN, set_local
from pagefault.storage.postgres.source import PostgresSource
from pagefault.storage.postgres.transaction import PostgresTransaction
from pagefault.storage.postgres.transfer import PostgresTransfer
from pagefault.storage.postgres.word_segments import WordSegments
from pagefault.storage.segments import WORDS, Segment
from pagefault.storage.terms import terms
from pagefault.testing.postgres import Databases
from pagefault.testing.store_opening import NOW
from pagefault.transfer import check, repair
from pagefault.types import AgentRecord, Passage
from plain_bm25 import assert_exact

TEXTS = st.lists(
    st.sampled_from(["red", "blue", "green", "red red", "oak", "elm", "你好", "gate"]), min_size=1, max_size=9
).map(" ".join)

SEALED = "SELECT number, first, last FROM segments WHERE agent = :agent AND state = 'sealed' ORDER BY first"
BEGIN = """
    INSERT INTO segments (agent, number, tier, fingerprint, first, last, state, rows, dead)
    VALUES (:agent, :number, 'archival', '', :first, :last, 'building', 0, 0)"""
GIVE_UP = "DELETE FROM segments WHERE agent = :agent AND number = :number"
REPLACED = "SELECT number FROM segments WHERE agent = :agent AND state = 'replaced'"
PUBLISH = """
    UPDATE segments SET state = CASE number WHEN :number THEN 'sealed' ELSE 'replaced' END
    WHERE agent = :agent AND number = ANY(:numbers)"""

POSTINGS = """
    INSERT INTO postings (agent, tier, unit, number, count)
    SELECT :agent, 'archival', 'u' || mod(number, 100), number, 1 FROM generate_series(1, :rows) number"""
DONE = """
    SELECT sum(n_tup_del), sum(seq_tup_read) FROM pg_stat_xact_user_tables
    WHERE starts_with(relname, 'postings')"""


class Archive:
    """The passages of one agent on PostgreSQL, and their segments of words, taken step by step."""

    def __init__(self, driver: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.driver = driver
        self.db = PostgresConnection(driver)
        self.tx = PostgresTransaction(self.db, IndexCache(small=3))
        self.agent = self.tx.create_agent(AgentRecord(f"a{time.monotonic_ns()}", {}, NOW)).id
        self.texts = dict[int, str]()
        self.segments = 0
        self.building: Segment | None = None
        driver.commit()

    def insert(self, texts: list[str]) -> None:
        stored = self.tx.insert_passages(self.agent, [Passage(text, NOW) for text in texts])
        self.texts |= {passage.number: passage.text for passage in stored}
        self.driver.commit()

    def delete(self, which: int) -> None:
        if self.texts:
            number = sorted(self.texts)[which % len(self.texts)]
            del self.texts[number]
            assert self.tx.delete_passage(self.agent, number)
            self.driver.commit()

    def sealed(self) -> list[Segment]:
        rows = self.db.rows(SEALED, agent=self.agent)
        return [Segment(number, "archival", WORDS, first, last) for number, first, last in rows]

    def begin(self, parts: int) -> None:
        """Begin a segment over all open rows and the last so many segments; what was begun is given up."""
        if self.building:
            while self.words().drop(self.agent, self.building):
                pass
            self.db.send(GIVE_UP, agent=self.agent, number=self.building.number)
            self.building = None
        sealed = self.sealed()
        last = self.words().reach(self.agent, "archival", WORDS)
        through = sealed[-1].last if sealed else 0
        first = sealed[-parts].first if 0 < parts <= len(sealed) else through + 1
        if first <= last:
            self.segments += 1
            self.building = Segment(self.segments, "archival", WORDS, first, last)
            self.db.send(BEGIN, agent=self.agent, number=self.segments, first=first, last=last)
        self.driver.commit()

    def words(self, rows: int = 1000) -> WordSegments:
        return WordSegments(self.db, rows)

    def build(self, rows: int) -> None:
        """Take one step, and publish the segment when it was the last."""
        if self.building:
            self.build_on(self.words(rows), self.building)
        self.driver.commit()

    def build_on(self, words: WordSegments, building: Segment) -> None:
        parts = [part for part in self.sealed() if part.first >= building.first]
        rows = words.build(self.agent, building, parts)
        if rows is not None:
            assert rows >= sum(building.first <= number <= building.last for number in self.texts)
            numbers = [building.number, *(part.number for part in parts)]
            self.db.send(PUBLISH, agent=self.agent, number=building.number, numbers=numbers)
            self.building = None

    def seal(self, parts: int) -> None:
        self.begin(parts)
        while self.building:
            self.build(1000)

    def clean(self, rows: int) -> None:
        """Delete some of what the last segment has replaced."""
        words = self.words(rows)
        if sealed := self.sealed():
            words.clean(self.agent, "archival", WORDS, sealed[-1].last)
        for (number,) in self.db.rows(REPLACED, agent=self.agent):
            if not words.drop(self.agent, Segment(number, "archival", WORDS, 0, 0)):
                self.db.send(GIVE_UP, agent=self.agent, number=number)
        self.driver.commit()

    def check(self) -> None:
        expected = defaultdict[str, list[tuple[int, int]]](list)
        for number, text in sorted(self.texts.items()):
            for unit, count in Counter(terms(text)).items():
                expected[unit].append((number, count))
        every = terms("red blue green oak elm 你好 gate maroon zebra")
        found = PostgresSource(self.db).postings(self.agent, "archival", every)
        pairs = {
            unit: list(zip(of.numbers.tolist(), of.counts.tolist(), strict=True))
            for unit, of in found.items()
        }
        assert pairs == expected
        self.driver.commit()


@pytest.fixture(scope="module")
def driver(databases: Databases) -> Generator[psycopg.Connection[tuple[Any, ...]]]:
    url = databases.new()
    with psycopg.connect(url) as opened:
        adapt(opened)
        yield opened
    databases.drop(url)


STEPS = st.lists(
    st.tuples(st.just(Archive.insert), st.lists(TEXTS, min_size=1, max_size=6))
    | st.tuples(st.just(Archive.delete), st.integers(0, 99))
    | st.tuples(st.just(Archive.begin), st.integers(0, 3))
    | st.tuples(st.just(Archive.build), st.sampled_from([2, 300, 300]))
    | st.tuples(st.just(Archive.seal), st.integers(0, 3))
    | st.tuples(st.just(Archive.clean), st.sampled_from([10, 50, 1000])),
    min_size=12,
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_postings_are_those_of_the_rows_that_are_there(
    steps: list[tuple[Callable[[Archive, Any], None], Any]], driver: psycopg.Connection[tuple[Any, ...]]
) -> None:
    archive = Archive(driver)
    archive.insert(["red", "red blue", "oak 你好"])
    for step, given_to_it in steps:
        step(archive, given_to_it)
        archive.check()


def test_a_step_of_cleaning_reads_no_more_than_it_deletes(
    driver: psycopg.Connection[tuple[Any, ...]],
) -> None:
    archive = Archive(driver)
    archive.db.send(POSTINGS, agent=archive.agent, rows=20_000)
    archive.db.send("ANALYZE postings")
    set_local(driver, ONE_PLAN)
    before = archive.db.one(DONE)
    assert archive.words(rows=100).clean(archive.agent, "archival", WORDS, 20_000)
    deleted, scanned = archive.db.one(DONE)
    assert deleted - before[0] == 10
    assert scanned == before[1]
    driver.rollback()


def test_a_row_is_taken_out_of_the_block_that_has_it(driver: psycopg.Connection[tuple[Any, ...]]) -> None:
    archive = Archive(driver)
    archive.insert(["red oak"] * 1700 + ["red red"] * 300)
    archive.seal(0)
    assert len(archive.db.rows("SELECT FROM word_blocks WHERE agent = :agent", agent=archive.agent)) == 6
    for which in (0, 799, 800, 1200, 1500, 1700, 1994, 0, 798):
        archive.delete(which)
    archive.check()


def test_a_row_deleted_while_its_words_are_read_is_in_no_block(database: str) -> None:
    with psycopg.connect(database) as builder, psycopg.connect(database) as other:
        adapt(builder)
        adapt(other)
        archive = Archive(other)
        archive.insert(["red"] * 5 + ["red oak"])
        archive.begin(0)
        assert archive.building
        between = Between(builder, lambda: archive.delete(2))
        assert WordSegments(between).build(archive.agent, archive.building, []) == 5
        assert between.ran
        builder.commit()
        archive.db.send(PUBLISH, agent=archive.agent, number=1, numbers=[1])
        archive.check()


def test_a_check_knows_the_words_of_segments_and_a_repair_makes_them_anew(database: str) -> None:
    with psycopg.connect(database) as driver:
        adapt(driver)
        archive = Archive(driver)
        archive.insert(["red red oak", "red elm"])
        archive.seal(0)
        archive.clean(1000)
        archive.insert(["zebra red", "zebra"])
        archive.seal(0)
        archive.insert(["red"])
        open_rows = driver.execute("SELECT DISTINCT number FROM postings ORDER BY 1").fetchall()
        assert open_rows == [(3,), (4,), (5,)]
        driver.commit()
        assert repaired(database) == []
        archive.delete(2)
        archive.clean(1000)
        with closing(PostgresTransfer.open(database)) as opened:
            (name,) = driver.execute("SELECT name FROM agents").fetchall()[0]
            assert opened.traces(["zebra", "oak"])[0] == [
                f"1 rows of passages ({name}) hold 'oak'; they are not deleted.",
                f"1 rows of passages ({name}) hold 'zebra'; they are not deleted.",
            ]
        driver.execute("DELETE FROM passages WHERE number = 2")
        driver.execute("UPDATE word_blocks SET data = '\\x82' WHERE unit = 'oak'")
        driver.commit()
        with closing(PostgresTransfer.open(database)) as opened:
            left = opened.traces(["elm"])[0]
            assert left[0] == "The lexical index has 'elm' for 1 rows that are not there."
            assert any("files of passages" in what for what in left), "the row is dead, and its bytes stay"
        assert any("is wrong about" in what for what in repaired(database))
        assert repaired(database) == []
        del archive.texts[2]
        archive.check()


def repaired(url: str) -> list[str]:
    """The faults of a database, which are then repaired."""
    with closing(PostgresTransfer.open(url)) as database:
        findings = check(database, Silent())
        repair(database, findings)
    return [finding.what for finding in findings]


class Silent:
    """Hears how far a check is."""

    def begin(self, what: str, total: int) -> None: ...
    def advance(self, rows: int) -> None: ...


class Between(PostgresConnection):
    """Runs something once, just before the agent is locked."""

    def __init__(self, driver: psycopg.Connection[tuple[Any, ...]], work: Callable[[], None]) -> None:
        super().__init__(driver)
        self._work = work
        self.ran = False

    def one(self, statement: str, **values: Any) -> Any:
        if "NO KEY UPDATE" in statement and not self.ran:
            self.ran = True
            self._work()
        return super().one(statement, **values)


@settings(max_examples=25, deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=30, max_size=90),
    gone=st.sets(st.integers(0, 29), max_size=20),
    sealed=st.integers(0, 30),
)
def test_scores_are_those_of_plain_bm25(
    texts: list[str], gone: set[int], sealed: int, driver: psycopg.Connection[tuple[Any, ...]]
) -> None:
    archive = Archive(driver)
    archive.insert([*texts[:sealed], "red"])
    archive.seal(0)
    archive.insert(texts[sealed:])
    assert_exact(archive.tx, archive.agent, archive.texts)
    for which in gone:
        archive.delete(which)
        assert_exact(archive.tx, archive.agent, archive.texts)
    fresh = PostgresTransaction(archive.db, IndexCache(small=3))  # from whose columns the deleted are missing
    assert_exact(fresh, archive.agent, archive.texts)
    driver.commit()
