"""BEAM (Tavakoli et al. 2025): questions on long chats of a user with an assistant, of ten kinds.

Read in the layout of ``pagefault bench retrieval``: ``docs.jsonl.gz`` (the messages of all chats),
``queries.jsonl.gz`` (with ``answers``), ``qrels.tsv`` (the messages that hold an answer). The agent is the
assistant. The chats are long, so they are loaded into recall storage, not lived through. The kind of a
question stands in its id, ``CHAT:KIND:NUMBER``; one of the kind ``abstention`` has no answer in its chat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from pagefault.bench import prompts
from pagefault.bench.retrieval.datasets import Pool, Question, load
from pagefault.bench.scoring import answer_scores
from pagefault.bench.tasks import START, Item, Options, StrategyReply, Text
from pagefault.embedders import Embedder

__all__ = ["BEAM"]

_TURN = timedelta(minutes=1)
_UNANSWERABLE = "abstention"


class BEAM:
    """``parts`` are kinds of questions."""

    name = "beam"
    measures = ("answer_token_recall", "token_f1", "mean_length", "wrongly_answered")
    strategies = ("memgpt", "truncate", "recursive-summary")
    sweep = (5, 10, 20)

    def items(self, data: Path, options: Options) -> list[Item]:
        items = [item for pool in load(data.parent, data.name).pools for item in _items(pool)]
        return [item for item in items if not options.parts or item.part in options.parts][: options.limit]

    async def score(self, item: Item, reply: StrategyReply, embedder: Embedder) -> Mapping[str, float]:  # noqa: ARG002
        return answer_scores(reply.text, item.gold)


def _items(pool: Pool) -> Iterator[Item]:
    texts = [
        Text(
            document.id, document.text, session=1, own=document.speaker == "assistant",
            at=(document.at or START) + number * _TURN,
        )
        for number, document in enumerate(pool.documents)
    ]  # fmt: skip
    asked = max((text.at for text in texts), default=START) + timedelta(days=1)
    for question in pool.questions:
        part = _kind(question)
        yield Item(
            id=question.id,
            pool=pool.name,
            form="conversation",
            texts=texts,
            question=question.text,
            brief=prompts.LONGMEMEVAL,
            gold=() if part == _UNANSWERABLE else question.answers,
            evidence=frozenset(question.gold),
            part=part,
            asked=asked,
        )


def _kind(question: Question) -> str:
    return question.id.split(":")[1] if question.id.count(":") > 1 else ""
