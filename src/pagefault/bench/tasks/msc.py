"""Two tasks on Multi-Session Chat (Xu et al. 2021): deep memory retrieval and the conversation opener.

A record has the sessions of two speakers (``previous_dialogs``) and, for the first task, a question of B
about what A said, with its answer (``self_instruct``, of MemGPT/MSC-Self-Instruct). The agent is A, who is
Speaker 1 and begins every session; B, Speaker 2, is its user. The data has no dates: sessions are three days
apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, Field

from pagefault.bench import prompts
from pagefault.bench.dates import timed
from pagefault.bench.scoring import answer_scores
from pagefault.bench.tasks import START, Item, Options, StrategyReply, Text
from pagefault.bench.tasks.reading import Record, read
from pagefault.embedders import Embedder

__all__ = ["DMR", "Opener"]

_FILES = ("*.jsonl", "*.jsonl.gz")
_A, _B = "Speaker 1", "Speaker 2"
_APART = timedelta(days=3)
_TURN = timedelta(minutes=1)


class _Turn(Record):
    text: str
    speaker: str | None = None
    persona_fact: str | None = None


class _Session(Record):
    dialog: list[_Turn] = Field(min_length=1)
    personas: list[list[str]] = Field(default=[])
    next_session_opener_candidates: list[str] = Field(default=[])


class _Asked(BaseModel):
    B: str
    A: str


class _Dialogues(Record):
    idx: int | str | None = None
    previous_dialogs: list[_Session] = Field(min_length=1)
    self_instruct: _Asked | None = None
    silver_evidence: list[str] = Field(default=[])
    init_personas: list[list[str]] = Field(default=[])
    dialog: list[_Turn] = Field(default=[])


def _read(data: Path, options: Options) -> list[tuple[str, _Dialogues]]:
    """Records with their names, which begin the ids of their turns."""
    found = read(data, _FILES, "dialogues", _Dialogues, options)
    return [
        (f"dmr{number if record.idx is None else record.idx}", record) for number, record in enumerate(found)
    ]


def _pooled(
    records: Sequence[tuple[str, _Dialogues]],
) -> Iterator[tuple[str, str, _Dialogues]]:
    """Records with their names, and the name of the first one of the same conversation."""
    first: list[tuple[str, list[_Session]]] = []
    for name, record in records:
        pool = next((pool for pool, sessions in first if sessions == record.previous_dialogs), name)
        if pool == name:
            first.append((name, record.previous_dialogs))
        yield name, pool, record


def _texts(name: str, sessions: Sequence[_Session]) -> list[Text]:
    def turn(session: int, place: int, said: _Turn) -> Text:
        own = said.speaker == _A if said.speaker else place % 2 == 0
        return Text(f"{name}:S{session}:{place + 1}", said.text, own=own)

    turns = (
        (None, [turn(number, place, said) for place, said in enumerate(session.dialog)])
        for number, session in enumerate(sessions, 1)
    )
    return timed(turns, _APART, _TURN)


class DMR:
    """The paper's section 3.1.1."""

    name = "dmr"
    measures = ("rouge_l_recall", "answer_token_recall", "token_f1", "mean_length")
    strategies = ("memgpt", "recursive-summary")
    sweep = (5, 10, 20)

    def items(self, data: Path, options: Options) -> list[Item]:
        return [
            Item(
                id=name,
                pool=pool,
                form="conversation",
                texts=_texts(pool, record.previous_dialogs),
                question=record.self_instruct.B,
                brief=prompts.DMR,
                gold=(record.self_instruct.A,),
                evidence=frozenset(record.silver_evidence),
                asked=START + len(record.previous_dialogs) * _APART,
                lived=True,
            )
            for name, pool, record in _pooled(_read(data, options))
            if record.self_instruct
        ][: options.limit]

    async def score(self, item: Item, reply: StrategyReply, embedder: Embedder) -> Mapping[str, float]:  # noqa: ARG002
        return answer_scores(reply.text, item.gold)


class Opener:
    """The paper's section 3.1.2: similarity of the opener to what is known of the two (SIM-1 the nearest
    fact, SIM-3 the mean of the three nearest) and to what a person opened with (SIM-H, the nearest of
    them)."""

    name = "opener"
    measures = ("sim_1", "sim_3", "sim_h", "mean_length")
    strategies = ("memgpt", "memgpt-without-working-context", "human")
    sweep = (5, 10, 20)

    def items(self, data: Path, options: Options) -> list[Item]:
        items: list[Item] = []
        for name, record in _read(data, options):
            last = record.previous_dialogs[-1]
            human = [turn.text for turn in record.dialog[:1]] or last.next_session_opener_candidates
            facts = _facts(record)
            if human and facts:
                items.append(
                    Item(
                        id=name,
                        pool=name,
                        form="conversation",
                        texts=_texts(name, record.previous_dialogs),
                        question="",
                        brief=prompts.OPENER,
                        gold=tuple(human),
                        asked=START + len(record.previous_dialogs) * _APART,
                        lived=True,
                        facts=facts,
                    )
                )
        return items[: options.limit]

    async def score(self, item: Item, reply: StrategyReply, embedder: Embedder) -> Mapping[str, float]:
        import numpy as np

        if not reply.text.strip():
            return {"sim_1": 0.0, "sim_3": 0.0, "sim_h": 0.0}
        vectors = await embedder.embed([reply.text, *item.gold, *item.facts])
        cosines = vectors[1:] @ vectors[0]
        human, facts = cosines[: len(item.gold)], np.sort(cosines[len(item.gold) :])[::-1]
        return {"sim_1": float(facts[0]), "sim_3": float(facts[:3].mean()), "sim_h": float(human.max())}


def _facts(record: _Dialogues) -> tuple[str, ...]:
    """The facts that the annotators of the sessions noted of the two speakers."""
    noted = [turn.persona_fact for s in record.previous_dialogs for turn in s.dialog if turn.persona_fact]
    listed = [fact for s in record.previous_dialogs for persona in s.personas for fact in persona]
    given = [fact for persona in record.init_personas for fact in persona]
    return tuple(dict.fromkeys([*given, *listed, *noted]))
