"""Traces of words in a file: in rows, in the lexical index, and in what else the file and its log hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from pagefault.storage.sqlite.connection import Connection
from pagefault.storage.traces import by_place, count_in, folded_forms, folded_row, row_sentences, sole_unit

__all__ = ["traces", "used_pages"]

_TABLES = """
    SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    AND name <> 'lexicon' AND name NOT LIKE 'lexicon\\_%' ESCAPE '\\'"""
# A row of the index has the agent, a bit for the tier, and the number as its id (``lexicon``).
_WITHOUT_ROW = """
    SELECT DISTINCT doc FROM lexicon_postings WHERE term = :term AND NOT EXISTS (
        SELECT 1 FROM messages
        WHERE doc >> 32 & 1 = 0 AND agent = doc >> 33 AND seq = doc & 0xFFFFFFFF AND units > 0
    ) AND NOT EXISTS (
        SELECT 1 FROM passages
        WHERE doc >> 32 & 1 = 1 AND agent = doc >> 33 AND number = doc & 0xFFFFFFFF AND units > 0)"""
_PARTS = ("", "-wal", "-journal", "-shm")


def traces(connection: Connection, words: Sequence[str]) -> Iterator[str]:
    """A sentence for each place that has one of the words."""
    rows = _rows(connection, words)
    yield from row_sentences(rows)
    there = {word for word, _ in rows}
    absent = [word for word in words if word not in there]
    for word, entries in sorted(_entries(connection, absent).items()):
        yield f"The lexical index has {word!r} for {entries:,} rows that are not there."
    for word in absent:
        for part in _PARTS:
            file = Path(f"{connection.path}{part}")
            if count := count_in(file, word):
                yield f"{file.name} holds {word!r} outside of rows (places: {count:,})."


def used_pages(path: Path) -> int:
    """The number of pages of a file on the list of unused ones that are not empty: what was deleted before
    deleting overwrote it."""
    dirty = 0
    with path.open("rb") as file:
        head = file.read(100)
        size = int.from_bytes(head[16:18], "big")
        size = 65_536 if size == 1 else size
        trunk, seen = int.from_bytes(head[32:36], "big"), set[int]()
        while trunk and trunk not in seen:
            seen.add(trunk)
            file.seek((trunk - 1) * size)
            page = file.read(size)
            trunk, count = int.from_bytes(page[:4], "big"), int.from_bytes(page[4:8], "big")
            dirty += any(page[8 + 4 * count :])
            for at in range(8, min(8 + 4 * count, len(page)), 4):
                file.seek((int.from_bytes(page[at : at + 4], "big") - 1) * size)
                dirty += any(file.read(size))
    return dirty


def _rows(connection: Connection, words: Sequence[str]) -> dict[tuple[str, str], tuple[int, set[str]]]:
    """The rows that have a word, by word and table: how many, and of which agents."""
    wanted = {word: folded_forms(word) for word in words}
    found = (
        (word, table, agent)
        for (table,) in connection.rows(_TABLES)
        for agent, text in _texts(connection, table)
        for word, forms in wanted.items()
        if any(form in text for form in forms)
    )
    return by_place(found, dict(connection.rows("SELECT id, name FROM agents")))


def _texts(connection: Connection, table: str) -> Iterator[tuple[int | None, str]]:
    """The rows of a table: whose each is, if it has an agent, and its texts, folded."""
    kinds = {row[1]: row[2] for row in connection.rows(f'PRAGMA table_info("{table}")')}
    texts = [name for name, kind in kinds.items() if kind == "TEXT" or kind.startswith("VARCHAR")]
    agent = "agent" if "agent" in kinds else "NULL"
    for batch in connection.batches(f'SELECT {", ".join([agent, *texts])} FROM "{table}"', 500):
        for owner, *values in batch:
            yield owner, folded_row(values)


def _entries(connection: Connection, words: Sequence[str]) -> dict[str, int]:
    """The words of one unit that the lexical index has for rows that are not there, and for how many."""
    units = {unit: word for word in words if (unit := sole_unit(word))}
    found = defaultdict[str, int](int)
    for batch in connection.batches("SELECT term FROM lexicon_terms", 10_000) if units else ():
        for (term,) in batch:
            if (unit := term.partition("·")[2]) in units:
                found[units[unit]] += len(connection.rows(_WITHOUT_ROW, term=term))
    return {word: count for word, count in found.items() if count}
