"""Functions that a model never sees: the tokens that its server reports are too few to hold them.

Some servers drop the functions of a request in silence. A prompt's tokens are then about those of its
messages alone. Two reports must say so of prompts that are not much longer than their functions, and they
must grow with the prompt, for a server may also cut prompts, or report only what was not in its cache. Left
out: servers that say it themselves (``directory.templates``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from pagefault.models import Completion, Prompt
from pagefault.models.tokens import MESSAGE_OVERHEAD, PROMPT_OVERHEAD, Counter, counter_for

__all__ = ["UnseenFunctions"]

_LEAST = 200  # tokens of functions below which nothing can be told
_LONGEST = 1.25  # tokens of messages per one of functions, from which on nothing can be told
_SEEN = 0.25  # share of the functions' tokens that a report must hold beside the messages
_PLAUSIBLE = 0.5  # reported tokens per counted one of the messages, at least
_KEEPS_UP = 0.25  # reported tokens per counted one that the prompt grew by
_CHARACTERS = 12  # per token of functions: what is longer is not counted


@dataclass(slots=True)
class UnseenFunctions:
    """Watches the reports of one model, until they tell."""

    decided: bool = False  # nothing more is to be learnt
    _suspect: tuple[int, int] | None = None  # counted and reported of a first prompt
    _counter: Counter = field(default=counter_for("cl100k"))

    def noticed(self, prompt: Prompt, whole: Completion) -> bool:
        """Return True once the functions of prompts are found to be dropped."""
        if self.decided or not prompt.functions:
            return False
        if whole.calls:
            self.decided = True
            return False
        if whole.usage is None or not (sizes := self._sizes(prompt)):
            return False
        return self._judged(*sizes, whole.usage.input)

    def _judged(self, messages: int, functions: int, reported: int) -> bool:
        if reported >= messages + _SEEN * functions:
            self.decided = True
        if self.decided or reported < _PLAUSIBLE * messages:
            return False
        before, self._suspect = self._suspect, self._suspect or (messages, reported)
        if before is None or messages <= before[0]:
            return False
        self.decided = reported - before[1] >= _KEEPS_UP * (messages - before[0])
        return self.decided

    def _sizes(self, prompt: Prompt) -> tuple[int, int] | None:
        """Return the tokens of messages and of functions by our count; None if they cannot tell anything."""
        count = self._counter.count
        functions = sum(
            count(json.dumps([each.name, each.description, each.parameters])) for each in prompt.functions
        )
        length = sum(len(message.text) for message in prompt.messages)
        if functions < _LEAST or length > _CHARACTERS * functions or any(m.images for m in prompt.messages):
            return None
        said = (f"{message.text}{''.join(c.arguments for c in message.calls)}" for message in prompt.messages)
        messages = PROMPT_OVERHEAD + sum(MESSAGE_OVERHEAD + count(text) for text in said)
        return (messages, functions) if messages <= _LONGEST * functions else None
