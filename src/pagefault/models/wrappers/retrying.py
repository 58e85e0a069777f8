"""Retries with backoff, a time budget, and fallback models.

A wrapper of several models: the first is preferred, the others are its fallbacks while it fails. The time
rules, not a count of tries: as long as a retry may help and the budget lasts, one follows. A prompt that is
too long is the agent's business, and its error passes through. Left out: several models at once, balancing
of load.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from types import TracebackType

import anyio

from pagefault.errors import ContextLengthExceeded, ModelError, ModelUnavailable, ModelUnreachable
from pagefault.models import Completion, Model, Notice, Prompt, StreamItem
from pagefault.models.wrappers.limiter import NO_LIMITS, Pace, RateLimiter

__all__ = ["RetryingModel"]

_LONGEST_DELAY = 20.0  # seconds between two tries, unless the provider asks for more
_REST = 120.0  # seconds for which a model that failed is asked after the others


class RetryingModel:
    """Asks ``models`` in their order, again and again while they are unavailable, until one answers.

    ``budget``: seconds that one completion may take in all; ``tries``: how often a model that has fallbacks
    is asked in a row; ``delay``: seconds before the first retry, doubled for each further one and shortened
    by up to half at random (``jitter``, from 0 to 1); a provider's ``retry_after`` counts if it is longer. A
    model that cannot answer at all is not asked again, and one that failed is asked after the others for two
    minutes. Each retry and each change of model is reported by a ``Notice``. When no model answers, the last
    error is raised. ``targets`` are the names of the models in the settings, if they have any; a completion
    holds that of its model. ``limiters`` give the limiter of each model's provider; ``pace`` is the clock.
    """

    def __init__(
        self,
        models: Sequence[Model],
        *,
        targets: Sequence[str] = (),
        limiters: Sequence[Callable[[], RateLimiter]] = (),
        budget: float = 600.0,
        tries: int = 4,
        delay: float = 1.0,
        jitter: Callable[[], float] = random.random,
        pace: Pace | None = None,
    ) -> None:
        self.name = ", ".join(model.name for model in models)
        self.window = min(model.window for model in models)
        self.models = tuple(models)
        self.budget = budget
        self.tries = tries
        self.pace = pace or Pace()
        self.limiters = tuple(limiters)
        self._targets = tuple(targets) or ("",) * len(models)
        self._delay = delay
        self._jitter = jitter
        self._rests_until = dict.fromkeys(range(len(models)), 0.0)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the first answer that comes whole; raises ``ModelError`` and its subclasses only."""
        attempt = _Attempt(self, self._order(), self.pace.now() + self.budget)
        while True:
            try:
                if said := attempt.queue():
                    yield Notice(said)
                async with attempt, aclosing(attempt.model.stream(prompt)) as items:
                    while True:
                        item: StreamItem | None = None
                        with attempt.scope() as scope:  # spans no ``yield``
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
            yield Notice(notice, restart=True, unreachable=attempt.is_unreachable)
            await self.pace.sleep(wait)

    def wait(self, error: ModelUnavailable, tried: int) -> float:
        """Return the seconds to wait after so many tries."""
        delay = min(_LONGEST_DELAY, self._delay * 2.0 ** min(tried - 1, 30)) * (1 - 0.5 * self._jitter())
        return max(delay, error.retry_after or 0.0)

    def rest(self, number: int) -> None:
        """Ask a model after the others for a while."""
        self._rests_until[number] = self.pace.now() + _REST

    def limiter(self, number: int) -> RateLimiter:
        """Return the limiter of a model's provider."""
        return self.limiters[number]() if self.limiters else RateLimiter(NO_LIMITS, self.pace)

    def _order(self) -> list[int]:
        """Return the models that have not failed lately, then the others."""
        now = self.pace.now()
        return sorted(self._rests_until, key=lambda number: self._rests_until[number] > now)

    def _signed(self, whole: Completion, attempt: _Attempt) -> Completion:
        """Return a completion with its model, and the failures of those before it."""
        name = attempt.model.name
        failures = dict.fromkeys(attempt.failures)
        notes = (*(f"{failure} {name} took over." for failure in failures), *whole.notes)
        return replace(whole, model=whole.model or name, target=self._targets[attempt.order[0]], notes=notes)


