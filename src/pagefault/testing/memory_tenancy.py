"""The part of the in-memory store on tenants: API keys, quotas, and the log of administrative acts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

from pagefault.errors import QuotaError, UsageError
from pagefault.shared import is_shared
from pagefault.storage.acts import key_made, quota_set
from pagefault.tenancy import ApiKey, AuditEntry, Quota, QuotaKind, TenantCounts
from pagefault.testing.memory_tables import MemoryRows

__all__ = ["MemoryTenancy"]


class MemoryTenancy(MemoryRows):
    """The part of the in-memory store on tenants."""

    def put_key(self, key: ApiKey, digest: str) -> None:
        stored, keys = replace(key, tenant=self.tenant or ""), self._database.keys
        taken = {(each.tenant, each.name) for each in keys.values()}
        if digest in keys or (stored.tenant, stored.name) in taken:
            raise UsageError(f"There is a key {key.name} already; give another name, or revoke that one.")
        self._changes.put(keys, digest, stored)
        self.note(key_made(key))

    def key_of(self, digest: str) -> ApiKey | None:
        return self._database.keys.get(digest)

    def keys(self) -> list[ApiKey]:
        found = [key for key in self._database.keys.values() if self.tenant in (None, key.tenant)]
        return sorted(found, key=lambda key: (key.tenant, key.name))

    def delete_key(self, name: str) -> bool:
        for digest, key in list(self._database.keys.items()):
            if (key.tenant, key.name) == (self.tenant or "", name):
                self._changes.drop(self._database.keys, digest)
                self.note(f"revoked the key {name}")
                return True
        return False

    def tenants(self) -> list[TenantCounts]:
        records = [owner.record for owner in self._database.agents.values()]
        agents = Counter(record.tenant for record in records if not is_shared(record.name))
        keys = Counter(key.tenant for key in self._database.keys.values())
        names = sorted({*agents, *keys, *self._database.quotas})
        return [TenantCounts(name, agents[name], keys[name]) for name in names if self.tenant in (None, name)]

    def note(self, what: str) -> None:
        if self.by:
            id = self._changes.next(self._database.last, "act")
            entry = AuditEntry(id, datetime.now(UTC), self.by, what, self.tenant or "")
            self._changes.put(self._database.acts, id, entry)

    def acts(self, limit: int, before: int | None = None) -> list[AuditEntry]:
        found = [act for act in self._database.acts.values() if self.tenant in (None, act.tenant)]
        older = [act for act in found if before is None or act.id < before]
        return sorted(older, key=lambda act: -act.id)[:limit]

    def quota(self) -> Quota | None:
        return self._database.quotas.get(self.tenant or "")

    def put_quota(self, quota: Quota) -> None:
        self.note(quota_set(self.quota(), quota))
        self._changes.put(self._database.quotas, self.tenant or "", quota)

    def check_quota(self, kind: QuotaKind) -> None:
        quota = self.quota()
        if self.tenant and quota:
            limit = quota.limit(kind)
            if limit is not None and self.count(kind) >= limit:
                raise QuotaError(self.tenant, kind, limit)

    def count(self, kind: QuotaKind) -> int:
        owners = [o for o in self._database.agents.values() if o.record.tenant == (self.tenant or "")]
        if kind == "agents":
            return sum(not is_shared(owner.record.name) for owner in owners)
        if kind == "documents":
            return sum(len(owner.documents) for owner in owners)
        if kind == "media_bytes":
            return sum(each.media.size for owner in owners for each in owner.media.values())
        return sum(owner.record.last_seq + owner.last.get("passage", 0) for owner in owners)
