"""A model as the judge of an answer, where the gold answer is known: right or wrong, generous as to the
words.

The paper's judge (its appendix 6.1.2), in words of our own. Only where a judge is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass

from pagefault.bench.recording import Recorded
from pagefault.bench.tasks import Item, StrategyReply
from pagefault.models import Completion, Model, Prompt, PromptMessage

__all__ = ["INSTRUCTION", "ModelJudge"]

INSTRUCTION = (
    "You grade an answer to a question against the known answer. Be generous: an answer is right if it "
    "says what the known answer says, in whatever words, at whatever length, and contradicts it nowhere. "
    "An answer that says that it does not know is wrong. Reply with one word: CORRECT or WRONG."
)
_VERDICT = re.compile(r"\b(CORRECT|WRONG)\b")
_LONGEST = 256  # tokens of a verdict, some of which a model may think


@dataclass(frozen=True, slots=True)
class ModelJudge:
    model: Model

    async def __call__(self, item: Item, reply: StrategyReply, record: Callable[[Model], Recorded]) -> float:
        """1.0 if the model finds the answer right, else 0.0."""
        known = " or ".join(item.gold)
        text = f"Question: {item.question}\nKnown answer: {known}\nAnswer to grade: {reply.text}"
        messages = (PromptMessage("system", INSTRUCTION), PromptMessage("user", text))
        async with aclosing(record(self.model).stream(Prompt(messages, (), _LONGEST))) as pieces:
            async for piece in pieces:
                if isinstance(piece, Completion):
                    verdicts = _VERDICT.findall(piece.text.upper())
                    return float(bool(verdicts) and verdicts[-1] == "CORRECT")
        return 0.0
