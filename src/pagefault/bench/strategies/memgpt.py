"""MemGPT: an agent of pagefault, with its own store for each item.

The conversation of a pool is lived through once, or loaded, and evicted from the queue; a passage goes to
archival storage. Each item of the pool is then asked of a copy, so that no question sees another. Time is the
data's.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import anyio.to_thread

from pagefault.assembly import Parts
from pagefault.bench.callers import Hiding
from pagefault.bench.pools import file_name, message_of, passage_of
from pagefault.bench.recording import Recorded
from pagefault.bench.rehearsal import Rehearsed, live
from pagefault.bench.strategies import Bench, OfPools, shared_by
from pagefault.bench.tasks import Item, StrategyReply
from pagefault.build import DATABASE, open_kernel
from pagefault.config import AgentSettings, Installation, parse_settings
from pagefault.context.policy import QueuePolicy
from pagefault.kernel import Kernel
from pagefault.kernel.edits import add_passages, append_rows
from pagefault.models import Model
from pagefault.testing.clock import FixedClock
from pagefault.types import Event, EventKind, Message, Role
from pagefault.views.history import rows_after

__all__ = ["MemGPT"]

_AGENT = "agent"
_RECALL = frozenset({"memory_search", "recall_search", "recall_search_by_date", "recall_read"})
_WORKING_CONTEXT = frozenset({"working_context_append", "working_context_replace", "page_in", "page_out"})
_HIDDEN: dict[str, frozenset[str]] = {
    "memgpt-without-recall": _RECALL,
    "memgpt-without-both": _RECALL,
    "memgpt-without-working-context": _WORKING_CONTEXT,
}
"""Functions that an ablation does without."""

_UNWARNED = ("memgpt-without-warning", "memgpt-without-both")
_BRIEF_SLACK = 16  # tokens that a section may take beyond its text


@dataclass(frozen=True, slots=True)
class _Image:
    """An agent at the point where the question comes: its database, and which text each id there stands
    for."""

    file: Path
    names: Mapping[str, str]
    flushes: int = 0


@dataclass(slots=True)
class MemGPT:
    """``name`` is one of the names of ``bench.STRATEGIES`` that begin with ``memgpt``."""

    name: str = "memgpt"
    _images: OfPools[_Image] = field(default_factory=OfPools[_Image])

    async def reply(self, item: Item, bench: Bench) -> StrategyReply:
        image = await self._images.get(item, bench, self._made)
        with tempfile.TemporaryDirectory(dir=bench.scratch) as home:
            await anyio.to_thread.run_sync(shutil.copyfile, image.file, Path(home) / DATABASE)
            clock = FixedClock(item.asked)
            async with self._running(Path(home), bench, bench.model, clock) as kernel:
                last = (await kernel.record(_AGENT)).last_seq
                event = Event(EventKind.MESSAGE, item.question) if item.question else Event(EventKind.LOGIN)
                said = [o.text async for o in kernel.send(_AGENT, event) if o.type == "said"]
                rows = await rows_after(kernel, _AGENT, last)
        _raise_failure(bench.model)
        counted = {"flushes": float(image.flushes)} if item.lived else {}
        return StrategyReply("\n".join(said), _seen(rows, image.names), image.names, counted)

    async def _made(self, item: Item, bench: Bench) -> _Image:
        """The pool's agent, made in a folder of its own."""
        home = bench.scratch / file_name(self.name) / file_name(item.pool)
        shutil.rmtree(home, ignore_errors=True)
        model = bench.shared(shared_by(item.pool))
        clock = FixedClock(min((text.at for text in item.texts), default=item.asked))
        rehearsed = Rehearsed(model)
        async with self._running(home, bench, rehearsed, clock) as kernel:
            settings = {
                "model": bench.named, "window": bench.window, "zone": "UTC",
                "sections": self._sections(item, bench),
            }  # fmt: skip
            await kernel.create_agent(_AGENT, parse_settings(settings))
            if item.form != "conversation":
                passages = [passage_of(text) for text in item.texts]
                ids = await add_passages(kernel, _AGENT, passages)
                names = {id: text.id for id, text in zip(ids, item.texts, strict=True)}
            elif item.lived and not bench.preload:
                names = await live(kernel, _AGENT, item.texts, rehearsed, clock)
            else:
                names = await _load(kernel, item)
            flushed = await rows_after(kernel, _AGENT, roles=[Role.SUMMARY])
            clock.at = item.asked
            await (await kernel.process(_AGENT)).flush(0)  # the question comes in a new session
            await kernel.settled()
        _raise_failure(model)
        return _Image(home / DATABASE, names, len(flushed))

    @asynccontextmanager
    async def _running(
        self, home: Path, bench: Bench, model: Model, clock: FixedClock
    ) -> AsyncGenerator[Kernel]:
        hidden = _HIDDEN.get(self.name)
        parts = Parts(
            model=Hiding(model, lambda _: hidden) if hidden else model,
            embedder=bench.embedder,
            clock=clock,
            policy=QueuePolicy(warn=inf) if self.name in _UNWARNED else None,
        )
        async with open_kernel(home, parts, Installation()) as kernel:
            yield kernel

    def _sections(self, item: Item, bench: Bench) -> list[dict[str, object]]:
        """The working context that an agent starts with: the usual one, and its brief."""
        usual = (
            ()
            if _HIDDEN.get(self.name) == _WORKING_CONTEXT
            else AgentSettings().declared_sections(bench.window)
        )
        sections = [section.model_dump() for section in usual]
        if text := item.brief.agent:
            limit = max(16, bench.counter.count(text) + _BRIEF_SLACK)
            sections.append({"name": "task", "limit": limit, "text": text, "read_only": True})
        return sections


async def _load(kernel: Kernel, item: Item) -> dict[str, str]:
    """Put a conversation into the log as it stands."""
    process = await kernel.process(_AGENT)
    rows = process.memory.number([message_of(text) for text in item.texts], None)
    await append_rows(kernel, _AGENT, rows)
    return {row.id: text.id for row, text in zip(rows, item.texts, strict=True)}


def _seen(rows: list[Message], names: Mapping[str, str]) -> tuple[str, ...]:
    """The texts that results brought into view, first seen first."""
    sources = [source for row in rows if row.role is Role.RESULT for source in row.meta.sources]
    return tuple(dict.fromkeys(names[source] for source in sources if source in names))


def _raise_failure(model: Recorded) -> None:
    """The kernel goes on when a model fails; a benchmark does not."""
    if model.failed:
        raise model.failed
