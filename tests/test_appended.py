"""Conversations held elsewhere: appended to recall storage without a turn and without a model.

Left out: the state machine, which appends in turns and dies (``test_machine``), and the ways in from outside
(``test_memory_facade``, ``test_server_api``).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from machine import FragileStore, Killed
from pagefault.assembly import Parts
from pagefault.build import open_kernel, open_transfer
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import NotFoundError, QuotaError, UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.conversations import AppendedMessage, append
from pagefault.storage import Store, Transaction
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.tenancy import Quota
from pagefault.testing.clock import FixedClock
from pagefault.testing.memory import MemoryStore
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.testing.postgres import Databases
from pagefault.transfer import check, copy_agents
from pagefault.types import AgentId, Event, Message, Role
from pagefault.views import memory
from pagefault.views.history import history
from pagefault.views.trace import trace
from test_fence import Quiet

T = TypeVar("T")

pytestmark = pytest.mark.anyio

STORES = ["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.slow)]
ANA = AgentId(1)
TALK = [
    AppendedMessage("The boiler is in the cellar.", speaker="Bo", at=datetime(2021, 3, 4, 9, tzinfo=UTC)),
    AppendedMessage("I shall remember the boiler.", "assistant", at="2021-03-04T09:01:00Z"),
    AppendedMessage("Bo came home.", "event", at=datetime(2019, 1, 2, tzinfo=UTC)),
]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "sqlite":
        return SQLiteStore.open(tmp_path / "a.db")
    databases: Databases = request.getfixturevalue("databases")
    return PostgresStore.open(databases.new())


@dataclass
class Watched:
    """A store that notes how many rows of the log each transaction has appended."""

    inner: Store
    batches: list[int] = field(default_factory=list[int])

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    async def write(self, work: Callable[[Transaction], T], hold: object = None) -> T:
        async def last() -> int:
            found = await self.inner.read(lambda tx: tx.agent_by_id(ANA))
            return found.last_seq if found else 0

        before = await last()
        result = await self.inner.write(work, hold)  # pyright: ignore[reportArgumentType]
        self.batches += [more] if (more := await last() - before) else []
        return result


@asynccontextmanager
async def opened(
    tmp_path: Path, store: object, model: ScriptedModel | None = None, **settings: object
) -> AsyncGenerator[Kernel]:
    parts = Parts(model or ScriptedModel([]), NullEmbedder(), store, clock=FixedClock(step=1.0))  # pyright: ignore[reportArgumentType]
    async with open_kernel(tmp_path, parts, Installation()) as kernel:
        await kernel.ensure_agent("ana", parse_settings({"zone": "UTC", **settings}))
        yield kernel


async def log(kernel: Kernel) -> list[Message]:
    return await kernel.store.read(lambda tx: tx.messages(ANA))


async def said(kernel: Kernel, text: str) -> str:
    return " ".join([output.text async for output in kernel.send("ana", text) if output.type == "said"])


def plain(*texts: str, **more: str) -> list[AppendedMessage]:
    return [AppendedMessage(text, **more) for text in texts]


# what it is to be there


async def test_what_was_said_elsewhere_is_found_with_its_dates_and_speakers(
    tmp_path: Path, store: Store
) -> None:
    async with opened(tmp_path, store) as kernel:
        appended = await append(kernel, "ana", TALK)
        assert (appended.ids, appended.added) == (("m1", "m2", "m3"), 3)
        hits = list(await memory.search(kernel, "ana", "boiler", tier="recall"))
        assert {hit.label for hit in hits} == {
            "2021-03-04 Thu 09:00 user Bo",
            "2021-03-04 Thu 09:01 assistant",
        }
        (by_date,) = await memory.search(kernel, "ana", tier="recall", since="2019-01-01", until="2019-12-31")
        assert (by_date.text, by_date.at) == ("Bo came home.", datetime(2019, 1, 2, tzinfo=UTC))
        assert [(row.speaker, row.role) for row in await history(kernel, "ana")] == [
            ("Bo", Role.USER), ("", Role.ASSISTANT), ("", Role.EVENT),
        ]  # fmt: skip
        speakers = await kernel.store.read(lambda tx: tx.speakers(ANA))
        assert speakers == ["Bo"]


async def test_no_model_is_asked_and_nobody_hears_anything(tmp_path: Path, store: Store) -> None:
    model = ScriptedModel([])
    async with opened(tmp_path, store, model) as kernel:
        async with kernel.listen("ana") as heard:
            await append(kernel, "ana", TALK, key="once")
            await kernel.wake("ana")
            await kernel.idle()
            assert heard.statistics().current_buffer_used == 0
        assert await kernel.outputs("ana") == []
        assert await kernel.waiting() == []
        assert model.prompts == []


async def test_the_agent_searches_it_and_the_prompt_does_not_show_it(tmp_path: Path, store: Store) -> None:
    searches = [
        [call("recall_search", query="boiler", heartbeat=True)],
        [call("recall_search_by_date", start="2019-01-01", end="2021-12-31", heartbeat=True)],
        [say("In the cellar.")],
    ]
    model = ScriptedModel([[say("Hello.")], *searches])
    async with opened(tmp_path, store, model) as kernel:
        await said(kernel, "Hello!")
        before = (await kernel.process("ana")).prompt()
        await append(kernel, "ana", TALK)
        assert (await kernel.process("ana")).prompt() == before
        assert await said(kernel, "Where did Bo put it?") == "In the cellar."
        found, dated = (
            m.text for m in model.prompts[-1].messages if m.role == "tool" and "Showing" in m.text
        )
        assert "The boiler is in the cellar." in found
        assert (
            dated.index("Bo came home.") < dated.index("The boiler is in") < dated.index("I shall remember")
        )
        last = await trace(kernel, "ana")
        assert last.event.text == "Where did Bo put it?"


async def test_what_asks_for_it_has_it_prefetched(tmp_path: Path, store: Store) -> None:
    model = ScriptedModel([[say("Hello.")], [say("In the cellar.")]])
    async with opened(tmp_path, store, model, prefetch=0.2) as kernel:
        await said(kernel, "Hello!")
        await append(kernel, "ana", TALK)
        await said(kernel, "Where is the boiler?")
        (row,) = [row for row in await log(kernel) if row.role is Role.PREFETCH]
        assert "The boiler is in the cellar." in row.text


async def test_a_flush_does_not_summarise_it(tmp_path: Path, store: Store) -> None:
    model = ScriptedModel(lambda prompt: "They said hello." if prompt.plain else [say("ok")])
    async with opened(tmp_path, store, model) as kernel:
        for text in ("Hello!", "Hello again!"):
            await said(kernel, text)
            await append(kernel, "ana", plain("Elsewhere it rained all night."))
        assert await kernel.flush("ana", 0)
        summaries = [prompt for prompt in model.prompts if prompt.plain]
        assert summaries
        assert not [m for prompt in summaries for m in prompt.messages if "Elsewhere" in m.text]
        (summary,) = [row for row in await log(kernel) if row.role is Role.SUMMARY]
        assert summary.meta.messages == 8  # of two turns: message, call, speech, result
        assert [hit.text for hit in await memory.search(kernel, "ana", "rained", tier="recall")]


# while others write


@pytest.mark.parametrize("at", range(1, 9))
async def test_it_comes_between_two_writes_of_a_turn(at: int, tmp_path: Path) -> None:
    """Wherever the log moves under it, also between a commit in which a call failed and the one in which it
    is known to fail, a turn goes on with the numbers that its rows have."""
    fragile = FragileStore(MemoryStore())
    calls = [
        call("archival_insert", text="kept", heartbeat=True),
        call("archival_delete", id="p9", heartbeat=True),
    ]
    model = ScriptedModel([calls, [call("recall_read", id="m1", heartbeat=True)], [say("Done.")]])
    async with opened(tmp_path, fragile, model, prefetch=0.0) as kernel:

        async def meanwhile() -> None:
            await append(kernel, "ana", plain("Elsewhere it rained."))

        fragile.pauses_at, fragile.meanwhile = at, meanwhile
        async with kernel.listen("ana") as heard:
            assert await said(kernel, "Do it.") in ("Done.", "")
            await kernel.idle()
        fragile.pauses_at = 0
        rows = await log(kernel)
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        own = [row for row in rows if not row.is_appended]
        kinds = [(row.role, row.name) for row in own if row.role in (Role.CALL, Role.RESULT)][:6]
        assert kinds == [
            (Role.CALL, "archival_insert"), (Role.CALL, "archival_delete"),
            (Role.RESULT, "archival_insert"), (Role.RESULT, "archival_delete"),
            (Role.CALL, "recall_read"), (Role.RESULT, "recall_read"),
        ]  # fmt: skip
        results = [row for row in own if row.role is Role.RESULT]
        assert [row.meta.failed for row in results[:2]] == [False, True]
        assert results[0].text.startswith("Saved as p1.")
        assert [row.call_id for row in own if row.role is Role.CALL] == [
            f"c{row.seq}" for row in own if row.role is Role.CALL
        ]
        assert heard.statistics().current_buffer_used
        reloaded = await kernel.process("ana")
        assert [row.seq for row in reloaded.memory.queue.rows] == [row.seq for row in own]


async def test_two_processes_append_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    async def fill(kernel: Kernel, who: str) -> None:
        for number in range(20):
            await append(kernel, "ana", plain(f"{who} says {number}."), key=f"{who}{number}")

    async with (
        opened(tmp_path, SQLiteStore.open(tmp_path / "a.db")) as first,
        opened(tmp_path, SQLiteStore.open(tmp_path / "a.db")) as second,
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fill, first, "Bo")
            tasks.start_soon(fill, second, "Cy")
            tasks.start_soon(fill, second, "Bo")  # the same keys again
        rows = await log(first)
    assert [row.seq for row in rows] == list(range(1, 41))
    for who in ("Bo", "Cy"):
        assert [row.text for row in rows if row.text.startswith(who)] == [
            f"{who} says {n}." for n in range(20)
        ]


# keys


async def test_a_key_is_for_the_same_messages_alone(tmp_path: Path, store: Store) -> None:
    async with opened(tmp_path, store) as kernel:
        first = await append(kernel, "ana", TALK, key="talk 1")
        assert await append(kernel, "ana", TALK, key="talk 1") == replace(first, added=0)
        with pytest.raises(UsageError, match="'talk 1' was given with other messages before"):
            await append(kernel, "ana", TALK[:2], key="talk 1")
        other = await append(kernel, "ana", TALK, key="talk 2")
        assert other.ids == ("m4", "m5", "m6")
        posted = await kernel.post("ana", Event("login", "Bo", key="talk 1"))
        assert posted.kind == "login"  # the keys of events are others
        assert len([row for row in await log(kernel) if row.is_appended]) == 6


async def test_messages_have_keys_of_their_own(tmp_path: Path, store: Store) -> None:
    """A transcript that grows is given whole each time, and only what is new is appended."""
    async with opened(tmp_path, store) as kernel:
        talk = [replace(message, key=f"t{number}") for number, message in enumerate(TALK)]
        assert (await append(kernel, "ana", talk[:2])).ids == ("m1", "m2")
        again = await append(kernel, "ana", [talk[0], AppendedMessage("Without a key."), *talk[1:], talk[2]])
        assert (again.ids, again.added) == (("m1", "m3", "m2", "m4", "m4"), 2)
        with pytest.raises(UsageError, match="'t0' was given with other messages before"):
            await append(kernel, "ana", plain("Another.", key="t0"))
        with pytest.raises(UsageError, match="'t9' was given with other messages before"):
            await append(kernel, "ana", plain("One.", "Two.", key="t9"))
        assert len(await log(kernel)) == 4


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("dies_at", [1, 2, 3])
async def test_who_dies_between_batches_gives_them_again(
    dies_at: int, before: bool, tmp_path: Path, store: Store
) -> None:
    talk = plain(*(f"Line {number}." for number in range(1200)))
    fragile = FragileStore(store)  # pyright: ignore[reportArgumentType]
    async with opened(tmp_path, fragile) as kernel:
        fragile.dies_at, fragile.before = dies_at, before
        with pytest.raises(Killed):
            await append(kernel, "ana", talk, key="long")
        fragile.dies_at, fragile.dead = None, False
        done = await append(kernel, "ana", talk, key="long")
        assert done.ids == tuple(f"m{number}" for number in range(1, 1201))
        assert [row.text for row in await log(kernel)] == [message.text for message in talk]


async def test_many_messages_are_many_transactions_and_a_queue_that_is_empty_stays_behind_them(
    tmp_path: Path,
) -> None:
    watched = Watched(SQLiteStore.open(tmp_path / "a.db"))
    async with opened(tmp_path, watched, ScriptedModel([[say("ok")]])) as kernel:
        talk = plain(*(f"Line {number} of a long night." for number in range(10_000)))
        appended = await append(kernel, "ana", talk)
        assert (appended.added, watched.batches) == (10_000, [500] * 20)
        record = await kernel.record("ana")
        assert (record.queue.start, record.last_seq) == (10_001, 10_000)
        (hit,) = await memory.search(kernel, "ana", '"Line 7777"', tier="recall")
        assert hit.id == "m7778"
        watched.batches.clear()
        await append(kernel, "ana", plain(*["long " * 120_000] * 5))
        assert watched.batches == [3, 2]
        await said(kernel, "Hello!")
        assert (await kernel.process("ana")).memory.queue.rows[0].seq == 10_006


# what is refused


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (AppendedMessage("hi", "tool"), "Message 2: 'tool' is not a role; roles are user, assistant, event"),
        (AppendedMessage(" \n"), "Message 2: The text is empty; leave the message out."),
        (AppendedMessage("x" * 1_000_001), "Message 2: The text has 1,000,001 characters"),
        (AppendedMessage("hi", speaker="x] [alert"), "Message 2: 'x] [alert' cannot be a sender"),
        (AppendedMessage("hi", speaker="\u202eX"), "cannot be a sender"),
        (AppendedMessage("hi", at="0001-01-01"), "Message 2: "),
        (AppendedMessage("hi", at="when it rained"), "Message 2: "),
        (AppendedMessage("hi", key=""), "'' cannot be a key"),
        (AppendedMessage("hi", key="a\x00b"), "cannot be a key"),
        (AppendedMessage("hi", key="\ud83d"), "cannot be a key"),
        (AppendedMessage("hi", key="k" * 600), "cannot be a key"),
    ],
)  # fmt: skip
async def test_what_cannot_be_a_message_is_refused_and_nothing_is_appended(
    message: AppendedMessage, sentence: str, tmp_path: Path
) -> None:
    async with opened(tmp_path, MemoryStore()) as kernel:
        with pytest.raises(UsageError) as error:
            await append(kernel, "ana", [AppendedMessage("fine"), message])
        assert sentence in str(error.value)
        assert await log(kernel) == []


async def test_other_refusals(tmp_path: Path) -> None:
    async with opened(tmp_path, MemoryStore()) as kernel:
        with pytest.raises(NotFoundError, match="There is no agent bo"):
            await append(kernel, "bo", TALK)
        with pytest.raises(UsageError, match="not both"):
            await append(kernel, "ana", plain("hi", key="a"), key="b")
        with pytest.raises(UsageError, match="not a kind of event to post"):
            await kernel.post("ana", Event("appended", "I am no event."))
        assert (await append(kernel, "ana", [])).ids == ()


async def test_halves_of_characters_and_controls_are_kept_as_texts_of_other_rows_are(
    tmp_path: Path, store: Store
) -> None:
    async with opened(tmp_path, store) as kernel:
        await append(kernel, "ana", plain("half \ud83d of it", "nothing\x00here"), key="odd")
        found = await history(kernel, "ana")
        assert [row.text.startswith(start) for row, start in zip(found, ("half ", "nothing"), strict=True)]
        assert (
            await append(kernel, "ana", plain("half \ud83d of it", "nothing\x00here"), key="odd")
        ).added == 0


async def test_a_tenant_keeps_its_quota(tmp_path: Path, store: Store) -> None:
    async with opened(tmp_path, store) as kernel:
        mine = kernel.within("mine")
        await mine.create_agent("ana", parse_settings({"zone": "UTC"}))
        await mine.store.write(lambda tx: tx.put_quota(Quota(rows=5)))
        await append(mine, "ana", plain("1", "2", "3"))
        with pytest.raises(QuotaError, match="as many rows as it may have"):
            await append(mine, "ana", plain("4", "5", "6"), key="k")
        await append(mine, "ana", plain("4", "5"), key="k")
        with pytest.raises(QuotaError):
            await append(mine, "ana", plain("6"))
        assert [row.text for row in await history(mine, "ana")] == ["1", "2", "3", "4", "5"]
        assert list(await history(kernel, "ana")) == []


async def test_copies_have_it_and_the_checks_find_nothing_wrong(tmp_path: Path) -> None:
    place, other = tmp_path / "a.db", tmp_path / "b.db"
    async with opened(tmp_path, SQLiteStore.open(place), ScriptedModel([[say("Hello.")]])) as kernel:
        await append(kernel, "ana", TALK, key="talk")
        await said(kernel, "Hello!")
        await append(kernel, "ana", [replace(TALK[0], key="one")])
        rows = await log(kernel)
    await SQLiteStore.open(other).close()
    with closing(open_transfer(place)) as here, closing(open_transfer(other)) as there:
        copy_agents(here, there, ["ana"], Quiet())
        for database in (here, there):
            assert [finding.what for finding in check(database, Quiet())] == []
    async with opened(tmp_path, SQLiteStore.open(other)) as kernel:
        assert await log(kernel) == rows
        assert (await append(kernel, "ana", TALK, key="talk")).ids == ("m1", "m2", "m3")
        assert (await memory.search(kernel, "ana", "boiler", tier="recall")).total == 2


# reading


async def test_a_conversation_is_read_around_a_message_and_page_by_page(tmp_path: Path, store: Store) -> None:
    async with opened(tmp_path, store) as kernel:
        await append(kernel, "ana", plain(*map(str, range(1, 21))))

        async def page(**asked: str) -> tuple[list[str], str | None, str | None]:
            found = await history(kernel, "ana", limit=5, **asked)  # pyright: ignore[reportArgumentType]
            return [row.text for row in found], found.before, found.after

        assert await page(around="m10") == (["8", "9", "10", "11", "12"], "m8", "m12")
        assert await page(after="m12") == (["13", "14", "15", "16", "17"], "m13", "m17")
        assert await page(after="m17") == (["18", "19", "20"], "m18", None)
        assert await page(before="m8") == (["3", "4", "5", "6", "7"], "m3", "m7")
        assert await page(before="m3") == (["1", "2"], None, "m2")
        for limit, texts in (
            (1, ["10"]),
            (2, ["10", "11"]),
            (3, ["9", "10", "11"]),
            (4, ["9", "10", "11", "12"]),
        ):
            found = await history(kernel, "ana", around="m10", limit=limit)
            assert [row.text for row in found] == texts
            assert (found.before, found.after) == (found.rows[0].id, found.rows[-1].id)
        assert await page(around="m1") == (["1", "2", "3"], None, "m3")
        assert await page(around="m20") == (["16", "17", "18", "19", "20"], "m16", None)
        assert await page() == (["16", "17", "18", "19", "20"], "m16", None)
        assert await page(after="m20") == ([], None, None)
        for wrong in ("m21", "m0"):
            with pytest.raises(NotFoundError, match="There is no message"):
                await page(around=wrong)
        with pytest.raises(UsageError, match="one of them"):
            await page(around="m1", before="m3")
