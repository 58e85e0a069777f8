"""Nested key-value retrieval: the value of a key may be a key again (the paper's section 3.2.2, Figure 7).

A record has 140 pairs of UUIDs. At level n positions p_0 ... p_n are chained: the value of p_i becomes the
key of p_i+1, p_0's key is asked for, and the value of p_n is the answer. Data: a file of records as in "Lost
in the Middle" (``ordered_kv_records``), or a folder of such files, with the orderings of the paper's code
beside them (``random_orderings_*_N_levels.jsonl``, a list of N positions a line; N is one more than the
level); without orderings they are drawn from the seed. Record i goes with ordering i.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from pydantic import Field, RootModel, model_validator

from pagefault.bench import prompts
from pagefault.bench.scoring import matches
from pagefault.bench.tasks import Item, Options, StrategyReply, Text
from pagefault.bench.tasks.reading import Record, matching, read, records
from pagefault.embedders import Embedder
from pagefault.errors import UsageError

__all__ = ["NestedKV", "pair_text"]

LEVELS = range(5)
ORDERINGS = 30
"""Items a level, as in the paper, unless a limit says otherwise."""

_LEVELS_FILE = re.compile(r"_(\d+)_levels\.jsonl(?:\.gz)?$")
_RECORDS = ("kv*.jsonl", "kv*.jsonl.gz")
_ORDERINGS = ("*_levels.jsonl", "*_levels.jsonl.gz")


class _Pairs(Record):
    ordered_kv_records: list[tuple[str, str]] = Field(min_length=len(LEVELS))

    @model_validator(mode="after")
    def _keys_differ(self) -> _Pairs:
        if len({key for key, _ in self.ordered_kv_records}) < len(self.ordered_kv_records):
            raise ValueError("a key occurs twice")
        return self


class NestedKV:
    """``parts`` are levels, ``0`` to ``4``."""

    name = "nested-kv"
    measures = ("accuracy",)
    strategies = ("memgpt", "full")
    sweep = (10,)

    def items(self, data: Path, options: Options) -> list[Item]:
        read_pairs = read(data, _RECORDS, "key-value records", _Pairs, options)
        pairs = [record.ordered_kv_records for record in read_pairs]
        levels = [level for level in LEVELS if not options.parts or str(level) in options.parts]
        count = options.limit or ORDERINGS
        given = _given_orderings(data if data.is_dir() else data.parent, options)
        return [
            _item(pairs[number % len(pairs)], ordering, number)
            for level in levels
            for number, ordering in enumerate(
                (given.get(level) or _drawn(len(pairs[0]), level, count, options.seed))[:count]
            )
        ]

    async def score(self, item: Item, reply: StrategyReply, embedder: Embedder) -> Mapping[str, float]:  # noqa: ARG002
        return {"accuracy": float(matches(reply.text, item.gold[0]))}


class _Ordering(RootModel[list[int]]):
    """Positions of one chain."""


def _given_orderings(folder: Path, options: Options) -> dict[int, list[list[int]]]:
    given: dict[int, list[list[int]]] = {}
    for path in matching(folder, _ORDERINGS):
        if name := _LEVELS_FILE.search(path.name):
            given[int(name[1]) - 1] = [ordering.root for ordering in records(path, _Ordering, options)]
    return given


def _drawn(size: int, level: int, count: int, seed: int) -> list[list[int]]:
    drawing = random.Random(f"{seed}/{level}")
    return [drawing.sample(range(size), level + 1) for _ in range(count)]


def _item(pairs: Sequence[tuple[str, str]], ordering: Sequence[int], number: int) -> Item:
    if not ordering or len(set(ordering)) < len(ordering) or not max(ordering) < len(pairs):
        raise UsageError(
            f"The ordering {list(ordering)} does not name {len(ordering)} of {len(pairs)} pairs."
        )
    chained = list(pairs)
    for place, after in pairwise(ordering):
        chained[place] = (chained[place][0], pairs[after][0])
    level = len(ordering) - 1
    name = f"level{level}-{number}"
    return Item(
        id=name,
        pool=name,
        form="pairs",
        texts=[Text(f"pair{n}", pair_text(key, value)) for n, (key, value) in enumerate(chained)],
        question=prompts.nested_kv_question(pairs[ordering[0]][0]),
        brief=prompts.NESTED_KV,
        gold=(chained[ordering[-1]][1],),
        evidence=frozenset(f"pair{place}" for place in ordering),
        part=str(level),
    )


def pair_text(key: str, value: str) -> str:
    """A pair as a passage: a JSON object of one key."""
    return f'{{"{key}": "{value}"}}'
