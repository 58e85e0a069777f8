"""The lexical index of a file: entering rows, taking them out, and how units are written in it.

One FTS5 table, ``lexicon``, indexes both tiers of all agents. Its text is units made by ``storage.terms``,
each marked with tier and agent (``r12·paris``): one agent's search reads no other's postings, and what
counts for BM25 is its own log. The tokenizer is ``ascii``, for which every non-ASCII character is part of a
token, so no unit is ever split.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.purge import owe
from pagefault.types import AgentId, Tier

__all__ = ["frequencies", "index", "tokens", "unindex", "unindex_agent"]

_TERMS = "SELECT term, doc, cnt FROM lexicon_terms WHERE term >= :first AND term < :last"
_NUMBER = 0xFFFFFFFF  # a lexicon row id is agent, tier bit, number in 31, 1 and 32 bits


def index(
    connection: Connection, agent: AgentId, tier: Tier, rows: Sequence[tuple[int, Sequence[str]]]
) -> None:
    """Enter rows (number, units) into the lexical index; a row without units is not entered."""
    before = _mark(agent, tier)
    batch = [
        {"key": _key(agent, tier, number), "units": before + f" {before}".join(units)}
        for number, units in rows
        if units
    ]
    if batch:
        connection.many("INSERT INTO lexicon (rowid, units) VALUES (:key, :units)", batch)


def unindex(connection: Connection, agent: AgentId, tier: Tier, number: int) -> None:
    connection.run("DELETE FROM lexicon WHERE rowid = :key", key=_key(agent, tier, number))
    owe(connection)


def unindex_agent(connection: Connection, agent: AgentId) -> None:
    first, last = _key(agent, "recall", 0), _key(agent, "archival", _NUMBER)
    connection.run("DELETE FROM lexicon WHERE rowid BETWEEN :first AND :last", first=first, last=last)
    owe(connection)


def frequencies(connection: Connection, agent: AgentId, tier: Tier) -> Iterator[tuple[str, int, int]]:
    """Each unit that the index has of the agent, in how many rows it is, and how often."""
    first, last = _mark(agent, tier), _mark(agent, tier)[:-1] + chr(ord("·") + 1)
    for batch in connection.batches(_TERMS, 10_000, first=first, last=last):
        for term, rows, count in batch:
            yield term[len(first) :], rows, count


def _key(agent: AgentId, tier: Tier, number: int) -> int:
    return agent << 33 | (tier == "archival") << 32 | number


def tokens(agent: AgentId, tier: Tier, units: Iterable[str]) -> list[str]:
    """Units as the lexicon has them. The middle dot is in no unit, so a mark cannot be mistaken for one."""
    before = _mark(agent, tier)
    return [before + unit for unit in units]


def _mark(agent: AgentId, tier: Tier) -> str:
    return f"{tier[0]}{agent}·"
