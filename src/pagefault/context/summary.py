"""The recursive summary: f(old summary, evicted messages), bounded in size.

The model writes it: at a flush as the continuation of the agent's own prompt up to the last evicted row,
which a provider's cache holds already; else, and where that brings no text, from a prompt of its own, in
chunks that fit its window. Where the model fails, or only repeats itself, it is made by extraction, so that a
flush never depends on the provider. Which of the two it was is said, for an extract tells less.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime

from pagefault import prompts
from pagefault.accounting.usage import count_prompt, usage_of
from pagefault.context import paging, schema_tokens
from pagefault.errors import ModelError, ModelSetupError, ModelUnavailable
from pagefault.message_meta import MessageMeta, RequestUsage
from pagefault.models import Completion, Model, Prompt, PromptMessage
from pagefault.models.tokens import MESSAGE_OVERHEAD, Counter
from pagefault.quoting import one_word, quoted
from pagefault.storage.terms import terms
from pagefault.types import Message, Role

_EXCERPT = 160  # characters of a call, a result or an extracted line
_WORDS = 0.6  # words of a token; fewer than there are, for most models write more than they are asked for
_RUN = 4  # words
_REPEATED = 0.5  # of the runs of words; what people write has up to .22, in tables too
_SENTENCE = re.compile(r"[.!?。！？…][\"'”’)\]]*(?=\s|$)|[。！？]|\n")
_CALL = re.compile(
    r"\s*(?:```\w*\s*)?(?:[{\[].*?\"(?:function|name|tool|arguments)\"\s*:|<\W?(?:tool|function)|\[TOOL_CALLS)",
    re.DOTALL,
)  # an answer that is a call, written as text


@dataclass(frozen=True, slots=True)
class Summary:
    """A summary with the requests that it took. ``extracted`` says why the model did not write it, or a part
    of it; empty: it did."""

    text: str
    requests: tuple[RequestUsage, ...] = ()
    extracted: str = ""

    def row(self, meta: MessageMeta, at: datetime) -> Message:
        """The row at the head of the queue, as a draft."""
        shown = f"[summary of earlier messages]\n{{}}\n[earlier rows in recall storage: {meta.messages}]"
        return Message(Role.SUMMARY, self.text, at, shown, meta=meta, usage=self.requests)


class _RepeatedError(ModelError):
    """The model only repeats itself; it is not asked again."""


@dataclass(slots=True)
class _Asking:
    """Asks the model for text, and keeps the usage of each request."""

    model: Model
    counter: Counter
    evicted: Sequence[Message]
    requests: list[RequestUsage] = field(default_factory=list[RequestUsage])

    async def text(self, prompt: Prompt) -> str:
        """The text of one completion; empty if there is none, or a call instead; ``_RepeatedError``."""
        completion = await _completion(self.model, prompt)
        schemas = sum(schema_tokens(function, self.counter) for function in prompt.functions)
        counted = count_prompt(prompt, self.counter) + schemas
        images = any(message.images for message in prompt.messages)
        self.requests.append(usage_of(completion, self.model.name, counted, self.counter, images=images))
        written = tuple(f"{function.name}(" for function in prompt.functions)
        if completion.calls or _CALL.match(completion.text) or completion.text.lstrip().startswith(written):
            return ""
        if _is_repeated(completion.text, self.evicted):
            raise _RepeatedError(f"{self.model.name} only repeated itself.")
        return _whole_sentences(completion.text) if completion.cut else completion.text.strip()


async def summarise(
    model: Model,
    summary: str,
    evicted: Sequence[Message],
    *,
    window: int,
    limit: int,
    counter: Counter,
    continued: Prompt | None = None,
) -> Summary:
    """The new summary of at most ``limit`` tokens, from the old one and the evicted rows.

    ``window``: uncalibrated tokens that a request to the model may take, reply included. ``continued``: the
    prompt that shows the old summary and the evicted rows, and no others, as the agent has seen them.
    """
    asking, failed = _Asking(model, counter, evicted), ""
    if continued is not None:
        try:
            if made := await _continue(asking, continued, limit):
                return Summary(_within(made, limit, counter), tuple(asking.requests))
        except (ModelUnavailable, ModelSetupError, _RepeatedError) as error:  # nor would another request help
            failed = str(error)
    lines = [line for row in evicted if (line := transcript_line(row))]
    fixed = counter.count(prompts.text("summarize")) + 2 * limit + 16 * MESSAGE_OVERHEAD
    extracted = failed
    for chunk in _chunks(lines, max(256, int((window - fixed) * 0.8)), counter):
        made = ""
        try:
            made = "" if failed else await asking.text(_prompt(summary, chunk, limit))
            extracted = extracted or ("" if made else f"{model.name} wrote nothing.")
        except ModelError as error:  # the flush must not depend on the provider
            extracted = extracted or str(error)
        summary = _within(made or extract(summary, chunk, limit, counter), limit, counter)
    return Summary(summary, tuple(asking.requests), extracted)


def _is_repeated(text: str, evicted: Sequence[Message]) -> bool:
    """Return whether a text is one of the model's own messages, or most runs of four words stood in it
    before: seq-rep-4 of Welleck et al., "Neural Text Generation with Unlikelihood Training" (arXiv
    1908.04319). Those of the messages do not count."""
    if any(row.role is Role.ASSISTANT and row.text.strip() == text.strip() for row in evicted):
        return True
    runs = _runs(text)
    if len(runs) - len(set(runs)) <= _REPEATED * len(runs):
        return False
    own = set(runs).difference(*(_runs(transcript_line(row)) for row in evicted))
    return sum(run in own for run in runs) - len(own) > _REPEATED * len(runs)


def _runs(text: str) -> list[tuple[str, ...]]:
    words = terms(text)
    return [tuple(words[start : start + _RUN]) for start in range(len(words) - _RUN + 1)]


def closing_tokens(limit: int, counter: Counter) -> int:
    """Uncalibrated tokens that a request for a summary takes behind the agent's prompt, without its reply."""
    return max(counter.count(message.text) for message in _closings(limit)) + MESSAGE_OVERHEAD


