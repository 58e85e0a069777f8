"""Documents of one pool in a real store, as an agent would have them.

A turn of a dialogue becomes a message with its speaker, in sessions apart in time; any other document a
passage with its title. Leaves out searching (``retrieval``) and the baselines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pagefault.bench.retrieval.datasets import RetrievalDocument
from pagefault.storage import SESSION_GAP, Store, Transaction
from pagefault.types import AgentId, AgentRecord, Message, Passage, Role, Tier

__all__ = ["Corpus", "load"]

_START = datetime(2023, 1, 1, tzinfo=UTC)  # where the data has no date
_TURN = timedelta(seconds=1)
_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT}


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where a pool is: row n of the agent's tier is the document ``ids[n - 1]``. ``end``: the last time."""

    agent: AgentId
    tier: Tier
    ids: Sequence[str]
    end: datetime


async def load(store: Store, name: str, documents: Sequence[RetrievalDocument]) -> Corpus:
    """Store the documents of a pool with an agent of this name."""
    is_dialogue = all(document.session for document in documents)
    times = _times(documents) if is_dialogue else [document.at or _START for document in documents]

    def work(tx: Transaction) -> AgentId:
        agent = tx.create_agent(AgentRecord(name, {}, _START)).id
        if is_dialogue:
            tx.append(agent, [_message(*turn) for turn in zip(documents, times, strict=True)])
        else:
            for document, at in zip(documents, times, strict=True):
                tx.insert_passage(agent, Passage(document.text, at, title=document.title))
        return agent

    agent = await store.write(work)
    tier: Tier = "recall" if is_dialogue else "archival"
    return Corpus(agent, tier, [document.id for document in documents], max(times))


def _message(document: RetrievalDocument, at: datetime) -> Message:
    role = _ROLES.get(document.speaker.lower())
    return Message(role or Role.USER, document.text, at, speaker="" if role else document.speaker)


def _times(documents: Sequence[RetrievalDocument]) -> list[datetime]:
    """A time for each turn: its session's date, a second after the turn before it; sessions stay apart."""
    times: list[datetime] = []
    session = ""
    for document in documents:
        if not times:
            at = document.at or _START
        elif document.session == session:
            at = times[-1] + _TURN
        else:
            at = document.at or times[-1] + timedelta(days=1)
            if abs(at - times[-1]) <= SESSION_GAP:
                at = times[-1] + SESSION_GAP + _TURN
        session = document.session
        times.append(at)
    return times
