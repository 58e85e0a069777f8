"""Parking: what is damaged, or fails again and again, is set aside alone, named, and can be served again."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

import anyio
import psycopg
import pytest

import pagefault
from conftest import Run
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import DamageError, NotFoundError, ParkedError, UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.facts import remember
from pagefault.kernel.parked import drop_event, release, retry_event
from pagefault.storage import Store
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.clock import START, FixedClock
from pagefault.testing.models import ScriptedModel
from pagefault.types import Event, Output, Schedule
from pagefault.views.agents import agents, timers
from pagefault.views.events import events
from waiting import PATIENCE, until


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database: a file, or the URL of a server's."""
    return str(tmp_path / "a.db") if request.param == "sqlite" else request.getfixturevalue("database")


def store_of(place: str) -> Store:
    return PostgresStore.open(place) if "://" in place else SQLiteStore.open(Path(place))


def damage(place: str, statement: str) -> None:
    """Change stored values behind everybody's back."""
    if "://" in place:
        with psycopg.connect(place, autocommit=True) as server:
            server.execute(statement.encode())
    else:
        with closing(sqlite3.connect(place)) as file, file:
            file.execute(statement)


@asynccontextmanager
async def opened(place: str, clock: FixedClock | None = None, **rest: object) -> AsyncGenerator[Kernel]:
    """A kernel with the agents bad and good, entered."""
    parts = Parts(
        model=ScriptedModel([]), store=store_of(place), embedder=NullEmbedder(), clock=clock or FixedClock(),
        **rest,  # type: ignore[arg-type]
    )  # fmt: skip
    async with open_kernel(Path(place).parent, parts, Installation()) as kernel:
        if not await kernel.agents():
            for name in ("bad", "good"):
                await kernel.create_agent(name, parse_settings({"zone": "UTC"}))
        yield kernel


async def send(kernel: Kernel, name: str, event: str | Event = "hello") -> list[Output]:
    with anyio.fail_after(PATIENCE):
        return [
            output async for output in kernel.send(name, event) if output.type not in ("delta", "retracted")
        ]


async def said(kernel: Kernel, name: str) -> list[str]:
    return [output.text for output in await send(kernel, name) if output.type == "said"]


async def is_parked(kernel: Kernel) -> bool:
    """Return whether it was parked, not only is shown as one that could not be served."""
    return bool((await kernel.record("bad")).parked)


OF_AGENT = {
    "settings: no JSON": "UPDATE agents SET settings = '{' WHERE name = 'bad'",
    "settings: a list": "UPDATE agents SET settings = '[]' WHERE name = 'bad'",
    "settings: deep": f"UPDATE agents SET settings = '{'[' * 9000}' WHERE name = 'bad'",
    "settings: zone": """UPDATE agents SET settings = '{"zone": "Mars/Base"}' WHERE name = 'bad'""",
    "settings: style": """UPDATE agents SET settings = '{"style": "loud"}' WHERE name = 'bad'""",
    "settings: unknown": """UPDATE agents SET settings = '{"colour": 1}' WHERE name = 'bad'""",
    "meta: no JSON": "UPDATE messages SET meta = '{' WHERE seq = 1 AND agent = 1",
    "meta: a number": "UPDATE messages SET meta = '7' WHERE seq = 1 AND agent = 1",
    "role": "UPDATE messages SET role = 'boss' WHERE seq = 1 AND agent = 1",
    "usage": "UPDATE messages SET usage = '[{}]' WHERE seq = 1 AND agent = 1",
    "time": "UPDATE messages SET at = 9000000000000000000 WHERE seq = 1 AND agent = 1",
    "created": "UPDATE agents SET created = 9000000000000000000 WHERE name = 'bad'",
}


@pytest.mark.anyio
@pytest.mark.parametrize("statement", OF_AGENT.values(), ids=OF_AGENT)
async def test_a_damaged_agent_is_parked_alone(place: str, statement: str) -> None:
    async with opened(place) as kernel:
        await said(kernel, "bad")
        record = await kernel.record("bad")
        await kernel.store.write(lambda tx: tx.post(record.id, Event("login")))
    damage(place, statement)
    async with opened(place) as kernel:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(kernel.serve)
            assert await said(kernel, "good") == ["ok"]
            await until(lambda: is_parked(kernel))
            await kernel.idle()
            tasks.cancel_scope.cancel()
        assert [(a.name, bool(a.parked)) for a in await agents(kernel)] == [("bad", True), ("good", False)]
        with pytest.raises((ParkedError, DamageError), match="bad"):
            await send(kernel, "bad")
        with pytest.raises(DamageError):
            await release(kernel, "bad")
        assert await said(kernel, "good") == ["ok"]
        await kernel.delete("bad")
        assert [agent.name for agent in await agents(kernel)] == ["good"]


