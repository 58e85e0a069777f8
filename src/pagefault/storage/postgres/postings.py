"""The lexical index: which rows have which units how often, written in the rows' own transaction.

PostgreSQL's own full-text search has no BM25 and no units for scripts without spaces; so this is a table of
postings, agent-first, over units that ``storage.terms`` makes. Reading it is ``source``'s part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pagefault.storage.postgres.connection import PostgresConnection
from pagefault.types import AgentId, Tier

__all__ = ["index", "unindex"]

_INDEX = """
    INSERT INTO postings (agent, tier, unit, number, count) VALUES (%(agent)s, %(tier)s,
    unnest(%(units)s::text[]), unnest(%(numbers)s::bigint[]), unnest(%(counts)s::integer[]))"""
_UNINDEX = """
    DELETE FROM postings WHERE agent = %(agent)s AND tier = %(tier)s AND unit = ANY(%(units)s::text[])
    AND number = %(number)s"""


def index(
    connection: PostgresConnection, agent: AgentId, tier: Tier, rows: Sequence[tuple[int, Sequence[str]]]
) -> None:
    """Enter rows (number, units) into the lexical index; a row without units is not entered."""
    entries = [(unit, number, count) for number, units in rows for unit, count in Counter(units).items()]
    if entries:
        units, numbers, counts = map(list, zip(*sorted(entries), strict=True))
        connection.send(_INDEX, agent=agent, tier=tier, units=units, numbers=numbers, counts=counts)


def unindex(
    connection: PostgresConnection, agent: AgentId, tier: Tier, number: int, units: Sequence[str]
) -> None:
    """Take a row with these units out of the index."""
    if units:
        connection.send(_UNINDEX, agent=agent, tier=tier, number=number, units=sorted(set(units)))
