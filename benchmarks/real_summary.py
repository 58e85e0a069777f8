"""Summaries by a real model in both forms: behind the agent's own prompt, and by a prompt of its own.

The same conversation, told by a script, is flushed once in each form; the scripted facts that the summary has
literally are counted. Left out: how well it reads.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama_server import LlamaServer
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import ContextLengthExceeded
from pagefault.models import Model, ModelWrapper, Prompt, StreamItem
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.endpoint import CallingMode, ModelOptions, RequestSettings
from pagefault.testing.models import ScriptedModel, say
from pagefault.types import Message, Role
from real_talk import fact, message

TURNS = 10


@dataclass(slots=True)
class OwnPrompt(ModelWrapper):
    """Refuses to continue a prompt, so that a summary is asked for by a prompt of its own."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        if prompt.plain:
            raise ContextLengthExceeded("Not in this form.")
        async with aclosing(self.model.stream(prompt)) as items:
            async for item in items:
                yield item


@dataclass
class Kept:
    """What summaries in one form kept."""

    facts: int = 0
    told: int = 0
    requests: int = 0
    extracts: int = 0
    tokens: int = 0

    def __str__(self) -> str:
        asked = f"{self.requests} requests, {self.extracts} extracts, {self.tokens} tokens"
        return f"{self.facts} of {self.told} facts ({asked})"


async def compare(
    server: LlamaServer, agent: dict[str, Any], logs: int, calling: CallingMode
) -> dict[str, Kept]:
    """The facts kept of so many conversations, by form."""
    catalogue, window = Catalogue(server.environment), int(agent["window"])
    settings = RequestSettings(ModelOptions(temperature=0.0), calling=calling)
    model = catalogue.model(server.target, window, settings)
    found = {"continued": Kept(), "own prompt": Kept()}
    for number in range(logs):
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder, "told")
            await _tell(home, agent, number * TURNS)
            for form, kept in found.items():
                copy = Path(folder, form)
                shutil.copytree(home, copy)
                row = await _flushed(copy, model if form == "continued" else OwnPrompt(model))
                kept.told += TURNS
                facts = (fact(number * TURNS + turn)[1] for turn in range(TURNS))
                kept.facts += sum(each in row.text for each in facts)
                kept.requests += len(row.usage)
                kept.extracts += bool(row.meta.extracted)
                kept.tokens += row.tokens
    await catalogue.aclose()
    return found


async def _tell(home: Path, agent: dict[str, Any], first: int) -> None:
    parts = Parts(model=ScriptedModel(lambda _: [say("I see.")], agent["window"]), embedder=NullEmbedder())
    async with open_kernel(home, parts, Installation()) as kernel:
        await kernel.create_agent("ana", parse_settings(agent))
        for turn in range(first, first + TURNS):
            async for _ in kernel.send("ana", message(turn)):
                pass
        await kernel.idle()


async def _flushed(home: Path, model: Model) -> Message:
    parts = Parts(model=model, embedder=NullEmbedder())
    async with open_kernel(home, parts, Installation()) as kernel:
        await kernel.flush("ana", 0)
        record = await kernel.record("ana")
        rows = await kernel.store.read(lambda tx: list(tx.messages(record.id)))
    return [row for row in rows if row.role is Role.SUMMARY][-1]
