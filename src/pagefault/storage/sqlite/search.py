"""The lexical index, and what matches: filter in SQL, match by units, phrases and vectors, score.

One FTS5 table, ``lexicon``, indexes both tiers of all agents. Its text is units made by ``storage.terms``,
each marked with tier and agent (``r12·paris``): one agent's search reads no other's postings, and what
counts for BM25 is its own log. The tokenizer is ``ascii``, for which every non-ASCII character is part of a
token, so no unit is ever split. Leaves out ranking (``pagefault.retrieval``).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import Any

import numpy as np

from pagefault.storage import Candidate, Filter, Match
from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.sqlite.rows import micros, moment
from pagefault.types import AgentId, Tier

__all__ = ["index", "search", "unindex", "unindex_agent"]

_NUMBER = 0xFFFFFFFF  # a lexicon row id is agent, tier bit, number in 31, 1 and 32 bits
_LONGEST = 200  # characters of a unit that count; FTS5 would cut at 32 KB without telling
_K1, _B = 1.2, 0.75  # BM25, the usual parameters (Robertson and Zaragoza 2009)
_EVER = 1 << 62

_SOURCE = {"recall": ("messages", "seq"), "archival": ("passages", "number")}
_FILTER = {
    "recall": """r.agent = :agent AND r.at >= :since AND r.at < :until AND r.seq < :before
        AND r.role IN (SELECT value FROM json_each(:wanted))""",
    "archival": """r.agent = :agent AND r.at >= :since AND r.at < :until AND r.number < :before
        AND (SELECT count(*) FROM json_each(:wanted) w JOIN passage_tags t
             ON t.agent = r.agent AND t.number = r.number AND t.tag = w.value)
            = json_array_length(:wanted)""",
}
# CROSS JOIN: SQLite's word for "in this order"; the left side is always the smaller.
_BROWSE = "SELECT r.{number}, r.at FROM {table} r WHERE {filter} ORDER BY r.{number} DESC"
_PHRASES = """
    SELECT r.{number}, r.at FROM lexicon l CROSS JOIN {table} r
    ON r.agent = :agent AND r.{number} = l.rowid & 0xFFFFFFFF
    WHERE lexicon MATCH :phrases AND {filter}"""
_POSTINGS = """
    SELECT r.{number}, r.at, r.units, p.term, count(*) FROM lexicon_postings p CROSS JOIN {table} r
    ON r.agent = :agent AND r.{number} = p.doc & 0xFFFFFFFF
    WHERE p.term IN (SELECT value FROM json_each(:tokens)) AND {filter} GROUP BY p.term, p.doc"""
_VECTORS = """
    SELECT r.{number}, r.at, v.vector FROM vectors v CROSS JOIN {table} r
    ON r.agent = :agent AND r.{number} = v.number
    WHERE v.agent = :agent AND v.tier = :tier AND v.fingerprint = :fingerprint AND {filter}"""
_TOTALS = "SELECT {tier}_rows, {tier}_units FROM agents WHERE id = :agent"
_DOCUMENTS = "SELECT term, doc FROM lexicon_terms WHERE term IN (SELECT value FROM json_each(:tokens))"


def index(
    connection: Connection, agent: AgentId, tier: Tier, rows: Sequence[tuple[int, Sequence[str]]]
) -> None:
    """Enter rows (number, units) into the lexical index; a row without units is not entered."""
    batch = [
        {"key": _key(agent, tier, number), "units": " ".join(_tokens(agent, tier, units))}
        for number, units in rows
        if units
    ]
    if batch:
        connection.many("INSERT INTO lexicon (rowid, units) VALUES (:key, :units)", batch)


def unindex(connection: Connection, agent: AgentId, tier: Tier, number: int) -> None:
    connection.run("DELETE FROM lexicon WHERE rowid = :key", key=_key(agent, tier, number))


def unindex_agent(connection: Connection, agent: AgentId) -> None:
    first, last = _key(agent, "recall", 0), _key(agent, "archival", _NUMBER)
    connection.run("DELETE FROM lexicon WHERE rowid BETWEEN :first AND :last", first=first, last=last)


def search(
    connection: Connection, agent: AgentId, tier: Tier, match: Match, filter: Filter, fingerprint: str
) -> list[Candidate]:
    """See ``storage.Transaction.search``. Exact: every vector of the agent that passes is compared."""
    values: dict[str, Any] = {
        "agent": agent,
        "since": -_EVER if filter.since is None else micros(filter.since),
        "until": _EVER if filter.until is None else micros(filter.until),
        "before": _EVER if filter.before is None else filter.before,
        "wanted": json.dumps(filter.roles if tier == "recall" else sorted(set(filter.tags))),
    }
    phrases = [_tokens(agent, tier, sequence) for sequence in match.exact if sequence]
    wanted = set(_tokens(agent, tier, match.terms))
    if not (phrases or wanted or match.vector is not None):
        found = connection.rows(_statement(_BROWSE, tier), **values)
        return [Candidate(number, moment(at)) for number, at in found]
    weights = _weights(connection, agent, tier, wanted.union(*phrases))
    if not weights.keys() >= set().union(*phrases):
        return []  # a unit that must be there is in no row; what goes on is in the index, so it is no syntax
    times, scores, by_terms = _lexical(connection, agent, tier, weights, wanted, values)
    cosines = _cosines(connection, tier, match, fingerprint, values, times)
    numbers = by_terms | {number for number, cosine in cosines.items() if cosine >= match.floor}
    if phrases:
        query = " AND ".join('"' + " ".join(phrase) + '"' for phrase in phrases)
        exact = {number for number, _ in connection.rows(_statement(_PHRASES, tier), phrases=query, **values)}
        numbers = numbers & exact if wanted or match.vector is not None else exact
    return [
        Candidate(number, moment(times[number]), scores.get(number, 0.0), cosines.get(number))
        for number in sorted(numbers, reverse=True)
    ]


def _weights(connection: Connection, agent: AgentId, tier: Tier, tokens: set[str]) -> dict[str, float]:
    """BM25's inverse document frequency of each token that is in the index."""
    if not tokens:
        return {}
    (total, _) = connection.one(_statement(_TOTALS, tier), agent=agent) or (0, 0)
    return {
        token: log(1 + (total - documents + 0.5) / (documents + 0.5))
        for token, documents in connection.rows(_DOCUMENTS, tokens=json.dumps(sorted(tokens)))
    }


