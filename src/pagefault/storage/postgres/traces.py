"""Traces of words in a PostgreSQL database: in rows, the lexical index and the planner's statistics.

Of rows that were removed it finds vectors and postings, should these be left. Leaves out the bytes of the
tables' files (``files``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from pagefault.storage.index import Numbers
from pagefault.storage.index.words import WordBlocks, decoded
from pagefault.storage.postgres.connection import PostgresConnection
from pagefault.storage.row_transfer import units_of
from pagefault.storage.terms import terms
from pagefault.storage.traces import by_place, folded_forms, folded_row, needles
from pagefault.types import Tier

__all__ = ["lexical_traces", "row_traces", "statistics_traces", "tables_of", "vector_traces"]

_BATCH = 500  # rows
_TABLES = """
    SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace
    AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'alembic_version' ORDER BY relname"""
_COLUMNS = """
    SELECT attname::text, atttypid::regtype::text FROM pg_attribute
    WHERE attrelid = to_regclass(quote_ident(:table)) AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
_TEXTS = ("text", "character varying", "json", "jsonb")
_LEXICAL = ("postings", "word_blocks")  # of which each unit is looked up
# The server sends what has a word, and what only Python can fold: what is not plain ASCII, or is escaped.
_ROWS = """
    SELECT owner, whole FROM (SELECT {owner} AS owner, concat_ws(E'\\n', {texts}) AS whole FROM "{table}") r
    WHERE octet_length(whole) <> length(whole) OR strpos(whole, E'\\\\u') > 0 OR EXISTS (
        SELECT FROM unnest(:needles::text[]) n (needle)
        WHERE strpos(lower(whole COLLATE "C"), n.needle) > 0)"""
_BYTES = """
    SELECT {owner} FROM "{table}" WHERE EXISTS (SELECT FROM unnest(:needles::bytea[]) n (needle)
        WHERE strpos(lower(encode({column}, 'escape') COLLATE "C"), lower(encode(n.needle, 'escape'))) > 0)"""
_STATISTICS = """
    SELECT tablename::text, attname::text,
    concat_ws(' ', most_common_vals::text, histogram_bounds::text, most_common_elems::text)
    FROM pg_stats WHERE schemaname = current_schema() ORDER BY 1, 2"""
_POSTINGS = """
    SELECT agent, tier, array_agg(number) FROM postings WHERE unit = :unit GROUP BY agent, tier"""
_BLOCKS = """
    SELECT w.agent, s.tier, w.block, w.count, w.data FROM word_blocks w
    JOIN segments s ON s.agent = w.agent AND s.number = w.segment WHERE w.unit = :unit"""
_INDEXED: dict[Tier, str] = {
    "recall": "SELECT text, meta FROM messages WHERE agent = :agent AND seq = ANY(:numbers::bigint[])",
    "archival": "SELECT text, title FROM passages WHERE agent = :agent AND number = ANY(:numbers::bigint[])",
}
_BESIDE: dict[Tier, str] = {"recall": "meta", "archival": "title"}
_OF_NO_ROW = """
    SELECT count(*) FROM vectors v WHERE NOT EXISTS (
        SELECT FROM messages m
        WHERE v.tier = 'recall' AND m.agent = v.agent AND m.seq = v.number AND m.text <> '') AND NOT EXISTS (
        SELECT FROM passages p WHERE v.tier = 'archival' AND p.agent = v.agent AND p.number = v.number)"""
_SEALED = """
    SELECT agent, tier, 'segment_' || agent || '_' || number FROM segments WHERE fingerprint <> ''
    AND to_regclass('segment_' || agent || '_' || number) IS NOT NULL ORDER BY 3"""
_SEALED_OF_NO_ROW: dict[Tier, str] = {
    "recall": """SELECT count(*) FROM {table} v WHERE NOT EXISTS (
        SELECT FROM messages m WHERE m.agent = :agent AND m.seq = v.number AND m.text <> '')""",
    "archival": """SELECT count(*) FROM {table} v WHERE NOT EXISTS (
        SELECT FROM passages p WHERE p.agent = :agent AND p.number = v.number)""",
}

_Found = dict[tuple[str, str], tuple[int, set[str]]]


def tables_of(connection: PostgresConnection) -> list[str]:
    """All tables of pagefault's schema, those of sealed segments included."""
    return [table for (table,) in connection.rows(_TABLES)]


def row_traces(connection: PostgresConnection, words: Sequence[str]) -> _Found:
    """The rows of every table that have a word, by word and table: how many, and of which agents."""
    forms = {word: folded_forms(word) for word in words}
    plain = [form for each in forms.values() for form in each if form.isascii() and "\0" not in form]
    return by_place(
        _all_having(connection, forms, plain), dict(connection.rows("SELECT id, name FROM agents"))
    )


