"""Digits of any script as those of ASCII, in the lexical units that are stored.

Each unit becomes one unit, so that no count of units changes, and no text is read.
"""

from __future__ import annotations

import re
import sys
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_BATCH = 1_000  # rows
_DIGIT = re.compile(r"[^\D0-9]")
_ASCII = {
    code: str(unicodedata.decimal(chr(code)))
    for code in range(128, sys.maxunicode + 1)
    if chr(code).isdecimal()
}
_POSTINGS = """
    WITH gone AS (
        DELETE FROM postings WHERE unit <> translate(unit, :digits, :ascii)
        RETURNING agent, tier, translate(unit, :digits, :ascii) AS unit, number, count
    )
    INSERT INTO postings (agent, tier, unit, number, count)
    SELECT agent, tier, unit, number, sum(count) FROM gone GROUP BY agent, tier, unit, number
    ON CONFLICT (agent, tier, unit, number) DO UPDATE SET count = postings.count + excluded.count"""


def upgrade() -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        digits, ascii_digits = "".join(map(chr, _ASCII)), "".join(_ASCII.values())
        bind.execute(sa.text(_POSTINGS), {"digits": digits, "ascii": ascii_digits})
        return
    some = sa.text("SELECT rowid, units FROM lexicon WHERE rowid > :after ORDER BY rowid LIMIT :limit")
    update = sa.text("UPDATE lexicon SET units = :units WHERE rowid = :key")
    after = 0
    while rows := bind.execute(some, {"after": after, "limit": _BATCH}).all():
        after = rows[-1][0]
        if changed := [
            {"key": row[0], "units": row[1].translate(_ASCII)} for row in rows if _DIGIT.search(row[1])
        ]:
            bind.execute(update, changed)
