"""Tenants as a whole: API keys made, found by their secret and revoked, and the agents that they are for;
quotas; the log of acts.

Left out: what a key may do with a request (``server``).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from typing import get_args

from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import Kernel
from pagefault.names import check_agent_name, check_plain_name
from pagefault.quoting import inline
from pagefault.tenancy import ApiKey, AuditEntry, KeyRole, Quota, QuotaKind, TenantCounts
from pagefault.types import AgentRecord

__all__ = [
    "acts",
    "could_be_secret",
    "counts",
    "create_key",
    "digest_of",
    "has_keys",
    "key_of",
    "key_of_digest",
    "keys",
    "quota",
    "records_named",
    "revoke_key",
    "set_quota",
    "tenants",
    "waiting_of_all",
]

_PREFIX = "pf_"
_LONGEST = 128  # characters of a secret that is looked up
_MOST = 10**12  # requests a minute, or bytes of one: more than any server takes


async def create_key(
    kernel: Kernel,
    name: str,
    *,
    role: KeyRole = "chat",
    agents: Sequence[str] | None = None,
    tag: str | None = None,
    speaks_for_users: bool = False,
    rate: int | None = None,
    body: int | None = None,
) -> str:
    """Make a key of the kernel's tenant and return its secret, of which only the digest is stored.

    ``agents`` or ``tag``: it reaches these alone, or those that have this tag; without either, all of the
    tenant. The agents need not be there yet. ``rate``: its requests a minute, 0 for no limit; ``body``: the
    most bytes of a request; without one it has the server's.
    """
    check_plain_name("key", name)
    if agents is not None and tag is not None:
        raise UsageError("A key is for agents by name or by tag, not both; give one of the two.")
    for agent in agents or ():
        check_agent_name(agent)
    if not 0 <= (rate or 0) <= _MOST:
        raise UsageError(f"A key's requests a minute are 0 (no limit) to {_MOST:,}, not {rate:,}.")
    if not 1 <= (1 if body is None else body) <= _MOST:
        raise UsageError(f"A key's requests may have 1 to {_MOST:,} bytes, not {body:,}.")
    secret = _PREFIX + secrets.token_urlsafe(32)
    reached = None if agents is None else tuple(sorted(set(agents)))
    key = ApiKey(name, kernel.clock.now(), role, reached, tag, speaks_for_users, rate=rate, body=body)
    await kernel.store.write(lambda tx: tx.put_key(key, digest_of(secret)))
    return secret


async def key_of(kernel: Kernel, secret: str) -> ApiKey | None:
    """The key of this secret, of whichever tenant; None if there is none.

    It is found by the digest of all of it: how long that takes says nothing of the secret.
    """
    return await key_of_digest(kernel, digest_of(secret)) if could_be_secret(secret) else None


def could_be_secret(secret: str) -> bool:
    """Return whether a text has the form of a key's secret."""
    return secret.startswith(_PREFIX) and len(secret) <= _LONGEST and secret.isascii()


async def key_of_digest(kernel: Kernel, digest: str) -> ApiKey | None:
    """The key, of whichever tenant, whose secret has this digest; None if there is none (any more)."""
    return await kernel.scheduler.store.read(lambda tx: tx.key_of(digest))


async def keys(kernel: Kernel) -> list[ApiKey]:
    """The keys of the tenant by name."""
    return await kernel.store.read(lambda tx: tx.keys())


async def has_keys(kernel: Kernel) -> bool:
    """Return whether there is a key of any tenant."""
    return bool(await kernel.scheduler.store.read(lambda tx: tx.keys()))


async def tenants(kernel: Kernel) -> list[TenantCounts]:
    """All tenants that have agents, keys or a quota, by name; for whoever runs the installation."""
    return await kernel.scheduler.store.read(lambda tx: tx.tenants())


async def waiting_of_all(kernel: Kernel, most: int) -> int:
    """The number of agents, of all tenants, with an event that can be served; counted up to ``most``."""
    return len(await kernel.scheduler.store.read(lambda tx: tx.waiting(most)))


async def records_named(kernel: Kernel, names: Iterable[str]) -> list[AgentRecord]:
    """The agents of the tenant that have these names, as far as there are any."""
    wanted = sorted(set(names))
    return await kernel.store.read(lambda tx: [*filter(None, map(tx.agent, wanted))])


async def revoke_key(kernel: Kernel, name: str) -> None:
    """Delete a key; requests that carry its secret are refused from now on."""
    if not await kernel.store.write(lambda tx: tx.delete_key(name)):
        raise NotFoundError(
            f"There is no key {inline(name, 64)}; `pagefault key list` shows those there are."
        )


async def acts(kernel: Kernel, limit: int = 100, before: int | None = None) -> list[AuditEntry]:
    """The administrative acts on the tenant, the newest first; only those with an id below ``before``."""
    return await kernel.store.read(lambda tx: tx.acts(limit, before))


async def quota(kernel: Kernel) -> Quota:
    """The quota of the tenant."""
    return await kernel.store.read(lambda tx: tx.quota()) or Quota()


async def counts(kernel: Kernel) -> dict[str, int]:
    """The counts of all that a quota may limit."""
    kinds: tuple[QuotaKind, ...] = get_args(QuotaKind)
    return await kernel.store.read(lambda tx: {kind: tx.count(kind) for kind in kinds})


async def set_quota(kernel: Kernel, wanted: Quota) -> None:
    """Set the quota of the tenant; what is there already stays. ``UsageError`` for the default tenant, which
    is the installation itself and has none."""
    if not kernel.tenant:
        raise UsageError("The default tenant has no quota; give a tenant with --tenant NAME.")
    await kernel.store.write(lambda tx: tx.put_quota(wanted))


def digest_of(secret: str) -> str:
    """The digest of a key's secret: all that is stored of it."""
    return hashlib.sha256(secret.encode()).hexdigest()
