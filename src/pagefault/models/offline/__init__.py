"""The offline model: a deterministic, stateless stand-in for a language model, by rules.

It sees what any model sees, the prompt and the function schemas, and acts through function calls: notes
first-person facts, searches memory and quotes, saves at memory pressure, summarises by extraction, in
English and Chinese. It is no language model: it writes nothing of its own but short phrases, and what it
retrieves is data that it never obeys.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

from pagefault.models import Call, Completion, Delta, Prompt, StreamItem
from pagefault.models.offline.given import given
from pagefault.models.offline.noting import Act, Intent
from pagefault.models.offline.policy import decide
from pagefault.models.offline.questions import parse
from pagefault.models.offline.quoting import FORM, in_form, retold, unknown
from pagefault.models.offline.reader import best_first
from pagefault.models.offline.reading import Found, View, view
from pagefault.models.offline.summaries import is_summary_request, summarise

__all__ = ["OfflineModel"]


class OfflineModel:
    """``window`` is in tokens; any will do, for it reads what it is given."""

    def __init__(self, window: int = 4096) -> None:
        self._window = window

    @property
    def name(self) -> str:
        return "offline"

    @property
    def window(self) -> int:
        return self._window

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """One delta for the text and one for each call, then the completion."""
        completion = _complete(prompt)
        if completion.text:
            yield Delta(completion.text)
        for index, call in enumerate(completion.calls):
            yield Delta(call.arguments, index, call.name)
        yield completion


def _complete(prompt: Prompt) -> Completion:
    if is_summary_request(prompt):
        return Completion(summarise(prompt))
    if (asked := given(prompt)) is not None:
        return Completion(_read(prompt, *asked))
    seen = view(prompt)
    act = _in_style(seen, decide(seen))
    made = {(step.name, _written(step.arguments)) for step in seen.steps}
    intents = [intent for intent in act.calls if (intent.name, _written(intent.arguments)) not in made]
    calls = tuple(
        Call(f"call_{seen.calls + index}", intent.name, _arguments(seen, intent))
        for index, intent in enumerate(intents)
    )
    thought = "Nothing more to do." if seen.style == "memgpt" and not calls and not act.say else ""
    return Completion(act.say or thought, calls)


def _read(prompt: Prompt, question: str, texts: tuple[Found, ...]) -> str:
    """The answer from texts that the prompt itself holds."""
    asked = parse(question)
    found = texts if texts and texts[0].speaker == "archival" else best_first(asked, texts)
    told = [message.text for message in prompt.messages if message.role == "system"]
    if any(FORM.search(text) for text in told):
        return in_form(asked, found)
    return retold(asked, found) or unknown(asked, told)


def _in_style(seen: View, act: Act) -> Act:
    """In memgpt style speech is a call; in native style it waits until the calls are done."""
    if seen.style == "memgpt" and act.say:
        return Act((*act.calls, Intent("send_message", {"message": act.say})))
    return Act(act.calls) if act.calls else act


def _written(arguments: object) -> str:
    return json.dumps(arguments, ensure_ascii=False, sort_keys=True)


def _arguments(seen: View, intent: Intent) -> str:
    beat = {"request_heartbeat": True} if intent.more and seen.style == "memgpt" else {}
    return json.dumps({**intent.arguments, **beat}, ensure_ascii=False)
