"""The caller of a request: what it may see and do.

As long as there is no key the server listens on the loopback only, and everybody there may do everything.
From the first key on every request needs one, ``Authorization: Bearer pf_...``. A key sees its tenant alone,
and of that the agents that it is for. It is looked up at each request (``keys``): one that is revoked opens
nothing any more, and its streams end (``revoking``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any, cast

from fastapi import Depends, Request

from pagefault.config import AgentSettings, parse_settings
from pagefault.kernel import Kernel
from pagefault.kernel.tenancy import has_keys, records_named
from pagefault.names import could_be_agent_name
from pagefault.server.keys import bearer, bearer_digest, key_with
from pagefault.server.options import ServerOptions
from pagefault.server.problems import Problem
from pagefault.tenancy import ApiKey, KeyRole, has_role
from pagefault.types import AgentRecord
from pagefault.views.overview import agent_names

__all__ = [
    "Caller",
    "Calling",
    "caller",
    "is_loopback",
    "key_caller",
    "options_of",
    "settings_by",
]

_NO_KEY = (
    "This server needs a key; send it as Authorization: Bearer pf_..., and ask who runs the server for one."
)
_WRONG_KEY = "There is no such key, or it was revoked; ask who runs the server for one."
_NOT_THERE = "There is no such agent, or none that this key may reach."


@dataclass(frozen=True, slots=True)
class Caller:
    """``kernel``: of the caller's tenant, which has no other agents. ``key``: the name of the key, empty
    without one. ``agents``: the only ones it may reach, ``tag``: only those that have this tag; None: all of
    its tenant. ``speaks_for_users``: it may say who the sender of a message is."""

    kernel: Kernel
    key: str = ""
    tenant: str = ""
    role: KeyRole = "admin"
    agents: Collection[str] | None = None
    speaks_for_users: bool = True
    tag: str | None = None

    def has(self, role: KeyRole) -> bool:
        """Return whether the caller's role is this or more."""
        return has_role(self.role, role)

    def require(self, role: KeyRole) -> None:
        """Raise a ``Problem`` if the caller's role is less."""
        if not self.has(role):
            raise Problem(
                403, "Forbidden", f"This needs a key with the role {role}; this one has {self.role}."
            )

    @property
    def is_limited(self) -> bool:
        """Return whether there may be agents of the tenant that the caller may not reach."""
        return self.agents is not None or self.tag is not None

    def may_name(self, name: str) -> bool:
        """Return whether the caller may make an agent of this name, or give it to one."""
        return self.tag is None and (self.agents is None or name in self.agents)

    def reaches(self, record: AgentRecord) -> bool:
        """Return whether the caller may know of an agent of its tenant."""
        return self.may_name(record.name) if self.tag is None else self.tag in _tags(record)

    async def reached(self, names: Iterable[str]) -> set[str]:
        """Those of the names that are of agents which the caller may reach."""
        if self.tag is None:
            return set(filter(self.may_name, names))
        return {record.name for record in await records_named(self.kernel, names) if self.reaches(record)}

    async def names(self) -> list[str]:
        """The names of all agents that the caller may reach, in their order."""
        if self.tag is None:
            return [name for name in await agent_names(self.kernel) if self.may_name(name)]
        return [record.name for record in await self.kernel.agents() if self.reaches(record)]

    async def check(self, name: str) -> None:
        """Raise a ``Problem`` if there is no agent of this name, or none that the caller may reach."""
        if not could_be_agent_name(name) or not await self.reached([name]):
            raise Problem(404, "Not found", _NOT_THERE)
        await self.kernel.record(name)


async def caller(request: Request) -> Caller:
    """The caller of a request, as a dependency of routes."""
    kernel: Kernel = request.app.state.kernel
    key = await key_with(request, bearer_digest(request))
    if key is None:
        if not is_loopback(options_of(request).host) or await has_keys(kernel):
            why = _WRONG_KEY if bearer(request) else _NO_KEY
            raise Problem(401, "No valid key", why, {"www-authenticate": "Bearer"})
        return Caller(kernel.within(kernel.tenant, "local"))
    return key_caller(request, key)


def key_caller(request: Request, key: ApiKey) -> Caller:
    """The caller that has this key."""
    kernel: Kernel = request.app.state.kernel
    request.state.key = f"{key.tenant}/{key.name}" if key.tenant else key.name
    request.state.api_key = key
    own = kernel.within(key.tenant, f"key {key.name}")
    return Caller(own, key.name, key.tenant, key.role, key.agents, key.speaks_for_users, key.tag)


def _tags(record: AgentRecord) -> Collection[str]:
    tags = record.settings.get("tags")
    return cast("list[str]", tags) if isinstance(tags, list) else ()


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def settings_by(
    caller: Caller, values: Mapping[str, Any], defaults: AgentSettings, stored: object = None
) -> AgentSettings:
    """The settings that a caller gives an agent whose model is ``stored``; ``defaults``: the installation's.

    ``Problem`` for a tenant's key that names the server of a model, unless it is one of the installation's:
    requests go out from this server's own network, and may carry its key.
    """
    settings = parse_settings(dict(values))
    known = set(map(_address, defaults.models))
    named = (name for name in settings.models if "://" in name and _address(name) not in known)
    if caller.tenant and settings.model != stored and any(named):
        why = "A tenant's key may name no server of a model by its address; write PROVIDER:NAME."
        raise Problem(403, "Forbidden", why)
    return settings


def _address(name: str) -> str:
    """The address in a model's name, or the name if it has none."""
    return name.partition("#")[0].rstrip("/")


Calling = Annotated[Caller, Depends(caller)]
"""The caller, as a parameter of a route."""


def options_of(request: Request) -> ServerOptions:
    """The options of the server that a request came to."""
    return request.app.state.options
