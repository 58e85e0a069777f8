"""Processes that fork and forget, killed with SIGKILL after each of their commits: of each agent all is gone
or nothing, a fork is there whole or not at all, and asking again does the rest.

Left out: deaths at the writes of longer lives, on all stores (``test_machine``).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
import pytest

from forked_processes import forking
from machine import FragileStore
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import NameTakenError
from pagefault.kernel import Kernel, archives
from pagefault.kernel.facts import remember
from pagefault.kernel.forgetting import LiteralQuery, Selection, forget
from pagefault.kernel.forking import fork
from pagefault.shared import Archive
from pagefault.storage import Transaction, TurnHold
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.models import ScriptedModel, say
from test_kills import NIGHTLY, Place

pytestmark = pytest.mark.slow

T = TypeVar("T")
MOST = 16  # commits of one fork or forgetting, and more
LEASE = 0.6  # seconds that the next process waits for a turn of one that was killed
AGENTS = ("ana", "bo")  # the one is a fork of the other


@dataclass
class Killing(FragileStore):
    """A store whose process is killed after its commit number ``dies_at``."""

    async def write(self, work: Callable[[Transaction], T], hold: TurnHold | None = None) -> T:
        result = await self.inner.write(work, hold)
        if self.dies_at is not None:
            self.dies_at -= 1
            if self.dies_at == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return result


def kernel_of(place: Place, dies_at: int | None = None) -> Kernel:
    if place.url:
        inner = PostgresStore.open(place.url, connections=2, lease=LEASE)
    else:
        inner = SQLiteStore.open(place.home / "pagefault.db")
    model = ScriptedModel(lambda _: [say("Noted.")])
    parts = Parts(model=model, embedder=NullEmbedder(), store=Killing(inner, dies_at))
    return open_kernel(place.home, parts, Installation())


def secret(serial: int) -> str:
    return f"secret{serial}x"


async def make(place: Place) -> None:
    async with kernel_of(place) as kernel:
        await kernel.create_agent("ana", parse_settings({"zone": "UTC", "prefetch": 0}))
        await archives.create(kernel, "manuals")
        await archives.attach(kernel, "manuals", "ana")
        await kernel.idle()
        for serial in range(MOST):
            async for _ in kernel.send("ana", f"It is {secret(serial)}."):
                pass
            await remember(kernel, "ana", f"a fact of {secret(serial)}")
            await remember(kernel, Archive("manuals"), f"a page of {secret(serial)}")
        assert await kernel.flush("ana", keep=0)
        await fork(kernel, "ana", "bo")
        await kernel.idle()


def forgets(place: Place, dies_at: int) -> None:
    async def work() -> None:
        async with kernel_of(place, dies_at) as kernel:
            await forget(kernel, "ana", Selection(query=LiteralQuery(secret(dies_at))))
            place.note("forgotten", str(dies_at))

    anyio.run(work)


def forks(place: Place, dies_at: int) -> None:
    async def work() -> None:
        async with kernel_of(place, dies_at) as kernel:
            await fork(kernel, "ana", f"f{dies_at}")
            place.note("forked", str(dies_at))

    anyio.run(work)


def said(tx: Transaction, agent: str) -> list[str]:
    """The texts of messages and passages."""
    record = tx.agent(agent)
    assert record is not None
    rows = [row.text for row in tx.messages(record.id, withdrawn=True)]
    return [*rows, *(passage.text for passage in tx.stored_passages(record.id))]


def texts(tx: Transaction, agent: str) -> list[str]:
    record = tx.agent(agent)
    assert record is not None
    return [*said(tx, agent), *(event.text for event in tx.events(record.id))]


def archived(tx: Transaction) -> list[str]:
    archive = tx.shared("archive", "manuals")
    assert archive is not None
    return [passage.text for passage in tx.stored_passages(archive.id)]


def count(found: list[str], word: str) -> int:
    return sum(word in text for text in found)


async def check_forgotten(place: Place, serial: int, whole: int) -> int:
    """All or nothing is gone of each agent; then ask again. Return how many agents had it still."""
    word = secret(serial)
    async with kernel_of(place) as kernel:
        left = await kernel.store.read(lambda tx: [count(texts(tx, name), word) for name in AGENTS])
        assert set(left) <= {0, whole}, f"{word} was forgotten in part: {left}"
        if any(left):  # the agents know what quotes a passage of an archive as long as that is there
            assert await kernel.store.read(lambda tx: count(archived(tx), word)) == 1
        await forget(kernel, "ana", Selection(query=LiteralQuery(word)))
        await kernel.idle()
        for name in AGENTS:
            found = await kernel.store.read(lambda tx, name=name: texts(tx, name))
            assert count(found, word) == 0
            assert count(found, secret(serial + 1)) == whole, "too much was forgotten"
        rest = await kernel.store.read(archived)
        assert (count(rest, word), count(rest, secret(serial + 1))) == (0, 1)
    return sum(map(bool, left))


async def check_forked(place: Place, serial: int) -> None:
    """The fork is there whole, or not at all; then ask again."""
    name = f"f{serial}"
    async with kernel_of(place) as kernel:
        there = [record.name for record in await kernel.agents()]
        if name in there:
            with pytest.raises(NameTakenError):
                await fork(kernel, "ana", name)
        else:
            await fork(kernel, "ana", name)
        assert await kernel.store.read(lambda tx: tx.drafts()) == []
        ours, theirs = await kernel.store.read(lambda tx: (said(tx, "ana"), said(tx, name)))
        assert theirs == ours
        await kernel.delete(name)


def killed(target: Callable[[Place, int], None], place: Place, dies_at: int) -> bool:
    """Run it in a process of its own; return whether that was killed, for it had so many commits."""
    process = forking().Process(target=target, args=(place, dies_at))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_all_or_nothing_after_a_kill_at_any_commit(
    kind: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    url = "" if kind == "sqlite" else request.getfixturevalue("database")
    place = Place(tmp_path_factory.mktemp("kills"), url)
    anyio.run(make, place)

    async def planted() -> int:
        async with kernel_of(place) as kernel:
            return await kernel.store.read(lambda tx: count(texts(tx, "ana"), secret(0)))

    whole, states = anyio.run(planted), list[int]()
    assert whole >= 3, "a message, an event and a passage"
    for commit in range(1, MOST - 1):
        if not killed(forgets, place, commit):
            break
        states.append(anyio.run(check_forgotten, place, commit, whole))
    assert ["forgotten", str(len(states) + 1)] in place.noted()
    assert {*states} == {0, 1, 2}, "it was not killed before, between and after the agents"
    for commit in range(1, 99, 1 if NIGHTLY else 4):
        if not killed(forks, place, commit):
            assert commit > 3
            break
        anyio.run(check_forked, place, commit)
    assert any(line[0] == "forked" for line in place.noted())
    assert place.wrong() == []
