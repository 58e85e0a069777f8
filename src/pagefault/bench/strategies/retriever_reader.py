"""Retrieve, then read: the K best texts in one prompt (the paper's baseline for documents)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pagefault.bench import prompts
from pagefault.bench.strategies import Bench
from pagefault.bench.strategies.fixed import answered, line_of
from pagefault.bench.tasks import Item, StrategyReply
from pagefault.context import paging

__all__ = ["RetrieverReader"]


@dataclass(frozen=True, slots=True)
class RetrieverReader:
    """``most`` texts, the best first, turns of a conversation in their order; all are cut to the same length
    where they would not fit otherwise."""

    most: int

    @property
    def name(self) -> str:
        return f"retriever-reader@{self.most}"

    async def reply(self, item: Item, bench: Bench) -> StrategyReply:
        async with bench.pools.searching(item) as pool:
            best = await pool.search(item.question, self.most)
        share = bench.room(item, prompts.headings[item.form]) // max(1, len(best))
        shown = [
            replace(text, text=paging.split(text.text, max(1, share - frame), bench.counter)[0].strip())
            for number, text in enumerate(best, 1)
            for frame in [bench.counter.count(line_of(item, replace(text, text=""), number)) + 1]
        ]
        if item.form == "conversation":
            shown.sort(key=lambda text: text.at)
        reply = await answered(item, bench, shown)
        return replace(reply, seen=tuple(text.id for text in best))
