"""Retries with backoff, a time budget, and fallback models.

A wrapper of several models: the first is preferred, the others are its fallbacks while it fails. A prompt
that is too long is the agent's business, and its error passes through. Left out: several models at once,
balancing of load.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import anyio

from pagefault.errors import ContextLengthExceeded, ModelError, ModelUnavailable
from pagefault.models import Completion, Model, Notice, Prompt, StreamItem

__all__ = ["RetryingModel"]

_LONGEST_DELAY = 30.0  # seconds between two tries, unless the provider asks for more
_REST = 120.0  # seconds for which a model that failed is asked after the others


class RetryingModel:
    """Asks ``models`` in their order, each up to ``tries`` times while it is unavailable, until one answers.

    ``budget``: seconds that one completion may take in all, shared among the models; ``delay``: seconds
    before the first retry, doubled for each further one and shortened by up to half at random (``jitter``,
    from 0 to 1); a provider's ``retry_after`` counts if it is longer. A model that cannot answer at all is
    not asked again, and one that failed is asked after the others for two minutes. Each retry and each
    change of model is reported by a ``Notice``. When no model answers, the last error is raised. ``targets``
    are the names of the models in the settings, if they have any; a completion holds that of its model.
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
        self.models = tuple(models)
        self.budget = budget
        self.tries = tries
        self._targets = tuple(targets) or ("",) * len(models)
        self._delay = delay
        self._jitter = jitter
        self._rests_until = dict.fromkeys(range(len(models)), 0.0)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the first answer that comes whole; raises ``ModelError`` and its subclasses only."""
        attempt = _Attempt(self, self._order(), anyio.current_time() + self.budget)
        while True:
            try:
                async with aclosing(attempt.model.stream(prompt)) as items:
                    while True:
                        item: StreamItem | None = None
                        with anyio.CancelScope(deadline=attempt.deadline) as scope:  # spans no ``yield``
                            item = await anext(items, None)
                        if scope.cancelled_caught:
                            raise attempt.late()
                        if item is None:
                            return
                        yield self._signed(item, attempt) if isinstance(item, Completion) else item
            except ContextLengthExceeded:
                raise
            except ModelError as error:
                wait, notice = attempt.after(error)
            yield Notice(notice, restart=True)
            await anyio.sleep(wait)

    def wait(self, error: ModelUnavailable, tried: int) -> float:
        """Return the seconds to wait after so many tries."""
        delay = min(_LONGEST_DELAY, self._delay * 2.0 ** (tried - 1)) * (1 - 0.5 * self._jitter())
        return max(delay, error.retry_after or 0.0)

    def rest(self, number: int) -> None:
        """Ask a model after the others for a while."""
        self._rests_until[number] = anyio.current_time() + _REST

    def _order(self) -> list[int]:
        """Return the models that have not failed lately, then the others."""
        now = anyio.current_time()
        return sorted(self._rests_until, key=lambda number: self._rests_until[number] > now)

    def _signed(self, whole: Completion, attempt: _Attempt) -> Completion:
        """Return a completion with its model, and the failures of those before it."""
        name = attempt.model.name
        notes = (*(f"{failure} {name} took over." for failure in attempt.failures), *whole.notes)
        return replace(whole, model=whole.model or name, target=self._targets[attempt.order[0]], notes=notes)


@dataclass(slots=True)
class _Attempt:
    """The state of one completion: ``order`` are the models that are left, the one in use first; ``tried``
    how often that one was asked; ``end`` and ``deadline`` the times for all models and for that one."""

    owner: RetryingModel
    order: list[int]
    end: float
    tried: int = 1
    deadline: float = field(init=False)
    failures: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self._share_time()

    @property
    def model(self) -> Model:
        return self.owner.models[self.order[0]]

    def after(self, error: ModelError) -> tuple[float, str]:
        """Return the seconds to wait before the next try, and a notice; raises the error if there is none."""
        if isinstance(error, ModelUnavailable) and self.tried < self.owner.tries:
            wait = self.owner.wait(error, self.tried)
            if anyio.current_time() + wait < self.deadline:
                self.tried += 1
                return wait, f"{error} (again in {wait:.1f} s, {self.tried} of {self.owner.tries})"
        self.owner.rest(self.order[0])
        if len(self.order) == 1:
            raise error
        self.failures.append(f"{str(error).rstrip('.')}.")
        del self.order[0]
        self.tried = 1
        self._share_time()
        return 0.0, f"{self.failures[-1]} {self.model.name} takes over."

    def late(self) -> ModelUnavailable:
        budget = f"in its share of {self.owner.budget:g} s"
        return ModelUnavailable(
            f"{self.model.name} gave no whole answer {budget}; increase the setting patience."
        )

    def _share_time(self) -> None:
        """Leave an equal share of the time to each model, so that one that hangs leaves time for the rest."""
        now = anyio.current_time()
        self.deadline = now + (self.end - now) / len(self.order)
