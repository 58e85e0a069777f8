"""Forks in a SQL database: raw rows of one agent stored again as another's, in batches.

Rows are read and stored as copies between databases are (``sql.transfer``), so the lexical index is made anew
and vectors are taken along. What changes of the agent while it is copied is compared at the end: rows of the
log that are others make the fork begin anew; passages, documents, media and events are brought up to date.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from pagefault.errors import InTurnError, NameTakenError, QuotaError
from pagefault.shared import draft_name
from pagefault.storage.forking import ForkPlace
from pagefault.storage.index.blocks import seal
from pagefault.storage.row_transfer import AGENT, OWNED, Row, TransferTable
from pagefault.storage.rows import micros
from pagefault.storage.sql.archive import SqlArchive
from pagefault.storage.sql.outbox import SqlOutbox
from pagefault.storage.sql.part import EVER
from pagefault.storage.sql.shared import SqlShared
from pagefault.storage.sql.tenancy import KIND
from pagefault.storage.sql.transfer import SqlTransfer
from pagefault.storage.sql.vectors import SqlVectors
from pagefault.tenancy import QuotaKind
from pagefault.types import AgentId, AgentRecord, EventKind, Tier

__all__ = ["SqlForking"]

_TABLES = {table.name: table for table in OWNED}


@dataclass(frozen=True, slots=True)
class _Part:
    """A table that is copied in batches of ``rows``, in the order of ``key``; ``with_it``: tables whose rows
    belong to one of its rows, by a column. ``also``: the rows that are copied."""

    table: TransferTable
    key: str
    rows: int
    tier: Tier | None = None
    last: str = ""  # the agent's counter of its numbers
    with_it: Sequence[tuple[TransferTable, str]] = ()
    also: str = "TRUE"


_LOG = _Part(_TABLES["messages"], "seq", 200, "recall", "last_seq")
_PASSAGES = _Part(
    _TABLES["passages"], "number", 200, "archival", "last_passage", [(_TABLES["passage_tags"], "number")]
)
_DOCUMENTS = _Part(_TABLES["documents"], "number", 1, with_it=[(_TABLES["document_pages"], "document")])
_MEDIA = _Part(_TABLES["media"], "hash", 1)
_OVER = "state IN ('done', 'parked')"
_EVENTS = _Part(_TABLES["inbox"], "number", 500, also=_OVER)
_PARTS = (_LOG, _PASSAGES, _DOCUMENTS, _MEDIA, _EVENTS)
_ONCE = {"schedules", "approvals", "outbox", "deliveries", "vectors"}  # left out, or copied in other ways
_SMALL = [
    table
    for table in OWNED
    if table.name
    not in {*_ONCE, *(p.table.name for p in _PARTS), *(t.name for p in _PARTS for t, _ in p.with_it)}
]
_KEPT = {"tenant", "created", "hold", "last_outgoing"}  # of a draft, when the rest becomes the agent's
_FROM_ZERO = {"last_seq", "last_passage", "last_outgoing"}
_BACK = "UPDATE agents SET last_seq = 0, last_passage = 0 WHERE id = :agent"
_OPEN = "SELECT 1 FROM inbox WHERE agent = :agent AND state IN ('active', 'waiting') LIMIT 1"
_LAST = "SELECT coalesce(max({key}), 0) FROM {table} WHERE agent = :agent"
# What is done to a row that was copied already: it is withdrawn, or erased, which leaves it no units.
_SUMS = {
    "seq": "SELECT count(*), sum(units), sum(tokens), sum(withdrawn) FROM messages",
    "number": "SELECT sum(withdrawn) FROM passages",
}
_KEYS = "SELECT {key} FROM {table} WHERE agent = :agent AND {also}"
_DELETE = "DELETE FROM {table} WHERE agent = :agent AND {column} = :key"
_MARKS = "SELECT sender, number FROM deliveries WHERE agent = :agent"
_UNMARK = "DELETE FROM vector_marks WHERE agent = :agent"
_QUOTAS: tuple[QuotaKind, ...] = ("agents", "rows", "documents", "media_bytes")


class SqlForking(SqlShared, SqlOutbox, SqlArchive, SqlVectors):
    """The part of a transaction on forks."""

    @abstractmethod
    def _raw(self) -> SqlTransfer:
        """The raw rows on this connection."""

    def drafts(self) -> list[AgentRecord]:
        return self._listed(f"{KIND} = :kind", kind=draft_name(""))

    def begin_fork(self, agent: AgentId, name: str, at: datetime) -> AgentRecord:
        owner, raw = self._owner(agent), self._raw()
        self.check_quota("agents")
        if self._named(name, owner.tenant):
            raise NameTakenError(name)
        own = dict(zip(AGENT.columns, raw.agent(agent), strict=True))
        self._check_room("rows", sum(cast("int", own[last]) for last in ("last_seq", "last_passage")))
        row = own | {"created": micros(at), "hold": None} | dict.fromkeys(_FROM_ZERO, 0)
        return self._owner(raw.create(draft_name(name), tuple(row.values())))

    def _check_room(self, kind: QuotaKind, more: int = 0) -> None:
        """Raise ``QuotaError`` if the tenant has more than it may, or would have with ``more``."""
        limit = quota.limit(kind) if self.tenant and (quota := self.quota()) else None
        if limit is not None and self.count(kind) + more > limit:
            raise QuotaError(self.tenant or "", kind, limit)

    def copy_next(self, agent: AgentId, fork: AgentId, place: ForkPlace) -> ForkPlace | None:
        raw, part = self._raw(), _PARTS[place.part]
        rows = raw.behind(agent, part.table, part.key, place.after, part.rows, part.also)
        self._store_rows(raw, agent, fork, part, rows)
        if len(rows) == part.rows:
            return ForkPlace(place.part, cast("int | str", rows[-1][part.table.column(part.key)]))
        following = place.part + 1
        if following == len(_PARTS):
            return None
        return ForkPlace(following, "" if _PARTS[following] is _MEDIA else 0)

    def _store_rows(
        self, raw: SqlTransfer, agent: AgentId, fork: AgentId, part: _Part, rows: Sequence[Row]
    ) -> None:
        """Store rows of a part with what belongs to them."""
        if not rows:
            return
        keys = [row[part.table.column(part.key)] for row in rows]
        raw.restore(fork, part.table, [_forked(part.table, row) for row in rows])
        for table, column in part.with_it:
            self._store_with(raw, agent, fork, table, column, keys)
        if part.tier:
            first, last = cast("list[int]", [keys[0], keys[-1]])
            self._store_vectors(raw, (agent, fork), part.tier, first, last)
            self._db.send(f"UPDATE agents SET {part.last} = :last WHERE id = :agent", agent=fork, last=last)
            seal(self._source(), fork, part.tier, "", first - 1, last)

    def _store_with(
        self, raw: SqlTransfer, agent: AgentId, fork: AgentId, table: TransferTable, column: str,
        keys: Sequence[Any],
    ) -> None:  # fmt: skip
        also = f"{column} <= :last"
        if found := raw.behind(agent, table, column, keys[0] - 1, EVER, also, last=keys[-1]):
            raw.restore(fork, table, found)

    def _store_vectors(
        self, raw: SqlTransfer, agents: tuple[AgentId, AgentId], tier: Tier, first: int, last: int
    ) -> None:
        """Copy the vectors of rows, an embedder's at a time, as the database has them in order."""
        (agent, fork), vectors = agents, _TABLES["vectors"]
        for embedder in self.embedders():
            name = embedder.fingerprint
            also = "number <= :last AND tier = :tier AND fingerprint = :fingerprint"
            found = raw.behind(
                agent, vectors, "number", first - 1, EVER, also, last=last, tier=tier, fingerprint=name
            )
            if found:
                raw.restore(fork, vectors, found)

    def finish_fork(self, agent: AgentId, fork: AgentId, name: str) -> AgentRecord | None:
        for each in sorted((agent, fork)):
            self._lock(each)
        owner, raw = self._owner(agent), self._raw()
        if self._db.one(_OPEN, agent=agent):
            raise InTurnError(owner.name)
        if self._named(name, owner.tenant):
            raise NameTakenError(name)
        if not all(self._is_same(agent, fork, part) for part in (_LOG, _PASSAGES)):
            return None
        for part in (_LOG, _PASSAGES):
            self._catch_up(raw, agent, fork, part)
        self._follow(raw, agent, fork)
        self._bring_up_to_date(raw, agent, fork)
        self._mark_alike(agent, fork)
        raw.count_indexed(fork)
        self._db.send(_UNMARK, agent=fork)
        self._advance_marks(fork)
        self._publish_fork(fork, name, owner)
        return self._owner(fork)

    def _is_same(self, agent: AgentId, fork: AgentId, part: _Part) -> bool:
        """Return whether nothing was done to rows that were copied, but that some were deleted."""
        last = self._db.one(_LAST.format(key=part.key, table=part.table.name), agent=fork)[0]
        sums = f"{_SUMS[part.key]} WHERE agent = :agent AND {part.key} <= :last"
        ours, theirs = (self._db.one(sums, agent=each, last=last) for each in (agent, fork))
        return tuple(ours) == tuple(theirs)

    def _catch_up(self, raw: SqlTransfer, agent: AgentId, fork: AgentId, part: _Part) -> None:
        """Copy the rows of a part that have come since."""
        after = self._db.one(_LAST.format(key=part.key, table=part.table.name), agent=fork)[0]
        while rows := raw.behind(agent, part.table, part.key, after, part.rows, part.also):
            self._store_rows(raw, agent, fork, part, rows)
            after = cast("int", rows[-1][part.table.column(part.key)])

    def _follow(self, raw: SqlTransfer, agent: AgentId, fork: AgentId) -> None:
        """Give the draft the agent's row as it is now, and the tables that are small."""
        own = {c: v for c, v in zip(AGENT.columns, raw.agent(agent), strict=True) if c not in _KEPT}
        settings = ", ".join(f"{column} = :{column}" for column in own)
        self._db.send(f"UPDATE agents SET {settings} WHERE id = :agent", agent=fork, **own)
        for table in _SMALL:
            found = raw.whole(agent, table)
            for start in range(0, len(found), table.batch):
                raw.restore(fork, table, found[start : start + table.batch])
        for sender, number in self._db.rows(_MARKS, agent=agent):
            self.set_delivered(fork, sender, number)

    def _bring_up_to_date(self, raw: SqlTransfer, agent: AgentId, fork: AgentId) -> None:
        """Take out of the draft what has gone since, and copy what is new or another."""
        ours, theirs = (self._keys(each, _PASSAGES) for each in (agent, fork))
        for number in sorted(theirs - ours):
            self.delete_passage(fork, number)
        for part in (_DOCUMENTS, _MEDIA, _EVENTS):
            whole = part is _DOCUMENTS  # one that was loaded anew has the number of the former one
            ours, theirs = (self._rows_of(raw, each, part, whole=whole) for each in (agent, fork))
            for key in [key for key, row in theirs.items() if ours.get(key) != row]:
                for table, column in (*part.with_it, (part.table, part.key)):
                    self._db.send(_DELETE.format(table=table.name, column=column), agent=fork, key=key)
                del theirs[key]
            for key in sorted(ours.keys() - theirs.keys()):
                before = key - 1 if isinstance(key, int) else ""
                found = raw.behind(agent, part.table, part.key, before, 1, f"{part.key} = :only", only=key)
                self._store_rows(raw, agent, fork, part, found)

    def _keys(self, agent: AgentId, part: _Part) -> set[Any]:
        keys = _KEYS.format(key=part.key, table=part.table.name, also=part.also)
        return {key for (key,) in self._db.rows(keys, agent=agent)}

    def _rows_of(self, raw: SqlTransfer, agent: AgentId, part: _Part, *, whole: bool) -> dict[Any, Row]:
        """The rows of a part by their keys; not ``whole``: the keys alone."""
        if not whole:
            return dict.fromkeys(self._keys(agent, part), ())
        place = part.table.column(part.key)
        return {row[place]: row for row in raw.behind(agent, part.table, part.key, 0, EVER, part.also)}

    def _publish_fork(self, fork: AgentId, name: str, owner: AgentRecord) -> None:
        self._db.send("UPDATE agents SET name = :name WHERE id = :agent", agent=fork, name=name)
        if not self._register(fork, owner.tenant, name):
            raise NameTakenError(name)
        for kind in _QUOTAS:
            self._check_room(kind)
        self.note(f"forked {owner.name} as {name}")
        self.settle(fork)


def _forked(table: TransferTable, row: Row) -> Row:
    """A row as the fork has it."""
    values = dict(zip(table.columns, row, strict=True))
    if table is _LOG.table:
        values["usage"] = None  # it was spent once
    if table is _EVENTS.table:
        values["state"] = "done"
        if values["kind"] != EventKind.APPENDED:  # a request with such a key is another one
            values["key"] = None
    return tuple(values.values())
