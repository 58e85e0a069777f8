"""Extractive summaries: what the summariser asks of the offline model.

Keeps the previous summary's facts and the user's new first-person statements, the newest of each slot,
the agent's own about itself too, then what else was said for as long as the bound allows. It leaves out
questions, and what the agent only retold.
"""

from __future__ import annotations

import re

from pagefault.models import Prompt
from pagefault.models.offline.evidence import OWN, dated_lines, is_own_quote
from pagefault.models.offline.facts import is_question
from pagefault.models.offline.keeping import is_durable, slots
from pagefault.models.offline.language import sentences, size

__all__ = ["is_summary_request", "summarise"]

_ROW = re.compile(
    r"^\[(?P<kind>\w+)(?: [^\]\d][^\]]*?)?(?: (?P<day>\d{4}-\d\d-\d\d)[^\]]*)?\] ?", re.MULTILINE
)
_REQUEST = re.compile(r"^Messages:$.*^Write the new summary", re.MULTILINE | re.DOTALL)
_BOUND = re.compile(r"at most (\d+)")
_TOKENS_PER_WORD = 1.6  # of ours, see language.size: on the safe side for names, dates and Chinese


def is_summary_request(prompt: Prompt) -> bool:
    """The summariser offers no functions and names its two parts."""
    return not prompt.functions and _REQUEST.search(prompt.messages[-1].text) is not None


def _statements(messages: str) -> list[tuple[str, str]]:
    """(day, sentence) of each statement, in order; the agent's are marked, and of the day before them."""
    found: list[tuple[str, str]] = []
    rows = list(_ROW.finditer(messages))
    day = ""
    for row, after in zip(rows, [*rows[1:], None], strict=False):
        day = row["day"] or day
        text = messages[row.end() : after.start() if after else None].strip()
        own = row["kind"] == "assistant" and not is_own_quote(text)
        if own or row["kind"] == "user":
            said = [piece for piece in sentences(text) if not is_question(piece)]
            found += [(day, f"{OWN}{piece}" if own else piece) for piece in said]
    return found


def summarise(prompt: Prompt) -> str:
    """The new summary: a line ``day: sentence`` for each statement kept, facts first."""
    request = prompt.messages[-1].text
    previous, _, rest = request.partition("Messages:")
    messages, _, instruction = rest.rpartition("Write the new summary")
    bound = _BOUND.search(instruction)
    budget = (int(bound[1]) if bound else prompt.max_tokens) / _TOKENS_PER_WORD
    old = [
        item
        for line in previous.removeprefix("Previous summary:").splitlines()
        for item in dated_lines(line)
        if item[1] and item[1].strip("()").lower() not in ("none", "nothing", "empty")
    ]
    new = _statements(messages or rest)
    facts = _newest([*old, *(item for item in new if is_durable(item[1].removeprefix(OWN)))])
    kept: list[tuple[str, str]] = []
    rest = sorted(
        (item for item in reversed(new) if item not in facts), key=lambda item: item[1].startswith(OWN)
    )
    for item in [*reversed(facts), *rest]:
        cost = size(item[1]) + (4 if item[0] else 0) + 1
        if cost <= budget and item not in kept:
            kept.append(item)
            budget -= cost
    return (
        "\n".join(f"{day}: {text}" if day else text for day, text in sorted(kept, key=[*old, *new].index))
        or "Nothing to keep."
    )


def _newest(facts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without those whose every slot a later one fills."""
    kept: list[tuple[str, str]] = []
    filled: set[tuple[bool, str]] = set()
    for day, text in reversed(facts):
        own = {(text.startswith(OWN), slot) for slot in slots(text.removeprefix(OWN))}
        if own and own <= filled:
            continue
        filled |= own
        kept.append((day, text))
    return kept[::-1]