def _lexical(
    connection: Connection,
    agent: AgentId,
    tier: Tier,
    weights: Mapping[str, float],
    wanted: set[str],
    values: Mapping[str, Any],
) -> tuple[dict[int, int], dict[int, float], set[int]]:
    """Rows that have any token of ``weights``: their times, their BM25, and which have one ``wanted``."""
    times: dict[int, int] = {}
    scores: defaultdict[int, float] = defaultdict(float)
    by_terms: set[int] = set()
    if not weights:
        return times, scores, by_terms
    total, units = connection.one(_statement(_TOTALS, tier), agent=agent)
    mean = units / total
    listed = json.dumps(sorted(weights))
    for number, at, length, token, count in connection.rows(
        _statement(_POSTINGS, tier), tokens=listed, **values
    ):
        times[number] = at
        saturation = count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * length / mean))
        scores[number] += weights[token] * saturation
        if token in wanted:
            by_terms.add(number)
    return times, scores, by_terms


def _cosines(
    connection: Connection,
    tier: Tier,
    match: Match,
    fingerprint: str,
    values: Mapping[str, Any],
    times: dict[int, int],
) -> dict[int, float]:
    """The cosine of every row that passes the filter and has a vector; adds their times to ``times``."""
    if match.vector is None:
        return {}
    found = connection.rows(_statement(_VECTORS, tier), tier=tier, fingerprint=fingerprint, **values)
    times.update((number, at) for number, at, _ in found)
    stored = np.frombuffer(b"".join(vector for _, _, vector in found), dtype="<f2")
    cosines = stored.reshape(-1, len(match.vector)).astype(np.float32) @ match.vector
    return dict(zip((number for number, _, _ in found), cosines.tolist(), strict=True))


def _statement(template: str, tier: Tier) -> str:
    table, number = _SOURCE[tier]
    return template.format(table=table, number=number, filter=_FILTER[tier], tier=tier)


def _key(agent: AgentId, tier: Tier, number: int) -> int:
    return agent << 33 | (tier == "archival") << 32 | number


def _tokens(agent: AgentId, tier: Tier, units: Iterable[str]) -> list[str]:
    """Units as the lexicon has them. The middle dot is in no unit, so a mark cannot be mistaken for one."""
    mark = f"{tier[0]}{agent}·"
    return [mark + unit[:_LONGEST] for unit in units]
