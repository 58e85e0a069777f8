"""How much of each request a provider's prompt cache can serve: the share of invariant 6.

A scripted model runs 200 turns, with a working-context edit in every tenth. Each request is laid out in the
order in which providers cache: function schemas, instructions, messages. Its share is the length of the
prefix that it has in common with the agent's request before it, over the length of that earlier request, in
bytes. Between two flushes it must be 1; a request after a flush has only the head in common. Requests of a
warning's turn count, those to the summariser do not.

    python benchmarks/prefix_share.py [--turns 200]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import get_args

from pagefault.build import Parts, create_agent, open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.models import Call, Completion, Prompt, StreamItem
from pagefault.testing.models import call, say
from pagefault.types import Style

WINDOWS = (4096, 16_384)
EDIT_EVERY = 10
AIM = 0.90


def cached_form(prompt: Prompt) -> bytes:
    """The request as a provider's cache sees it."""
    parts = [*prompt.functions, *prompt.messages]
    return b"".join(json.dumps(asdict(part), ensure_ascii=False).encode() + b"\n" for part in parts)


def share(before: bytes, now: bytes) -> float:
    """Common prefix / previous prompt."""
    same = next((n for n, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), len(now))
    return min(same, len(before)) / len(before)


@dataclass
class WatchedModel:
    """Answers each message, edits the working context first where the turn is to; keeps the shares."""

    window: int
    name: str = "watched"
    turn: int = 0
    edited: int = 0
    flushes: int = 0
    between: list[float] = field(default_factory=list[float])
    after_flush: list[float] = field(default_factory=list[float])
    _before: bytes = b""
    _flushed: bool = False

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        if not prompt.functions:
            self._flushed = True
            yield Completion(
                f"The user and I talked about trips; the last fact noted was number {self.edited}."
            )
            return
        self._watch(cached_form(prompt))
        speaks = any(schema.name == "send_message" for schema in prompt.functions)
        if prompt.messages[-1].text.startswith("[memory_pressure"):
            yield Completion("All that matters is noted.")
        elif self.turn % EDIT_EVERY == 0 and self.edited < self.turn:
            yield Completion(calls=(self._edit(heartbeat=speaks),))
        else:
            text = f"Trip {self.turn} sounds fine; pack a coat, take the early train, and say hello to Clara."
            yield Completion(calls=(say(text),)) if speaks else Completion(text)

    def _watch(self, now: bytes) -> None:
        if self._before:
            (self.after_flush if self._flushed else self.between).append(share(self._before, now))
        self.flushes += self._flushed
        self._before, self._flushed = now, False

    def _edit(self, *, heartbeat: bool) -> Call:
        was, self.edited = self.edited, self.turn
        new = f"Liked trip {self.turn}."
        if not was:
            return call("working_context_append", heartbeat=heartbeat, section="human", text=new)
        return call(
            "working_context_replace", heartbeat=heartbeat, section="human", old=f"Liked trip {was}.", new=new
        )


async def converse(window: int, style: Style, turns: int) -> WatchedModel:
    """The conversation, on an agent of its own."""
    model = WatchedModel(window)
    parts = Parts(model=model, embedder=NullEmbedder())
    with tempfile.TemporaryDirectory() as home:
        async with open_kernel(Path(home), parts, Installation()) as kernel:
            await create_agent(kernel, "ana", parse_settings({"zone": "UTC", "style": style}), parts)
            for turn in range(1, turns + 1):
                model.turn = turn
                message = f"Tomorrow I make trip {turn} to Porto with my sister; what should we not forget?"
                said = [output.type async for output in kernel.send("ana", message)]
                assert "said" in said, said
                await kernel.idle()
    return model


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--turns", type=int, default=200)
    turns: int = parser.parse_args().turns
    held = True
    print(f"{turns} turns{'requests':>26}{'edits':>8}{'flushes':>9}{'between':>9}{'after':>8}{'mean':>8}")
    for style in get_args(Style):
        for window in WINDOWS:
            model = asyncio.run(converse(window, style, turns))
            shares = [*model.between, *model.after_flush]
            least, mean = min(model.between), statistics.fmean(shares)
            after = statistics.fmean(model.after_flush) if model.after_flush else 1.0
            held &= least == 1 and mean >= AIM
            print(
                f"{f'{style}, window {window:,}':<27}{len(shares) + 1:>8}{turns // EDIT_EVERY:>8}"
                f"{model.flushes:>9}{least:>9.4f}{after:>8.3f}{mean:>8.3f}"
            )
    print(f"between flushes (the least) 1 and mean at least {AIM:.2f}: {'held' if held else 'NOT held'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
