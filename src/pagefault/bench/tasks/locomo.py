"""LoCoMo (Maharana et al. 2024): questions on conversations of two people over months, in the original
format.

The agent is neither of the two: the conversation is loaded into its recall storage, each message with its
speaker. A photo's caption stands behind the text, as in the authors' code. Questions of category 5 have no
answer there (they ask of one person what the other said).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError, field_validator

from pagefault.bench import prompts
from pagefault.bench.dates import timed
from pagefault.bench.scoring import answer_scores
from pagefault.bench.tasks import START, Item, Options, StrategyReply, Text
from pagefault.bench.tasks.reading import Record, read
from pagefault.embedders import Embedder

__all__ = ["CATEGORIES", "LoCoMo"]

CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop", 5: "adversarial"}

_FILES = ("locomo*.json", "locomo*.json.gz")
_SESSION = re.compile(r"session_(\d+)")
_TURN_ID = re.compile(r"D:?(\d+):(\d+)")
_APART = timedelta(days=1)
_TURN = timedelta(seconds=20)


class _Turn(Record):
    speaker: str
    dia_id: str
    text: str
    blip_caption: str | None = None


_TURNS = TypeAdapter(list[_Turn])


class _Question(Record):
    question: str
    category: int
    answer: str | int | float | None = None
    evidence: list[str] = Field(default=[])


class _Conversation(Record):
    sample_id: str
    qa: list[_Question]
    conversation: dict[str, Any]

    @field_validator("conversation")
    @classmethod
    def _sessions(cls, value: dict[str, Any]) -> dict[str, Any]:
        """Turns of each session, checked; dates as they are."""
        for name, turns in value.items():
            if _SESSION.fullmatch(name):
                try:
                    value[name] = _TURNS.validate_python(turns)
                except ValidationError as error:
                    fault = error.errors()[0]
                    where = ".".join(str(part) for part in fault["loc"])
                    raise ValueError(f"{name}.{where}: {fault['msg']}") from None
        return value


class LoCoMo:
    """``parts`` are categories, by name."""

    name = "locomo"
    measures = ("answer_token_recall", "token_f1", "mean_length", "wrongly_answered")
    strategies = ("memgpt", "truncate", "recursive-summary")
    sweep = (5, 10, 20)

    def items(self, data: Path, options: Options) -> list[Item]:
        conversations = read(data, _FILES, "conversations", _Conversation, options)
        items = [item for conversation in conversations for item in _items(conversation)]
        return [item for item in items if not options.parts or item.part in options.parts][: options.limit]

    async def score(self, item: Item, reply: StrategyReply, embedder: Embedder) -> Mapping[str, float]:  # noqa: ARG002
        return answer_scores(reply.text, item.gold)


def _items(read: _Conversation) -> Iterator[Item]:
    texts = _texts(read)
    ids = {text.id for text in texts}
    for number, question in enumerate(read.qa):
        part = CATEGORIES.get(question.category, str(question.category))
        gold = "" if question.answer is None or question.category == 5 else str(question.answer)
        if question.category == 3:
            gold = gold.partition(";")[0]  # what follows is the annotator's reason
        named = {f"D{session}:{turn}" for e in question.evidence for session, turn in _TURN_ID.findall(e)}
        yield Item(
            id=f"{read.sample_id}-{number}",
            pool=read.sample_id,
            form="conversation",
            texts=texts,
            question=question.question,
            brief=prompts.LOCOMO,
            gold=(gold,) if gold else (),
            evidence=frozenset(named & ids),
            part=part,
            asked=max((text.at for text in texts), default=START) + timedelta(days=1),
        )


def _texts(read: _Conversation) -> list[Text]:
    def turns(session: int) -> tuple[str | None, list[Text]]:
        said: list[_Turn] = read.conversation[f"session_{session}"]
        photos = [f" [photo: {turn.blip_caption}]" if turn.blip_caption else "" for turn in said]
        texts = [
            Text(turn.dia_id, turn.text + photo, speaker=turn.speaker)
            for turn, photo in zip(said, photos, strict=True)
        ]
        return read.conversation.get(f"session_{session}_date_time"), texts

    sessions = sorted(int(match[1]) for name in read.conversation if (match := _SESSION.fullmatch(name)))
    return timed(map(turns, sessions), _APART, _TURN)
