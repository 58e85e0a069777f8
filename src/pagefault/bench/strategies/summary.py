"""The paper's baseline for conversations: a fixed context that holds a lossy summary of all that was said."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby

from pagefault.bench import prompts
from pagefault.bench.pools import message_of
from pagefault.bench.strategies import Bench, OfPools, shared_by
from pagefault.bench.strategies.fixed import answered
from pagefault.bench.tasks import Item, StrategyReply
from pagefault.context.summary import summarise

__all__ = ["RecursiveSummary"]

_LONGEST = 300  # tokens of the summary


@dataclass(slots=True)
class RecursiveSummary:
    """Each session is folded into the summary of those before it (the product's own summariser), of at most
    300 tokens; once for all items of a pool. The question is answered from the summary alone."""

    name: str = "recursive-summary"
    _summaries: OfPools[str] = field(default_factory=OfPools[str])

    async def reply(self, item: Item, bench: Bench) -> StrategyReply:
        summary = await self._summaries.get(item, bench, _made)
        return await answered(item, bench, (), prompts.SUMMARY, summary)


async def _made(item: Item, bench: Bench) -> str:
    model, summary = bench.shared(shared_by(item.pool)), ""
    for _, session in groupby(item.texts, key=lambda text: text.session):
        rows = [message_of(text) for text in session]
        shown = [replace(row, shown=row.shown.replace("{}", row.text, 1)) for row in rows]
        made = await summarise(
            model, summary, shown, window=bench.window, limit=_LONGEST, counter=bench.counter
        )
        summary = made.text
    if model.failed:  # the summariser goes on when a model fails; a benchmark does not
        raise model.failed
    return summary
