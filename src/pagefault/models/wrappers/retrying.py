"""Patience with providers: retries with backoff, a time budget, and other models that take over.

A model around models: the first is the one that is wanted, the others stand in for it while it fails. What is
wrong with the prompt (too long) is the agent's business and passes through. Left out: racing models against
each other, balancing load.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import anyio

from pagefault.errors import ContextLengthExceeded, ModelError, ModelUnavailable
from pagefault.models import Completion, Model, Notice, Prompt, StreamItem

__all__ = ["RetryingModel"]

_LONGEST_DELAY = 30.0  # seconds between two tries, unless the provider asks for more
_REST = 120.0  # seconds for which a model that failed is not the first to be asked


class RetryingModel:
    """Asks ``models`` in their order, each up to ``tries`` times while it is unavailable, until one answers.

    ``budget``: seconds that one completion may take in all, shared among the models; ``delay``: seconds
    before the first retry, doubled for each further one and shortened by up to half at random (``jitter``,
    from 0 to 1); a provider's ``retry_after`` counts if it is longer. A model that cannot answer at all gives
    way at once, and one that failed is not the first to be asked for two minutes. Each retry and each change
    of model is told by a ``Notice``. When nobody answers, the last error is raised. ``targets`` are the names
    that settings have for the models, if they have any; a completion says whose it is.
    """

    def __init__(
        self,
        models: Sequence[Model],
        *,
        targets: Sequence[str] = (),
        budget: float = 600.0,
        tries: int = 4,
        delay: float = 1.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = ", ".join(model.name for model in models)
        self.window = min(model.window for model in models)
        self._models = tuple(models)
        self._targets = tuple(targets) or ("",) * len(models)
        self._budget = budget
        self._tries = tries
        self._delay = delay
        self._jitter = jitter
        self._rests_until = dict.fromkeys(range(len(models)), 0.0)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the first answer that comes whole; raises ``ModelError`` and its subclasses only."""
        deadline = anyio.current_time() + self._budget
        failures: list[str] = []
        order = self._order()
        for left, number, following in zip(range(len(order), 0, -1), order, [*order[1:], None], strict=True):
            model, now = self._models[number], anyio.current_time()
            share = now + (deadline - now) / left  # so that one that hangs leaves time for the others
            try:
                async with aclosing(self._insist(model, prompt, share)) as items:
                    async for item in items:
                        yield self._signed(item, number, failures)
                return
            except ContextLengthExceeded:
                raise
            except ModelError as error:
                self._rests_until[number] = anyio.current_time() + _REST
                if following is None:
                    raise
                failures.append(f"{str(error).rstrip('.')}.")
            yield Notice(f"{failures[-1]} {self._models[following].name} takes over.", restart=True)

    async def _insist(self, model: Model, prompt: Prompt, deadline: float) -> AsyncGenerator[StreamItem]:
        """The model's answer, asked for again while it is unavailable."""
        for attempt in range(1, self._tries + 1):
            try:
                async with aclosing(self._until(deadline, model, prompt)) as items:
                    async for item in items:
                        yield item
                return
            except ModelUnavailable as error:
                wait = self._wait(error, attempt, deadline)
                if wait is None:
                    raise
                told = f"{error} (again in {wait:.1f} s, {attempt + 1} of {self._tries})"
            yield Notice(told, restart=True)
            await anyio.sleep(wait)

    def _order(self) -> list[int]:
        """The models that have not failed lately, then the others."""
        now = anyio.current_time()
        return sorted(self._rests_until, key=lambda number: self._rests_until[number] > now)

    def _wait(self, error: ModelUnavailable, attempt: int, deadline: float) -> float | None:
        """Seconds to wait before this model is asked again; None if it is not to be asked again."""
        grown = min(_LONGEST_DELAY, self._delay * 2.0 ** (attempt - 1)) * (1 - 0.5 * self._jitter())
        wait = max(grown, error.retry_after or 0.0)
        return wait if attempt < self._tries and anyio.current_time() + wait < deadline else None

    async def _until(self, deadline: float, model: Model, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """The model's stream, broken off at the deadline. The scope never spans a ``yield``."""
        async with aclosing(model.stream(prompt)) as items:
            iterator = aiter(items)
            while True:
                item: StreamItem | None = None
                with anyio.CancelScope(deadline=deadline) as scope:
                    item = await anext(iterator, None)
                if scope.cancelled_caught:
                    late = f"{model.name} gave no whole answer in its share of {self._budget:g} s"
                    raise ModelUnavailable(f"{late}; the setting patience allows more.")
                if item is None:
                    return
                yield item

    def _signed(self, item: StreamItem, number: int, failures: Sequence[str]) -> StreamItem:
        """A completion with who made it and why it was not the one that was wanted; else the item itself."""
        if not isinstance(item, Completion):
            return item
        name = self._models[number].name
        notes = (*(f"{failure} {name} took over." for failure in failures), *item.notes)
        return replace(item, model=item.model or name, target=self._targets[number], notes=notes)
