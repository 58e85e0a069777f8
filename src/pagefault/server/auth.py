"""The caller of a request: what it may see and do.

Without keys the server listens on the loopback only, and everybody there may do everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request

from pagefault.kernel import Kernel
from pagefault.names import could_be_agent_name
from pagefault.server.options import ServerOptions
from pagefault.server.problems import Problem

__all__ = ["Caller", "CallerRole", "Calling", "caller", "options_of"]

CallerRole = Literal["read", "chat", "admin"]
"""What a caller may do: look; talk as well; change agents and their memory as well."""

_RANKS: tuple[CallerRole, ...] = ("read", "chat", "admin")


@dataclass(frozen=True, slots=True)
class Caller:
    """``kernel``: of the caller's tenant, which has no other agents. ``key``: the name of the key, empty
    without one. ``agents``: the only ones it may reach; None: all of its tenant. ``speaks_for_users``: it may
    say who the sender of a message is."""

    kernel: Kernel
    key: str = ""
    tenant: str = ""
    role: CallerRole = "admin"
    agents: frozenset[str] | None = None
    speaks_for_users: bool = True

    def require(self, role: CallerRole) -> None:
        """Raise a ``Problem`` if the caller's role is less."""
        if _RANKS.index(self.role) < _RANKS.index(role):
            raise Problem(
                403, "Forbidden", f"This needs a key with the role {role}; this one has {self.role}."
            )

    def reaches(self, name: str) -> bool:
        """Return whether the caller may know of an agent of this name."""
        return self.agents is None or name in self.agents

    async def check(self, name: str) -> None:
        """Raise a ``Problem`` if there is no agent of this name, or none that the caller may reach."""
        if not could_be_agent_name(name) or not self.reaches(name):
            raise Problem(404, "Not found", "There is no such agent, or none that this key may reach.")
        await self.kernel.record(name)


async def caller(request: Request) -> Caller:
    """The caller of a request, as a dependency of routes."""
    return Caller(request.app.state.kernel)


Calling = Annotated[Caller, Depends(caller)]
"""The caller, as a parameter of a route."""


def options_of(request: Request) -> ServerOptions:
    """The options of the server that a request came to."""
    return request.app.state.options
