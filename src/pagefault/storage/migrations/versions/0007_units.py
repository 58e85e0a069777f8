"""Lexical units as ``storage.terms`` makes them now: the rows whose units differ are indexed anew.

A text of ASCII alone has the units that it had, so only the others are read.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
import Stemmer  # pyright: ignore[reportMissingTypeStubs]
from alembic import op

from pagefault.storage.row_transfer import units_of
from pagefault.storage.terms import terms
from pagefault.types import Tier

revision = "0007"
down_revision = "0006"

logger = logging.getLogger(__name__)

_BATCH = 1_000  # rows
_MANY = 50_000  # messages and passages, which take longer than a moment
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_UNITS = re.compile(
    rf"(?P<cjk>[{_CJK}]+)|(?P<word>[^\W_{_CJK}]+)|(?P<sign>[\u2600-\u27bf\U0001f000-\U0001faff])"
)
_stem = cast(
    Callable[[str], str],
    Stemmer.Stemmer("english").stemWord,  # pyright: ignore[reportUnknownMemberType]
)
_TABLES: dict[Tier, tuple[str, str, str]] = {
    "recall": ("messages", "seq", "role, meta, text"),
    "archival": ("passages", "number", "title, text"),
}
_COUNT = """
    UPDATE agents SET {tier}_rows = (SELECT count(*) FROM {table} WHERE agent = :agent AND units > 0),
    {tier}_units = (SELECT coalesce(sum(units), 0) FROM {table} WHERE agent = :agent),
    {tier}_changes = {tier}_changes + 1, {tier}_rebuilds = {tier}_rebuilds + 1 WHERE id = :agent"""


class _Change(NamedTuple):
    """A row whose units differ."""

    number: int
    old: list[str]
    new: list[str]


def upgrade() -> None:
    bind = op.get_bind()
    (rows,) = bind.execute(sa.text("SELECT coalesce(sum(last_seq + last_passage), 0) FROM agents")).one()
    if rows > _MANY:
        logger.warning(
            "The lexical index of %s messages and passages is brought up to date; "
            "a million take some minutes, and it happens once.",
            f"{rows:,}",
        )
    for agent in [row[0] for row in bind.execute(sa.text("SELECT id FROM agents"))]:
        for tier, (table, number, _) in _TABLES.items():
            changed = False
            for changes in _changes(agent, tier):
                changed = True
                _reindex(agent, tier, changes)
                units = [{"agent": agent, "number": c.number, "units": len(c.new)} for c in changes]
                update = f"UPDATE {table} SET units = :units WHERE agent = :agent AND {number} = :number"
                bind.execute(sa.text(update), units)
            if changed:
                bind.execute(sa.text(_COUNT.format(tier=tier, table=table)), {"agent": agent})
                # They hold the number of units, and are made anew when this has run.
                drop = sa.text("DELETE FROM index_blocks WHERE agent = :agent AND tier = :tier")
                bind.execute(drop, {"agent": agent, "tier": tier})


def old_terms(text: str) -> list[str]:
    """The units of ``text`` as they were made until now."""
    folded = text.lower()
    if folded.isascii():
        return terms(folded)
    marks = unicodedata.normalize("NFKD", folded)
    folded = unicodedata.normalize("NFC", "".join(c for c in marks if unicodedata.category(c) != "Mn"))
    units: list[str] = []
    for found in _UNITS.finditer(folded):
        unit = found.group()
        if found.lastgroup == "cjk":
            for index, character in enumerate(unit):
                units.append(character)
                if index + 1 < len(unit):
                    units.append(unit[index : index + 2])
        else:
            units.append(_word(unit) if found.lastgroup == "word" else unit)
    return units


def _word(word: str) -> str:
    whole = word[:200]
    return _stem(whole) if whole.isalpha() else whole


@cache
def _is_as_it_was(character: str) -> bool:
    """Return True if a character has no other part in units than it had, wherever it stands in a word. Marks
    and parts of syllables, which meet others, are not judged alone."""
    if unicodedata.category(character)[0] == "M" or "\u1100" <= character <= "\u11ff":
        return False
    around = (character, f"x{character}", f"{character}x", f"x{character}y", f"好{character}好")
    return all(old_terms(text) == terms(text) for text in around)


def _changes(agent: int, tier: Tier) -> Iterator[list[_Change]]:
    """Batches of the agent's rows whose units differ, none of them empty."""
    table, number, columns = _TABLES[tier]
    bytes_of, text = ("octet_length({})", "char_length({})"), "text" if tier == "recall" else "title || text"
    if op.get_bind().dialect.name != "postgresql":
        bytes_of = ("length(CAST({} AS BLOB))", "length({})")
    chosen = sa.text(
        f"SELECT {number}, {columns} FROM {table} WHERE agent = :agent AND {number} > :after "
        f"AND {bytes_of[0].format(text)} <> {bytes_of[1].format(text)} ORDER BY {number} LIMIT :limit"
    )
    after, names = 0, columns.split(", ")
    while found := op.get_bind().execute(chosen, {"agent": agent, "after": after, "limit": _BATCH}).all():
        changes: list[_Change] = []
        for row in found:
            values = dict(zip(names, row[1:], strict=True))
            title = values.get("title", "")
            text = f"{title} {values['text']}" if title else values["text"]
            if all(map(_is_as_it_was, set(text))):
                continue
            new = units_of(tier, values)
            # A row that is not searched has no units, and had none.
            old = old_terms(text) if new or units_of(tier, {**values, "text": "a", "title": ""}) else []
            if old != new:
                changes.append(_Change(row[0], old, new))
        if changes:
            yield changes
        after = found[-1][0]


def _reindex(agent: int, tier: Tier, changes: list[_Change]) -> None:
    if op.get_bind().dialect.name == "postgresql":
        return _reindex_postings(agent, tier, changes)
    mark, first = f"{tier[0]}{agent}·", agent << 33 | (tier == "archival") << 32
    keys = [{"key": first | change.number} for change in changes]
    op.get_bind().execute(sa.text("DELETE FROM lexicon WHERE rowid = :key"), keys)
    entries = [
        {"key": first | change.number, "units": " ".join(mark + unit for unit in change.new)}
        for change in changes
        if change.new
    ]
    if entries:
        op.get_bind().execute(sa.text("INSERT INTO lexicon (rowid, units) VALUES (:key, :units)"), entries)


def _reindex_postings(agent: int, tier: Tier, changes: list[_Change]) -> None:
    of: dict[str, Any] = {"agent": agent, "tier": tier}
    delete = sa.text(
        "DELETE FROM postings WHERE agent = :agent AND tier = :tier AND number = :number "
        "AND unit = ANY(CAST(:units AS text[]))"
    )
    gone = [{**of, "number": c.number, "units": sorted(set(c.old))} for c in changes if c.old]
    if gone:
        op.get_bind().execute(delete, gone)
    entries = [
        {**of, "unit": unit, "number": change.number, "count": count}
        for change in changes
        for unit, count in Counter(change.new).items()
    ]
    columns = ("agent", "tier", "unit", "number", "count")
    insert = f"INSERT INTO postings ({', '.join(columns)}) VALUES (:{', :'.join(columns)})"
    if entries:
        op.get_bind().execute(sa.text(insert), entries)
