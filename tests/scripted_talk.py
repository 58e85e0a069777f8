"""A model's part of a long conversation, played by a server: it reads the request as a model would.

The same part for a model that has functions and for one that writes JSON objects instead. For each message it
knows what to do in how many completions; where it stands it tells from the results behind the message.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pagefault.models import Call, Completion, Usage
from pagefault.testing.models import call, say
from pagefault.testing.providers import Body, ProviderRequest, Turn, refuse
from pagefault.testing.providers.replies import asks_for_summary, offered

THINGS = ("boat", "bread", "garden", "piano", "clock", "bicycle")
PLACES = ("Porto", "Bergen", "Kyoto", "Quito", "Cork", "Perth")
SUMMARY = "They talked of things and where they are."


def fact(turn: int) -> tuple[str, str]:
    """What the message of a turn tells of: a thing, and where it is."""
    return f"{THINGS[turn % 6]}{turn}", PLACES[turn // 6 % 6]


def message(turn: int) -> str:
    thing, place = fact(turn)
    asked, _ = fact(max(0, turn - 27))
    if turn % 10 == 5:
        return f"Turn {turn}. Where is the {asked}?"
    filler = "It was a long day with much to see, and I would rather write more than less of it. " * 3
    return f"Turn {turn}. The {thing} is in {place}. {filler}"


def part(turn: int, results: Sequence[str]) -> Call:
    """The call to make in a turn, after these results."""
    thing, place = fact(turn)
    match turn % 10:
        case 1:
            steps = [
                call("working_context_append", heartbeat=True, section="human", text=f"{thing}: {place}")
            ]
        case 3:
            steps = [
                call("archival_insert", heartbeat=True, text=f"The {thing} is in {place}.", tags=["things"])
            ]
        case 5:
            asked, where = fact(max(0, turn - 27))
            found = any(f"{asked} is in {where}" in result for result in results)
            steps = [call("memory_search", query=f"Where is the {asked}?")]
            if results:
                return say(f"Turn {turn}: the {asked} is {f'in {where}' if found else 'nowhere'}.")
        case 7:
            steps = [call("remember_everything", text=thing), call("archival_search", query="things")]
        case 9:
            before, there = fact(turn - 8)
            steps = [
                call(
                    "working_context_replace", heartbeat=True, section="human",
                    old=f"{before}: {there}", new=f"{before}: {place}",
                )
            ]  # fmt: skip
        case _:
            steps = []
    return steps[len(results)] if len(results) < len(steps) else say(f"Turn {turn}: I hear of the {thing}.")


def standing(body: Body) -> tuple[int | None, list[str]]:
    """Which turn is open (None: none of ours), and the results that its calls have had."""
    results: list[str] = []
    for entry in reversed(body["messages"]):
        text = str(entry.get("content") or "")
        if entry["role"] == "tool" or (entry["role"] == "user" and text.startswith("[result of ")):
            results.insert(0, text)
        elif entry["role"] == "user":
            found = re.search(r"^\[user [^]]*\] Turn (\d+)\.", text)
            return (int(found[1]) if found else None), results
    return None, results


def with_functions(request: ProviderRequest) -> Completion:
    """A model that has functions, and writes JSON objects when it is asked for those."""
    usage = Usage(len(request.raw) // 4, 20)
    turn, results = standing(request.body)
    if asks_for_summary(request):
        return Completion(SUMMARY, usage=usage)
    if not offered(request):
        return Completion(as_object(turn, results), usage=usage)
    if turn is None:  # a warning
        return Completion("Nothing to save.", usage=usage)
    made = part(turn, results)
    made = Call(f"call_{turn}_{len(results)}", made.name, made.arguments)
    return Completion(calls=(made,), usage=usage)


def as_object(turn: int | None, results: Sequence[str]) -> str:
    """What is to be done in a turn, as the object that JSON mode asks for."""
    made = call("none") if turn is None else part(turn, results)
    arguments = json.loads(made.arguments)
    return json.dumps({"thoughts": "Hm.", "function": made.name, "arguments": arguments})


@dataclass
class WithoutFunctions:
    """A model that has none: its server refuses them, and what it writes is JSON as weak models write it."""

    random: random.Random = field(default_factory=lambda: random.Random(4))
    refused: int = 0

    def __call__(self, request: ProviderRequest) -> Turn:
        if offered(request):
            self.refused += 1
            return refuse(400, "registry/weak:7b does not support tools")
        if asks_for_summary(request):
            return Completion(SUMMARY)
        whole = as_object(*standing(request.body))
        written = self.random.choice(
            [
                whole,
                f"```json\n{whole}\n```",
                f"Sure, here it is:\n{whole}\nI hope that helps.",
                whole[:-1],
                whole.replace('"thoughts": "Hm."', "'thoughts': 'Hm.'"),
                whole.replace("}}", "},}"),
            ]
        )
        return Completion(written)