@pytest.mark.anyio
async def test_a_mended_agent_is_released_and_serves_what_waited(place: str) -> None:
    async with opened(place) as kernel:
        await said(kernel, "bad")
    damage(place, "UPDATE messages SET role = 'boss' WHERE seq = 1 AND agent = 1")
    async with opened(place) as kernel:
        outputs = await send(kernel, "bad")
        assert [output.type for output in outputs] == ["alerted", "done"]
        assert outputs[0].text.startswith("Agent bad is parked: The stored message 1 cannot be read")
        damage(place, "UPDATE messages SET role = 'user' WHERE seq = 1 AND agent = 1")
        await release(kernel, "bad")
        await kernel.idle()
        assert [a.parked for a in await agents(kernel)] == ["", ""]
        rows = [output.text for output in await kernel.outputs("bad") if output.type == "said"]
        assert rows == ["ok", "ok"]
        with pytest.raises(UsageError, match="is not parked"):
            await release(kernel, "bad")


@pytest.mark.anyio
async def test_all_who_wait_for_an_agent_are_told_that_it_is_parked(place: str) -> None:
    async with opened(place) as kernel:
        await said(kernel, "bad")
    damage(place, "UPDATE messages SET role = 'boss' WHERE seq = 1 AND agent = 1")
    async with opened(place) as kernel:
        heard: list[list[str]] = []

        async def ask() -> None:
            try:
                heard.append([output.type for output in await send(kernel, "bad")])
            except ParkedError:
                heard.append(["alerted", "done"])

        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask)
        assert heard == [["alerted", "done"]] * 5


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("column", "value"),
    [("cron", "99 * * * *"), ("cron", "never"), ("zone", "Mars/Base"), ("catch_up", "maybe")],
)
async def test_a_damaged_timer_is_parked_alone(place: str, column: str, value: str) -> None:
    clock = FixedClock()
    async with opened(place, clock) as kernel:
        record = await kernel.record("bad")
        for note in ("broken", "whole"):
            timer = Schedule(note, START + timedelta(seconds=60), "UTC", "* * * * *")
            await kernel.store.write(lambda tx, t=timer: tx.add_schedule(record.id, t))
        damage(place, f"UPDATE schedules SET {column} = '{value}' WHERE number = 1")
        clock.advance(61)
        await kernel.fire_timers()
        await kernel.idle()
        assert [(timer.id, bool(timer.parked)) for timer in await timers(kernel, "bad")] == [
            ("t1", True), ("t2", False),
        ]  # fmt: skip
        rows = await kernel.store.read(lambda tx: tx.messages(record.id))
        texts = [row.text for row in rows if row.name in ("timer", "alert")]
        assert any(text.startswith("The timer t1 is parked") for text in texts)
        assert "whole" in texts
        assert "broken" not in texts
        await kernel.fire_timers()
        assert await kernel.waiting() == []


@pytest.mark.anyio
@pytest.mark.parametrize("change", ["state = 'lost'", "at = 9000000000000000000"])
async def test_a_damaged_event_is_parked_alone(place: str, change: str) -> None:
    async with opened(place) as kernel:
        record = await kernel.record("bad")
        await kernel.store.write(lambda tx: tx.post(record.id, Event("login")))
        damage(place, f"UPDATE inbox SET {change} WHERE number = 1")
        assert await said(kernel, "bad") == ["ok"]
        (event,) = await events(kernel, "bad", parked=True)
        assert (event.id, event.agent) == (1, "bad")
        assert "cannot be read" in event.parked


