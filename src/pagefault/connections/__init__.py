"""HTTP clients, made in one place: which proxy, which certificates, which redirects, and failures in words.

    proxies.py       the proxy that the environment names for an address
    certificates.py  whom to trust, and why a server is not trusted
    transport.py     the seam under every client, those of the providers' libraries included
    client.py        the client
    rate_headers.py  how long a server asks to wait

A proxy or a certificate file that cannot be used is no error before a request needs it. Left out: retries in
time (``models.wrappers.retrying``), and the answers of servers (``models.provider_errors``).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ConnectionFailure", "failure_of"]


@dataclass(frozen=True, slots=True)
class ConnectionFailure:
    """The reason why a server was not reached, and the fix. ``may_pass``: a retry may help."""

    reason: str
    fix: str
    may_pass: bool = False

    def sentence(self, where: str) -> str:
        return f"{where} cannot be reached: {self.reason}; {self.fix}."


def failure_of(error: BaseException | None) -> ConnectionFailure | None:
    """Return the failure behind an exception of a client library; None if its reason is not known."""
    for _ in range(10):  # the libraries wrap each other's exceptions
        if error is None:
            return None
        found = getattr(error, "failure", None)
        if isinstance(found, ConnectionFailure):
            return found
        error = error.__cause__ or error.__context__
    return None
