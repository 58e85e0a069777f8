"""The usage of requests to models in tokens, made from completions.

The log keeps it with the first row committed after the request (``Message.usage``).

Left out: money (``prices``), and failed requests, for which providers report nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from pagefault.message_meta import RequestUsage, Usage
from pagefault.models import Call, Completion, Prompt
from pagefault.models.tokens import CALL_OVERHEAD, MESSAGE_OVERHEAD, PROMPT_OVERHEAD, Counter

__all__ = [
    "LARGEST_RATIO",
    "SMALLEST_RATIO",
    "call_tokens",
    "count_prompt",
    "measured_ratio",
    "usage_of",
]

SMALLEST_RATIO, LARGEST_RATIO = 0.5, 3.0
"""The plausible range of reported tokens per counted one."""


def usage_of(
    completion: Completion,
    asked: str,
    prompt_tokens: int,
    counter: Counter,
    *,
    cut: bool = False,
    images: bool = False,
) -> RequestUsage:
    """Return the usage of a completion; ``asked`` is the model's name if the completion does not name it."""
    model = completion.target or asked
    answered = "" if model.rpartition(":")[2] == completion.model else completion.model
    if completion.usage is not None:
        return RequestUsage(model, completion.usage, prompt_tokens, answered, cut=cut, images=images)
    calls = sum(call_tokens(call, counter) for call in completion.calls)
    output = counter.count(completion.text) + counter.count(completion.thinking) + calls
    return RequestUsage(model, Usage(prompt_tokens, output), prompt_tokens, answered, estimated=True)


def count_prompt(prompt: Prompt, counter: Counter) -> int:
    """Return the uncalibrated tokens of a prompt, without the functions that it offers."""
    calls = sum(call_tokens(call, counter) for message in prompt.messages for call in message.calls)
    return PROMPT_OVERHEAD + sum(MESSAGE_OVERHEAD + counter.count(m.text) for m in prompt.messages) + calls


def call_tokens(call: Call, counter: Counter) -> int:
    """Return the uncalibrated tokens of a call."""
    return CALL_OVERHEAD + counter.count(call.name) + counter.count(call.arguments)


def measured_ratio(made: Iterable[RequestUsage]) -> float | None:
    """Return reported tokens per counted one over several requests; None if none was measured."""
    if not (measured := [request for request in made if request.ratio is not None]):
        return None
    ratio = sum(r.usage.input for r in measured) / sum(r.counted for r in measured)
    return round(min(LARGEST_RATIO, max(SMALLEST_RATIO, ratio)), 3)
