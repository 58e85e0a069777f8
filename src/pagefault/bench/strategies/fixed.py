"""Strategies with a fixed context, one request an item: the newest texts that fit, or all of them.

Also what the others share that put texts into one prompt.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC

from pagefault.bench import prompts
from pagefault.bench.strategies import Bench
from pagefault.bench.tasks import Item, StrategyReply, Text
from pagefault.context import stamp

__all__ = ["Full", "Human", "Truncate", "answered", "context_of", "line_of"]


def context_of(item: Item, texts: Sequence[Text]) -> str:
    """Texts of an item as one prompt shows them."""
    if item.form == "pairs":
        pairs = [json.loads(text.text) for text in texts]
        return json.dumps({key: value for pair in pairs for key, value in pair.items()}, indent=1)
    return "\n".join(line_of(item, text, number) for number, text in enumerate(texts, 1))


def line_of(item: Item, text: Text, number: int) -> str:
    """One text as one prompt shows it."""
    if item.form == "conversation":
        return f"[{stamp(text.at, UTC)}] {text.speaker or ('assistant' if text.own else 'user')}: {text.text}"
    return f"[{number}] ({text.title}) {text.text}" if text.title else f"[{number}] {text.text}"


async def answered(
    item: Item, bench: Bench, texts: Sequence[Text], heading: str = "", context: str = ""
) -> StrategyReply:
    """The model's answer with these texts in view, or with another context under a heading of its own."""
    shown = context if heading else context_of(item, texts)
    heading = heading or prompts.headings[item.form]
    completion = await bench.ask(prompts.one_prompt(item.brief, heading, shown, item.question, bench.reserve))
    named = {str(number): text.id for number, text in enumerate(texts, 1)}
    return StrategyReply(completion.text.strip(), tuple(text.id for text in texts), named)


class Human:
    """The text that a person wrote, as a row to compare with; no model is asked."""

    name = "human"

    async def reply(self, item: Item, bench: Bench) -> StrategyReply:  # noqa: ARG002
        return (
            StrategyReply(item.gold[0]) if item.gold else StrategyReply("", unfit="Nobody's answer is known.")
        )


class Truncate:
    """The newest texts that fit the window; what is older is forgotten."""

    name = "truncate"

    async def reply(self, item: Item, bench: Bench) -> StrategyReply:
        left = bench.room(item, prompts.headings[item.form])
        first = len(item.texts)
        while first and left > 0:
            left -= bench.counter.count(line_of(item, item.texts[first - 1], first)) + 1
            first -= left >= 0
        return await answered(item, bench, item.texts[first:])


class Full:
    """All texts, if they fit the window; else the strategy cannot answer, and says so."""

    name = "full"

    async def reply(self, item: Item, bench: Bench) -> StrategyReply:
        size = bench.counter.count(context_of(item, item.texts))
        room = bench.room(item, prompts.headings[item.form])
        if size > room:
            return StrategyReply(
                "", unfit=f"The texts take {size:,} tokens, and the window has room for {room:,}."
            )
        return await answered(item, bench, item.texts)
