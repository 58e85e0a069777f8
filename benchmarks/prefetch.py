"""The trade-off of prefetch: what comes before it is asked for, by set, window and cap, and what it costs.

No language model and no turn is needed for the first table: each question of a set meets an agent whose
memory holds the texts, and the product's own gate, search and packing make the row that would stand behind
it. So it says what the row holds, and not what a model makes of it; ``tasks.py`` has the rest of the prompt,
the completions and the look-ups.

For the second table conversations are lived through, turn by turn, by an agent that says what the data says:
flushes a hundred turns, and how many of the messages without a question mark yet draw a row. That rule knows
nothing of the gate; ``--labels`` has labels of people instead (lines of JSON: ``text``, ``asks``).

    python benchmarks/prefetch.py [--data DIR] [--archive FILE] [--limit N] [--labels FILE] [--out FILE]

``--data`` and ``--archive`` are those of ``tasks.py``; without them it is the small data that is shipped.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import anyio

from pagefault.assembly import Parts
from pagefault.bench.command import SHIPPED
from pagefault.bench.in_context import ended_in_recall, pieces_of, share_of
from pagefault.bench.recording import prompt_tokens
from pagefault.bench.rehearsal import Rehearsed, live
from pagefault.bench.scoring import interval
from pagefault.bench.strategies.memgpt import counted_in, load
from pagefault.bench.tasks import Item, Options, Text, task_named
from pagefault.build import make_embedder, open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders import Embedder
from pagefault.kernel import Kernel
from pagefault.models import Completion, Prompt, PromptMessage, StreamItem
from pagefault.models.tokens import HeuristicCounter
from pagefault.retrieval.asking import read
from pagefault.testing.clock import FixedClock
from pagefault.testing.models import call, say
from pagefault.types import Event, EventKind, Role
from pagefault.views.history import rows_after
from summary import show_prefetch

AGENT = "agent"
SETS = {
    "dmr": "dmr", "locomo": "locomo", "longmemeval": "longmemeval", "beam": "retrieval/beam_100K",
    "docqa": "docqa",
}  # fmt: skip
"""By task, the folder of its data."""
OUT = Path(__file__).parents[1] / "build" / "bench"
LARGEST_SHARE = 0.25
COUNTER = HeuristicCounter()


@dataclass(slots=True)
class Silent:
    """A model that says nothing, and adds up the tokens of its prompts."""

    window: int
    name: str = "silent"
    asked: int = 0
    tokens: int = 0

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        self.asked += 1
        self.tokens += prompt_tokens(prompt, COUNTER)
        yield Completion("Nothing.")


@dataclass(slots=True)
class Packed:
    """The rows for the questions of a set under one cap, in one window."""

    evidence: list[float] = field(default_factory=list[float])
    tokens: list[int] = field(default_factory=list[int])
    skipped: Counter[str] = field(default_factory=Counter[str])


def kernel_of(home: Path, embedder: Embedder, clock: FixedClock, model: Any) -> Kernel:
    return open_kernel(home, Parts(model=model, embedder=embedder, clock=clock), Installation())


def settings(window: int, **more: object) -> Any:
    return parse_settings({"model": "offline", "window": window, "zone": "UTC", **more})


def pools(items: Sequence[Item]) -> Iterator[list[Item]]:
    for pool in dict.fromkeys(item.pool for item in items):
        yield [item for item in items if item.pool == pool]


async def packed(
    items: Sequence[Item], windows: Sequence[int], caps: Sequence[int], embedder: Embedder
) -> dict[tuple[int, int], Packed]:
    """The rows for all questions, by window and cap. The share of the room is the largest that may be set, so
    that the cap decides wherever there is room for it."""
    found = {(window, cap): Packed() for window in windows for cap in caps}
    for pool in pools([item for item in items if pieces_of(item) and item.question]):
        with tempfile.TemporaryDirectory() as home:
            clock = FixedClock(pool[0].asked)
            async with kernel_of(Path(home), embedder, clock, Silent(windows[0])) as kernel:
                await kernel.create_agent(AGENT, settings(windows[0]))
                await load(kernel, AGENT, pool[0])
                await (await kernel.process(AGENT)).flush(0)
                await kernel.settled()
                for window in windows:
                    await kernel.change_settings(AGENT, settings(window, prefetch=LARGEST_SHARE))
                    for item in pool:
                        clock.at = item.asked
                        await ask(kernel, item, {cap: found[window, cap] for cap in caps})
    return found


async def ask(kernel: Kernel, item: Item, found: dict[int, Packed]) -> None:
    """The row that each cap gives for one question."""
    process, evidence = await kernel.process(AGENT), pieces_of(item)
    event = Event(EventKind.MESSAGE, item.question)
    opening = process.rows.opening(event, process.memory.pressure())
    for cap, one in found.items():
        prefetcher = replace(process.program.prefetcher, most=cap)
        first, *rows = await prefetcher.rows(event, opening, process.memory)
        shown = [PromptMessage("user", row.text) for row in rows]
        one.evidence.append(share_of(evidence, Prompt(tuple(shown), (), 0)))
        one.tokens.append(sum(COUNTER.count(message.text) for message in shown))
        one.skipped[first.meta.skipped] += bool(first.meta.skipped)


async def lived(texts: Sequence[Text], window: int, most: int, embedder: Embedder) -> dict[str, float]:
    """A conversation lived through, with at most so many tokens prefetched for a message (0: nothing)."""
    model = Silent(window)
    with tempfile.TemporaryDirectory() as home:
        clock, rehearsed = FixedClock(texts[0].at), Rehearsed(model)
        async with kernel_of(Path(home), embedder, clock, rehearsed) as kernel:
            more = {"prefetch": LARGEST_SHARE, "prefetch_tokens": most} if most else {"prefetch": 0.0}
            await kernel.create_agent(AGENT, settings(window, **more))
            await live(kernel, AGENT, texts, rehearsed, clock)
            rows = await rows_after(kernel, AGENT)
    turns = sum(row.role is Role.USER for row in rows)
    prefetched = [row.tokens for row in rows if row.role is Role.PREFETCH and row.text]
    return {
        **counted_in(rows), "turns": turns, "rows": len(prefetched), "tokens": sum(prefetched),
        "completions": model.asked, "prompts": model.tokens,
    }  # fmt: skip


@dataclass(slots=True)
class Searching:
    """A model that asks memory for each message as it stands, once, and says no more about it."""

    window: int
    name: str = "searching"

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        last = prompt.messages[-1]
        query = last.text.partition("] ")[2]
        yield Completion(calls=(call("memory_search", query=query) if last.role == "user" else say("Done."),))


async def ended(
    talks: Sequence[Item], documents: Sequence[Item], most: int, embedder: Embedder
) -> dict[str, Any]:
    """One agent with a conversation in its log and documents in its archive, asked about both: how many
    look-ups end in recall storage, so that no passage is shown."""
    talks = next(pools(talks))
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as home:
        clock = FixedClock(talks[0].asked)
        async with kernel_of(Path(home), embedder, clock, Searching(8192)) as kernel:
            await kernel.create_agent(AGENT, settings(8192, prefetch=0.0))
            await load(kernel, AGENT, talks[0])
            await load(kernel, AGENT, documents[0])
            await (await kernel.process(AGENT)).flush(0)
            await kernel.settled()
            last = (await kernel.record(AGENT)).last_seq
            for name, items in (("conversation", talks), ("documents", documents)):
                for item in items[:most]:
                    async for _ in kernel.send(AGENT, item.question):
                        pass
                rows = await rows_after(kernel, AGENT, last, roles=[Role.RESULT])
                results = [row.text for row in rows if row.name == "memory_search"]
                found[name] = interval([float(ended_in_recall(text)) for text in results])
                last = (await kernel.record(AGENT)).last_seq
    return found


def dialogues(task: str, items: Sequence[Item]) -> Iterator[list[Text]]:
    """The conversations of a task, one of the two being the agent."""
    for pool in pools(items):
        texts = pool[0].texts
        own = {text.speaker for text in texts[1:2]} if task == "locomo" else set[str]()
        yield [replace(text, own=text.own or text.speaker in own) for text in texts]


async def live_all(
    task: str, items: Sequence[Item], options: argparse.Namespace, embedder: Embedder
) -> list[dict[str, Any]]:
    """What prefetch costs the conversations of a task, by window and cap; 0 is without it."""
    conversations = list(islice(dialogues(task, items), options.dialogues))
    rows: list[dict[str, Any]] = []
    for window in options.windows if conversations else ():
        for most in (0, *options.lived_caps):
            one = [await lived(texts, window, most, embedder) for texts in conversations]
            turns = sum(found["turns"] for found in one)
            rows.append(
                {
                    "set": task, "window": window, "cap": most, "dialogues": len(one), "turns": turns,
                    "flushes_in_100_turns": 100 * sum(found["flushes"] for found in one) / turns,
                    "prefetched": sum(found["rows"] for found in one) / turns,
                    "idle_prefetched": interval([found["idle_prefetched"] for found in one]),
                    "prefetch_tokens": sum(f["tokens"] for f in one) / max(1, sum(f["rows"] for f in one)),
                    "context_tokens": sum(f["prompts"] for f in one) / sum(f["completions"] for f in one),
                }
            )  # fmt: skip
    return rows


def gate(labels: Path) -> dict[str, Any]:
    """The gate against labels of people: how many texts that ask nothing pass it, and how many that ask."""
    lines = [json.loads(line) for line in labels.read_text("utf-8").splitlines()]
    passed = {
        asks: [float(read(line["text"]).asks) for line in lines if line["asks"] is asks]
        for asks in (False, True)
    }
    return {
        "labelled": len(lines), "idle": len(passed[False]),
        "idle_passed": interval(passed[False]), "asking_passed": interval(passed[True]),
    }  # fmt: skip


def items_of(task: str, options: argparse.Namespace, scratch: Path) -> list[Item]:
    folder = options.data / SETS[task] if options.data else SHIPPED / task
    if task == "docqa" and options.archive:
        shutil.copytree(folder, scratch / "docqa", dirs_exist_ok=True)
        folder = Path(shutil.copy(options.archive, scratch / "docqa")).parent
    return task_named(task).items(folder, Options())


async def measured(options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    options.cache.mkdir(parents=True, exist_ok=True)
    embedder = make_embedder(options.embedder, options.cache, threads=os.cpu_count() or 1, keep=True)
    found: dict[str, Any] = {"at": time.strftime("%Y-%m-%d"), "packed": [], "lived": []}
    for task in SETS if options.only is None else options.only:
        begin = time.monotonic()
        items = items_of(task, options, scratch)
        for (window, cap), one in (
            await packed(items[: options.limit], options.windows, options.caps, embedder)
        ).items():
            found["packed"].append(
                {
                    "set": task, "window": window, "cap": cap, "n": len(one.evidence),
                    "evidence_at_first": interval(one.evidence), "prefetch_tokens": interval(one.tokens),
                    "skipped": dict(one.skipped),
                }
            )  # fmt: skip
        if task in ("dmr", "locomo"):
            found["lived"] += await live_all(task, items, options, embedder)
        print(f"{task}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    if options.ended:
        talks, documents = (items_of(task, options, scratch) for task in ("locomo", "docqa"))
        found["ended_in_recall"] = await ended(talks, documents, options.ended, embedder)
    if options.labels:
        found["gate"] = gate(options.labels)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="a folder of the published sets; else what is shipped")
    parser.add_argument("--archive", type=Path, help="documents that join the archive of docqa")
    parser.add_argument("--limit", type=int, help="the first N questions of each set")
    parser.add_argument(
        "--dialogues", type=int, help="the first N conversations of each set are lived through"
    )
    parser.add_argument("--windows", type=int, nargs="+", default=[4096, 16_384])
    parser.add_argument("--caps", type=int, nargs="+", default=[300, 400, 600, 1200])
    parser.add_argument("--lived-caps", type=int, nargs="+", default=[400, 600])
    parser.add_argument("--labels", type=Path, help="lines of JSON with text and asks, labelled by people")
    parser.add_argument("--only", nargs="*", choices=list(SETS), metavar="SET", help="some of the sets")
    parser.add_argument("--ended", type=int, help="look-ups of each kind to follow to where they end")
    parser.add_argument("--embedder", default="minilm")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()), help="where vectors are kept"
    )
    parser.add_argument("--out", type=Path, help="a file for the figures, as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = anyio.run(measured, options, Path(scratch))
    if options.out:
        options.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    show_prefetch(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