def _closings(limit: int) -> tuple[PromptMessage, PromptMessage]:
    """The instruction that asks for a summary, and the same for a model that did not understand it."""
    asked = prompts.text("summarize_here").format(limit=limit, words=max(20, int(limit * _WORDS)))
    first = f"[summary_request] {asked}"
    return PromptMessage("user", first), PromptMessage(
        "user", f"{first}\n{prompts.text('summarize_plainly')}"
    )


async def _continue(asking: _Asking, prompt: Prompt, limit: int) -> str:
    """The summary as the next message of a prompt; empty if the model calls functions, or if it refuses."""
    for closing in _closings(limit):
        try:
            continued = replace(prompt, messages=(*prompt.messages, closing), plain=True)
            if made := await asking.text(continued):
                return made
        except (ModelUnavailable, ModelSetupError, _RepeatedError):
            raise
        except ModelError:  # it is too long, or holds what the provider refuses
            break
    return ""


def _within(text: str, limit: int, counter: Counter) -> str:
    """The text in at most ``limit`` tokens, to the end of a sentence."""
    first, *rest = paging.split(text, limit, counter)
    return _whole_sentences(first) if rest else first.strip()


def _whole_sentences(text: str) -> str:
    """A text that was cut, without the sentence that it breaks off in, unless that is half of it."""
    end = max((found.end() for found in _SENTENCE.finditer(text)), default=0)
    return text[: end if end > len(text) // 2 else len(text)].strip()


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
    left, spared = limit, limit // 3 if summary else 0
    for line in reversed(lines):
        short = line if len(line) <= _EXCERPT else line[:_EXCERPT] + "…"
        tokens = counter.count(short) + 1
        if tokens > left - spared:
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
