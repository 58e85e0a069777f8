"""Whose memory a request is for, and what it may do there."""

from __future__ import annotations

from dataclasses import dataclass

from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.tenancy import KeyRole, has_role

__all__ = ["DEFAULT_TOKENS", "MemoryAccess"]

DEFAULT_TOKENS = 4_000
"""Tokens that one result takes at most, its text and its structured form together."""


@dataclass(frozen=True, slots=True)
class MemoryAccess:
    """``kernel``: of the caller's tenant; ``agent``: the one whose memory it is, checked before. ``tokens``:
    the budget of one result. ``seconds``: how long ``send_message`` waits for a reply. ``key``: of a request
    that may be repeated, if its transport has one."""

    kernel: Kernel
    agent: str
    role: KeyRole = "admin"
    speaks_for_users: bool = True
    tokens: int = DEFAULT_TOKENS
    seconds: float = 300.0
    key: str | None = None

    def require(self, role: KeyRole, act: str) -> None:
        """Raise ``UsageError`` if the caller's role is less than an act needs."""
        if not has_role(self.role, role):
            raise UsageError(f"{act} needs a key with the role {role}; this one has {self.role}.")
