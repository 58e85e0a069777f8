"""The figures of a conversation with a real server, from its log: what was evaluated, counted and kept.

Left out: talking (``real_server``).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from pagefault.message_meta import RequestUsage
from pagefault.types import Message, Role

ORDINARY, AROUND = 0.05, 0.25  # the aims
THINGS = ("boat", "bread", "garden", "piano", "clock", "bicycle", "lamp", "kettle", "ladder", "violin")


def fact(turn: int) -> tuple[str, str]:
    """What the message of a turn tells of: a thing, and its number."""
    return f"{THINGS[turn % len(THINGS)]} {turn}", str(1000 + 37 * turn)


def message(turn: int) -> str:
    thing, number = fact(turn)
    return (
        f"The {thing} has the number {number}. It stands in the cellar, behind the wooden shelf with the "
        "jars, and my brother will fetch it some time next week, if the weather is fine and the car mended. "
        "We have known each other for thirty years, he and I, and he never came on the day that he said."
    )


@dataclass
class Shares:
    """Tokens of prompts, and those of them that the server evaluated."""

    requests: int = 0
    tokens: int = 0
    evaluated: int = 0

    def add(self, request: RequestUsage) -> None:
        self.requests += 1
        self.tokens += request.usage.input
        self.evaluated += request.usage.input - request.usage.cached

    @property
    def share(self) -> float:
        return self.evaluated / max(1, self.tokens)

    def __str__(self) -> str:
        whole = f"{self.evaluated:,} of {self.tokens:,} tokens in {self.requests} requests"
        return f"{self.share:.1%} ({whole})"


@dataclass
class Talk:
    """One conversation as its log has it."""

    ordinary: Shares = field(default_factory=Shares)
    around: Shares = field(default_factory=Shares)
    errors: list[float] = field(default_factory=list[float])  # of our count, by request, once calibrated
    first: float = 0.0  # our first count over the server's
    flushes: int = 0
    extracts: int = 0
    facts: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])  # kept, evicted
    sizes: list[int] = field(default_factory=list[int])  # of the summaries, in our tokens

    def read(self, log: Sequence[Message]) -> None:
        """Take in the whole log. The first request of all finds an empty cache and is left out."""
        asked, flushed, ratio = 0, False, 1.0
        for row in log:
            for request in row.usage:
                asked += 1
                if asked == 1:
                    self.first = request.counted / request.usage.input
                elif row.role is Role.SUMMARY or flushed:
                    self.around.add(request)
                else:
                    self.ordinary.add(request)
                    self.errors.append(abs(request.counted * ratio / request.usage.input - 1))
                flushed = False
                ratio = request.usage.input / request.counted
            if row.role is Role.SUMMARY:
                flushed = True
                self.flushes += 1
                self.extracts += bool(row.meta.extracted)
                self.sizes.append(row.tokens)
                told = [turn for turn in range(len(log)) if _was_told(turn, log, row)]
                self.facts.append((sum(fact(turn)[1] in row.text for turn in told), len(told)))


def _was_told(turn: int, log: Sequence[Message], summary: Message) -> bool:
    number = fact(turn)[1]
    rows = (row for row in log if row.role is Role.USER and row.seq <= summary.meta.through)
    return any(number in row.text for row in rows)


def show_talk(name: str, talk: Talk, notices: Sequence[str], seconds: float) -> bool:
    """Print the figures of a conversation; return whether the aims are met."""
    requests = talk.ordinary.requests + talk.around.requests + 1
    print(f"\n{name}: {requests} requests, {talk.flushes} flushes, {seconds:.0f} s")
    print(f"  evaluated of ordinary requests: {talk.ordinary}; aim <= {ORDINARY:.0%}")
    print(f"  evaluated around flushes: {talk.around}; aim <= {AROUND:.0%}")
    print(f"  notices and alerts: {len(notices)}{''.join(f'{chr(10)}    {text}' for text in set(notices))}")
    kept = ", ".join(f"{kept} of {told}" for kept, told in talk.facts)
    print(f"  facts in the summaries: {kept}; extracts: {talk.extracts}; tokens: {talk.sizes}")
    off = _off(talk.errors)
    print(f"  our count over the server's: first {talk.first:.2f}; off by {off} once reported", flush=True)
    return talk.ordinary.share <= ORDINARY and talk.around.share <= AROUND and not notices


def _off(errors: Sequence[float]) -> str:
    worst = sorted(errors)[int(0.95 * len(errors))] if errors else 0.0
    return f"{statistics.median(errors or [0]):.1%} (median), {worst:.1%} (p95)"
