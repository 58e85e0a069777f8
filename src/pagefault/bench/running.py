"""Items in parallel, at most so many at once, each written down when it is done; stopped and resumed at will.

An item whose result is there is not asked again; of one that was broken off, the requests that were answered
are not sent again (``recording``). A spent budget or a model that cannot work ends the run cleanly; an item
at which the model fails otherwise is left out and reported, and the next run tries it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import anyio

from pagefault.bench.in_context import measured
from pagefault.bench.pools import Pools, file_name
from pagefault.bench.recording import BudgetSpent, Ledger, Recorded
from pagefault.bench.results import FORMAT, ItemResult, RunFolder
from pagefault.bench.strategies import Bench, Strategy
from pagefault.bench.tasks import Item, StrategyReply, Task
from pagefault.embedders import Embedder
from pagefault.errors import ModelError, ModelSetupError
from pagefault.models import Model
from pagefault.models.tokens import Counter

__all__ = ["Judge", "TaskRun", "Watch"]

Watch = Callable[[Ledger], None]
"""Called after each item, done or failed."""


class Judge(Protocol):
    """A grader of answers: 1.0 if a model, asked through ``record``, finds an answer right."""

    async def __call__(
        self, item: Item, reply: StrategyReply, record: Callable[[Model], Recorded]
    ) -> float: ...


@dataclass(slots=True)
class TaskRun:
    """One task with its strategies. ``scores_answers``: False where answers are no language model's.
    ``failed``: at which items of each strategy the model failed, and how; ``stopped``: why the run ended
    before its end (empty: it did not)."""

    task: Task
    items: Sequence[Item]
    strategies: Sequence[Strategy]
    results: RunFolder
    model: Model
    ledger: Ledger
    counter: Counter
    embedder: Embedder
    scratch: Path
    concurrency: int = 4
    documents_database: str = ""
    judge: Judge | None = None
    scores_answers: bool = True
    watch: Watch = lambda _: None
    failed: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    stopped: str = ""

    async def run(self) -> None:
        """Ask all items of all strategies that are not done yet."""
        pools = Pools(self.scratch / "pools", self.embedder, self.documents_database)
        try:
            for strategy in self.strategies:
                self.failed[strategy.name] = {}
                if not self.stopped:
                    await self._strategy(strategy, pools)
        finally:
            await pools.aclose()

    async def _strategy(self, strategy: Strategy, stores: Pools) -> None:
        done = self.results.done(strategy.name)
        waiting = iter([item for item in self.items if item.id not in done])
        shared = partial(self._recorded, strategy.name)

        async def work() -> None:
            for item in waiting:
                if self.stopped:
                    return
                recorded = self._recorded(strategy.name, item.id)
                bench = Bench(
                    recorded, shared, self.results.settings.model, self.results.settings.window,
                    self.counter, self.embedder, stores, self.scratch, self.results.settings.preload,
                    self.results.settings.seed,
                )  # fmt: skip
                try:
                    self.results.add(strategy.name, await self._one(item, strategy, bench))
                except (BudgetSpent, ModelSetupError) as error:
                    self.stopped = str(error)
                except ModelError as error:
                    self.failed[strategy.name][item.id] = str(error)
                self.watch(self.ledger)

        async with anyio.create_task_group() as tasks:
            for _ in range(self.concurrency):
                tasks.start_soon(work)

    async def _one(self, item: Item, strategy: Strategy, bench: Bench) -> ItemResult:
        begin = time.monotonic()
        reply = await strategy.reply(item, bench)
        seconds = time.monotonic() - begin
        scores: dict[str, float] = {}
        if not reply.unfit:
            scores = measured(item, bench.model.requests, self.counter, reply.seen) | dict(reply.counted)
            if self.scores_answers:
                scores |= await self._scored(item, strategy, reply)
        return ItemResult(
            item.id, item.part, item.question, item.gold, reply.text, scores, reply.seen, reply.unfit,
            round(seconds, 4), asdict(bench.model.spent), FORMAT,
        )  # fmt: skip

    async def _scored(self, item: Item, strategy: Strategy, reply: StrategyReply) -> dict[str, float]:
        scores = {**await self.task.score(item, reply, self.embedder)}
        scores["mean_length"] = float(len(reply.text.split()))
        if self.judge and item.gold:
            judging = partial(self._recorded, strategy.name, f"{item.id} judged")
            scores["judged"] = await self.judge(item, reply, judging)
        return scores

    def _recorded(self, strategy: str, name: str, model: Model | None = None) -> Recorded:
        file = self.results.transcript(strategy, file_name(name))
        return Recorded(model or self.model, file, self.ledger, self.counter)
