"""PostgreSQL's words for the SQL that every database shares, and its way of writing named values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from pagefault.storage.row_transfer import OWNED
from pagefault.storage.sql.dialect import Dialect

__all__ = [
    "OWNED_TABLES", "POSTGRES", "insertion", "is_insertion", "joined", "kind_of", "tables_in", "translated",
]  # fmt: skip

OWNED_TABLES = (
    "messages", "speakers", "sections", "section_versions", "passages", "passage_tags", "deletions",
    "documents", "document_pages", "inbox", "schedules", "vectors", "vector_marks", "postings", "agent_names",
    "usage_totals", "index_blocks", "attachments", "outbox", "deliveries", "segments", "word_blocks",
    "approvals", "grants", "media", "recall_deletions", "tombstones",
)  # fmt: skip
"""The tables with rows of an agent."""
_TABLES = {*OWNED_TABLES, "agents", "embedders", "api_keys", "audit", "quotas"}
_NAMED = re.compile(r"(?<![:\w]):([a-z]\w*)")
_KINDS = {int: "bigint", str: "text", bool: "boolean", float: "double precision", bytes: "bytea"}
_VALUE = re.compile(rb"%\((\w+)\)")
_INSERTION = re.compile(r"\s*INSERT\b")
_JOINABLE = re.compile(r"\s*(INSERT|UPDATE|DELETE|SELECT)\b")
_INTEGERS = {"tokens", "units", "part", "page", "pages", "attempts", "rank", "token_limit"}
_COLUMNS = {table.name: {**table.columns, "units": int} for table in OWNED}


POSTGRES = Dialect(
    by_code_point=' COLLATE "C"',
    lock=" FOR NO KEY UPDATE",
    find_name="SELECT agent FROM agent_names WHERE tenant = :tenant AND name = :name",
    answered_by="EXISTS (SELECT FROM json_array_elements(usage::json) r WHERE r ->> 'model' = :model)",
    question="right(rtrim(text, E' \\t\\n\\r'), 1) IN ('?', '？')",
    vector="halfvec_send(vector)",
    among=lambda column, name, kind: f"{column} = ANY(:{name}::{_KINDS[kind]}[])",
)


@cache
def translated(statement: str) -> bytes:
    """A statement with ``:name`` as the driver writes it: ``%(name)s``."""
    return _NAMED.sub(r"%(\1)s", statement).encode()


@cache
def is_insertion(statement: str) -> bool:
    return _INSERTION.match(statement) is not None


@cache
def tables_in(statement: str) -> frozenset[str]:
    """The tables that a statement reads or changes, and perhaps more: words that are the names of tables.
    None for a statement that cannot be part of another."""
    if not _JOINABLE.match(statement):
        return frozenset()
    return frozenset(re.findall(r"\w+", statement)) & _TABLES


@cache
def joined(statement: str, *insertions: str) -> bytes:
    """A statement that also makes insertions; the values of the n-th of these are called ``name_n``."""
    parts = [
        b"kept%d AS (%s)" % (n, _VALUE.sub(rb"%%(\1_%d)" % n, translated(each)))
        for n, each in enumerate(insertions)
    ]
    return b"WITH " + b", ".join(parts) + b" " + translated(statement)


def kind_of(table: str, column: str) -> str:
    """The type of a column that is handed over; from another each value would be converted, which Citus
    cannot do to the elements of an array."""
    if column == "vector":
        return "halfvec"
    return "integer" if column in _INTEGERS else _KINDS[_COLUMNS[table][column]]


@cache
def insertion(table: str, columns: Sequence[str], if_absent: bool, *, single: bool) -> str:
    """The insertion of an agent's rows, given by column: quicker than a statement for each, but not for a
    single row. With VALUES, because Citus sends that on to the agent's node, and a SELECT to itself."""
    given = [f"%({name})b" if name == "vector" else f":{name}" for name in columns]
    typed = [f"{value}::{kind_of(table, name)}" for value, name in zip(given, columns, strict=True)]
    values = typed if single else [f"unnest({value}[])" for value in typed]
    conflict = " ON CONFLICT DO NOTHING" if if_absent else ""
    return f"INSERT INTO {table} (agent, {', '.join(columns)}) VALUES (:agent, {', '.join(values)}){conflict}"
