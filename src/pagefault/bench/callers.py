"""Scripted callers: stand-ins for models that search reliably, and for those that do not.

The paper explains the results of GPT-3.5 by function calls that stop early. A caller makes that measurable
without a model: before each step it draws whether the stand-in may look anything up in this step, and hides
the functions for that if not. What the stand-in would look up, and in which words, is left to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Set
from contextlib import aclosing
from dataclasses import dataclass, replace

from pagefault.models import ModelWrapper, Prompt, StreamItem, plain_name

__all__ = ["CALLERS", "Hiding", "ScriptedCaller", "is_lookup", "is_search", "opened_at"]

_PREFETCHED = "[prefetched "  # as a row of the prompt begins


@dataclass(frozen=True, slots=True)
class ScriptedCaller:
    """``skips``: the share of events for which nothing is looked up at all. ``stops``: the share of later
    steps, each after one look-up or more, at which the caller looks up no more. The draws hang on the
    seed, the event and the number of look-ups made for it, so that every strategy meets the same ones."""

    name: str
    skips: float
    stops: float

    def hidden(self, prompt: Prompt, seed: int) -> Set[str]:
        """The names of the functions that this step does without."""
        since = prompt.messages[opened_at(prompt) :]
        made = sum(is_lookup(call.name) for message in since for call in message.calls)
        event = since[0].text if since else ""
        if any(_drawn(seed, event, n) < (self.stops if n else self.skips) for n in range(made + 1)):
            return {function.name for function in prompt.functions if is_lookup(function.name)}
        return frozenset()


CALLERS = {"strong": ScriptedCaller("strong", 0.0, 0.0), "weak": ScriptedCaller("weak", 0.3, 0.7)}
"""By name. ``strong`` never gives up before the stand-in's own rules do. The rates of ``weak`` are read from
the paper's results of GPT-3.5 beside those of GPT-4: it skips three in ten (.669 against .925 in Table 2, .40
against .72 in Figure 5), and goes on after a look-up in three of ten cases (.2, .1, 0 for levels 1 to 3 in
Figure 7)."""


@dataclass(slots=True)
class Hiding(ModelWrapper):
    """A model that is not offered some functions: those that ``hidden`` names for a prompt."""

    hidden: Callable[[Prompt], Set[str]]

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        hidden = self.hidden(prompt)
        offered = tuple(function for function in prompt.functions if function.name not in hidden)
        async with aclosing(self.model.stream(replace(prompt, functions=offered))) as items:
            async for item in items:
                yield item


def opened_at(prompt: Prompt) -> int:
    """The place of the message that opened the turn; behind it stands what was prefetched for it."""
    rows = enumerate(prompt.messages)
    return max((n for n, m in rows if m.role == "user" and not m.text.startswith(_PREFETCHED)), default=0)


def is_search(name: str) -> bool:
    """Return whether a call of this name searches a memory."""
    return "search" in plain_name(name)


def is_lookup(name: str) -> bool:
    """Return whether a call of this name brings texts into view: a search, or the reading of one text."""
    return is_search(name) or plain_name(name).endswith("_read") or "document_" in plain_name(name)


def _drawn(seed: int, event: str, step: int) -> float:
    """A number from 0 to 1, always the same for the same event and step."""
    digest = hashlib.sha256(f"{seed}/{step}/{event}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) / 2**64
