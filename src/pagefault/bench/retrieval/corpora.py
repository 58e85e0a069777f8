"""Documents of one pool in a real store, as an agent would have them.

A turn of a dialogue becomes a message with its speaker, in sessions apart in time; the passages of one source
a loaded document; any other document a passage with its title. Leaves out searching (``retrieval``) and the
baselines.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from pagefault.bench.retrieval.datasets import RetrievalDocument
from pagefault.storage import SESSION_GAP, Store, Transaction
from pagefault.types import AgentId, AgentRecord, Document, Message, Passage, Place, Role, Tier

__all__ = ["Corpus", "load"]

_START = datetime(2023, 1, 1, tzinfo=UTC)  # where the data has no date
_TURN = timedelta(seconds=1)
_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT}

_Dated = tuple[RetrievalDocument, datetime]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where a pool is: row n of the agent's tier is the document ``ids[n - 1]``. ``end``: the last time."""

    agent: AgentId
    tier: Tier
    ids: Sequence[str]
    end: datetime


async def load(
    store: Store,
    documents: Sequence[RetrievalDocument],
    index: Callable[[], Awaitable[object]],
    embedded: float = 1,
) -> Corpus:
    """Store the documents of a pool with an agent, and call ``index`` when the share ``embedded`` of them is
    there: they get vectors and the later ones none, as if indexing had been interrupted."""
    is_dialogue = all(document.session for document in documents)
    times = _times(documents) if is_dialogue else [document.at or _START for document in documents]
    rows = list(zip(documents, times, strict=True))
    agent = await store.write(lambda tx: tx.create_agent(AgentRecord("bench", {}, _START)).id)
    put = _put_turns if is_dialogue else _put_passages
    cut = _cut(documents, embedded)
    await store.write(lambda tx: put(tx, agent, rows[:cut]))
    await index()
    await store.write(lambda tx: put(tx, agent, rows[cut:]))
    tier: Tier = "recall" if is_dialogue else "archival"
    return Corpus(agent, tier, [document.id for document in documents], max(times))


def _cut(documents: Sequence[RetrievalDocument], share: float) -> int:
    """The number of documents in a share of them, no source being divided."""
    cut = round(share * len(documents))
    while 0 < cut < len(documents) and "" != documents[cut].source == documents[cut - 1].source:
        cut += 1
    return cut


def _put_turns(tx: Transaction, agent: AgentId, turns: Sequence[_Dated]) -> None:
    tx.append(agent, [_message(*turn) for turn in turns])


def _message(document: RetrievalDocument, at: datetime) -> Message:
    role = _ROLES.get(document.speaker.lower())
    return Message(role or Role.USER, document.text, at, speaker="" if role else document.speaker)


def _put_passages(tx: Transaction, agent: AgentId, documents: Sequence[_Dated]) -> None:
    for source, of_source in groupby(documents, key=lambda row: row[0].source):
        place = Place(0, 1) if source else None
        passages = [Passage(one.text, at, (), source, 0, one.title, place) for one, at in of_source]
        if source:
            document = Document(source, passages[0].title, "text/plain", "", passages[0].at, 0)
            tx.put_document(agent, document, [], passages)
        else:
            for passage in passages:
                tx.insert_passage(agent, passage)


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
