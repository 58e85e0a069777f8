"""Retention, an ablation of ours: facts are told, the queue is flushed N times, and then they are asked for.

The material is one JSON file (``facts`` with ``told``, ``question`` and ``answer``; ``chatter`` to go
between, sentences with ``{slots}``). The conversation is as long as about N flushes take at the run's window;
how many came about is counted. Leaves out facts that change.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from pydantic import Field

from pagefault.bench import prompts
from pagefault.bench.scoring import answer_scores, matches
from pagefault.bench.tasks import START, Item, Options, StrategyReply, Text
from pagefault.bench.tasks.reading import Record, read
from pagefault.embedders import Embedder
from pagefault.models.tokens import HeuristicCounter

__all__ = ["FLUSHES", "Retention"]

FLUSHES = (1, 3, 10)
_FILES = ("*.json", "*.json.gz")
_APART = timedelta(minutes=7)
_FIRST, _NEXT = (
    0.45,
    0.25,
)  # of the window: tokens of messages until the first flush, and from one to the next
_OVERHEAD = 24  # tokens that label, reply and call take around a message
_FACTS = 30  # a conversation


class _Fact(Record):
    told: str
    question: str
    answer: str


class _Material(Record):
    facts: list[_Fact] = Field(min_length=1)
    chatter: list[str] = Field(min_length=1)
    slots: dict[str, list[str]] = Field(default={})


class Retention:
    """``parts`` are numbers of flushes: ``1``, ``3``, ``10``."""

    name = "retention"
    measures = ("kept", "mean_length", "flushes")
    strategies = (
        "memgpt", "memgpt+sleep", "memgpt-without-warning", "memgpt-without-recall", "memgpt-without-both",
        "recursive-summary", "truncate",
    )  # fmt: skip
    sweep = (5, 10, 20)

    def items(self, data: Path, options: Options) -> list[Item]:
        materials = read(data, _FILES, "facts and chatter", _Material, options)
        parts = [n for n in FLUSHES if not options.parts or str(n) in options.parts]
        return [item for n in parts for material in materials for item in _items(material, n, options)]

    async def score(self, item: Item, reply: StrategyReply, embedder: Embedder) -> Mapping[str, float]:  # noqa: ARG002
        return {"kept": float(matches(reply.text, item.gold[0])), **answer_scores(reply.text, item.gold)}


def _items(material: _Material, flushes: int, options: Options) -> list[Item]:
    facts = material.facts[: min(_FACTS, options.limit or _FACTS)]
    texts = _texts(material, facts, flushes, options)
    return [
        Item(
            id=f"{flushes}-flushes-{number}",
            pool=f"{flushes}-flushes",
            form="conversation",
            texts=texts,
            question=fact.question,
            brief=prompts.RETENTION,
            gold=(fact.answer,),
            evidence=frozenset({texts[number].id}),
            part=str(flushes),
            asked=texts[-1].at + timedelta(days=1),
            lived=True,
        )
        for number, fact in enumerate(facts)
    ]


def _texts(material: _Material, facts: Sequence[_Fact], flushes: int, options: Options) -> list[Text]:
    """Facts first, then chatter until the flushes must have come about."""
    drawing = random.Random(f"{options.seed}/{flushes}")
    counter = HeuristicCounter()
    told = [fact.told for fact in facts]
    size, most = 0, (_FIRST + _NEXT * (flushes - 1)) * options.window
    lines: list[str] = []
    while told or size < most:
        lines.append(told.pop(0) if told else _chatter(material, drawing))
        size += counter.count(lines[-1]) + _OVERHEAD
    return [
        Text(f"m{number}", line, session=1, at=START + number * _APART) for number, line in enumerate(lines)
    ]


def _chatter(material: _Material, drawing: random.Random) -> str:
    line = drawing.choice(material.chatter)
    return line.format_map({name: drawing.choice(words) for name, words in material.slots.items()})
