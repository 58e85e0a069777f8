"""MemGPT: an agent of pagefault for each item.

The conversation of a pool is lived through once, or loaded, and evicted from the queue; pairs go to archival
storage. Each item of the pool is then asked of a copy, so that no question sees another. Documents are not
copied: each item has an agent of its own in the pool's store, with the pool's archive attached, read-only.
Time is the data's.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from statistics import fmean
from uuid import uuid4

import anyio.to_thread

from pagefault.assembly import Parts
from pagefault.bench.callers import Hiding
from pagefault.bench.pools import KeptOpen, file_name, message_of, passage_of
from pagefault.bench.recording import Recorded
from pagefault.bench.rehearsal import Rehearsed, live
from pagefault.bench.strategies import Bench, OfPools, shared_by
from pagefault.bench.tasks import Item, StrategyReply
from pagefault.build import DATABASE, open_kernel
from pagefault.config import PREFETCH, AgentSettings, Installation, parse_settings
from pagefault.context.policy import QueuePolicy
from pagefault.kernel import Kernel
from pagefault.kernel.edits import add_passages, append_rows
from pagefault.kernel.sleeping import sleep
from pagefault.models import Model
from pagefault.shared import Attachment
from pagefault.storage import Store
from pagefault.testing.clock import FixedClock
from pagefault.types import Event, EventKind, Message, Role
from pagefault.views.history import rows_after
from pagefault.views.reply import reply_of

__all__ = ["PREFETCHING", "SLEEPING", "MemGPT", "counted_in", "load", "prefetch_settings"]

_AGENT = "agent"
_RECALL = frozenset({"memory_search", "recall_search", "recall_search_by_date", "recall_read"})
_WORKING_CONTEXT = frozenset({"working_context_append", "working_context_replace", "page_in", "page_out"})
_HIDDEN: dict[str, frozenset[str]] = {
    "memgpt-without-recall": _RECALL,
    "memgpt-without-both": _RECALL,
    "memgpt-without-working-context": _WORKING_CONTEXT,
}
"""Functions that an ablation does without."""

PREFETCHING = "memgpt+prefetch"
"""The strategy that prefetches; behind an ``@`` stands how many tokens it may at most take, else as set by
default."""

SLEEPING = "memgpt+sleep"
"""The strategy that tidies its memory before the question comes."""

_LARGEST_SHARE = 0.25  # of the room, where the tokens are given
_UNWARNED = ("memgpt-without-warning", "memgpt-without-both")
_ASKS = re.compile("[?\u037e\u061f\uff1f]")
_BRIEF_SLACK = 16  # tokens that a section may take beyond its text


@dataclass(frozen=True, slots=True)
class _Image:
    """An agent at the point where the question comes: its database, which text each id there stands for, and
    figures of the conversation that it lived through."""

    file: Path
    names: Mapping[str, str]
    counted: Mapping[str, float]


_Asked = tuple[Kernel, str, Mapping[str, str], Mapping[str, float]]
"""A running kernel, the name of its agent that is asked, and the names and figures of an ``_Image``."""


@dataclass(slots=True)
class MemGPT:
    """``name`` is one of the names of ``bench.STRATEGIES`` that begin with ``memgpt``; behind ``PREFETCHING``
    there may be ``@TOKENS``."""

    name: str = "memgpt"
    _images: OfPools[_Image] = field(default_factory=OfPools[_Image])
    _names: dict[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])

    async def reply(self, item: Item, bench: Bench) -> StrategyReply:
        asked = self._attached if item.form == "passages" else self._copied
        async with asked(item, bench) as (kernel, agent, names, lived):
            last = (await kernel.record(agent)).last_seq
            event = Event(EventKind.MESSAGE, item.question) if item.question else Event(EventKind.LOGIN)
            said = [o.text async for o in kernel.send(agent, event) if o.type == "said"]
            rows = await rows_after(kernel, agent, last)
        _raise_failure(bench.model)
        prefetched = sum(row.tokens for row in rows if row.role is Role.PREFETCH)
        counted = {"prefetch_tokens": float(prefetched), **lived}
        return StrategyReply("\n".join(said), _seen(rows, names), names, counted)

    @asynccontextmanager
    async def _copied(self, item: Item, bench: Bench) -> AsyncGenerator[_Asked]:
        """A copy of the pool's agent."""
        image = await self._images.get(item, bench, self._made)
        with tempfile.TemporaryDirectory(dir=bench.scratch) as home:
            await anyio.to_thread.run_sync(shutil.copyfile, image.file, Path(home) / DATABASE)
            clock = FixedClock(item.asked)
            async with self._running(Path(home), bench, bench.model, clock) as kernel:
                yield kernel, _AGENT, image.names, image.counted

    @asynccontextmanager
    async def _attached(self, item: Item, bench: Bench) -> AsyncGenerator[_Asked]:
        """A new agent in the pool's store, which goes when it was asked."""
        agent, archive = uuid4().hex, Attachment("archive", item.pool, item.asked, read_only=True)
        async with bench.pools.searching(item) as pool:
            if item.pool not in self._names:
                self._names[item.pool] = {
                    f"{item.pool}/p{number}": text.id for number, text in enumerate(pool.texts, 1)
                }
            clock, store = FixedClock(item.asked), KeptOpen(pool.retriever.store)
            async with self._running(bench.scratch, bench, bench.model, clock, store) as kernel:
                id = (await kernel.create_agent(agent, self._settings(item, bench))).id
                try:
                    await store.write(lambda tx: tx.attach(id, archive))
                    yield kernel, agent, self._names[item.pool], {}
                finally:
                    with anyio.CancelScope(shield=True):
                        await kernel.cancel(agent)
                        await kernel.idle(agent)
                        await kernel.delete(agent)

    async def _made(self, item: Item, bench: Bench) -> _Image:
        """The pool's agent, made in a folder of its own."""
        home = bench.scratch / file_name(self.name) / file_name(item.pool)
        shutil.rmtree(home, ignore_errors=True)
        model = bench.shared(shared_by(item.pool))
        clock = FixedClock(min((text.at for text in item.texts), default=item.asked))
        rehearsed = Rehearsed(model)
        async with self._running(home, bench, rehearsed, clock) as kernel:
            await kernel.create_agent(_AGENT, self._settings(item, bench))
            counted: dict[str, float] = {}
            if item.lived and not bench.preload:
                names = await live(kernel, _AGENT, item.texts, rehearsed, clock)
                counted = counted_in(await rows_after(kernel, _AGENT))
            else:
                names = await load(kernel, _AGENT, item)
            clock.at = item.asked
            if self.name == SLEEPING:
                counted |= await _slept(kernel)
            await (await kernel.process(_AGENT)).flush(0)  # the question comes in a new session
            await kernel.settled()
        _raise_failure(model)
        return _Image(home / DATABASE, names, counted)

    @asynccontextmanager
    async def _running(
        self, home: Path, bench: Bench, model: Model, clock: FixedClock, store: Store | None = None
    ) -> AsyncGenerator[Kernel]:
        hidden = _HIDDEN.get(self.name)
        parts = Parts(
            model=Hiding(model, lambda _: hidden) if hidden else model,
            embedder=bench.embedder,
            store=store,
            clock=clock,
            policy=QueuePolicy(warn=inf) if self.name in _UNWARNED else None,
        )
        async with open_kernel(home, parts, Installation()) as kernel:
            yield kernel

    def _settings(self, item: Item, bench: Bench) -> AgentSettings:
        settings = {
            "model": bench.named, "window": bench.window, "zone": "UTC",
            "sections": self._sections(item, bench), **prefetch_settings(self.name),
        }  # fmt: skip
        return parse_settings(settings)

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


