"""How much of each request a provider's prompt cache can serve: the share of invariant 6.

A scripted model runs 200 turns, with a working-context edit in every tenth. Each request is laid out in the
order in which providers cache: function schemas, instructions, messages. Its share is the length of the
prefix that it has in common with the agent's request before it, over the length of that earlier request, in
bytes. Prefetch is off: its rows go when the queue is full, before a flush, and the prefix changes then too.
Between two flushes it must be 1; a request after a flush has only the head in common. Requests of a
warning's turn count. Those to the summariser have a column of their own: of each, the share of it that the
request before has too.

    python benchmarks/prefix_share.py [--turns 200]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import get_args

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.models import Call, Completion, Model, Prompt, StreamItem
from pagefault.testing.models import call, say
from pagefault.types import Style

WINDOWS = (4096, 16_384)
EDIT_EVERY = 10
AIM = 0.90
SUMMARY_REQUEST = "[summary_request]"
"""The beginning of the instruction that asks for a summary behind the agent's own prompt."""


def cached_form(prompt: Prompt) -> bytes:
    """The request as a provider's cache sees it."""
    parts = [*prompt.functions, *prompt.messages]
    return b"".join(json.dumps(asdict(part), ensure_ascii=False).encode() + b"\n" for part in parts)


def share(before: bytes, now: bytes) -> float:
    """Common prefix / previous prompt."""
    if now.startswith(before):
        return 1.0
    return next(n for n, byte in enumerate(before) if now[n : n + 1] != bytes((byte,))) / len(before)


@dataclass
class Conversation:
    """What the model says: it answers each message; in every tenth ``turn`` it edits its memory first."""

    turn: int = 0
    edited: int = 0

    def completion(self, offered: Sequence[str], last: str) -> Completion:
        """The next completion, where these functions are offered and ``last`` is the last event."""
        if not offered or SUMMARY_REQUEST in last:
            return Completion(
                f"The user and I talked about trips; the last fact noted was number {self.edited}."
            )
        speaks = "send_message" in offered
        if last.startswith("[memory_pressure"):
            return Completion("All that matters is noted.")
        if self.turn % EDIT_EVERY == 0 and self.edited < self.turn:
            return Completion(calls=(self._edit(heartbeat=speaks),))
        text = f"Trip {self.turn} sounds fine; pack a coat, take the early train, and say hello to Clara."
        return Completion(calls=(say(text),)) if speaks else Completion(text)

    def _edit(self, *, heartbeat: bool) -> Call:
        was, self.edited = self.edited, self.turn
        new = f"Liked trip {self.turn}."
        if not was:
            return call("working_context_append", heartbeat=heartbeat, section="human", text=new)
        return call(
            "working_context_replace", heartbeat=heartbeat, section="human", old=f"Liked trip {was}.", new=new
        )


@dataclass
class Shares:
    """The shares of an agent's requests, one after another."""

    between: list[float] = field(default_factory=list[float])
    after_flush: list[float] = field(default_factory=list[float])
    summaries: list[float] = field(default_factory=list[float])
    flushes: int = 0
    _before: bytes = b""
    _flushed: bool = False

    def summarised(self, now: bytes) -> None:
        """A request for a summary; the agent's next one is after a flush."""
        self.summaries.append(share(now, self._before))
        self._flushed = True

    def add(self, now: bytes) -> None:
        """A request of the agent."""
        if self._before:
            (self.after_flush if self._flushed else self.between).append(share(self._before, now))
        self.flushes += self._flushed
        self._before, self._flushed = now, False

    @property
    def held(self) -> bool:
        """Whether the bars are: nothing lost between flushes, little in all."""
        return min(self.between) == 1 and self.mean >= AIM

    @property
    def mean(self) -> float:
        return statistics.fmean([*self.between, *self.after_flush])

    def row(self, name: str) -> str:
        """A line of the table under ``HEADER``."""
        after = statistics.fmean(self.after_flush) if self.after_flush else 1.0
        requests = len(self.between) + len(self.after_flush) + 1
        least = min(self.between)
        asked = statistics.fmean(self.summaries) if self.summaries else 1.0
        figures = f"{requests:>9}{self.flushes:>9}{least:>9.4f}{after:>8.3f}{asked:>10.3f}{self.mean:>8.3f}"
        return f"{name:<31}{figures}"


HEADER = f"{'requests':>9}{'flushes':>9}{'between':>9}{'after':>8}{'summaries':>10}{'mean':>8}"


@dataclass
class WatchedModel:
    """Holds the conversation in this process and keeps the shares."""

    window: int
    name: str = "watched"
    conversation: Conversation = field(default_factory=Conversation)
    shares: Shares = field(default_factory=Shares)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        if prompt.plain or not prompt.functions:
            self.shares.summarised(cached_form(prompt))
        else:
            self.shares.add(cached_form(prompt))
        offered = [schema.name for schema in prompt.functions]
        yield self.conversation.completion(offered, prompt.messages[-1].text)


async def converse(model: Model, conversation: Conversation, style: Style, turns: int) -> None:
    """The conversation, on an agent of its own."""
    parts = Parts(model=model, embedder=NullEmbedder())
    with tempfile.TemporaryDirectory() as home:
        async with open_kernel(Path(home), parts, Installation()) as kernel:
            await kernel.create_agent("ana", parse_settings({"zone": "UTC", "style": style, "prefetch": 0}))
            for turn in range(1, turns + 1):
                conversation.turn = turn
                message = f"Tomorrow I make trip {turn} to Porto with my sister; what should we not forget?"
                said = [output.type async for output in kernel.send("ana", message)]
                assert "said" in said, said
                await kernel.idle()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--turns", type=int, default=200)
    turns: int = parser.parse_args().turns
    held = True
    print(f"{f'{turns} turns, {turns // EDIT_EVERY} edits':<31}{HEADER}")
    for style in get_args(Style):
        for window in WINDOWS:
            model = WatchedModel(window)
            asyncio.run(converse(model, model.conversation, style, turns))
            held &= model.shares.held
            print(model.shares.row(f"{style}, window {window:,}"))
    print(f"between flushes (the least) 1 and mean at least {AIM:.2f}: {'held' if held else 'NOT held'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
