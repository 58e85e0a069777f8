"""LongMemEval (Wu et al. 2024): questions on a user's chat history with an assistant, in the original format.

The agent is the assistant. Evidence is the turns that are marked (``has_answer``), or the sessions of the
answer where no turn is. A question whose id ends in ``_abs`` has no answer in the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from pydantic import Field, model_validator

from pagefault.bench import prompts
from pagefault.bench.dates import moment, timed
from pagefault.bench.scoring import answer_scores
from pagefault.bench.tasks import START, Item, Options, StrategyReply, Text
from pagefault.bench.tasks.reading import Record, read
from pagefault.embedders import Embedder

__all__ = ["LongMemEval"]

_FILES = ("longmemeval*.json", "longmemeval*.json.gz")
_APART = timedelta(hours=8)
_TURN = timedelta(seconds=30)


class _Turn(Record):
    role: str
    content: str
    has_answer: bool = False


class _Instance(Record):
    question_id: str
    question_type: str
    question: str
    answer: str | int | float
    question_date: str | None = None
    haystack_session_ids: list[str]
    haystack_dates: list[str | None]
    haystack_sessions: list[list[_Turn]] = Field(min_length=1)
    answer_session_ids: list[str] = Field(default=[])

    @model_validator(mode="after")
    def _as_many_of_each(self) -> _Instance:
        lengths = {len(self.haystack_sessions), len(self.haystack_dates), len(self.haystack_session_ids)}
        if len(lengths) > 1:
            raise ValueError("haystack_sessions, haystack_dates and haystack_session_ids differ in number")
        return self


class LongMemEval:
    """``parts`` are question types."""

    name = "longmemeval"
    measures = ("answer_token_recall", "token_f1", "mean_length", "wrongly_answered")
    strategies = ("memgpt", "truncate", "recursive-summary")
    sweep = (5, 10, 20)

    def items(self, data: Path, options: Options) -> list[Item]:
        instances = read(data, _FILES, "instances", _Instance, options)
        chosen = [one for one in instances if not options.parts or one.question_type in options.parts]
        return [_item(one) for one in chosen[: options.limit]]

    async def score(self, item: Item, reply: StrategyReply, embedder: Embedder) -> Mapping[str, float]:  # noqa: ARG002
        return answer_scores(reply.text, item.gold)


def _item(read: _Instance) -> Item:
    sessions = zip(read.haystack_session_ids, read.haystack_dates, read.haystack_sessions, strict=True)
    marked: set[str] = set()
    dated: list[tuple[str | None, list[Text]]] = []
    for id, date, turns in sessions:
        said = [(f"{id}/{place}", turn) for place, turn in enumerate(turns) if turn.content.strip()]
        marked |= {name for name, turn in said if turn.has_answer}
        dated.append((date, [Text(name, turn.content, own=turn.role == "assistant") for name, turn in said]))
    texts = timed(dated, _APART, _TURN)
    last = max((text.at for text in texts), default=START) + timedelta(days=1)
    return Item(
        id=read.question_id,
        pool=read.question_id,
        form="conversation",
        texts=sorted(texts, key=lambda text: text.at),
        question=read.question,
        brief=prompts.LONGMEMEVAL,
        gold=() if read.question_id.endswith("_abs") else (str(read.answer),),
        evidence=frozenset(marked or read.answer_session_ids),
        part=read.question_type,
        asked=max(moment(read.question_date) or last, last - timedelta(days=1)),
        lived=True,
    )
