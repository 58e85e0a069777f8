"""Generative agents: a memory stream, scored by recency, importance and relevance, with reflections.

Park, O'Brien, Cai, Morris, Liang, Bernstein, "Generative Agents: Interactive Simulacra of Human Behavior",
2023, arXiv 2304.03442. Every turn is a memory whose importance (1 to 10) the model rates. When the importance
of what is new adds up to 150, the model asks itself three questions on the newest 100 memories, and draws
insights from what each question finds; they are memories too. A question's prompt holds the memories that
score best, as many as fit: the sum of recency (0.995 to the power of the hours that have passed), importance
and relevance (cosine), each scaled to 0 to 1 over the stream.

Simplified: importance is rated in batches, and whether to reflect is asked after each batch. Recency counts
from when a memory was made, not from when it was last retrieved, so that no question changes what another
finds. No plans and no actions. Passages and pairs are nobody's experience: they are neither rated nor
reflected on, and are found by relevance alone. A rating that the model does not give is one for every three
content words of the memory; an insight that names no memory as its ground is dropped, and so are all of a
model that cannot reflect.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from pagefault.bench import prompts
from pagefault.bench.recording import Recorded
from pagefault.bench.strategies import Bench, OfPools, shared_by
from pagefault.bench.strategies.evidence import InView
from pagefault.bench.strategies.fixed import answered, line_of
from pagefault.bench.tasks import Item, StrategyReply, Text
from pagefault.models import Prompt, PromptMessage
from pagefault.models.tokens import MESSAGE_OVERHEAD, PROMPT_OVERHEAD
from pagefault.retrieval.query import content_terms
from pagefault.retrieval.windows import windows

if TYPE_CHECKING:  # numpy is imported where it is used
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

__all__ = ["GenerativeAgents"]

_BATCH = 20  # memories that are rated in one request
_REFLECT_AT = 150  # importance
_NEWEST = 100  # memories that a reflection begins with
_MOST_QUESTIONS = 3
_MOST_INSIGHTS = 5
_DECAY = 0.995  # an hour
_WORDS = 3  # content words a point of importance, where the model gives none
_SELF = "reflection"  # the speaker of a reflection
_RATING = re.compile(r"^\W*(\d+)\W+(10|[1-9])\W*$", re.MULTILINE)
_ASKED = re.compile(r"^\W*(?:\d+[.):]\s*)?(\S.*[?？])\W*$", re.MULTILINE)
_INSIGHT = re.compile(r"^\W*(?:\d+[.):]\s*)?(.+?)\s*\(because of ([^)]*\d[^)]*)\)", re.MULTILINE)


@dataclass(slots=True)
class _Stream:
    """The memories of a pool in the order in which they were made, each with its importance and vector."""

    memories: list[Text] = field(default_factory=list[Text])
    importance: list[int] = field(default_factory=list[int])
    vectors: list[Vector] = field(default_factory=list["Vector"])

    def add(self, memories: Sequence[Text], importance: Sequence[int], vectors: Sequence[Vector]) -> None:
        self.memories += memories
        self.importance += importance
        self.vectors += vectors

    def best(self, wanted: Vector, now: datetime) -> list[Text]:
        """All memories, the best for that vector at that time first."""
        import numpy as np

        if not self.memories:
            return []
        hours = [max(0.0, (now - memory.at).total_seconds() / 3600) for memory in self.memories]
        scores = (
            _scaled(_DECAY ** np.array(hours))
            + _scaled(np.array(self.importance, np.float64))
            + _scaled(np.stack(self.vectors).astype(np.float64) @ wanted)
        )
        return [self.memories[place] for place in np.argsort(-scores, kind="stable")]


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """From 0 for the least to 1 for the most; 0 if all are the same."""
    span = values.max() - values.min()
    return (values - values.min()) / span if span else values * 0


@dataclass(slots=True)
class GenerativeAgents:
    """A memory stream for each pool, made once."""

    name: str = "generative-agents"
    _streams: OfPools[_Stream] = field(default_factory=OfPools[_Stream])

    async def reply(self, item: Item, bench: Bench) -> StrategyReply:
        stream = await self._streams.get(item, bench, _made)
        (wanted,) = await bench.embedder.embed([item.question])
        best = stream.best(wanted, item.asked)
        shown = InView(item, bench.counter).fitting(best, bench.room(item, prompts.headings[item.form]))
        if item.form == "conversation":
            place = {memory.id: number for number, memory in enumerate(stream.memories)}
            shown.sort(key=lambda memory: place[memory.id])
        reply = await answered(item, bench, shown)
        given = {text.id for text in item.texts}  # no reflections
        return replace(reply, seen=tuple(id for id in reply.seen if id in given))


async def _made(item: Item, bench: Bench) -> _Stream:
    """The stream of a pool: memories as they came, and reflections among them."""
    stream = _Stream()
    vectors = list(await bench.embedder.embed([windows(text.text, text.title)[0] for text in item.texts]))
    if item.form != "conversation":
        stream.add(item.texts, [1] * len(item.texts), vectors)
        return stream
    mind = _Mind(item, bench, bench.shared(shared_by(item.pool)))
    start = new = 0
    while start < len(item.texts):
        ratings = await mind.importance(item.texts[start : start + _BATCH])
        end = start + len(ratings)
        stream.add(item.texts[start:end], ratings, vectors[start:end])
        start, new = end, new + sum(ratings)
        if new >= _REFLECT_AT:
            new = 0
            await mind.reflect(stream)
    return stream


@dataclass(frozen=True, slots=True)
class _Mind:
    """The requests to the model about its memories."""

    item: Item
    bench: Bench
    model: Recorded

    async def importance(self, memories: Sequence[Text]) -> list[int]:
        """The importance of each memory, 1 to 10; of the first of them, as many as fit into one prompt."""
        shown = self._fitting(prompts.IMPORTANCE, memories)
        rated = _RATING.findall(await self._ask(prompts.IMPORTANCE, shown))
        ratings = {int(number): int(rating) for number, rating in rated}
        return [ratings.get(number) or _by_rule(memory) for number, memory in enumerate(shown, 1)]

    async def reflect(self, stream: _Stream) -> None:
        """Add what can be inferred from the newest memories."""
        newest = stream.memories[: -_NEWEST - 1 : -1]
        now = newest[0].at
        shown = self._fitting(prompts.REFLECTION, newest)[::-1]
        asked = _ASKED.findall(await self._ask(prompts.REFLECTION, shown))
        found: list[str] = []
        for question in asked[:_MOST_QUESTIONS]:
            (wanted,) = await self.bench.embedder.embed([question])
            instruction = prompts.INSIGHT.format(question=question)
            grounds = self._fitting(instruction, stream.best(wanted, now)[:_NEWEST])
            insights = _INSIGHT.findall(await self._ask(instruction, grounds))
            found += [text for text, named in insights[:_MOST_INSIGHTS] if _are_grounds(named, len(grounds))]
        before = sum(memory.id.startswith(_SELF) for memory in stream.memories)
        reflections = [
            Text(f"{_SELF} {number}", text, speaker=_SELF, at=now)
            for number, text in enumerate(dict.fromkeys(found), before + 1)
        ]
        while reflections:
            ratings = await self.importance(reflections[:_BATCH])
            rated, reflections = reflections[: len(ratings)], reflections[len(ratings) :]
            stream.add(rated, ratings, list(await self.bench.embedder.embed([one.text for one in rated])))

    def _fitting(self, system: str, memories: Sequence[Text]) -> list[Text]:
        count = self.bench.counter.count
        fixed = count(system) + 2 * MESSAGE_OVERHEAD + PROMPT_OVERHEAD + self.bench.reserve
        room = (self.bench.window - fixed) * 4 // 5  # the rest is for the numbers
        return InView(self.item, self.bench.counter).fitting(memories, room) or [*memories[:1]]

    async def _ask(self, system: str, memories: Sequence[Text]) -> str:
        lines = [f"[{n}] {line_of(self.item, memory, n)}" for n, memory in enumerate(memories, 1)]
        messages = (PromptMessage("system", system), PromptMessage("user", "\n".join(lines)))
        return (await self.bench.ask(Prompt(messages, (), self.bench.reserve), self.model)).text


def _by_rule(memory: Text) -> int:
    """The importance of a memory that was not rated: longer texts tell more."""
    return min(10, max(1, len(content_terms(memory.text)) // _WORDS))


def _are_grounds(named: str, most: int) -> bool:
    """Return whether the numbers that an insight names are those of memories."""
    return all(1 <= int(number) <= most for number in re.findall(r"\d+", named))