KILLER = """
import os, sys
from pathlib import Path
import anyio
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.functions.tools import tool
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event

@tool(idempotent=True)
def act() -> str:
    "Act."
    os._exit(9)

def parse(event):
    os._exit(9)

def answer(prompt):
    return [call("act")] if prompt.messages[-1].text.endswith("poison") else [say("ok")]

async def main(home, kind):
    parts = Parts(ScriptedModel(answer), NullEmbedder(), tools=(act,), parsers={"door": parse})
    async with open_kernel(home, parts, Installation(database=sys.argv[3])) as kernel:
        if not await kernel.agents():
            await kernel.create_agent("bad", parse_settings({"zone": "UTC"}))
            record = await kernel.record("bad")
            poison = Event("door", "open") if kind == "parser" else Event("message", "poison")
            for event in (poison, Event("message", "wholesome")):
                await kernel.store.write(lambda tx: tx.post(record.id, event))
        await kernel.recover()

anyio.run(main, Path(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("kind", ["tool", "parser"])
def test_an_event_that_kills_its_process_is_parked_after_a_few_starts(
    tmp_path: Path, run: Run, place: str, kind: str
) -> None:
    url = place if "://" in place else ""
    codes = list[int]()
    while not codes or codes[-1]:
        command = [sys.executable, "-c", KILLER, str(tmp_path / "home"), kind, url]
        codes.append(subprocess.run(command, env={**os.environ}, timeout=PATIENCE).returncode)
        assert len(codes) < 9, "it is tried again and again"
    assert codes == [9, 9, 9, 0]
    options = ["--database", url] if url else []
    listed = run("event", "list", "--parked", "--json", *options).json
    assert [(event["agent"], event["id"], event["state"]) for event in listed] == [("bad", 1, "parked")]
    assert "wholesome" in run("recall", "search", "wholesome", "--agent", "bad", "--json", *options).out
    assert "begun 3 times" in run("event", "list", *options).out
    assert run("event", "drop", "bad", "1", *options).code == 0
    assert run("event", "list", *options).out == "No events wait.\n"
    assert run("event", "retry", "bad", "1", *options).code == 1


@pytest.mark.anyio
async def test_attempts_start_anew_once_a_turn_gets_on(place: str) -> None:
    """Interrupted twice, a completion between: the third start is not the last."""
    async with opened(place) as kernel:
        record = await kernel.record("bad")
        posted = await kernel.store.write(lambda tx: tx.post(record.id, Event("login")))
        await kernel.store.write(lambda tx: tx.set_event(record.id, posted.id, "pending", attempts=2))
        await kernel.recover()
        event = await kernel.store.read(lambda tx: tx.event(record.id, posted.id))
        assert event
        assert (event.state, event.attempts) == ("done", 3)


@pytest.mark.anyio
async def test_a_parked_event_is_retried_as_a_new_one(place: str) -> None:
    async with opened(place) as kernel:
        record = await kernel.record("bad")
        posted = await kernel.store.write(lambda tx: tx.post(record.id, Event("login", "who", key="k")))
        await kernel.store.write(lambda tx: tx.set_event(record.id, posted.id, "pending", attempts=3))
        await kernel.recover()
        (parked,) = await events(kernel, parked=True)
        assert parked.parked.startswith("Its turn was begun 3 times")
        alerts = [output.text for output in await kernel.outputs("bad") if output.type == "alerted"]
        assert alerts == [f"The event is parked: {parked.parked}"]
        again = await retry_event(kernel, "bad", posted.id)
        await kernel.idle()
        assert await events(kernel) == ()
        done = await kernel.store.read(lambda tx: tx.event(record.id, again.id))
        assert done
        assert (done.state, done.text) == ("done", "who")
        with pytest.raises(NotFoundError):
            await drop_event(kernel, "bad", posted.id)


def test_a_face_lists_releases_and_deletes(tmp_path: Path) -> None:
    async def main() -> None:
        async with pagefault.open(
            tmp_path, model=ScriptedModel([]), parts=Parts(embedder=NullEmbedder())
        ) as pf:
            ana = await pf.agent("ana")
            await pf.agent("bob")
            assert await ana.events.list() == ()
            assert await pf.parked() == {}
            damage(str(tmp_path / "pagefault.db"), "UPDATE agents SET settings = '{' WHERE name = 'bob'")
            assert list(await pf.parked()) == ["bob"]
            with pytest.raises(DamageError):
                await pf.agent("bob")
            with pytest.raises(DamageError):
                await pf.release("bob")
            await pf.delete("bob")
            assert await pf.agents() == ["ana"]

    anyio.run(main)


COMMANDS = (
    ("agent", "show", "bad"), ("agent", "context", "bad"), ("event", "post", "bad", "login"),
    ("schedule", "list", "bad"), ("usage", "bad"), ("recall", "search", "x", "--agent", "bad"),
    ("agent", "release", "bad"),
)  # fmt: skip
OTHERS = (
    ("agent", "list"), ("agent", "show", "good"), ("event", "post", "good", "login"), ("event", "list"),
    ("schedule", "list", "good"), ("usage",), ("usage", "--by", "day"), ("usage", "--by", "turn"),
    ("recall", "search", "x", "--agent", "good"),
)  # fmt: skip


def chat(home: Path, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pagefault", "--home", home, "chat", "--agent", name]
    told = "Say hello."
    return subprocess.run(command, input=told, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize("statement", ["{", "[]", '{"zone": "Mars/Base"}', '{"style": "loud"}'])
def test_commands_say_in_a_sentence_who_is_damaged_and_work_for_the_others(
    tmp_path: Path, run: Run, statement: str
) -> None:
    for name in ("bad", "good"):
        assert run("agent", "create", name).code == 0
        assert run("event", "post", name, "login").code == 0
    file = str(tmp_path / "home" / "pagefault.db")
    damage(file, f"UPDATE agents SET settings = '{statement}' WHERE name = 'bad'")
    for command in OTHERS:
        ran = run(*command)
        assert (ran.code, "Traceback" in ran.err) == (0, False), (command, ran)
    assert "bad is parked: " in run("agent", "list").out
    for command in COMMANDS:
        ran = run(*command)
        assert ran.code in (0, 1), (command, ran)
        assert "Traceback" not in ran.err
        if ran.code:
            assert len(ran.err.splitlines()) == 1, (command, ran)
            assert "bad" in ran.err, (command, ran)
    for command in COMMANDS[:3]:
        assert run(*command).code == 1
    assert chat(tmp_path / "home", "bad").returncode == 1
    assert chat(tmp_path / "home", "good").stdout == "Noted.\n"
    assert run("agent", "delete", "bad", "--yes").code == 0
    assert "bad" not in run("agent", "list").out


DAMAGE = {
    **{name: statement for name, statement in OF_AGENT.items() if name != "time"},
    "meta: wrong type": """UPDATE messages SET meta = '{"stop": "perhaps"}' WHERE seq = 1 AND agent = 1""",
    "timer: cron": "UPDATE schedules SET cron = '0 0 30 2 *'",
    "timer: zone": "UPDATE schedules SET zone = 'Mars/Base'",
    "timer: catch-up": "UPDATE schedules SET catch_up = 'maybe'",
    "timer: due": "UPDATE schedules SET due = 9000000000000000000",
    "event: state": "UPDATE inbox SET state = 'lost' WHERE agent = 1",
    "passage: tags": "UPDATE passages SET tags = '{' WHERE agent = 1",
    "name": "UPDATE agents SET name = 'b\na\td' WHERE name = 'bad'",
    "section": "UPDATE section_versions SET token_limit = -7 WHERE agent = 1 AND name = 'human'",
}


@pytest.mark.parametrize("statement", DAMAGE.values(), ids=DAMAGE)
def test_a_check_names_every_damaged_value_and_an_import_refuses_it(
    tmp_path: Path, run: Run, statement: str
) -> None:
    for name in ("bad", "good"):
        run("agent", "create", name)
        run("event", "post", name, "login")
    run("schedule", "add", "bad", "weekly", "--cron", "0 9 * * 1")
    home = tmp_path / "home"

    async def fill() -> None:
        parts = Parts(ScriptedModel([]), NullEmbedder())
        async with open_kernel(home, parts, Installation()) as kernel:
            await said(kernel, "bad")
            await remember(kernel, "bad", "A fact.", tags=["a"])

    anyio.run(fill)
    assert run("db", "check").code == 0
    damage(str(home / "pagefault.db"), statement)
    ran = run("db", "check")
    assert (ran.code, "Traceback" in ran.err) == (1, False)
    assert "No error was found" not in ran.out
    name = "b\na\td" if "b\na" in statement else "bad"
    assert run("db", "export", name, str(tmp_path / "a.jsonl")).code == 0
    there = str(tmp_path / "there")
    ran = run("--home", there, "db", "import", str(tmp_path / "a.jsonl"))
    assert (ran.code, "Traceback" in ran.err) == (1, False), ran
    assert run("--home", there, "agent", "list").out == "There are no agents yet.\n"
    copied = run("db", "copy", str(home / "pagefault.db"), str(tmp_path / "copy.db"), "--agent", name)
    assert (copied.code, "Traceback" in copied.err) == (1, False), copied
