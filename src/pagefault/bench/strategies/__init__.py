"""Ways of managing context, side by side: the protocol of a strategy, what it works with, and which there
are.

Every strategy answers the same items with the same model and window, and finds texts with the same ranker.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import anyio

from pagefault.bench import STRATEGIES
from pagefault.bench.pools import Pools
from pagefault.bench.prompts import one_prompt
from pagefault.bench.recording import Recorded
from pagefault.bench.tasks import Item, StrategyReply
from pagefault.embedders import Embedder
from pagefault.errors import UsageError
from pagefault.models import Completion, Prompt
from pagefault.models.tokens import MESSAGE_OVERHEAD, PROMPT_OVERHEAD, Counter

__all__ = ["Bench", "OfPools", "Strategy", "shared_by", "strategies_named"]

_T = TypeVar("_T")

_PREFETCH_AT = re.compile(r"memgpt\+prefetch@[1-9]\d{2,4}")
_LONGEST_REPLY = 512  # tokens


@dataclass(frozen=True, slots=True)
class Bench:
    """The tools of a strategy at one item.

    ``model`` writes down what it is asked; ``shared`` makes one that writes to a transcript of another name
    (``shared_by``), for work that the items of a pool need once. ``named`` is the model as settings name it,
    ``scratch`` a folder that goes with the run, ``preload`` whether conversations are loaded and not lived
    through.
    """

    model: Recorded
    shared: Callable[[str], Recorded]
    named: str
    window: int
    counter: Counter
    embedder: Embedder
    pools: Pools
    scratch: Path
    preload: bool = False
    seed: int = 0

    @property
    def reserve(self) -> int:
        """Tokens of the window that are kept for the reply."""
        return min(_LONGEST_REPLY, self.window // 8)

    def room(self, item: Item, heading: str) -> int:
        """Tokens that the context may take in one prompt: what brief, heading, question and reply leave."""
        empty = one_prompt(item.brief, heading, "", item.question, self.reserve)
        fixed = sum(MESSAGE_OVERHEAD + self.counter.count(message.text) for message in empty.messages)
        return self.window - self.reserve - PROMPT_OVERHEAD - fixed

    async def ask(self, prompt: Prompt, model: Recorded | None = None) -> Completion:
        """The model's completion of one prompt."""
        async for piece in (model or self.model).stream(prompt):
            if isinstance(piece, Completion):
                return piece
        raise AssertionError("a recorded model ends with a completion")


def shared_by(pool: str) -> str:
    """The name of the transcript of a pool's work."""
    return f"pool {pool}"


@dataclass(slots=True)
class OfPools(Generic[_T]):
    """Values that the items of a pool share: each made for the first of them, while the others wait."""

    _made: dict[str, _T] = field(default_factory=dict[str, _T])
    _locks: dict[str, anyio.Lock] = field(default_factory=dict[str, anyio.Lock])

    async def get(self, item: Item, bench: Bench, make: Callable[[Item, Bench], Awaitable[_T]]) -> _T:
        async with self._locks.setdefault(item.pool, anyio.Lock()):
            if item.pool not in self._made:
                self._made[item.pool] = await make(item, bench)
        return self._made[item.pool]


class Strategy(Protocol):
    """``reply`` answers one item; the model's errors are raised, all else that can go wrong is in the reply.
    One object serves a whole run, several items at once."""

    @property
    def name(self) -> str: ...

    async def reply(self, item: Item, bench: Bench) -> StrategyReply: ...


def strategies_named(names: Sequence[str], sweep: Sequence[int]) -> list[Strategy]:
    """The strategies of these names; ``UsageError`` if there is no such one. ``sweep``: see ``Task``."""
    return [strategy for name in dict.fromkeys(names) for strategy in _named(name, sweep)]


def _named(name: str, sweep: Sequence[int]) -> list[Strategy]:
    plain, _, number = name.partition("@")
    if name.startswith("memgpt") and (name in STRATEGIES or _PREFETCH_AT.fullmatch(name)):
        from pagefault.bench.strategies.memgpt import MemGPT

        return [MemGPT(name)]
    if name in ("truncate", "full", "human"):
        from pagefault.bench.strategies.fixed import Full, Human, Truncate

        return [{"truncate": Truncate, "full": Full, "human": Human}[name]()]
    if name == "recursive-summary":
        from pagefault.bench.strategies.summary import RecursiveSummary

        return [RecursiveSummary()]
    if plain == "retriever-reader" and re.fullmatch(r"[1-9]\d{0,3}|", number):
        from pagefault.bench.strategies.retriever_reader import RetrieverReader

        return [RetrieverReader(most) for most in ([int(number)] if number else sweep)]
    if name in ("flare", "ircot", "pages", "generative-agents"):
        from pagefault.bench.strategies.flare import Flare
        from pagefault.bench.strategies.generative_agents import GenerativeAgents
        from pagefault.bench.strategies.ircot import IRCoT
        from pagefault.bench.strategies.pages import Pages

        return [
            {"flare": Flare, "ircot": IRCoT, "pages": Pages, "generative-agents": GenerativeAgents}[name]()
        ]
    raise UsageError(
        f"There is no strategy {name!r}; choose from {', '.join(STRATEGIES)}, retriever-reader@PASSAGES and "
        "memgpt+prefetch@TOKENS (from 100)."
    )
