"""FLARE: look ahead, and search again where the draft is uncertain.

Jiang, Xu, Gao, Sun, Liu, Dwivedi-Yu, Yang, Callan, Neubig, "Active Retrieval Augmented Generation", 2023,
arXiv 2305.06983: the direct variant with implicit queries. The first search is made with the question. The
model writes the rest of its answer; the first uncertain sentence of that draft, its uncertain words masked,
is the next query, and the answer is written again from there with what that search found alone. The sentence
that follows a search stands as it is.

Simplified: the paper calls a sentence uncertain if a token's probability is below a threshold. Our protocol
of models has no probabilities, so a stand-in decides (``uncertain``): a draft that refuses, or one of whose
content words a third or more stand nowhere in the prompt, because what is not grounded there comes out of the
model alone. The model drafts the rest of the answer at once, not a sentence a request. A refusal holds
nothing to search with: then the next texts that the question finds are read. At most four searches an item.
"""

from __future__ import annotations

import re
from dataclasses import replace

from pagefault.bench import prompts
from pagefault.bench.scoring import is_refusal
from pagefault.bench.strategies import Bench
from pagefault.bench.strategies.evidence import MOST_FOUND, InView, sentences
from pagefault.bench.tasks import Item, StrategyReply
from pagefault.models import Prompt
from pagefault.retrieval.query import content_terms
from pagefault.storage.terms import terms

__all__ = ["Flare"]

_MOST_SEARCHES = 4
_UNSURE = 1 / 3  # of the content words of a sentence
_WORD = re.compile(r"\S+")


class Flare:
    """Forward-looking active retrieval."""

    name = "flare"

    async def reply(self, item: Item, bench: Bench) -> StrategyReply:
        brief = replace(item.brief, reader=f"{item.brief.reader} {prompts.FLARE}")
        heading = prompts.headings[item.form]
        room = bench.room(replace(item, brief=brief), heading)
        view = InView(item, bench.counter)
        said: list[str] = []
        query = item.question
        async with bench.pools.searching(item) as pool:
            for search in range(1, _MOST_SEARCHES + 1):
                found = await pool.search(query, MOST_FOUND)
                if query == item.question:
                    found = view.unseen(found)
                so_far = _so_far(said)
                shown = view.fitting(found, room - bench.counter.count(so_far))
                context = view.context(shown) + so_far
                prompt = prompts.one_prompt(brief, heading, context, item.question, bench.reserve)
                draft = [s for s in sentences((await bench.ask(prompt)).text) if s not in said]
                stands = len(draft)
                if search < _MOST_SEARCHES:
                    stands = _certain(draft, prompt, 0 if search == 1 else 1)
                said += draft[:stands]
                if stands == len(draft):
                    break
                query = _masked(draft[stands], prompt) or item.question
        return view.reply(" ".join(said))


def _so_far(said: list[str]) -> str:
    return f"\n\n{prompts.SO_FAR}\n{' '.join(said)}" if said else ""


def _certain(draft: list[str], prompt: Prompt, first: int) -> int:
    """The number of sentences before the first uncertain one; ``first`` of them stand anyway."""
    return next((n for n, one in enumerate(draft) if n >= first and uncertain(one, prompt)), len(draft))


def uncertain(sentence: str, prompt: Prompt) -> bool:
    """The stand-in for low token probabilities."""
    if is_refusal(sentence):
        return True
    known = _known(prompt)
    units = content_terms(sentence)
    return sum(unit not in known for unit in units) >= _UNSURE * max(1, len(units))


def _masked(sentence: str, prompt: Prompt) -> str:
    """The sentence without its uncertain words, as the paper's implicit queries are made; nothing of a
    refusal."""
    if is_refusal(sentence):
        return ""
    known = _known(prompt)
    kept = [word for word in _WORD.findall(sentence) if known.issuperset(terms(word))]
    return " ".join(kept) if known.intersection(content_terms(" ".join(kept))) else ""


def _known(prompt: Prompt) -> frozenset[str]:
    return frozenset(unit for message in prompt.messages for unit in terms(message.text))