@dataclass(slots=True)
class _Attempt:
    """The state of one completion: ``order`` are the models that may answer, the one in use first; ``tried``
    how often that one was asked in a row, ``rounds`` how often all were; ``end`` and ``deadline`` the times
    for all models and for that one. As a context it holds a place at the provider."""

    owner: RetryingModel
    order: list[int]
    end: float
    tried: int = 1
    rounds: int = 0
    untried: int = 0
    deadline: float = field(init=False)
    failures: list[str] = field(default_factory=list[str])
    unreached: set[int] = field(default_factory=set[int])  # the models whose last try had no connection
    tickets: dict[int, tuple[RateLimiter, int]] = field(default_factory=dict[int, tuple[RateLimiter, int]])

    def __post_init__(self) -> None:
        self.untried = len(self.order)
        self._share_time()

    @property
    def model(self) -> Model:
        return self.owner.models[self.order[0]]

    @property
    def limiter(self) -> RateLimiter:
        return self.tickets[self.order[0]][0]

    @property
    def is_unreachable(self) -> bool:
        """Return whether no model had a connection when it was last asked."""
        return len(self.unreached) == len(self.owner.models)

    def queue(self) -> str:
        """Take a place in the provider's order; return a sentence if others are before it at a limit."""
        number = self.order[0]
        if number not in self.tickets:
            limiter = self.owner.limiter(number)
            self.tickets[number] = limiter, limiter.ticket()
        if not (self.limiter.paced and self.limiter.ahead):
            return ""
        return f"{self.model.name} is at its rate limit; {self.limiter.ahead} other requests wait."

    async def __aenter__(self) -> None:
        limiter, ticket = self.tickets[self.order[0]]
        with self.scope() as scope:
            await limiter.enter(ticket)
        if scope.cancelled_caught:
            raise self.late()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.limiter.leave()

    def scope(self) -> anyio.CancelScope:
        return anyio.CancelScope(deadline=self.owner.pace.deadline(self.deadline))

    def after(self, error: ModelError) -> tuple[float, str]:
        """Return the seconds to wait before the next try, and a notice; raises the error if there is none."""
        if isinstance(error, ModelUnreachable):
            self.unreached.add(self.order[0])
        else:
            self.unreached.discard(self.order[0])
        may_pass = isinstance(error, ModelUnavailable)
        has_fallbacks = len(self.order) > 1
        if may_pass and (self.tried < self.owner.tries or not has_fallbacks):
            wait = self._wait(error)
            if self.owner.pace.now() + wait < self.deadline:
                self.tried += 1
                return wait, f"{error} (again in {wait:.1f} s, for {self._left()} s more at most)"
        self.owner.rest(self.order[0])
        self.failures.append(f"{str(error).rstrip('.')}.")
        return self._next_model(error, may_pass)

    def _next_model(self, error: ModelError, may_pass: bool) -> tuple[float, str]:
        """Go on with the next model; one that may answer later has its turn again after the others."""
        failed = self.order.pop(0)
        if may_pass and self.order:
            self.order.append(failed)
        if not self.order:
            raise error
        self.untried -= 1
        self.tried, wait = 1, 0.0
        if self.untried <= 0:  # all have failed
            self.untried, self.rounds = len(self.order), self.rounds + 1
            wait = self.owner.wait(ModelUnavailable(""), self.rounds)
        if self.owner.pace.now() + wait >= self.end:
            raise error
        self._share_time()
        return wait, f"{self.failures[-1]} {self.model.name} takes over."

    def _wait(self, error: ModelUnavailable) -> float:
        """Return the seconds to wait; the limiter itself slows down what is refused for its rate."""
        return self.owner.wait(error, 1 if self.limiter.paced else self.tried)

    def _left(self) -> str:
        return f"{self.deadline - self.owner.pace.now():.0f}"

    def late(self) -> ModelUnavailable:
        budget = f"in its share of {self.owner.budget:g} s"
        return ModelUnavailable(
            f"{self.model.name} gave no whole answer {budget}; increase the setting patience."
        )

    def _share_time(self) -> None:
        """Leave an equal share of the time to each model, so that one that hangs leaves time for the rest."""
        now = self.owner.pace.now()
        self.deadline = now + (self.end - now) / max(1, self.untried)
