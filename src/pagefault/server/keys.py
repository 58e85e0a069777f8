"""The keys that a request comes with: each is looked up and counted once, before the body is read.

Left out: what a key may do (``auth``), and the body (``walls``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from fastapi import Request

from pagefault.errors import PagefaultError
from pagefault.kernel.tenancy import could_be_secret, digest_of, key_of_digest
from pagefault.server.problems import Problem, known
from pagefault.server.rates import Allowances
from pagefault.tenancy import ApiKey

__all__ = ["DigestReader", "KeyRates", "bearer", "bearer_digest", "body_limit", "key_with"]

DigestReader = Callable[[Request], str]
"""Reads the digest of a key's secret from a request; empty if it has none."""


@dataclass(slots=True)
class KeyRates:
    """The requests of each key: as many a minute as it may send, and as many at once, in this process.
    ``per_minute``: of a key without a rate of its own; 0: no limit."""

    per_minute: int
    clock: Callable[[], float] = monotonic
    _allowances: Allowances = field(init=False)

    def __post_init__(self) -> None:
        self._allowances = Allowances(self.clock)

    def take(self, key: ApiKey) -> None:
        """Count a request; raise a ``Problem`` with the seconds to wait if it is one too many."""
        most = self.per_minute if key.rate is None else key.rate
        if most and (wait := self._allowances.take((key.tenant, key.name), most)):
            what = f"This key has had its {most:,} requests a minute; try again in {wait} s."
            raise Problem(429, "Too many requests", what, {"retry-after": str(wait)})


def bearer(request: Request) -> str:
    """The secret that a request has in its header ``Authorization``; empty if it has none."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def bearer_digest(request: Request) -> str:
    """The digest of the secret in the header; empty if it cannot be one of a key."""
    secret = bearer(request)
    return digest_of(secret) if could_be_secret(secret) else ""


async def key_with(request: Request, digest: str) -> ApiKey | None:
    """The key of this digest, whose request is counted when it is first asked for; None if there is none."""
    if not digest:
        return None
    looked_up: dict[str, ApiKey | None] = request.scope.setdefault("state", {}).setdefault("keys", {})
    if digest not in looked_up:
        key = looked_up[digest] = await key_of_digest(request.app.state.kernel, digest)
        if key:
            request.app.state.rates.take(key)
    return looked_up[digest]


async def body_limit(request: Request, readers: Sequence[DigestReader]) -> int | None:
    """The most bytes of a body by the keys that a request comes with; None if none of them says."""
    try:
        keys = [await key_with(request, read(request)) for read in readers]
    except PagefaultError as error:  # whoever reads the body takes only a ``Problem`` for what it is
        raise known(error) from None
    return min((key.body for key in keys if key and key.body is not None), default=None)