def _all_having(
    connection: PostgresConnection, forms: Mapping[str, set[str]], plain: Sequence[str]
) -> Iterator[tuple[str, str, int | None]]:
    for table in (table for table in tables_of(connection) if table not in _LEXICAL):
        columns = dict(connection.rows(_COLUMNS, table=table))
        owner = "agent" if "agent" in columns else "NULL::bigint"
        for word, agent in _having(connection, table, owner, columns, forms, plain):
            yield word, table, agent


def _having(
    connection: PostgresConnection, table: str, owner: str, columns: Mapping[str, str],
    wanted: Mapping[str, set[str]], plain: Sequence[str],
) -> Iterator[tuple[str, int | None]]:  # fmt: skip
    """Yield each word of each row of a table that has it, with the agent."""
    if texts := [f'"{name}"' for name, kind in columns.items() if kind in _TEXTS]:
        query = _ROWS.format(owner=owner, texts=", ".join(texts), table=table)
        for batch in connection.batches(query, _BATCH, needles=list(plain)):
            for agent, whole in batch:
                text = folded_row([whole])
                yield from ((w, agent) for w, forms in wanted.items() if any(form in text for form in forms))
    for column in (name for name, kind in columns.items() if kind == "bytea"):
        query = _BYTES.format(owner=owner, table=table, column=f'"{column}"')
        for word in wanted:
            for batch in connection.batches(query, _BATCH, needles=needles(word)):
                yield from ((word, agent) for (agent,) in batch)


def statistics_traces(connection: PostgresConnection, words: Sequence[str]) -> Iterator[str]:
    """A sentence for each column of which the planner's statistics have a word: samples of what was there."""
    wanted = {word: folded_forms(word) for word in words}
    for table, column, values in connection.rows(_STATISTICS) if words else ():
        text = folded_row([values])
        for word in (word for word, forms in wanted.items() if any(form in text for form in forms)):
            yield f"The statistics of {table}.{column} hold {word!r}; --repair has them sampled anew."


def lexical_traces(connection: PostgresConnection, words: Sequence[str]) -> Iterator[str]:
    """A sentence for each word of which the lexical index has all units for rows that are not there, or that
    do not have them."""
    for word in words:
        units = list(dict.fromkeys(terms(word)))
        entries = _entries(connection, units) if units else {}
        count = sum(_untrue(connection, *of, numbers, set(units)) for of, numbers in entries.items())
        if count:
            yield f"The lexical index has {word!r} for {count:,} rows that are not there."


def _entries(connection: PostgresConnection, units: Sequence[str]) -> dict[tuple[int, Tier], Numbers]:
    """The rows for which the index has all these units, by agent and tier."""
    found = _of_unit(connection, units[0])
    for unit in units[1:]:
        others = _of_unit(connection, unit)
        found = {of: np.intersect1d(found[of], others[of]) for of in found.keys() & others.keys()}
    return found


def _of_unit(connection: PostgresConnection, unit: str) -> dict[tuple[int, Tier], Numbers]:
    parts = defaultdict[tuple[int, Tier], list[Numbers]](list)
    for agent, tier, numbers in connection.rows(_POSTINGS, unit=unit):
        parts[agent, tier].append(np.array(numbers, np.int64))
    for agent, tier, *block in connection.rows(_BLOCKS, unit=unit):
        parts[agent, tier].append(decoded(WordBlocks.of([(block[0], block[1], block[2])])).numbers)
    return {of: np.unique(np.concatenate(arrays)) for of, arrays in parts.items()}


def _untrue(connection: PostgresConnection, agent: int, tier: Tier, numbers: Numbers, units: set[str]) -> int:
    """Count the rows that are not there or lack one of the units."""
    true, beside = 0, _BESIDE[tier]
    for start in range(0, len(numbers), _BATCH):
        asked = numbers[start : start + _BATCH].tolist()
        rows: list[Any] = connection.rows(_INDEXED[tier], agent=agent, numbers=asked)
        true += sum(units <= set(units_of(tier, {"text": text, beside: rest})) for text, rest in rows)
    return len(numbers) - true


def vector_traces(connection: PostgresConnection) -> Iterator[str]:
    """A sentence for each table with vectors of rows that are not there: they stand for what was said."""
    counts = {"vectors": connection.one(_OF_NO_ROW)[0]}
    for agent, tier, table in connection.rows(_SEALED):
        counts[table] = connection.one(_SEALED_OF_NO_ROW[tier].format(table=table), agent=agent)[0]
    for table, count in counts.items():
        if count:
            yield f"{count:,} vectors in {table} are of rows that are not there."
