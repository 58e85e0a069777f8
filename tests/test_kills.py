"""Processes that use archives and a shared section, killed at random moments: what they were told is done is
done, once, and nothing is half done.

A child makes one effect after the other, writes down which it begins and which is done, and is killed; the
next one goes on in the same database. Each text has a word of its own.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import anyio
import numpy as np
import psycopg
import pytest
from hypothesis import settings

from forked_processes import forking
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.ingest import Bytes, load
from pagefault.kernel import Kernel, archives, shared_sections
from pagefault.kernel.edits import add_passages, delete_passage
from pagefault.models import Prompt
from pagefault.shared import Archive
from pagefault.storage import Filter, Match, Store
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.segments import SegmentSizes
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.models import Item, ScriptedModel, call, say
from pagefault.types import AgentId, Event, EventKind, Passage, Role
from plain_bm25 import assert_exact
from test_transfer import wrong

pytestmark = pytest.mark.slow

NAMES = ("ana", "bo")
ARCHIVES = ("manuals", "news")  # to the one both are always attached, to the other now and then
SIZES = SegmentSizes(small=20, open=8, dead=0.1)
NIGHTLY = settings.get_current_profile_name() == "nightly"
KILLS = int(os.environ.get("PAGEFAULT_KILLS", "60" if NIGHTLY else "10"))
SEED = int(os.environ.get("PAGEFAULT_KILLS_SEED", "0"))
LEASE = 1.0  # seconds that the next process waits for a turn of one that was killed
WORDS = ("red", "blue", "green", "oak", "elm", "gate")
DIMENSIONS = 16


@dataclass(frozen=True)
class Place:
    """A home folder and the URL of a server's database; empty: the file in the folder. ``is_distributed``: as
    on Citus, what agents insert goes by their outboxes, and nothing is sealed."""

    home: Path
    url: str = ""
    is_distributed: bool = False

    def store(self) -> Store:
        if self.url:
            store = PostgresStore.open(self.url, connections=3, lease=LEASE, cache=IndexCache(small=20))
            store._distributed = self.is_distributed  # pyright: ignore[reportPrivateUsage]
            return store
        return SQLiteStore.open(self.home / "pagefault.db")

    def kernel(self) -> Kernel:
        store = self.store()
        parts = Parts(ScriptedModel(by_order), HashEmbedder(DIMENSIONS), store=store)
        kernel = open_kernel(self.home, parts, Installation())
        kernel.sealer.sizes = SIZES
        return kernel

    def wrong(self) -> list[tuple[str | None, str]]:
        return wrong(self.url or self.home / "pagefault.db")

    def note(self, *line: str) -> None:
        """Write down; a process that is killed has written the whole line or nothing."""
        with (self.home / "journal").open("ab", buffering=0) as file:
            file.write((" ".join(line) + "\n").encode())

    def noted(self) -> list[list[str]]:
        path = self.home / "journal"
        return [line.split(" ") for line in path.read_text().splitlines()] if path.exists() else []


def by_order(prompt: Prompt) -> Item:
    """Do what the newest message says, then say that it is done."""
    messages = prompt.messages
    last = max((n for n, message in enumerate(messages) if message.role == "user"), default=0)
    words = messages[last].text.split()
    if "ORDER" not in words or any(message.role == "assistant" for message in messages[last:]):
        return [say("Done.")]
    _, what, where, *text = words[words.index("ORDER") :]
    if what == "insert":
        return [call("archival_insert", text=" ".join(text).rstrip('"}'), archive=where, heartbeat=True)]
    return [call("working_context_append", section=where, text=" ".join(text).rstrip('"}'), heartbeat=True)]


async def make(place: Place) -> None:
    kernel = place.kernel()
    async with kernel:
        chosen = parse_settings({"zone": "UTC", "window": 32_000, "prefetch": 0, "daily_tokens": 10**9})
        for name in NAMES:
            await kernel.create_agent(name, chosen)
        for archive in ARCHIVES:
            await archives.create(kernel, archive)
        for name in NAMES:
            await archives.attach(kernel, ARCHIVES[0], name)
        await shared_sections.share(kernel, "plan", NAMES, text="start", limit=8_000)
        await fill(place, kernel)
        await kernel.idle()


async def fill(place: Place, kernel: Kernel) -> None:
    """Bring the first archive to a size at which the first life seals it, however short it is."""
    words = [f"first{number}" for number in range(2 * SIZES.small)]
    texts = [Passage(f"{WORDS[0]} {word}", kernel.clock.now()) for word in words]
    await add_passages(kernel, Archive(ARCHIVES[0]), texts)
    for word in words:
        place.note("try", "insert", ARCHIVES[0], word, NAMES[0])
        place.note("done", "insert", ARCHIVES[0], word, NAMES[0])


def live(place: Place, seed: int) -> None:
    anyio.run(work, place, seed)


async def work(place: Place, seed: int) -> None:
    """Make effects until killed."""
    chosen = random.Random(seed)
    kernel = place.kernel()
    async with kernel:
        place.note("ready", str(seed))
        for serial in range(1_000):
            effect = chosen.choice(EFFECTS)
            place.note("begin", effect.__name__)
            await effect(place, kernel, chosen, f"w{seed}x{serial}")


async def ask(place: Place, kernel: Kernel, name: str, what: str, where: str, word: str, text: str) -> None:
    place.note("try", what, where, word, name)
    order = Event(EventKind.MESSAGE, f"ORDER {what} {where} {text}", key=word)
    async for _ in kernel.send(name, order):
        pass
    agent = (await kernel.record(name)).id
    rows = await kernel.store.read(lambda tx: tx.messages(agent, roles=[Role.RESULT]))
    (event,) = (e.id for e in await kernel.store.read(lambda tx: tx.events(agent)) if e.key == word)
    first = next(row.text for row in rows if row.event == event)
    is_made = (f"Saved as {where}/p", f"Sent to {where},")
    is_refused = what == "insert" and not first.startswith(is_made)
    assert not is_refused or where == ARCHIVES[1], first
    place.note("refused" if is_refused else "done", what, where, word, name)


async def insert(place: Place, kernel: Kernel, chosen: random.Random, word: str) -> None:
    text = f"{' '.join(chosen.choices(WORDS, k=4))} {word}"
    await ask(place, kernel, chosen.choice(NAMES), "insert", chosen.choice(ARCHIVES), word, text)


async def append(place: Place, kernel: Kernel, chosen: random.Random, word: str) -> None:
    name = chosen.choice(NAMES)
    await ask(place, kernel, name, "append", "plan", word, f"{word} {name}")


async def edit(place: Place, kernel: Kernel, chosen: random.Random, word: str) -> None:
    del chosen
    place.note("try", "edit", "plan", word)
    await shared_sections.edit(kernel, "plan", f"{word} person")
    place.note("done", "edit", "plan", word)


async def switch(place: Place, kernel: Kernel, chosen: random.Random, word: str) -> None:
    """Attach the second archive, or detach it."""
    del place, word
    name = chosen.choice(NAMES)
    agent = (await kernel.record(name)).id
    held = await kernel.store.read(lambda tx: tx.attachments(agent))
    is_attached = any(each.name == ARCHIVES[1] for each in held)
    await (archives.detach if is_attached else archives.attach)(kernel, ARCHIVES[1], name)


async def load_document(place: Place, kernel: Kernel, chosen: random.Random, word: str) -> None:
    place.note("try", "load", ARCHIVES[0], word)
    text = f"{word}\n\n" + "\n\n".join(" ".join(chosen.choices(WORDS, k=40)) for _ in range(12))
    await load(kernel, Archive(ARCHIVES[0]), [Bytes(text.encode(), f"{word}.txt")])
    place.note("done", "load", ARCHIVES[0], word)


async def delete(place: Place, kernel: Kernel, chosen: random.Random, word: str) -> None:
    """Delete some passages that are no part of a document."""
    del word
    name = chosen.choice(ARCHIVES)
    for passage in chosen.sample(found := await stored(kernel, name), k=min(3, len(found))):
        if passage.place is None:
            of = passage.text.split()[-1]
            place.note("try", "delete", name, of)
            await delete_passage(kernel, Archive(name), f"{name}/p{passage.number}")
            place.note("done", "delete", name, of)


async def seal(place: Place, kernel: Kernel, chosen: random.Random, word: str) -> None:
    del place, chosen, word
    await kernel.settled(5)
    await kernel.sealer.settled()


EFFECTS = (insert, insert, insert, append, edit, switch, load_document, delete, seal)


async def id_of(kernel: Kernel, archive: str) -> AgentId:
    shared = await kernel.store.read(lambda tx: tx.shared("archive", archive))
    assert shared
    return shared.id


async def stored(kernel: Kernel, archive: str) -> list[Passage]:
    owner = await id_of(kernel, archive)
    return await kernel.store.read(lambda tx: tx.passages(owner, range(1, 9_999)))


# What must hold


async def check(place: Place) -> None:
    kernel = place.kernel()
    async with kernel:
        await kernel.wake_waiting()
        for _ in range(5):
            assert await kernel.deliverer.deliver()
            await kernel.idle()
        assert await kernel.settled(60)
        await kernel.sealer.settled()
        found = {name: await stored(kernel, name) for name in ARCHIVES}
        check_passages(place, found)
        await check_section(place, kernel)
        for name in ARCHIVES:
            await check_searches(kernel, await id_of(kernel, name), found[name])


def check_passages(place: Place, found: dict[str, list[Passage]]) -> None:
    """Each is there once, or is deleted."""
    noted = {(state, what, where, word) for state, what, where, word, *_ in
             (line for line in place.noted() if len(line) > 3)}  # fmt: skip
    words = {name: Counter(p.text.split()[-1] for p in of if p.place is None) for name, of in found.items()}
    first = Counter(p.text.split()[0] for p in found[ARCHIVES[0]] if p.place is not None)
    for state, what, where, word in sorted(noted):
        count = first[word] if what == "load" else words.get(where, Counter[str]())[word]
        if what in ("insert", "load"):
            assert count <= 1, f"{word} is there {count} times"
            tried_to_delete = ("try", "delete", where, word) in noted
            if state == "done" and not tried_to_delete:
                assert count == 1, f"{word} is lost"
            assert not (state == "refused" and count), f"{word} was refused"
        if (state, what) == ("done", "delete"):
            assert count == 0, f"{word} is back"
    tried = {(where, word) for _, what, where, word in noted if what == "insert"}
    assert {(name, word) for name, of in words.items() for word in of} <= tried


async def check_section(place: Place, kernel: Kernel) -> None:
    """The copies are as the section, version by version; each edit was told once to those who did not make
    it, and each one that was done is there."""

    async def versions(owner: AgentId) -> list[str]:
        history = await kernel.store.read(lambda tx: tx.section_history(owner, "plan"))
        return [section.text for _, section in history]

    shared = await kernel.store.read(lambda tx: tx.shared("section", "plan"))
    assert shared
    history = await versions(shared.id)
    lines = Counter(text.rsplit("\n", 1)[-1] for text in history)
    assert set(lines.values()) == {1}
    done = {word for state, what, _, word, *_ in (line for line in place.noted() if len(line) > 3)
            if state == "done" and what in ("append", "edit")}  # fmt: skip
    assert done <= {line.split(" ")[0] for line in lines}
    for name in NAMES:
        agent = (await kernel.record(name)).id
        assert await versions(agent) == history, name
        events = await kernel.store.read(lambda tx, agent=agent: tx.events(agent))
        told = [each.text.rpartition("reads: ")[2] for each in events if "it now reads: " in each.text]
        assert told == [text for text in history[1:] if not text.endswith(f" {name}")], name


async def check_searches(kernel: Kernel, owner: AgentId, found: list[Passage]) -> None:
    texts = {passage.number: f"{passage.title}\n{passage.text}" for passage in found}  # as indexed
    await kernel.store.read(lambda tx: assert_exact(tx, owner, texts))
    near = Match(vector=np.ones(DIMENSIONS, np.float32), floor=-2.0)
    fingerprint = HashEmbedder(DIMENSIONS).fingerprint
    for filter, count in ((Filter(), len(texts)), (Filter(before=20), sum(n < 20 for n in texts))):
        result = await kernel.store.read(
            lambda tx, f=filter: tx.search(owner, "archival", near, f, fingerprint)
        )
        shown = result.number[result.may_show & ~np.isnan(result.cosine)]
        assert {*shown.tolist()} <= {*texts}
        assert len(shown) >= min(200, count)


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "distributed"])
def test_what_was_done_is_there_once_whenever_a_process_is_killed(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = "" if kind == "sqlite" else request.getfixturevalue("database")
    place = Place(tmp_path, url, kind == "distributed")
    anyio.run(make, place)
    assert place.wrong() == []
    processes = forking()
    seeded = random.Random(f"{kind} {SEED}")
    for life in range(SEED * 1_000, SEED * 1_000 + KILLS):
        process = processes.Process(target=live, args=(place, life))
        process.start()
        end = time.monotonic() + 60
        while ["ready", str(life)] not in place.noted():
            assert process.is_alive()
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(seeded.uniform(0.05, 2.0))
        assert process.is_alive(), "it ended by itself"
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        if life % 4 == 3:
            anyio.run(check, place)
            assert place.wrong() == []
    anyio.run(check, place)
    assert place.wrong() == []
    assert sum(line[0] == "done" for line in place.noted()) > KILLS
    if kind == "postgres":
        with psycopg.connect(url) as server:
            sealed = server.execute("SELECT tier, fingerprint = '' FROM segments WHERE state = 'sealed'")
            assert {("archival", True), ("archival", False)} <= {*sealed.fetchall()}
