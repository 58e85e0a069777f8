"""The part of the transaction protocol on tenants: API keys, quotas, and the log of administrative acts."""

from __future__ import annotations

from typing import Protocol

from pagefault.tenancy import ApiKey, AuditEntry, Quota, QuotaKind, TenantCounts

__all__ = ["TenancyTransaction"]


class TenancyTransaction(Protocol):
    """The work on a tenant as a whole. A transaction that is within no tenant lists what is of all."""

    # keys
    def put_key(self, key: ApiKey, digest: str) -> None:
        """Store a new key by the digest of its secret; ``UsageError`` if the tenant has one of this name."""
        ...

    def key_of(self, digest: str) -> ApiKey | None:
        """The key, of whichever tenant, of the secret that has this digest."""
        ...

    def keys(self) -> list[ApiKey]:
        """The keys by tenant and name."""
        ...

    def delete_key(self, name: str) -> bool: ...

    def tenants(self) -> list[TenantCounts]:
        """The tenants that have agents, keys or a quota, by name."""
        ...

    # acts
    def note(self, what: str) -> None:
        """Add an act to the log, if this transaction is somebody's (``within``)."""
        ...

    def acts(self, limit: int, before: int | None = None) -> list[AuditEntry]:
        """Up to ``limit`` acts, the newest first; only those with an id below ``before``."""
        ...

    # quotas
    def quota(self) -> Quota | None:
        """The quota of the tenant; None if it has none."""
        ...

    def put_quota(self, quota: Quota) -> None:
        """Set the quota of the tenant, in place of what it had."""
        ...

    def check_quota(self, kind: QuotaKind) -> None:
        """Raise ``QuotaError`` if the tenant may have no more of a kind. The default tenant has no quota, and
        a transaction that is within none is not looked at."""
        ...

    def count(self, kind: QuotaKind) -> int:
        """Count what the tenant has of a kind. A message counts from when it is stored, and a passage too,
        also after it is deleted."""
        ...
