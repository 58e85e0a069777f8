"""A turn whose write fails: it may have been committed, and another process may end the turn meanwhile.

Either way each event is answered once.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import StorageError
from pagefault.kernel import Kernel
from pagefault.models import Prompt
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.models import ScriptedModel, say
from pagefault.types import AgentId, Event, Role

pytestmark = pytest.mark.anyio

ANA = AgentId(1)
NOW = datetime(2026, 11, 29, tzinfo=UTC)


class ShakyStore(MemoryStore):
    """Refuses the writes of turns while it is ``away``; loses the answer to the one that ends an event."""

    away = False
    loses_answer = False

    async def write(self, work: Any, hold: Any = None) -> Any:
        if self.away and hold is not None:
            raise StorageError("It is away.")
        done = await super().write(work, hold)
        if self.loses_answer and (await self.read(lambda tx: tx.events(ANA)))[0].state == "done":
            self.loses_answer = False
            raise StorageError("Look whether it was kept.")
        return done


@asynccontextmanager
async def worker(
    home: Path, database: MemoryDatabase, name: str, asked: Callable[[ShakyStore], None]
) -> AsyncGenerator[Kernel]:
    store = ShakyStore(database)

    def script(prompt: Prompt) -> Any:
        asked(store)
        return [say(f"{prompt.messages[-1].text[-3:]} by {name}")]

    parts = Parts(model=ScriptedModel(script), store=store, embedder=NullEmbedder())
    async with open_kernel(home, parts, Installation()) as kernel:
        if not await kernel.agents():
            await kernel.create_agent("ana", parse_settings({"zone": "UTC"}))
        yield kernel


async def answers(kernel: Kernel) -> list[str]:
    rows = await kernel.store.read(lambda tx: tx.messages(ANA))
    return [row.text for row in rows if row.role is Role.ASSISTANT and " by " in row.text]


async def ended(kernel: Kernel, text: str) -> None:
    with anyio.fail_after(60):
        async for _ in kernel.send("ana", text):
            pass


async def test_a_process_that_could_not_write_does_not_go_on_with_a_turn_that_another_ended(
    tmp_path: Path,
) -> None:
    database, asked = MemoryDatabase(), anyio.Event()

    def stay(_: ShakyStore) -> None: ...

    def go_away(store: ShakyStore) -> None:
        store.away = not asked.is_set()
        asked.set()

    async with (
        worker(tmp_path, database, "one", go_away) as one,
        worker(tmp_path, database, "two", stay) as two,
    ):
        await one.store.write(lambda tx: tx.post(ANA, Event("message", "say abc", at=NOW)))
        await one.wake("ana")
        with anyio.fail_after(60):
            await asked.wait()
        with anyio.fail_after(60):
            while not await answers(two):
                await two.recover()
                await anyio.sleep(0.02)
        shaky = one.scheduler.store
        assert isinstance(shaky, ShakyStore)
        shaky.away = False
        await ended(one, "say def")
        given = await answers(two)
        assert [text for text in given if "abc" in text] == [text for text in given if "abc by two" in text]
        assert sum("abc" in text for text in given) == sum("def" in text for text in given) == 1


async def test_an_event_whose_end_was_committed_after_all_is_not_served_again(tmp_path: Path) -> None:
    def lose(store: ShakyStore) -> None:
        store.loses_answer = not lost
        lost.append(True)

    lost: list[bool] = []
    async with worker(tmp_path, MemoryDatabase(), "one", lose) as one:
        await one.store.write(lambda tx: tx.post(ANA, Event("message", "say abc", at=NOW)))
        await one.recover()
        await one.idle()
        state = [event.state for event in await one.store.read(lambda tx: tx.events(ANA))]
        assert state == ["done"]
        await ended(one, "say def")
        assert len(await answers(one)) == 2
