"""The related systems as strategies: what each asks, finds and answers, told by scripted models."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from pagefault.bench.pools import Pools
from pagefault.bench.prompts import Brief
from pagefault.bench.recording import Ledger, Recorded
from pagefault.bench.strategies import Bench, strategies_named
from pagefault.bench.strategies.evidence import sentences
from pagefault.bench.strategies.generative_agents import GenerativeAgents
from pagefault.bench.tasks import START, Form, Item, Reply, Text
from pagefault.build import catalogue_of
from pagefault.config import Installation
from pagefault.models import Model, Prompt
from pagefault.models.tokens import HeuristicCounter
from pagefault.testing.embedders import HashEmbedder
from pagefault.testing.models import Item as Scripted
from pagefault.testing.models import ScriptedModel

pytestmark = pytest.mark.anyio

RELATED = ("flare", "ircot", "pages", "generative-agents")
BRIEF = Brief("", "Answer from what is below. If it does not say, answer NO ANSWER.")

DOCUMENTS = (
    ("Ladoga", "The lighthouse of Ladoga was built by Petra Kovac."),
    ("Petra Kovac", "Petra Kovac was born in Split and studied in Vienna."),
    ("Split", "Split is a harbour town; its oldest bakery is called Zora."),
    *((f"Filler {n}", f"Entry {n} tells of meadow {n} and of nothing else.") for n in range(40)),
)


def passages(question: str) -> Item:
    texts = [Text(f"d{n}", text, title=title) for n, (title, text) in enumerate(DOCUMENTS)]
    return Item("q", "archive", "passages", texts, question, BRIEF, evidence=frozenset({"d0"}))


def conversation(question: str, turns: int = 30) -> Item:
    told = ["I moved to Lisbon for the new job.", "How exciting!", "My cat Minka hates the tram."]
    told += [f"We had soup number {n} today." for n in range(turns - len(told))]
    texts = [
        Text(
            f"t{n}", text, speaker="Ana" if n % 2 == 0 else "Bo", session=1 + n // 10,
            at=START + timedelta(days=n // 10, minutes=n),
        )
        for n, text in enumerate(told)
    ]  # fmt: skip
    return Item("q", "talk", "conversation", texts, question, BRIEF, asked=START + timedelta(days=9))


def shown(prompt: Prompt) -> str:
    return prompt.messages[-1].text


@dataclass
class Lab:
    """Where items are answered, with transcripts in ``folder``."""

    folder: Path
    pools: Pools
    counter: HeuristicCounter

    async def reply(self, name: str, item: Item, model: Model, window: int = 4096) -> Reply:
        def recorded(file: str) -> Recorded:
            return Recorded(model, self.folder / name / f"{file}.jsonl", Ledger(), self.counter)

        bench = Bench(
            recorded(item.id), recorded, model.name, window, self.counter, self.pools.embedder, self.pools,
            self.folder,
        )  # fmt: skip
        (strategy,) = strategies_named([name], ())
        return await strategy.reply(item, bench)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncGenerator[Lab]:
    pools = Pools(tmp_path / "pools", HashEmbedder())
    yield Lab(tmp_path, pools, HeuristicCounter())
    await pools.aclose()
