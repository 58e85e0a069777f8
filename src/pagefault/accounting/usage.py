"""The usage of requests to models in tokens, as the log keeps it: under ``usage`` in the ``meta`` of rows.

One entry per request, JSON values without zeros, on the first row committed after it. There is no other
account. Left out: money (``prices``), and failed requests, for which providers report nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pagefault.models import Completion, Prompt, Usage
from pagefault.models.tokens import CALL_OVERHEAD, MESSAGE_OVERHEAD, PROMPT_OVERHEAD, Counter

__all__ = [
    "LARGEST_RATIO",
    "SMALLEST_RATIO",
    "USAGE",
    "RequestUsage",
    "count_prompt",
    "measured_ratio",
    "read_usage",
    "usage_of",
]

USAGE = "usage"
"""The key in a row's ``meta``."""

SMALLEST_RATIO, LARGEST_RATIO = 0.5, 3.0
"""Reported tokens per counted one that we still believe."""


@dataclass(frozen=True, slots=True)
class RequestUsage:
    """One request that was answered.

    ``model`` is who answered, by the name it has in the settings (``openai:gpt-4o-mini``); ``answered`` what
    the provider calls it, if that is another. ``counted``: the prompt by our heuristic, uncalibrated.
    ``estimated``: the provider reported nothing, and ``usage`` is our own count. ``cut``: so little was
    reported that the server may have cut the prompt.
    """

    model: str
    usage: Usage
    counted: int = 0
    answered: str = ""
    estimated: bool = False
    cut: bool = False

    @property
    def entry(self) -> dict[str, object]:
        """As JSON values."""
        rest = {"counted": self.counted, "answered": self.answered}
        marks = {"estimated": self.estimated, "cut": self.cut}
        values = {"model": self.model, **asdict(self.usage), **rest, **marks}
        return {name: value for name, value in values.items() if value}

    @property
    def ratio(self) -> float | None:
        """Reported tokens per counted one; None where that says nothing of the heuristic."""
        whole = self.counted and self.usage.input and not (self.estimated or self.cut)
        return self.usage.input / self.counted if whole else None


def usage_of(
    completion: Completion, asked: str, prompt_tokens: int, counter: Counter, *, cut: bool = False
) -> RequestUsage:
    """The request that a completion answers; ``asked`` is the model's name if the completion does not say
    who made it."""
    model = completion.target or asked
    answered = "" if model.rpartition(":")[2] == completion.model else completion.model
    if completion.usage is not None:
        return RequestUsage(model, completion.usage, prompt_tokens, answered, cut=cut)
    count = counter.count
    calls = sum(CALL_OVERHEAD + count(call.name) + count(call.arguments) for call in completion.calls)
    output = count(completion.text) + count(completion.thinking) + calls
    return RequestUsage(model, Usage(prompt_tokens, output), prompt_tokens, answered, estimated=True)


def count_prompt(prompt: Prompt, counter: Counter) -> int:
    """Uncalibrated tokens of a prompt of plain messages, without functions."""
    return PROMPT_OVERHEAD + sum(MESSAGE_OVERHEAD + counter.count(m.text) for m in prompt.messages)


def read_usage(entries: Iterable[Mapping[str, Any]]) -> tuple[RequestUsage, ...]:
    """The requests that a row's entries tell of."""
    return tuple(
        RequestUsage(
            entry["model"],
            Usage(**{name: entry[name] for name in _TOKENS if name in entry}),
            entry.get("counted", 0),
            entry.get("answered", ""),
            entry.get("estimated", False),
            entry.get("cut", False),
        )
        for entry in entries
    )


_TOKENS = ("input", "output", "cached", "written", "thinking")


def measured_ratio(made: Iterable[RequestUsage]) -> float | None:
    """Reported tokens per counted one over several requests; None if none of them tells."""
    if not (telling := [request for request in made if request.ratio is not None]):
        return None
    ratio = sum(r.usage.input for r in telling) / sum(r.counted for r in telling)
    return round(min(LARGEST_RATIO, max(SMALLEST_RATIO, ratio)), 3)
