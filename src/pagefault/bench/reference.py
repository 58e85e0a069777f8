"""A policy that follows the rules of nested key-value retrieval, where no language model is at hand.

It stands for a model that makes no mistake: an upper bound that shows the mechanics, and no result of a
model. It knows nothing but the prompt: the key it is asked for, and the pairs that its searches, what was
prefetched or the prompt itself show. One search a hop, through ``archival_search``, page after page if a
page does not decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator, Sequence

from pagefault.bench.callers import opened_at
from pagefault.bench.prompts import headings
from pagefault.models import Call, Completion, Prompt, PromptMessage, StreamItem
from pagefault.testing.models import call, say

__all__ = ["ReferencePolicy"]

_SEARCH = "archival_search"
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PAIR = re.compile(rf'"({_UUID.pattern})": "({_UUID.pattern})"')
_PAGE = re.compile(r"Showing \d+ of \d+ results \(page (\d+)/(\d+)\)")


class ReferencePolicy:
    """``window`` in tokens; any will do."""

    name = "reference-policy"

    def __init__(self, window: int) -> None:
        self.window = window

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """The next search, or the answer."""
        yield _in_one_prompt(prompt) if prompt.plain or not prompt.functions else _next(prompt)


def _in_one_prompt(prompt: Prompt) -> Completion:
    """Follow the chain through a JSON object that the prompt holds."""
    shown, _, question = prompt.messages[-1].text.rpartition("\n")
    asked = _UUID.search(question)
    if asked is None or not shown.startswith(headings["pairs"]):
        return Completion("Nothing to look up.")
    pairs = dict(_pairs(shown))
    value, seen = asked[0], set[str]()
    while value in pairs and value not in seen:
        seen.add(value)
        value = pairs[value]
    return Completion(value)


def _next(prompt: Prompt) -> Completion:
    """The next call after the results since the question: a search for a value, or the answer."""
    question, *since = prompt.messages[opened_at(prompt) :]
    asked = _UUID.search(question.text)
    if asked is None:
        return Completion("Nothing to look up.")
    searches = list(_searches(since))
    prefetched = [message.text for message in since if message.role == "user"]
    key, seen = asked[0], set[str]()
    while key not in seen:
        seen.add(key)
        pages = [result for query, result in searches if query == key]
        pairs = dict(_pairs("\n".join([*prefetched, *pages])))
        if key in pairs:
            key = pairs[key]
        elif _is_last(pages) or all(function.name != _SEARCH for function in prompt.functions):
            return Completion(calls=(_numbered(say(key), prompt),))
        else:
            more = call(_SEARCH, query=key, page=len(pages) + 1)
            return Completion(calls=(_numbered(more if pages else call(_SEARCH, query=key), prompt),))
    return Completion(calls=(_numbered(say(f"The chain comes back to {key}."), prompt),))


def _is_last(pages: Sequence[str]) -> bool:
    """Return whether the last of these pages of results has no other behind it."""
    place = _PAGE.search(pages[-1]) if pages else None
    return bool(pages) and (place is None or place[1] == place[2])


def _numbered(made: Call, prompt: Prompt) -> Call:
    return Call(f"call_{sum(len(message.calls) for message in prompt.messages)}", made.name, made.arguments)


def _searches(messages: Sequence[PromptMessage]) -> Iterator[tuple[str, str]]:
    """Query and result of each search, in order."""
    results = {message.call_id: message.text for message in messages if message.role == "tool"}
    for message in messages:
        for made in message.calls:
            if made.name == _SEARCH and made.id in results:
                yield json.loads(made.arguments)["query"], results[made.id]


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    return ((key, value) for key, value in _PAIR.findall(text))
