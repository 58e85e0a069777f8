"""SQLite's words for the SQL that every database shares."""

from __future__ import annotations

from pagefault.storage.sql.dialect import Dialect

__all__ = ["SQLITE"]


def _among(column: str, name: str, kind: type[int | str]) -> str:
    del kind
    return f"{column} IN (SELECT value FROM json_each(:{name}))"


SQLITE = Dialect(
    by_code_point="",
    lock="",
    find_name="SELECT id FROM agents WHERE tenant = :tenant AND name = :name",
    answered_by="EXISTS (SELECT 1 FROM json_each(usage) WHERE json_extract(value, '$.model') = :model)",
    # Plainly by characters: a function of our own would cost a call into Python for each row.
    question="substr(rtrim(text, char(32, 9, 10, 13)), -1) IN ('?', '？')",
    vector="vector",
    among=_among,
)
