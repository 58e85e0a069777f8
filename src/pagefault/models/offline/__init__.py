"""The offline model: a demo that needs no key, and an example of a model adapter.

A model sees a prompt and function schemas, and streams a completion; this one follows a few stated rules:

1. A first-person statement is noted: in the working context, or in archival storage when that is full.
2. A question is searched for with the memory functions that are offered. The passage that has most of its
   topics is quoted with its date; of two that match about equally, the newer one comes first.
3. A message that is written as a call, ``price(item="pear")``, is made, and the result is said.
4. Where nothing matches, it says that it does not know; where little does, it says so and quotes the nearest.
5. At memory pressure, and when it rests, it saves what the user said and nobody noted. Other events get one
   line or nothing.

It is deterministic and keeps no state: what was tried for the open event is in the prompt. It leaves out what
a language model is for: it understands nothing, and its answers are as good as the search beneath them.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator

from pagefault.models import Call, Completion, Delta, Prompt, StreamItem
from pagefault.models.offline.policy import next_step
from pagefault.models.offline.prompt_view import FunctionCall, PromptView
from pagefault.models.offline.words import is_personal, sentences, told, topics

_SUMMARY_REQUEST = r"(?ms)^Previous summary:\n(.*)^Messages:\n(.*)^Write the new summary.*?(\d+) tokens"
_CONTINUED = r"\[summary_request\] .*?(\d+) tokens"
_SUMMARY_ROW = re.compile(r"\[summary of earlier messages\]\n(.*)\n\[earlier rows[^\n]*\Z", re.DOTALL)
_USER_ROW = r"(?m)^\[user(?: [^\]\d\n][^\]\n]*?)? (\d{4}-\d\d-\d\d)[^\]\n]*\] (.*)$"


class OfflineModel:
    """``window`` is in tokens; the model itself has no limit."""

    def __init__(self, window: int = 4096) -> None:
        self.name = "offline"
        self.window = window

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Yield one delta for the text and one for each call, then the completion."""
        summary = _summary_of(prompt)
        completion = _next(PromptView.of(prompt)) if summary is None else Completion(summary)
        if completion.text:
            yield Delta(completion.text)
        for index, call in enumerate(completion.calls):
            yield Delta(call.arguments, index, call.name)
        yield completion


def _next(view: PromptView) -> Completion:
    """Speech is a call in memgpt style; in native style it is text, and waits until the calls are done."""
    step = next_step(view)
    calls = [call for call in step.calls if not view.has_made(call)]
    text = "" if calls else step.say
    if "send_message" in view.functions:
        calls += [FunctionCall("send_message", {"message": step.say})] if step.say else []
        text = "" if calls else "Nothing more to do."  # plain text is private there
    numbered = enumerate(calls, len(view.earlier) + len(view.steps))
    made = [Call(f"call_{n}", c.name, json.dumps(c.arguments, ensure_ascii=False)) for n, c in numbered]
    return Completion(text, tuple(made))


def _summary_of(prompt: Prompt) -> str | None:
    """The summary that a prompt asks for: of what it lists, or of the messages before its last one."""
    last = prompt.messages[-1].text
    if not prompt.functions and (asked := re.search(_SUMMARY_REQUEST, last)):
        return _summary(*asked.groups())
    if not prompt.plain or not (asked := re.match(_CONTINUED, last)):
        return None
    texts = [message.text for message in prompt.messages[1:-1] if message.role == "user"]
    previous = _SUMMARY_ROW.match(texts[0]) if texts else None
    return _summary(previous[1] if previous else "", "\n".join(texts), asked[1])


def _summary(previous: str, rows: str, limit: str) -> str:
    """A summary by extraction, as ``pagefault.context.summary`` asks for: lines of the previous one and what
    the user said, in at most ``limit`` tokens; newest and first-person sentences are kept first."""
    lines = [line for line in previous.splitlines() if topics(line)]
    for day, text in re.findall(_USER_ROW, rows):
        lines += [f"{day}: {piece}" for piece in sentences(told(text)) if topics(piece)]
    room, kept = float(limit), set[str]()
    newest = enumerate(reversed(lines))
    for _, line in sorted(newest, key=lambda pair: (not is_personal(pair[1]), pair[0])):
        size = 2 * len(line.split()) + len(re.findall("[\u3400-\u9fff]", line))  # no fewer tokens than it has
        if size <= room and line not in kept:
            kept.add(line)
            room -= size
    return "\n".join(dict.fromkeys(line for line in lines if line in kept)) or "Nothing to keep."
