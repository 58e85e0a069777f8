"""Import as such, of every kind: once, twice, broken off anywhere, and after something was forgotten.

Left out: the formats (``test_import_formats``) and what is hostile in them (``test_import_hostile``).
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

import pagefault
from conftest import Run
from import_samples import (
    SAMPLES,
    START,
    at,
    dumped,
    jsonl,
    slack,
    telegram,
    telegram_message,
    text,
    turn,
    zipped,
)
from machine import FragileStore, Killed
from pagefault.assembly import Parts
from pagefault.build import DATABASE, open_kernel
from pagefault.config import AgentSettings, Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import UsageError
from pagefault.importers.kinds import SHIPPED
from pagefault.importers.report import ImportReport
from pagefault.importers.runner import ImportWishes, import_source
from pagefault.importers.sources import open_source
from pagefault.kernel import Kernel
from pagefault.kernel.conversations import AppendedMessage, append
from pagefault.kernel.forgetting.asking import ask_to_forget
from pagefault.storage import Store
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.clock import FixedClock
from pagefault.testing.memory import MemoryStore
from pagefault.testing.models import ScriptedModel, say
from pagefault.testing.postgres import Databases
from pagefault.types import EventKind, Message, Role
from pagefault.views import memory

pytestmark = pytest.mark.anyio

STORES = ["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)]
ELSEWHERE = {"letta", "memgpt", "mem0"}  # kinds with tests of their own
SETTINGS = parse_settings({"zone": "UTC"})


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "sqlite":
        return SQLiteStore.open(tmp_path / "a.db")
    databases: Databases = request.getfixturevalue("databases")
    return PostgresStore.open(databases.new())


@asynccontextmanager
async def opened(home: Path, store: object = None, model: Any = None) -> AsyncGenerator[Kernel]:
    """A kernel whose model fails the test if it is asked, unless it is given answers."""
    clock = FixedClock(datetime(2026, 11, 20, 12, tzinfo=UTC), step=1.0)
    parts = Parts(model or ScriptedModel([]), NullEmbedder(), store or MemoryStore(), clock=clock)  # pyright: ignore[reportArgumentType]
    async with open_kernel(home, parts, Installation()) as kernel:
        yield kernel


async def imported(
    kernel: Kernel, path: Path, *, agent: str | None = "ana", defaults: AgentSettings = SETTINGS, **more: Any
) -> ImportReport:
    return await import_source(kernel, path, defaults, ImportWishes(agent, **more))


async def log(kernel: Kernel, name: str = "ana") -> list[Message]:
    record = await kernel.record(name)
    return await kernel.store.read(lambda tx: tx.messages(record.id))


def counts(report: ImportReport) -> tuple[int, int, int]:
    found = report.agents[0].messages
    return found.added, found.known, found.forgotten


# every kind


def test_every_kind_that_is_shipped_has_a_sample() -> None:
    assert SAMPLES.keys() | ELSEWHERE == SHIPPED.keys()


@pytest.mark.parametrize("kind", SAMPLES)
async def test_a_kind_is_recognised_and_imported_once(kind: str, tmp_path: Path) -> None:
    path = SAMPLES[kind](tmp_path, 6)
    async with opened(tmp_path) as kernel:
        first, second = await imported(kernel, path), await imported(kernel, path)
        rows = await log(kernel)
    assert (first.kind, second.kind) == (kind, kind)
    assert (counts(first), counts(second)) == ((6, 0, 0), (0, 6, 0))
    assert (first.bad, second.bad) == ((), ())
    said = [row.text.removeprefix("Honey\n\n") for row in rows]
    assert said == [text(number) for number in range(6)]
    dates = [START] * 6 if kind == "locomo" else [at(number) for number in range(6)]
    assert [row.at.replace(second=0, microsecond=0) for row in rows] == dates
    assert {row.speaker for row in rows if row.role is Role.EVENT} <= {"Ana", "Bo"}


@pytest.mark.parametrize("kind", SAMPLES)
async def test_a_kind_that_is_broken_off_goes_on(kind: str, tmp_path: Path) -> None:
    path, database = SAMPLES[kind](tmp_path, 1100), SQLiteStore.open(tmp_path / "a.db")
    writes = 4 if kind in ("letta", "memgpt") else 3  # these note that they have made the agent
    with pytest.raises(Killed):
        async with opened(tmp_path, FragileStore(database, dies_at=writes)) as kernel:
            await imported(kernel, path)
    async with opened(tmp_path, SQLiteStore.open(tmp_path / "a.db")) as kernel:
        before = len(await log(kernel))
        assert 0 < before < 1100
        assert counts(await imported(kernel, path)) == (1100 - before, before, 0)
        said = Counter(row.text.removeprefix("Honey\n\n") for row in await log(kernel))
        assert said == Counter(text(number) for number in range(1100))


@pytest.mark.parametrize("before", [True, False])
async def test_an_import_that_dies_at_any_write_is_run_again(before: bool, tmp_path: Path) -> None:
    path = jsonl(tmp_path, 1500)
    for dies_at in range(1, 5):
        place = tmp_path / f"{dies_at}.db"
        try:
            fragile = FragileStore(SQLiteStore.open(place), dies_at=dies_at, before=before)
            async with opened(tmp_path, fragile) as kernel:
                await imported(kernel, path)
        except Killed:
            pass
        async with opened(tmp_path, SQLiteStore.open(place)) as kernel:
            again = await imported(kernel, path)
            assert sum(counts(again)) == 1500
            assert [row.text for row in await log(kernel)] == [text(number) for number in range(1500)]


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_whole_batches(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
import anyio
from pagefault.build import DATABASE, open_kernel
from pagefault.config import load_installation
from pagefault.importers.runner import ImportWishes, SilentWatch, import_source

class Killing(SilentWatch):
    def reach(self, done, total):
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    installation = load_installation(Path(sys.argv[1]))
    kernel = open_kernel(Path(sys.argv[1]), installation=installation)
    await import_source(kernel, Path(sys.argv[2]), installation.agent, ImportWishes("ana"), Killing())

anyio.run(main)
"""
    home, path = tmp_path / "home", jsonl(tmp_path, 1500)
    home.mkdir()
    killed = subprocess.run([sys.executable, "-c", script, str(home), str(path)], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL

    async def again() -> tuple[int, int, int]:
        async with opened(home, SQLiteStore.open(home / DATABASE)) as kernel:
            return counts(await imported(kernel, path))

    assert anyio.run(again) == (500, 1000, 0)


async def test_every_store_keeps_what_was_imported(store: Store, tmp_path: Path) -> None:
    path = telegram(tmp_path, 40)
    async with opened(tmp_path, store) as kernel:
        assert counts(await imported(kernel, path)) == (40, 0, 0)
        assert counts(await imported(kernel, path)) == (0, 40, 0)
        telegram(tmp_path, 45)
        assert counts(await imported(kernel, path)) == (5, 40, 0)
        found = await memory.search(kernel, "ana", "line 44", tier="recall")
        assert "2024-03-14 Thu 10:14 event Ana" in [hit.label for hit in found.results]


async def test_thoughts_from_elsewhere_are_no_rows_of_a_turn(store: Store, tmp_path: Path) -> None:
    async with opened(tmp_path, store) as kernel:
        id = (await kernel.create_agent("ana", SETTINGS)).id
        thought = Message(Role.THOUGHT, "called search({})", START, name=EventKind.APPENDED)
        await kernel.store.write(lambda tx: tx.append(id, [thought]))
        found = await kernel.store.read(lambda tx: (tx.messages(id), tx.messages(id, appended=False)))
    assert [len(rows) for rows in found] == [1, 0]


async def test_two_imports_at_once_store_nothing_twice(store: Store, tmp_path: Path) -> None:
    path = jsonl(tmp_path, 3000)
    async with opened(tmp_path, store) as kernel:
        await kernel.create_agent("ana", SETTINGS)
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(imported, kernel, path)
        said = Counter(row.text for row in await log(kernel))
    assert said == Counter(text(number) for number in range(3000))


# who is who


async def test_the_person_is_the_one_who_is_named(tmp_path: Path) -> None:
    path = telegram(tmp_path, 4)
    async with opened(tmp_path) as kernel:
        report = await imported(kernel, path, me="ANA")
        rows = await log(kernel)
    assert [(row.role, row.speaker) for row in rows] == [(Role.USER, "Ana"), (Role.EVENT, "Bo")] * 2
    assert report.agents[0].of_user == 2
    assert report.agents[0].speakers == {"Ana": 2, "Bo": 2}


async def test_an_export_of_all_chats_says_whose_it_is(tmp_path: Path) -> None:
    chats = [
        {"name": "Bo", "type": "personal_chat", "id": 7, "messages": [telegram_message(1, "Ana")]},
        {"type": "saved_messages", "id": 8, "messages": [telegram_message(2, "Bo")]},
    ]
    path = dumped(
        tmp_path / "result.json",
        {"about": "", "personal_information": {"user_id": 3}, "chats": {"list": chats}},
    )
    async with opened(tmp_path) as kernel:
        await imported(kernel, path)
        assert [(row.role, row.speaker) for row in await log(kernel)] == [
            (Role.USER, "Ana"),
            (Role.EVENT, "Bo"),
        ]


async def test_without_a_name_the_agent_is_the_default_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as kernel:
        report = await imported(kernel, jsonl(tmp_path, 2), agent=None)
    assert (report.agents[0].agent, report.agents[0].made) == ("default", True)


# times


async def test_times_without_a_zone_are_of_the_one_that_is_given(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.write_text('{"speaker": "Bo", "text": "hi", "at": "2024-07-01T12:00:00"}\n')
    async with opened(tmp_path) as kernel:
        await imported(kernel, path, zone="Asia/Shanghai")
        await imported(kernel, path, zone="Europe/Lisbon")  # it is the same message
        (row,) = await log(kernel)
    assert row.at == datetime(2024, 7, 1, 4, tzinfo=UTC)


async def test_older_messages_stay_out_on_demand(tmp_path: Path) -> None:
    async with opened(tmp_path) as kernel:
        report = await imported(kernel, jsonl(tmp_path, 6), since=at(4).isoformat())
        assert [row.text for row in await log(kernel)] == [text(4), text(5)]
    assert (counts(report), report.agents[0].earlier) == ((2, 0, 0), 4)


async def test_what_is_attached_to_older_messages_stays_out_too(tmp_path: Path) -> None:
    note = {"file_name": "note.txt", "extracted_content": "Vet on Friday."}
    told = [turn("m1", "human", "old", 0, attachments=[note]), turn("m2", "human", "new", 1)]
    path = dumped(tmp_path / "conversations.json", [{"uuid": "c", "chat_messages": told}])
    async with opened(tmp_path) as kernel:
        report = await imported(kernel, path, since=at(1).isoformat())
    assert (counts(report), report.agents[0].earlier) == ((1, 0, 0), 2)
    assert report.agents[0].documents.added == 0


async def test_a_dry_run_knows_the_documents_that_are_there(tmp_path: Path) -> None:
    note = {"file_name": "note.txt", "extracted_content": "Vet on Friday."}
    told = [turn("m1", "human", "hi", 0, attachments=[note])]
    path = dumped(tmp_path / "conversations.json", [{"uuid": "c", "chat_messages": told}])
    async with opened(tmp_path) as kernel:
        for dry, added, known in ((True, 1, 0), (False, 1, 0), (True, 0, 1)):
            (agent,) = (await imported(kernel, path, dry=dry)).agents
            assert (agent.documents.added, agent.documents.known) == (added, known)


async def test_a_message_without_a_date_has_that_of_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "talk.jsonl"
    lines = [{"speaker": "Bo", "text": "a", "at": "2024-07-01T12:00:00Z"}, {"speaker": "Bo", "text": "b"}]
    path.write_text("\n".join(map(json.dumps, lines)))
    async with opened(tmp_path) as kernel:
        report = await imported(kernel, path)
        first, second = await log(kernel)
    assert first.at == second.at
    assert report.agents[0].undated == 1


# an agent that lives


async def test_the_agent_is_not_woken_and_its_queue_stays(tmp_path: Path) -> None:
    model = ScriptedModel([[say("hello")], [say("still here")]])
    async with opened(tmp_path, model=model) as kernel:
        await kernel.create_agent("ana", SETTINGS)
        assert [o.text async for o in kernel.send("ana", "hi") if o.type == "said"] == ["hello"]
        before = (await kernel.record("ana")).queue
        await imported(kernel, jsonl(tmp_path, 3000))
        await kernel.idle()
        assert (await kernel.record("ana")).queue == before
        assert len(model.prompts) == 1
        assert [o.text async for o in kernel.send("ana", "and now?") if o.type == "said"] == ["still here"]
    first, second = (repr(prompt.messages) for prompt in model.prompts)
    assert second.startswith(first[:-1])  # the prefix is the same
    assert "honey" not in second


async def test_rows_that_are_older_stand_behind_with_their_own_dates(tmp_path: Path) -> None:
    async with opened(tmp_path) as kernel:
        await kernel.create_agent("ana", SETTINGS)
        await append(kernel, "ana", [AppendedMessage("The newest of all.", at="2026-01-01T00:00:00Z")])
        await imported(kernel, jsonl(tmp_path, 2))
        rows = await log(kernel)
        assert [row.text for row in rows] == ["The newest of all.", text(0), text(1)]
        found = await memory.search(kernel, "ana", "", tier="recall", until="2025-01-01")
        assert {hit.id for hit in found.results} == {"m2", "m3"}


# looking only


async def test_a_dry_run_counts_and_stores_nothing(tmp_path: Path) -> None:
    path = jsonl(tmp_path, 1500)
    async with opened(tmp_path) as kernel:
        report = await imported(kernel, path, dry=True)
        assert (report.dry, counts(report), report.agents[0].made) == (True, (1500, 0, 0), True)
        assert await kernel.agents() == []
        await imported(kernel, jsonl(tmp_path, 1000))
        assert counts(await imported(kernel, jsonl(tmp_path, 1500), dry=True)) == (500, 1000, 0)
        assert len(await log(kernel)) == 1000


# forgetting


@pytest.mark.parametrize("kind", SAMPLES)
async def test_what_was_forgotten_does_not_come_back(kind: str, tmp_path: Path) -> None:
    path = SAMPLES[kind](tmp_path, 6)
    async with opened(tmp_path) as kernel:
        await imported(kernel, path)
        await ask_to_forget(kernel, "ana", text(3))
        assert text(3) not in [row.text for row in await log(kernel)]
        again = await imported(kernel, path)
        assert counts(again)[0] == 0
        assert not [row for row in await log(kernel) if text(3) in row.text]


async def test_what_is_new_beside_something_forgotten_is_imported(tmp_path: Path) -> None:
    async with opened(tmp_path) as kernel:
        await imported(kernel, jsonl(tmp_path, 4))
        await ask_to_forget(kernel, "ana", text(2))
        assert counts(await imported(kernel, jsonl(tmp_path, 6))) == (2, 3, 1)


async def test_nothing_of_what_was_said_stays_in_the_keys(tmp_path: Path) -> None:
    async with opened(tmp_path) as kernel:
        await imported(kernel, jsonl(tmp_path, 3))
        record = await kernel.record("ana")
        events = await kernel.store.read(lambda tx: tx.events(record.id))
        first = [event.text for event in events]
        path = tmp_path / "other" / "talk.jsonl"
        path.parent.mkdir()
        path.write_text((tmp_path / "talk.jsonl").read_text().replace("honey", "bees"))
        await imported(kernel, path, agent="bo")
        other = await kernel.record("bo")
        assert first == [event.text for event in await kernel.store.read(lambda tx: tx.events(other.id))]


# messages that look alike


async def test_the_same_words_twice_in_a_minute_are_two_messages(tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    path.write_text("14/03/2024, 09:30 - Bo: ok\n14/03/2024, 09:30 - Bo: ok\n14/03/2024, 09:30 - Ana: ok\n")
    async with opened(tmp_path) as kernel:
        assert counts(await imported(kernel, path)) == (3, 0, 0)
        assert counts(await imported(kernel, path)) == (0, 3, 0)
        with path.open("a") as file:
            file.write("14/03/2024, 09:30 - Bo: ok\n")
        assert counts(await imported(kernel, path)) == (1, 3, 0)


async def test_files_of_one_name_do_not_hide_each_other(tmp_path: Path) -> None:
    for folder, said in (("one", "hi"), ("two", "ho")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "chat.jsonl").write_text(json.dumps({"speaker": "Bo", "text": said}))
    async with opened(tmp_path) as kernel:
        for folder in ("one", "two", "one", "two"):
            await imported(kernel, tmp_path / folder / "chat.jsonl")
        assert [row.text for row in await log(kernel)] == ["hi", "ho"]


# the command line


def test_the_command_reports_what_it_did(run: Run, tmp_path: Path) -> None:
    path = telegram(tmp_path, 3)
    ran = run("import", str(path), "--agent", "ana", "--me", "Ana")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        "result.json (telegram) imported:",
        "  ana (new): 3 messages",
        "  from 2024-03-14 to 2024-03-14",
        "  speakers: Ana (2), Bo (1)",
    ]
    again = run("import", str(path), "--agent", "ana", "--me", "Ana", "--json").json
    assert again["agents"][0]["messages"] == {"added": 0, "known": 3, "forgotten": 0}


def test_the_command_takes_what_is_piped_in(run: Run, tmp_path: Path) -> None:
    ran = run("import", "-", "--agent", "ana", stdin=jsonl(tmp_path, 2).read_text())
    assert (ran.code, ran.out.splitlines()[1]) == (0, "  ana (new): 2 messages")


def test_an_export_of_ours_is_one_kind_among_them(run: Run, tmp_path: Path) -> None:
    run("import", str(jsonl(tmp_path, 3)), "--agent", "ana")
    assert run("db", "export", "ana", str(tmp_path / "ana.jsonl")).code == 0
    assert run("import", str(tmp_path / "ana.jsonl"), "--agent", "bea").code == 0
    found = run("recall", "search", "honey", "--agent", "bea", "--json").json
    assert found["total"] == 3
    refused = run("import", str(tmp_path / "ana.jsonl"), "--agent", "cleo", "--dry-run")
    assert (refused.code, "leave out --me, --zone" in refused.err) == (1, True)
    # it is known there as well, so that an import goes on where the agent was
    assert "(3 known)" in run("import", str(jsonl(tmp_path, 3)), "--agent", "bea").out


def test_what_is_of_no_kind_is_refused_in_a_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"\x00\x01\x02")
    ran = run("import", str(tmp_path / "x.bin"))
    assert ran.code == 1
    assert ran.err.startswith("pagefault: x.bin is of no kind that can be imported; ")
    assert ran.err.count("\n") == 1
    assert run("import", str(tmp_path / "gone")).err.endswith("give what an export wrote.\n")
    assert "There is no kind 'xyz' of import" in run("import", str(tmp_path / "x.bin"), "--as", "xyz").err


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("a.json", b"", "a.json is empty; export it again."),
        ("a.txt", "15/01/2025, 10:30 - Bo: hi".encode("utf-16"), "text in UTF-16; save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_recognised_says_why(
    name: str, content: bytes, wanted: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    ran = run("import", str(tmp_path / name))
    assert (ran.code, wanted in ran.err) == (1, True)


@pytest.mark.parametrize("kind", ["jsonl", "mem0", "letta"])
@pytest.mark.parametrize("is_zip", [True, False])
def test_a_kind_of_one_file_asks_for_the_file(kind: str, is_zip: bool, run: Run, tmp_path: Path) -> None:
    folder = dumped(tmp_path / "in" / "a.json", []).parent
    path = zipped(tmp_path / "in.zip", folder) if is_zip else folder
    ran = run("import", str(path), "--as", kind)
    assert (ran.code, ran.err) == (
        1,
        f"pagefault: {path.name} is a folder or a ZIP, and what is to be read is one file; give the file in "
        "it.\n",
    )


def test_a_file_of_another_kind_than_is_named_says_how_to_go_on(run: Run, tmp_path: Path) -> None:
    ran = run("import", str(jsonl(tmp_path, 2)), "--as", "telegram")
    assert "no memory as telegram; without --as its kind is recognised" in ran.out


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slack(tmp_path / "export", 2)
    closed, scan = tmp_path / "export" / "closed", os.scandir
    closed.mkdir()

    def scandir(path: Any) -> Any:
        if Path(path) == closed:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(UsageError, match=r"closed cannot be read: Permission denied; allow it"):
        open_source(tmp_path / "export").files()


def test_a_folder_has_a_name_wherever_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "export").mkdir()
    monkeypatch.chdir(tmp_path / "export")
    assert open_source(Path()).name == "export"


def test_the_command_says_if_nobody_is_the_user(run: Run, tmp_path: Path) -> None:
    path = telegram(tmp_path, 3)
    assert "if you are one, import with --me NAME" in run("import", str(path), "--dry-run").out
    ran = run("import", str(path), "--dry-run", "--me", "Cy")
    assert "nobody there is called 'Cy', so none of them is taken for the user" in ran.out


def test_somebody_who_is_called_user_is_not_the_user(run: Run, tmp_path: Path) -> None:
    dumped(tmp_path / "talk.json", [{"speaker": "user", "text": "hi"}, {"speaker": "Bo", "text": "ho"}])
    assert "none of them is taken for the user" in run("import", str(tmp_path / "talk.json")).out


def test_the_command_reports_days_of_the_zone_that_is_given(run: Run, tmp_path: Path) -> None:
    dumped(tmp_path / "talk.json", [{"role": "user", "text": "hi", "at": "2024-07-01T22:00:00"}])
    ran = run("import", str(tmp_path / "talk.json"), "--zone", "America/New_York")
    assert "from 2024-07-01 to 2024-07-01" in ran.out


def test_a_skipped_record_is_named_by_the_file_of_its_day(run: Run, tmp_path: Path) -> None:
    dumped(tmp_path / "export" / "bees" / "2024-03-14.json", [{"ts": "1.0", "user": "U", "text": "hi"}, 7])
    assert "Skipped: message 2 of bees/2024-03-14.json" in run("import", str(tmp_path / "export")).out


async def test_an_agents_name_that_is_none_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as kernel:
        with pytest.raises(UsageError, match="cannot be an agent's name"):
            await imported(kernel, jsonl(tmp_path, 1), agent="a/b")


# the library


async def test_a_program_imports_into_an_agent_or_makes_it(tmp_path: Path) -> None:
    path = telegram(tmp_path, 3)
    async with pagefault.open(tmp_path, parts=Parts(ScriptedModel([]), NullEmbedder())) as pf:
        report = await pf.import_from(path, agent="ana", me="Ana", since=at(1))
        assert (counts(report), report.agents[0].earlier) == ((2, 0, 0), 1)
        ana = await pf.agent("ana")
        again = await ana.import_from(str(path), kind="telegram", me="Ana", zone="Asia/Shanghai")
        assert counts(again) == (1, 2, 0)
        assert [hit.excerpt for hit in (await ana.search("honey", tier="recall")).results]
