"""Shared by strategies that search more than once: texts in view, that fit, and sentences of an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pagefault.bench.strategies.fixed import context_of, line_of
from pagefault.bench.tasks import Item, StrategyReply, Text
from pagefault.context import paging
from pagefault.models.tokens import Counter

__all__ = ["MOST_FOUND", "InView", "sentences"]

MOST_FOUND = 100
"""Texts that one search may bring, before what fits is chosen."""

_LARGEST = 3  # a text may take this part of the room; a longer one is cut
_NO_END = re.compile(r"(?:^|\s)(?:[A-Z][a-z]?|Mrs|Prof|\d+)\.$")
_END = re.compile(r"(?<=[.!?])\s+(?=\S)|(?<=[。！？])\s*(?=\S)|\n+")


def sentences(text: str) -> list[str]:
    """The sentences of an answer. What ends in an initial, a title or a bare number goes with the next."""
    found: list[str] = []
    for piece in filter(None, map(str.strip, _END.split(text))):
        if found and _NO_END.search(found[-1]):
            found[-1] += f" {piece}"
        else:
            found.append(piece)
    return found


@dataclass(slots=True)
class InView:
    """The texts of one item that came into view, over several prompts; each keeps its number."""

    item: Item
    counter: Counter
    _numbers: dict[str, int] = field(default_factory=dict[str, int])

    def number(self, text: Text) -> int:
        """The number of a text in prompts; from the first time on it counts as seen."""
        return self._numbers.setdefault(text.id, len(self._numbers) + 1)

    def unseen(self, texts: Sequence[Text]) -> list[Text]:
        return [text for text in texts if text.id not in self._numbers]

    def fitting(self, texts: Sequence[Text], room: int) -> list[Text]:
        """The first of the texts, as many as fit into ``room`` tokens; long ones are cut."""
        shown: list[Text] = []
        most = room // _LARGEST
        for number, text in enumerate(texts, 1):
            frame = self.counter.count(line_of(self.item, replace(text, text=""), number)) + 1
            cut = paging.split(text.text, max(1, most - frame), self.counter)[0].strip()
            room -= frame + self.counter.count(cut)
            if room < 0:
                break
            shown.append(replace(text, text=cut))
        return shown

    def context(self, texts: Sequence[Text]) -> str:
        """The texts as a prompt shows them, turns of a conversation in their order."""
        numbers = [self.number(text) for text in texts]
        if self.item.form == "pairs":
            return context_of(self.item, texts)
        numbered = list(zip(numbers, texts, strict=True))
        if self.item.form == "conversation":
            place = {text.id: number for number, text in enumerate(self.item.texts)}
            numbered.sort(key=lambda pair: place[pair[1].id])
        return "\n".join(line_of(self.item, text, number) for number, text in numbered)

    def reply(self, text: str) -> StrategyReply:
        named = {str(number): id for id, number in self._numbers.items()}
        return StrategyReply(text.strip(), tuple(self._numbers), named)
