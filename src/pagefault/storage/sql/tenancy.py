"""The part on tenants: API keys, quotas, and the log of administrative acts."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, get_args

from pagefault.errors import QuotaError, UsageError
from pagefault.storage.acts import key_made, quota_set
from pagefault.storage.readable import UNREADABLE, require
from pagefault.storage.rows import micros, moment
from pagefault.storage.sql.part import SqlPart, now_micros
from pagefault.tenancy import ApiKey, AuditEntry, KeyRole, Quota, QuotaKind, TenantCounts

__all__ = ["AN_AGENT", "KIND", "SqlTenancy"]

_COLUMNS = "name, created, role, agents, tag, speaks, tenant, rate, body"
_PUT_KEY = f"""
    INSERT INTO api_keys ({_COLUMNS}, digest)
    VALUES (:name, :created, :role, :agents, :tag, :speaks, :tenant, :rate, :body, :digest)
    ON CONFLICT DO NOTHING RETURNING name"""
_KEYS = f"SELECT {_COLUMNS} FROM api_keys"
_DELETE_KEY = "DELETE FROM api_keys WHERE tenant = :tenant AND name = :name"
_NOTE = "INSERT INTO audit (tenant, at, who, what) VALUES (:tenant, :at, :who, :what)"
_ACTS = "SELECT id, at, who, what, tenant FROM audit WHERE id < :before"
_QUOTA = """
    SELECT agent_limit, row_limit, document_limit, daily_tokens, daily_cost, media_bytes FROM quotas
    WHERE tenant = :tenant"""
_PUT_QUOTA = """
    INSERT INTO quotas (tenant, agent_limit, row_limit, document_limit, daily_tokens, daily_cost, media_bytes)
    VALUES (:tenant, :agents, :rows, :documents, :daily_tokens, :daily_cost, :media_bytes)
    ON CONFLICT (tenant) DO UPDATE SET agent_limit = excluded.agent_limit, row_limit = excluded.row_limit,
    document_limit = excluded.document_limit, daily_tokens = excluded.daily_tokens,
    daily_cost = excluded.daily_cost, media_bytes = excluded.media_bytes"""
KIND = "substr(name, 1, 8)"
"""The start of a row's name: ``archive:`` or ``section:`` for what agents share, ``forking:`` for drafts."""
AN_AGENT = f"{KIND} NOT IN ('archive:', 'section:', 'forking:')"
"""Of a row of ``agents``: it is no archive, no shared section, and no fork that is not whole yet."""
_AGENTS_BY_TENANT = f"SELECT tenant, count(*) FROM agents WHERE {AN_AGENT} GROUP BY tenant"
_KEYS_BY_TENANT = "SELECT tenant, count(*) FROM api_keys GROUP BY tenant"
_QUOTAS_BY_TENANT = "SELECT tenant, count(*) FROM quotas GROUP BY tenant"
_OF_TENANT = "FROM agents WHERE tenant = :tenant"
_COUNTS: dict[QuotaKind, str] = {
    "agents": f"SELECT count(*) {_OF_TENANT} AND {AN_AGENT}",
    "rows": f"SELECT coalesce(sum(last_seq + last_passage), 0) {_OF_TENANT}",
    "documents": f"SELECT count(*) FROM documents WHERE agent IN (SELECT id {_OF_TENANT})",
    "media_bytes": f"SELECT coalesce(sum(size), 0) FROM media WHERE agent IN (SELECT id {_OF_TENANT})",
}
_ROLES: tuple[str, ...] = get_args(KeyRole)


