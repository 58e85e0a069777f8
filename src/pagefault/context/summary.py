"""The recursive summary: f(old summary, evicted messages), bounded in size.

The model writes it, in chunks that fit its window; where the model fails, it is made by extraction, so
that a flush never depends on the provider. Which of the two it was is said, for an extract tells less.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from pagefault import prompts
from pagefault.accounting.usage import count_prompt, usage_of
from pagefault.context import paging
from pagefault.errors import ModelError
from pagefault.message_meta import RequestUsage
from pagefault.models import Completion, Model, Prompt, PromptMessage
from pagefault.models.tokens import MESSAGE_OVERHEAD, Counter
from pagefault.quoting import one_word, quoted
from pagefault.types import Message, Role

_EXCERPT = 160  # characters of a call, a result or an extracted line


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary with the requests that it took. ``extracted`` says why the model did not write it, or a part
    of it; empty: it did."""

    text: str
    requests: tuple[RequestUsage, ...] = ()
    extracted: str = ""


async def summarise(
    model: Model, summary: str, evicted: Sequence[Message], *, window: int, limit: int, counter: Counter
) -> Summary:
    """The new summary of at most ``limit`` tokens, from the old one and the evicted rows.

    ``window``: uncalibrated tokens that a request to the model may take, reply included.
    """
    lines = [line for row in evicted if (line := transcript_line(row))]
    fixed = counter.count(prompts.text("summarize")) + 2 * limit + 16 * MESSAGE_OVERHEAD
    chunk_size = max(256, int((window - fixed) * 0.8))
    requests: list[RequestUsage] = []
    extracted = ""
    for chunk in _chunks(lines, chunk_size, counter):
        prompt, made = _prompt(summary, chunk, limit), ""
        try:
            completion = await _completion(model, prompt)
        except ModelError as error:  # the flush must not depend on the provider
            extracted = extracted or str(error)
        else:
            requests.append(usage_of(completion, model.name, count_prompt(prompt, counter), counter))
            made = completion.text.strip()
            extracted = extracted or ("" if made else f"{model.name} wrote nothing.")
        bounded = paging.split(made or extract(summary, chunk, limit, counter), limit, counter)
        summary = bounded[0].strip()
    return Summary(summary, tuple(requests), extracted)


def _prompt(summary: str, chunk: Sequence[str], limit: int) -> Prompt:
    request = (
        f"Previous summary:\n{quoted(summary) or '(none)'}\n\nMessages:\n"
        + "\n".join(chunk)
        + f"\n\nWrite the new summary in at most {limit} tokens."
    )
    messages = (PromptMessage("system", prompts.text("summarize")), PromptMessage("user", request))
    return Prompt(messages, (), limit)


async def _completion(model: Model, prompt: Prompt) -> Completion:
    async with aclosing(model.stream(prompt)) as items:
        async for item in items:
            if isinstance(item, Completion):
                return item
    raise ModelError(f"{model.name} ended its stream without a completion; try again.")


def _chunks(lines: Sequence[str], size: int, counter: Counter) -> list[list[str]]:
    chunks: list[list[str]] = [[]]
    filled = 0
    for line in (piece for whole in lines for piece in _pieces(whole, size, counter)):
        tokens = counter.count(line) + 1
        if chunks[-1] and filled + tokens > size:
            chunks.append([])
            filled = 0
        chunks[-1].append(line)
        filled += tokens
    return [chunk for chunk in chunks if chunk]


def _pieces(line: str, size: int, counter: Counter) -> list[str]:
    first, *rest = paging.split(line, size, counter)
    return [first, *map(quoted, rest)]


def extract(summary: str, lines: Sequence[str], limit: int, counter: Counter) -> str:
    """The deterministic fallback: the newest lines, shortened, under what fits of the old summary."""
    kept: list[str] = []
    left = limit
    for line in reversed(lines):
        short = line if len(line) <= _EXCERPT else line[:_EXCERPT] + "…"
        tokens = counter.count(short) + 1
        if tokens > left - limit // 3:
            break
        kept.insert(0, short)
        left -= tokens
    old = paging.split(summary, max(1, left), counter)[0].strip() if summary else ""
    return "\n".join([old, *kept] if old else kept)


def transcript_line(row: Message) -> str:
    """A row as the summariser reads it; empty for what says nothing."""
    if row.name == "send_message" and row.role in (Role.CALL, Role.RESULT):
        return ""
    if row.role is Role.CALL:
        label, text = f"[called {one_word(row.name or '')}]", row.text[:_EXCERPT]
    elif row.role is Role.RESULT:
        label, text = "[returned]", row.text[:_EXCERPT]
    elif row.role in (Role.ASSISTANT, Role.THOUGHT):
        label, text = f"[{row.role}]", row.text
    else:
        return quoted(row.shown, opens_line=False)
    return f"{label} {quoted(text, opens_line=False)}" if text else ""
