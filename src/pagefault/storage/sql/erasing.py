"""Rows, passages, versions, events and timers that are forgotten: blanked or deleted, everywhere.

Leaves out which these are (``kernel``), and the parts of files and servers that no statement reaches (a
file's are purged, see ``sqlite.purge``).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import replace

from pagefault.media import loaded
from pagefault.storage.forgotten import blanked
from pagefault.storage.rows import message_values, micros, moment, speakers_of, to_message
from pagefault.storage.sql.inbox import SqlInbox
from pagefault.storage.sql.leaving import SqlLeaving
from pagefault.storage.sql.recall import MESSAGE
from pagefault.storage.terms import message_terms
from pagefault.storage.withdrawing import Tombstone
from pagefault.types import AgentId, Message

__all__ = ["SqlErasing"]

_TOGETHER = 500  # rows at a time in memory
_BLANK_ROW = """
    UPDATE messages SET text = '', shown = '', tokens = 0, speaker = '', name = :name, meta = :meta,
    units = 0, embed = false, erased = true WHERE agent = :agent AND seq = :seq"""
_KEPT = ("agent", "seq", "name", "meta")
_BLANK_VERSIONS = """
    UPDATE section_versions SET text = '', description = ''
    WHERE agent = :agent AND name = :name AND {among} RETURNING version"""
_MEDIA_OF = "SELECT media FROM inbox WHERE agent = :agent AND {among}"
_CLOSE_EVENTS = """
    UPDATE inbox SET state = 'done', started = NULL, rank = NULL
    WHERE agent = :agent AND state IN ('pending', 'parked') AND {among}"""
_BLANK_EVENTS = """
    UPDATE inbox SET text = '', key = NULL, sender = NULL, trace = NULL, media = NULL, parked = NULL
    WHERE agent = :agent AND {among} RETURNING number"""
_DELETE_SCHEDULES = "DELETE FROM schedules WHERE agent = :agent AND {among} RETURNING number"
_REFERRING = (
    "SELECT seq FROM messages WHERE agent = :agent AND meta LIKE :pattern LIMIT 1",
    "SELECT number FROM inbox WHERE agent = :agent AND media LIKE :pattern LIMIT 1",
)
_DELETE_MEDIA = "DELETE FROM media WHERE agent = :agent AND hash = :hash"
_SPOKEN = "SELECT seq FROM messages WHERE agent = :agent AND speaker = :name LIMIT 1"
_DELETE_SPEAKER = "DELETE FROM speakers WHERE agent = :agent AND name = :name"
_LAST_STONE = "SELECT coalesce(max(number), 0) FROM tombstones WHERE agent = :agent"
_STONES = "SELECT at, person, counts, number FROM tombstones WHERE agent = :agent ORDER BY number"
_HOLD = "UPDATE agents SET hold = :why WHERE id = :agent"


class SqlErasing(SqlInbox, SqlLeaving):
    """The part of a transaction on what is forgotten."""

    def erase_rows(self, agent: AgentId, seqs: Collection[int]) -> int:
        self._require(agent)
        chosen, erased = sorted(set(seqs)), list[Message]()
        among = self._db.dialect.among("seq", "seqs", int)
        for start in range(0, len(chosen), _TOGETHER):
            listed = self._db.listed(chosen[start : start + _TOGETHER])
            found = self._db.rows(f"{MESSAGE} AND NOT erased AND {among}", agent=agent, seqs=listed)
            rows = [to_message(row) for row in found]
            of_index = [row for row in rows if row.withdrawn is None]  # the others have left before
            self._leave(agent, "recall", {row.seq: message_terms(row.text, row.meta) for row in of_index})
            blank = [message_values(agent, blanked(row), 0) for row in rows]
            self._db.many(_BLANK_ROW, [{name: each[name] for name in _KEPT} for each in blank])
            erased += [replace(row, text="", shown="") for row in rows]
        self._drop_media(agent, (media.hash for row in erased for media in row.meta.media))
        self._drop_speakers(agent, speakers_of(erased))
        self._purge()
        return len(erased)

    def erase_versions(self, agent: AgentId, name: str, versions: Collection[int]) -> int:
        self._require(agent)
        among, listed = self._db.dialect.among("version", "versions", int), self._db.listed(sorted(versions))
        blank = _BLANK_VERSIONS.format(among=among)
        gone = self._db.rows(blank, agent=agent, name=name, versions=listed)
        self._purge()
        return len(gone)

    def erase_events(self, agent: AgentId, numbers: Collection[int]) -> int:
        self._require(agent)
        among, listed = self._db.dialect.among("number", "numbers", int), self._db.listed(sorted(numbers))
        media = self._db.rows(_MEDIA_OF.format(among=among), agent=agent, numbers=listed)
        self._db.send(_CLOSE_EVENTS.format(among=among), agent=agent, numbers=listed)
        gone = self._db.rows(_BLANK_EVENTS.format(among=among), agent=agent, numbers=listed)
        self._drop_media(agent, (each.hash for (stored,) in media for each in loaded(stored)))
        self.settle(agent)
        self._purge()
        return len(gone)

    def _drop_media(self, agent: AgentId, hashes: Iterable[str]) -> None:
        """Delete those of these media that nothing refers to any more."""
        for hash in sorted(set(hashes)):
            if not any(self._db.one(each, agent=agent, pattern=f"%{hash}%") for each in _REFERRING):
                self._db.send(_DELETE_MEDIA, agent=agent, hash=hash)

    def _drop_speakers(self, agent: AgentId, names: Iterable[str]) -> None:
        for name in names:
            if self._db.one(_SPOKEN, agent=agent, name=name) is None:
                self._db.send(_DELETE_SPEAKER, agent=agent, name=name)

    def erase_schedules(self, agent: AgentId, numbers: Collection[int]) -> int:
        self._require(agent)
        among, listed = self._db.dialect.among("number", "numbers", int), self._db.listed(sorted(numbers))
        gone = self._db.rows(_DELETE_SCHEDULES.format(among=among), agent=agent, numbers=listed)
        self._purge()
        return len(gone)

    def put_tombstone(self, agent: AgentId, stone: Tombstone) -> Tombstone:
        self._require(agent)
        (last,) = self._db.one(_LAST_STONE, agent=agent)
        values = {"number": last + 1, "at": micros(stone.at), "person": stone.by}
        self._db.insert(
            "tombstones", agent, [{"agent": agent, **values, "counts": json.dumps(dict(stone.counts))}]
        )
        return replace(stone, number=last + 1)

    def tombstones(self, agent: AgentId) -> list[Tombstone]:
        return [
            Tombstone(moment(at), person, json.loads(counts), number)
            for at, person, counts, number in self._db.rows(_STONES, agent=agent)
        ]

    def hold(self, agent: AgentId, why: str) -> None:
        self._change(_HOLD, f"agent {agent}", agent=agent, why=why or None)
