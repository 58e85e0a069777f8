"""The parts of a transaction together: ``pagefault.storage.Transaction``.

Leaves out beginning and committing.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Self

from pagefault.storage import Filter, Found, Match
from pagefault.storage.index.cache import IndexCache
from pagefault.storage.index.search import search
from pagefault.storage.sql.approvals import SqlApprovals
from pagefault.storage.sql.archive import SqlArchive
from pagefault.storage.sql.dialect import SqlConnection
from pagefault.storage.sql.erasing import SqlErasing
from pagefault.storage.sql.forking import SqlForking
from pagefault.storage.sql.outbox import SqlOutbox
from pagefault.storage.sql.recall import SqlRecall
from pagefault.storage.sql.segments import SqlSegments
from pagefault.storage.sql.shared import SqlShared
from pagefault.storage.sql.vectors import SqlVectors
from pagefault.storage.sql.withdrawing import SqlWithdrawing
from pagefault.types import AgentId, Tier

__all__ = ["SqlTransaction"]


class SqlTransaction(
    SqlForking, SqlShared, SqlOutbox, SqlRecall, SqlArchive, SqlWithdrawing, SqlErasing, SqlApprovals,
    SqlVectors, SqlSegments,
):  # fmt: skip
    """Everything on one connection, inside a transaction that the store opened.

    ``cache``: the indexes that searches keep in memory; None in a transaction that writes, whose changes may
    yet be undone.
    """

    def __init__(self, connection: SqlConnection, cache: IndexCache | None = None) -> None:
        super().__init__(connection)
        self._cache = cache

    def within(self, tenant: str, by: str = "") -> Self:
        bound = copy(self)
        bound.tenant, bound.by = tenant, by
        return bound

    def confined(self, tenant: str, by: str = "") -> Self:
        return self.within(tenant, by)

    def search(self, agent: AgentId, tier: Tier, match: Match, filter: Filter, fingerprint: str) -> Found:
        cache = IndexCache() if self._cache is None else self._cache
        return search(self._source(), cache, agent, tier, match, filter, fingerprint)

    def texts(self, agent: AgentId, tier: Tier, numbers: Sequence[int]) -> dict[int, str]:
        return self._source().texts(agent, tier, numbers)
