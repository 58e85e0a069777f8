"""A model whose completions are written down, counted, and not asked for a second time.

Each request is a line of a transcript: what is new of its prompt, the completion, tokens and seconds. A
prompt that the transcript holds already is answered from it, so that a run that was broken off goes on where
it was and pays for nothing twice. Leaves out prices that differ by agreement, and retries
(``models.wrappers.retrying``).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from pagefault.accounting.prices import Prices
from pagefault.context import fixed_tokens
from pagefault.errors import ModelError
from pagefault.message_meta import RequestUsage
from pagefault.models import Call, Completion, Model, ModelWrapper, Prompt, PromptMessage, StreamItem, Usage
from pagefault.models.tokens import MESSAGE_OVERHEAD, Counter

__all__ = ["BudgetSpent", "Ledger", "Recorded", "Request", "Spent", "prompt_tokens", "spent_in"]


class BudgetSpent(ModelError):
    """The run may spend no more."""


@dataclass(slots=True)
class Spent:
    """Tokens (``estimated`` where nothing was reported), USD (None: a price is not known) and seconds."""

    requests: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    cost: float | None = 0.0
    seconds: float = 0.0
    estimated: bool = False

    def add(self, other: Spent) -> None:
        self.requests += other.requests
        self.input += other.input
        self.output += other.output
        self.cached += other.cached
        self.cost = None if self.cost is None or other.cost is None else self.cost + other.cost
        self.seconds += other.seconds
        self.estimated |= other.estimated


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was answered, from the transcript or anew."""

    prompt: Prompt
    completion: Completion


@dataclass(slots=True)
class Ledger:
    """The tokens and USD that this run has spent, and the limits of both. ``named``: the model, as settings
    name it; ``prices`` is None where nothing has one."""

    named: str = ""
    prices: Prices | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    spent: Spent = field(default_factory=Spent)

    def check(self) -> None:
        """``BudgetSpent`` if nothing more may be asked."""
        if self.max_tokens is not None and self.spent.input + self.spent.output >= self.max_tokens:
            raise BudgetSpent(f"The budget of {self.max_tokens:,} tokens is spent.")
        if self.max_cost is not None:
            if self.spent.cost is None:
                raise BudgetSpent("The price of this model is not known, so --max-cost cannot be kept.")
            if self.spent.cost >= self.max_cost:
                raise BudgetSpent(f"The budget of {self.max_cost:.2f} USD is spent.")

    def priced(self, completion: Completion, usage: Usage) -> float | None:
        """Return the cost of a completion in USD; None if its price is not known."""
        if self.prices is None:
            return None
        request = RequestUsage(completion.target or self.named, usage, answered=completion.model)
        return self.prices.cost(request, datetime.now(UTC))


class Recorded(ModelWrapper):
    """``model``, written down in ``file``. ``spent`` is what the answers took, those from the transcript
    included; ``ledger`` hears only of what was asked anew. ``requests`` are all that were answered, in order;
    ``failed`` is the last error of the model."""

    def __init__(self, model: Model, file: Path, ledger: Ledger, counter: Counter) -> None:
        super().__init__(model)
        self.spent = Spent()
        self.requests: list[Request] = []
        self.failed: ModelError | None = None
        self._file = file
        self._ledger = ledger
        self._counter = counter
        self._known = _read(file)
        self._last: tuple[PromptMessage, ...] = ()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """The completion, without deltas."""
        key = _digest(prompt)
        if known := self._known[key]:
            completion, spent = known.popleft()
        else:
            completion, spent = await self._ask(prompt)
            self._write(key, prompt, completion, spent)
        self._last = prompt.messages
        self.spent.add(spent)
        self.requests.append(Request(prompt, completion))
        yield completion

    async def _ask(self, prompt: Prompt) -> tuple[Completion, Spent]:
        begin = time.monotonic()
        try:
            self._ledger.check()
            async with aclosing(self.model.stream(prompt)) as items:
                async for item in items:
                    if isinstance(item, Completion):
                        spent = self._spent(prompt, item, time.monotonic() - begin)
                        self._ledger.spent.add(spent)
                        return item, spent
            raise ModelError(f"{self.name} ended its stream without a completion; try again.")
        except ModelError as error:
            self.failed = error
            raise

    def _spent(self, prompt: Prompt, completion: Completion, seconds: float) -> Spent:
        usage = completion.usage or self._estimate(prompt, completion)
        cost = self._ledger.priced(completion, usage)
        estimated = completion.usage is None
        return Spent(1, usage.input, usage.output, usage.cached, cost, round(seconds, 4), estimated)

    def _estimate(self, prompt: Prompt, completion: Completion) -> Usage:
        count = self._counter.count
        said = count(completion.text) + sum(count(call.arguments) for call in completion.calls)
        return Usage(prompt_tokens(prompt, self._counter), said)

    def _write(self, key: str, prompt: Prompt, completion: Completion, spent: Spent) -> None:
        pairs = zip(self._last, prompt.messages, strict=False)
        kept = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        line = {
            "key": key,
            "kept": kept,  # messages that the prompt has in common with that of the line before
            "messages": [_plain(message) for message in prompt.messages[kept:]],
            "functions": [function.name for function in prompt.functions],
            "completion": asdict(completion),
            "spent": asdict(spent),
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def prompt_tokens(prompt: Prompt, counter: Counter) -> int:
    """The tokens of a whole prompt, function schemas with it."""
    count = counter.count
    shown = sum(
        MESSAGE_OVERHEAD + count(message.text) + sum(count(call.arguments) for call in message.calls)
        for message in prompt.messages
    )
    return shown + fixed_tokens("", prompt.functions, counter)


def _plain(message: PromptMessage) -> dict[str, Any]:
    return {name: value for name, value in asdict(message).items() if value}


def _digest(prompt: Prompt) -> str:
    return hashlib.sha256(repr(prompt).encode()).hexdigest()[:32]


def _read(file: Path) -> defaultdict[str, deque[tuple[Completion, Spent]]]:
    """The answers of a transcript by prompt. A last line that was cut off is taken out of the file."""
    known: defaultdict[str, deque[tuple[Completion, Spent]]] = defaultdict(deque)
    if not file.is_file():
        return known
    data = file.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        file.write_bytes(whole)
    for line in filter(None, whole.decode().split("\n")):
        value = json.loads(line)
        known[value["key"]].append((_completion(value["completion"]), Spent(**value["spent"])))
    return known


def spent_in(file: Path) -> Spent:
    """The sum of what the requests of a transcript took; nothing if there is none."""
    total = Spent()
    for answers in _read(file).values():
        for _, spent in answers:
            total.add(spent)
    return total


def _completion(value: Mapping[str, Any]) -> Completion:
    calls = tuple(Call(**call) for call in value["calls"])
    usage = Usage(**value["usage"]) if value["usage"] else None
    return replace(Completion(**value), calls=calls, usage=usage, notes=tuple(value["notes"]))