class SqlTenancy(SqlPart):
    """The part of a transaction on tenants."""

    def put_key(self, key: ApiKey, digest: str) -> None:
        values = {"name": key.name, "role": key.role, "tag": key.tag, "speaks": key.speaks_for_users}
        values |= {"rate": key.rate, "body": key.body}
        agents = None if key.agents is None else json.dumps(key.agents)
        made = self._db.one(
            _PUT_KEY, tenant=self._own, created=micros(key.created), agents=agents, digest=digest, **values
        )
        if made is None:
            raise UsageError(f"There is a key {key.name} already; give another name, or revoke that one.")
        self.note(key_made(key))

    def key_of(self, digest: str) -> ApiKey | None:
        found = self._db.one(f"{_KEYS} WHERE digest = :digest", digest=digest)
        return _to_key(found) if found else None

    def keys(self) -> list[ApiKey]:
        found = self._db.rows(f"{_KEYS} {self._of}", **self._ours)
        return sorted(map(_to_key, found), key=lambda key: (key.tenant, key.name))

    def delete_key(self, name: str) -> bool:
        was_there = self._db.changed(_DELETE_KEY, tenant=self._own, name=name)
        if was_there:
            self.note(f"revoked the key {name}")
        return was_there

    def tenants(self) -> list[TenantCounts]:
        # Not one statement: where agents are spread over servers, keys are not beside them.
        by_tenant = _AGENTS_BY_TENANT, _KEYS_BY_TENANT, _QUOTAS_BY_TENANT
        agents, keys, quotas = (dict(self._db.rows(statement)) for statement in by_tenant)
        names = sorted(name for name in agents | keys | quotas if self.tenant in (None, name))
        return [TenantCounts(name, agents.get(name, 0), keys.get(name, 0)) for name in names]

    def note(self, what: str) -> None:
        if self.by:
            self._db.send(_NOTE, tenant=self._own, at=now_micros(), who=self.by, what=what)

    def acts(self, limit: int, before: int | None = None) -> list[AuditEntry]:
        of = "" if self.tenant is None else " AND tenant = :tenant"
        found = self._db.rows(
            f"{_ACTS}{of} ORDER BY id DESC LIMIT :limit", before=before or 2**62, limit=limit, **self._ours
        )
        return [AuditEntry(id, moment(at), who, what, tenant) for id, at, who, what, tenant in found]

    def quota(self) -> Quota | None:
        found = self._db.one(_QUOTA, tenant=self._own)
        return Quota(*found) if found else None

    def put_quota(self, quota: Quota) -> None:
        self.note(quota_set(self.quota(), quota))
        self._db.send(_PUT_QUOTA, tenant=self._own, **asdict(quota))

    def check_quota(self, kind: QuotaKind) -> None:
        if self.tenant and (quota := self.quota()):
            limit = quota.limit(kind)
            if limit is not None and self.count(kind) >= limit:
                raise QuotaError(self.tenant, kind, limit)

    def count(self, kind: QuotaKind) -> int:
        return int(self._db.one(_COUNTS[kind], tenant=self._own)[0])

    @property
    def _own(self) -> str:
        return self.tenant or ""

    @property
    def _of(self) -> str:
        return "" if self.tenant is None else "WHERE tenant = :tenant"

    @property
    def _ours(self) -> dict[str, Any]:
        return {} if self.tenant is None else {"tenant": self.tenant}


def _to_key(row: Any) -> ApiKey:
    """The key of a row; one that cannot be read reaches nothing."""
    name, created, role, agents, tag, speaks, tenant, rate, body = row
    try:
        listed = None if agents is None else json.loads(agents)
        require(name, role, tenant, tag or "", *(listed or ()), kind=str)
        require(listed or [], kind=list)
        limits = [each for each in (rate, body) if each is not None]
        require(*limits, kind=int)
        if role not in _ROLES or min(limits, default=0) < 0:
            raise ValueError(f"{role!r} is no role, or a limit is negative")
        names = None if listed is None else tuple(listed)
        return ApiKey(name, moment(created), role, names, tag, bool(speaks), tenant, rate, body)
    except UNREADABLE:
        return ApiKey(str(name), moment(0), "read", (), tenant=str(tenant))
