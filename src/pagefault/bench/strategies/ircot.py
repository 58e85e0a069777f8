"""IRCoT: reason a step, retrieve with it, repeat, then answer.

Trivedi, Balasubramanian, Khot, Sabharwal, "Interleaving Retrieval with Chain-of-Thought Reasoning for
Knowledge-Intensive Multi-Step Questions", 2022, arXiv 2212.10509. Texts are collected: first those that the
question finds, then, with each sentence of reasoning as the query, more. Reasoning ends with a sentence that
says "answer is", or at a bound; a reader then answers from the collected texts alone, as in the paper.

Simplified: no demonstrations in the prompt. The paper takes a fixed number of paragraphs a step, at most 15
in all, and eight steps; here the texts share one window instead: a third of the room is for the question's,
the rest for those of at most four thoughts. A thought that refuses, or was had before, ends the reasoning: so
does it with a model that does not reason, which then answers from what was found up to there.
"""

from __future__ import annotations

import re
from dataclasses import replace

from pagefault.bench import prompts
from pagefault.bench.prompts import Brief
from pagefault.bench.scoring import is_refusal
from pagefault.bench.strategies import Bench
from pagefault.bench.strategies.evidence import MOST_FOUND, InView, sentences
from pagefault.bench.tasks import Item, StrategyReply

__all__ = ["IRCoT"]

_MOST_THOUGHTS = 4
_THOUGHT = 64  # tokens
_SHARES = 3  # of the room; one of them is for what the question finds
_CONCLUDES = re.compile(r"\banswer is\b|答案是", re.IGNORECASE)


class IRCoT:
    """Retrieval interleaved with a chain of thought."""

    name = "ircot"

    async def reply(self, item: Item, bench: Bench) -> StrategyReply:
        heading = prompts.headings[item.form]
        reasoning = Brief("", prompts.IRCOT)
        room = min(bench.room(replace(item, brief=brief), heading) for brief in (item.brief, reasoning))
        room -= min((_MOST_THOUGHTS + 1) * _THOUGHT, room // _SHARES)
        view = InView(item, bench.counter)
        thoughts: list[str] = []
        async with bench.pools.searching(item) as pool:
            texts = view.fitting(await pool.search(item.question, MOST_FOUND), room // _SHARES)
            share = (room - room // _SHARES) // _MOST_THOUGHTS
            while len(thoughts) < _MOST_THOUGHTS:
                context = view.context(texts) + _so_far(thoughts)
                prompt = prompts.one_prompt(reasoning, heading, context, item.question, _THOUGHT)
                thought = next(iter(sentences((await bench.ask(prompt)).text)), "")
                if is_refusal(thought) or thought in thoughts:
                    break
                thoughts.append(thought)
                if _CONCLUDES.search(thought):
                    break
                texts += view.fitting(view.unseen(await pool.search(thought, MOST_FOUND)), share)
        prompt = prompts.one_prompt(item.brief, heading, view.context(texts), item.question, bench.reserve)
        return view.reply((await bench.ask(prompt)).text)


def _so_far(thoughts: list[str]) -> str:
    return "\n\n" + "\n".join((prompts.THOUGHTS, *thoughts)) if thoughts else ""