async def _slept(kernel: Kernel) -> dict[str, float]:
    """Let the agent tidy its memory; what that took: requests, and tokens of input and output."""
    async with sleep(kernel, _AGENT) as (agent, _, outputs):
        spent = (await reply_of(kernel, agent, [output async for output in outputs])).usage
    return {"sleep_requests": float(spent.requests), "sleep_tokens": float(spent.input + spent.output)}


async def load(kernel: Kernel, agent: str, item: Item) -> dict[str, str]:
    """Put an item's texts into an agent's memory as they stand: passages into archival storage, turns into
    the log. Returns which text each id there stands for."""
    if item.form != "conversation":
        ids = await add_passages(kernel, agent, [passage_of(text) for text in item.texts])
    else:
        process = await kernel.process(agent)
        rows = process.memory.number([message_of(text) for text in item.texts], None)
        await append_rows(kernel, agent, rows)
        ids = [row.id for row in rows]
    return {id: text.id for id, text in zip(ids, item.texts, strict=True)}


def prefetch_settings(name: str) -> dict[str, object]:
    """The settings of an agent under which this strategy prefetches, or does not."""
    plain, _, most = name.partition("@")
    if plain != PREFETCHING:
        return {"prefetch": 0.0}
    return {"prefetch": _LARGEST_SHARE, "prefetch_tokens": int(most)} if most else {"prefetch": PREFETCH}


def counted_in(rows: Sequence[Message]) -> dict[str, float]:
    """Figures of a conversation that was lived through, from its log: ``flushes``, and ``idle_prefetched``,
    the share of the messages without a question mark that yet drew a prefetch."""
    prefetched = {row.event for row in rows if row.role is Role.PREFETCH and row.text}
    idle = [row.event in prefetched for row in rows if row.role is Role.USER and not _ASKS.search(row.text)]
    shares = {"idle_prefetched": fmean(idle)} if idle else {}
    return {"flushes": float(sum(row.role is Role.SUMMARY for row in rows)), **shares}


def _seen(rows: list[Message], names: Mapping[str, str]) -> tuple[str, ...]:
    """The texts that results and prefetched rows brought into view, first seen first."""
    shown = (row for row in rows if row.role in (Role.RESULT, Role.PREFETCH))
    sources = [source for row in shown for source in row.meta.sources]
    return tuple(dict.fromkeys(names[source] for source in sources if source in names))


def _raise_failure(model: Recorded) -> None:
    """The kernel goes on when a model fails; a benchmark does not."""
    if model.failed:
        raise model.failed
