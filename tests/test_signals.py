"""Signals: what is coalesced, what keeps its order, and the connected stores in memory."""

from __future__ import annotations

import threading

import pytest

from pagefault.storage.holding import ranked
from pagefault.storage.signals import (
    AgentReady,
    LogGrew,
    OutputsWanted,
    Signal,
    SignalArrivals,
    SignalQueue,
    SilentSignals,
    UncommittedOutput,
)
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.types import AgentId, Output

ANA, BOB = AgentId(1), AgentId(2)


def delta(text: str, start: int, agent: AgentId = ANA, attempt: str = "1.1.1") -> UncommittedOutput:
    output = Output("delta", text, 1, 4, data={"attempt": attempt, "of": "said"})
    return UncommittedOutput(agent, output, 4, start)


def through_a_queue(*signals: Signal) -> list[Signal]:
    queue = SignalQueue()
    for signal in signals:
        queue.put(signal)
    return queue.take()


def test_what_says_the_same_is_there_once() -> None:
    ready, wanted = AgentReady(ANA), OutputsWanted(None)
    assert through_a_queue(ready, wanted, AgentReady(BOB), ready, wanted) == [ready, wanted, AgentReady(BOB)]


def test_growth_is_coalesced_until_a_turn_ends() -> None:
    grown = [LogGrew(ANA, 1, 2), LogGrew(ANA, 2, 4), LogGrew(ANA, 4, 5, 7), LogGrew(ANA, 5, 6)]
    assert through_a_queue(*grown) == [LogGrew(ANA, 1, 5, 7), LogGrew(ANA, 5, 6)]


def test_deltas_of_an_attempt_become_one_and_keep_their_place_among_commits() -> None:
    assert through_a_queue(delta("a", 0), delta("x", 0, BOB), delta("b", 1), LogGrew(ANA, 4, 5)) == [
        delta("ab", 0),
        delta("x", 0, BOB),
        LogGrew(ANA, 4, 5),
    ]


@pytest.mark.parametrize("second", [delta("b", 2), delta("b", 1, attempt="1.1.1.2"), delta("b" * 4000, 1)])
def test_other_deltas_stay_apart(second: UncommittedOutput) -> None:
    """After a gap, of another attempt, or too long for one."""
    assert through_a_queue(delta("a", 0), second) == [delta("a", 0), second]


def test_a_queue_is_bounded() -> None:
    queue = SignalQueue()
    for number in range(100_000):
        queue.put(AgentReady(AgentId(number)))
    assert len(queue) == 4096
    assert queue.take()[0] == AgentReady(AgentId(0))
    assert queue.take() == []


@pytest.mark.anyio
async def test_signals_arrive_from_other_threads() -> None:
    arrivals = SignalArrivals()
    thread = threading.Timer(0.01, lambda: arrivals.put([AgentReady(ANA)]))
    thread.start()
    assert await arrivals.take() == [AgentReady(ANA)]
    arrivals.put([AgentReady(BOB)])
    assert await arrivals.take() == [AgentReady(BOB)]
    thread.join()


@pytest.mark.anyio
async def test_connected_stores_get_the_signals_of_the_others() -> None:
    database = MemoryDatabase()
    one, two = (MemoryStore(database, connected=True) for _ in range(2))
    alone = MemoryStore(database)
    assert (one.signals.alive, alone.signals.alive) == (True, False)
    alone.signals.send(AgentReady(BOB))
    one.signals.send(AgentReady(ANA))
    assert await two.signals.received() == [AgentReady(ANA)]
    await one.close()
    assert not one.signals.alive
    assert isinstance(alone.signals, SilentSignals)


def test_all_workers_name_the_same_first_one_and_few_agents_move() -> None:
    agents, peers = [AgentId(number) for number in range(1000)], ["a", "b", "c", "d"]
    before = [ranked(peers, agent) for agent in agents]
    assert before == [ranked(peers[::-1], agent) for agent in agents]
    assert all(200 < [first for first, *_ in before].count(worker) < 300 for worker in peers)
    after = [ranked(peers[:3], agent) for agent in agents]
    assert after == [[worker for worker in order if worker != "d"] for order in before]
