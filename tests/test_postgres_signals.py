"""Signals over LISTEN and NOTIFY on a real server, and payloads that others made."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pagefault.storage.payloads import LONGEST, decoded, encoded
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.signals import (
    AgentReady,
    LogGrew,
    OutputsWanted,
    Signal,
    Signals,
    UncommittedOutput,
)
from pagefault.testing.postgres import Databases
from pagefault.types import UNCOMMITTED, AgentId, Output
from waiting import until

ANA = AgentId(7)

texts = st.text(max_size=40)
numbers = st.integers(0, 2**63 - 1)
ids = st.integers(1, 2**63 - 1).map(AgentId)
attempts = st.just("1.1.1")
kinds = st.sampled_from(["said", "thought", "thinking"])
data = st.fixed_dictionaries({"attempt": attempts, "of": kinds}) | st.fixed_dictionaries(
    {"attempt": attempts, "again": st.booleans()}
)
types = st.sampled_from(sorted(UNCOMMITTED))
outputs = st.builds(Output, types, texts, st.none() | ids, numbers, data=data)
signals = st.one_of(
    st.builds(AgentReady, ids, texts),
    st.builds(LogGrew, ids, numbers, numbers, st.none() | ids),
    st.builds(OutputsWanted, st.none() | ids),
    st.builds(UncommittedOutput, ids, outputs, numbers, numbers),
)


def through_payloads(*signals: Signal) -> list[Signal]:
    arrived: list[Signal] = []
    for payload in encoded("me", signals):
        assert len(payload.encode()) <= LONGEST
        read = decoded(payload)
        assert read is not None
        assert read[0] == "me"
        arrived += read[1]
    return arrived


@given(st.lists(signals, max_size=20))
def test_payloads_hold_signals(sent: list[Signal]) -> None:
    assert through_payloads(*sent) == sent


@given(st.text(st.sampled_from('aé字🙂"\\\x00\n'), min_size=1, max_size=9000), st.integers(0, 5))
def test_a_long_delta_travels_in_pieces(text: str, start: int) -> None:
    whole = Output("delta", text, 1, 3, data={"attempt": "1.1.1", "of": "said"})
    arrived = through_payloads(AgentReady(ANA), UncommittedOutput(ANA, whole, 3, start), AgentReady(ANA))
    pieces = [each for each in arrived if isinstance(each, UncommittedOutput)]
    assert "".join(each.output.text for each in pieces) == text
    for each in pieces:
        assert text[each.start - start :].startswith(each.output.text)
    assert arrived[0] == arrived[-1] == AgentReady(ANA)


def test_half_a_surrogate_pair_does_no_harm() -> None:
    noticed = Output("noticed", "a\ud83d", None, 3)
    (arrived,) = through_payloads(UncommittedOutput(ANA, noticed, 3))
    assert isinstance(arrived, UncommittedOutput)
    assert arrived.output.text.startswith("a")


GOOD = [1, "me", ["ready", 7, ""]]
HOSTILE: dict[str, Any] = {
    "no JSON": "{",
    "nothing": "",
    "deep": "[" * 7900,
    "a number": 7,
    "an object": {"version": 1},
    "nothing in it": [],
    "another version": [2, "me", ["ready", 7, ""]],
    "a sender that is no text": [1, 7, ["ready", 7, ""]],
    "a long number": '[1,"me",["ready",' + "9" * 7000 + "]]",
    "not a number": '[NaN, "me"]',
}
IGNORED: dict[str, Any] = {
    "an unknown signal": ["stop", 7],
    "no row": 7,
    "an empty row": [],
    "an agent that is no number": ["ready", "7", ""],
    "an agent that is true": ["ready", True, ""],
    "an agent below 1": ["ready", 0, ""],
    "too large an agent": ["ready", 2**63, ""],
    "a worker that is no text": ["ready", 7, 7],
    "too many values": ["ready", 7, "", 7],
    "a position that is none": ["grew", 7, 1, -1, None],
    "an event that is none": ["grew", 7, 1, 1, "x"],
    "a list for an agent": ["wanted", [7]],
    "a committed output": ["output", 7, "said", "x", 1, 3, {}, 3, 0],
    "the end of a turn": ["output", 7, "done", "", 1, 3, {}, 3, 0],
    "an unhashable type": ["output", 7, [], "x", 1, 3, {}, 3, 0],
    "a text that is none": ["output", 7, "delta", 5, 1, 3, {}, 3, 0],
    "data that are none": ["output", 7, "delta", "x", 1, 3, [], 3, 0],
    "unknown data": ["output", 7, "delta", "x", 1, 3, {"html": "x"}, 3, 0],
    "data of another type": ["output", 7, "delta", "x", 1, 3, {"of": ["said"]}, 3, 0],
    "a long attempt": ["output", 7, "delta", "x", 1, 3, {"attempt": "x" * 500}, 3, 0],
    "a start that is none": ["output", 7, "delta", "x", 1, 3, {}, 3, None],
}


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_payload_of_ours_is_ignored(payload: Any) -> None:
    assert decoded(payload if isinstance(payload, str) else json.dumps(payload)) is None


@pytest.mark.parametrize("row", IGNORED.values(), ids=IGNORED)
def test_a_signal_that_cannot_be_read_is_ignored_and_the_others_are_not(row: Any) -> None:
    assert decoded(json.dumps([*GOOD, row])) == ("me", [AgentReady(ANA)])


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncGenerator[PostgresStore]:
    store = PostgresStore.open(url, **options)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def hearing(signals: Signals) -> AsyncGenerator[list[Signal]]:
    """The signals that arrive from now on."""
    heard: list[Signal] = []

    async def listen() -> None:
        while True:
            heard.extend(await signals.received())

    task = asyncio.create_task(listen())
    await until(lambda: signals.alive)
    yield heard
    task.cancel()


def channel(store: PostgresStore) -> str:
    return store.signals.channel


@pytest.mark.anyio
async def test_signals_reach_the_others_and_not_the_sender(database: str) -> None:
    async with (
        opened(database) as one,
        opened(database) as two,
        hearing(one.signals) as first,
        hearing(two.signals) as second,
    ):
        one.signals.send(AgentReady(ANA))
        two.signals.send(OutputsWanted(None))
        await until(lambda: bool(first and second))
        assert (first, second) == ([OutputsWanted(None)], [AgentReady(ANA)])


@pytest.mark.anyio
async def test_who_frees_the_agents_of_a_worker_that_is_gone_hears_of_it_too(database: str) -> None:
    async with opened(database) as one, hearing(one.signals) as heard:
        one.signals.send_to_all(AgentReady(ANA))
        await until(lambda: heard == [AgentReady(ANA)])


@pytest.mark.anyio
async def test_a_process_that_ends_at_once_has_sent_its_signal(database: str) -> None:
    async with opened(database) as stays, hearing(stays.signals) as heard:
        async with opened(database) as goes:
            goes.signals.send(AgentReady(ANA))
        await until(lambda: heard == [AgentReady(ANA)])


@pytest.mark.anyio
async def test_many_signals_are_few_transactions(database: str) -> None:
    async with opened(database) as one, opened(database) as two, hearing(two.signals) as heard:
        with psycopg.connect(database, autocommit=True) as spy:
            spy.execute(f"LISTEN {channel(two)}".encode())
            for number in range(1, 1001):
                one.signals.send(AgentReady(AgentId(number)))
            await until(lambda: len(heard) == 1000)
            spy.execute("SELECT 1")
            assert len(list(spy.notifies(timeout=0.2))) < 10
        assert heard == [AgentReady(AgentId(number)) for number in range(1, 1001)]


@pytest.mark.anyio
async def test_it_is_silent_while_the_connection_is_gone_and_hears_again(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(database) as one, hearing(one.signals) as heard, opened(database) as two:
        with psycopg.connect(database, autocommit=True) as other, caplog.at_level(logging.WARNING):
            ours = "datname = current_database() AND query LIKE 'LISTEN%'"  # other tests share the server
            other.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}".encode())
            await until(lambda: "no signals on" in caplog.text)
        await until(lambda: one.signals.alive)
        two.signals.send(AgentReady(ANA))
        await until(lambda: heard == [AgentReady(ANA)])
    assert "Traceback" not in caplog.text


@pytest.mark.anyio
async def test_what_strangers_notify_is_ignored(database: str, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(database) as one, opened(database) as two, hearing(one.signals) as heard:
        payloads = [value if isinstance(value, str) else json.dumps(value) for value in HOSTILE.values()]
        payloads += [json.dumps([1, "x", row]) for row in IGNORED.values()]
        with psycopg.connect(database, autocommit=True) as other:
            for payload in payloads:
                other.execute("SELECT pg_notify(%s, %s)", (channel(one), payload))
        two.signals.send(AgentReady(ANA))
        await until(lambda: bool(heard))
        assert heard == [AgentReady(ANA)]
        assert one.signals.alive
    assert not caplog.records


@pytest.mark.anyio
async def test_a_role_without_rights_on_the_tables_cannot_know_the_channel(database: str) -> None:
    async with opened(database) as one, hearing(one.signals):
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("DROP ROLE IF EXISTS stranger")
            other.execute("CREATE ROLE stranger")
            other.execute("SET ROLE stranger")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                other.execute("SELECT secret FROM signals")
            seen = other.execute("SELECT pg_listening_channels()").fetchall()
            seen += other.execute("SELECT query FROM pg_stat_activity").fetchall()
            other.execute("RESET ROLE")
            other.execute("DROP ROLE stranger")
            said = other.execute("SELECT query FROM pg_stat_activity").fetchall()
        assert channel(one) not in str(seen)
        assert channel(one) in str(said)  # its owner sees it


@pytest.mark.anyio
async def test_a_flood_is_bounded_and_what_comes_after_it_is_heard(database: str) -> None:
    async with opened(database) as one, opened(database) as two, hearing(one.signals) as heard:
        with psycopg.connect(database, autocommit=True) as other:
            flood = "SELECT pg_notify(%s, '[1,\"x\"' || repeat(',[\"ready\",' || n || ',\"\"]', 400) || ']')"
            statement = f"{flood} FROM generate_series(1, 20000) n"
            await asyncio.to_thread(other.execute, statement.encode(), (channel(one),))
        await asyncio.sleep(0.1)
        while AgentReady(AgentId(99_999)) not in heard:
            two.signals.send(AgentReady(AgentId(99_999)))
            await asyncio.sleep(0.05)
        assert len(heard) < 20_000


@pytest.mark.anyio
async def test_installations_in_two_schemas_do_not_mix(databases: Databases) -> None:
    with databases.one() as url:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute("CREATE SCHEMA other")
        elsewhere = f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3Dother%2Cpublic"
        async with (
            opened(url) as one,
            opened(elsewhere) as two,
            hearing(one.signals),
            hearing(two.signals) as heard,
        ):
            assert channel(one) != channel(two)
            one.signals.send(AgentReady(ANA))
            await asyncio.sleep(0.1)
            assert not heard


@pytest.mark.anyio
async def test_a_forked_child_leaves_the_connection_of_its_parent_alone(database: str) -> None:
    async with (
        opened(database) as one,
        hearing(one.signals),
        opened(database) as two,
        hearing(two.signals) as heard,
    ):
        child = os.fork()
        if not child:
            one.signals.send(AgentReady(AgentId(1)))
            one.signals.close()
            os._exit(0)
        assert (await asyncio.to_thread(os.waitpid, child, 0))[1] == 0
        one.signals.send(AgentReady(ANA))
        await until(lambda: heard == [AgentReady(ANA)])


@pytest.mark.anyio
async def test_polling_serves_where_notifications_do_not_come_back(
    databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    """Here ``wake_url`` is of another database; behind a pooler in transaction mode it is the same."""
    with databases.one() as url, databases.one() as wrong:
        async with opened(url, wake_url=wrong) as one:
            task = asyncio.create_task(one.signals.received())
            await until(lambda: "from another database; set wake_url" in caplog.text)
            assert not one.signals.alive
            task.cancel()
        async with opened(url, wake_url=url) as one, hearing(one.signals):
            assert one.signals.alive
