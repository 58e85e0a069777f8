"""Exactly once, tried exhaustively: the process dies before and after each of its writes in turn.

``scripts/mutants.py`` makes the faults these tests are there to notice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from machine import Behaviour, Killed, World
from machine_log import Dump, check_calls, check_effects, check_queue, check_turns, dump
from machine_witness import ANA, Witness
from pagefault.config import parse_settings
from pagefault.models import Completion, Prompt
from pagefault.testing.models import call, say
from pagefault.types import Event, EventKind, Schedule

BEATS = (
    call("archival_insert", heartbeat=True, text="a fact"),
    call("working_context_append", heartbeat=True, section="human", text="Likes foxes"),
    call("page_in", heartbeat=True, id="m1"),
    call("archival_delete", heartbeat=True, id="p1"),
    call("poke", heartbeat=True, number=1),
)
SCRIPT = (Completion(calls=BEATS), Completion(calls=(call("archival_insert", text="more"), say("done"))))


def script(prompt: Prompt) -> Completion:
    return SCRIPT[sum(message.role == "assistant" for message in prompt.messages)]


ENOUGH = 40  # more writes than any of these runs makes

pytestmark = pytest.mark.parametrize("before", [True, False], ids=["before", "after"])


async def new_world(folder: Path) -> World:
    world = World(folder, "memory", "memgpt", Witness(8192), False)
    host = await world.boot()
    settings = parse_settings({"zone": "UTC", "window": 8192, "timers": True})
    await host.kernel.create_agent("ana", settings)
    await host.stop()
    return world


async def read(world: World) -> Dump:
    host = await world.boot()
    found = await host.store.read(dump)
    await host.stop()
    return found


def check(now: Dump, world: World) -> None:
    assert world.witness.faults == []
    check_queue(now)
    check_turns(now, all_done=True)
    check_calls(now)
    check_effects(now, Counter(), world.witness.poked)


async def live(world: World, dies_at: int | None, before: bool, key: str) -> bool:
    """One life of a process that serves an event; whether it died."""
    host = await world.boot(dies_at, before=before)
    with suppress(Killed):
        await host.kernel.wake_waiting()
        await host.kernel.post("ana", Event(EventKind.MESSAGE, "go", key=key))
    await host.served()
    await host.stop()
    return host.store.dead


@pytest.mark.slow
def test_a_turn_has_its_effects_once_whichever_write_the_process_dies_at(
    tmp_path: Path, before: bool
) -> None:
    async def die_at(write: int) -> bool:
        world = await new_world(tmp_path)
        world.behaviour = Behaviour(answer=script)
        died = await live(world, write, before, "k")
        await live(world, None, before, "k")
        now = await read(world)
        check(now, world)
        assert [(p.number, p.text) for p in now.passages] == [(2, "more")]
        assert now.versions == {"persona": 1, "human": 2, "paged_in": 2}
        assert world.witness.requests <= 2 + died, "a committed completion was asked for again"
        return died

    deaths = [asyncio.run(die_at(write)) for write in range(1, ENOUGH)]
    assert 4 <= sum(deaths) < ENOUGH - 1  # every write of the two turns, and no more


async def fire(world: World, dies_at: int | None, before: bool) -> bool:
    host = await world.boot(dies_at, before=before)
    with suppress(Killed):
        await host.kernel.fire_timers()
    await host.served()
    await host.stop()
    return host.store.dead


@pytest.mark.parametrize("cron", [None, "0 * * * *"], ids=["one-off", "cron"])
def test_a_timer_fires_once_whichever_write_the_process_dies_at(
    tmp_path: Path, before: bool, cron: str | None
) -> None:
    async def die_at(write: int) -> bool:
        world = await new_world(tmp_path)
        due = world.clock.now() + timedelta(minutes=10)
        host = await world.boot()
        await host.store.write(lambda tx: tx.add_schedule(ANA, Schedule("tea", due, "UTC", cron)))
        await host.stop()
        world.clock.advance(660)
        died = await fire(world, write, before)
        await fire(world, None, before)
        world.behaviour = Behaviour()
        await live(world, None, before, "k")
        now = await read(world)
        check(now, world)
        assert [event.kind for event in now.events] == [EventKind.TIMER, EventKind.MESSAGE]
        return died

    deaths = [asyncio.run(die_at(write)) for write in range(1, ENOUGH // 4)]
    assert 1 <= sum(deaths) < ENOUGH // 4 - 1
