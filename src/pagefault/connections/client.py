"""The client: what adapters, embedders and loading send their requests with.

It imports the HTTP library, which takes time: import this module where a client is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from httpx2 import AsyncClient, Limits

from pagefault.connections.transport import RoutedTransport, stay_on_server
from pagefault.redaction import logger_of

__all__ = ["http_client"]

# As many as there are open turns, which are bounded elsewhere: a request that waits here would time out.
_LIMITS = Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=5.0)


def http_client(
    base_url: str = "",
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    saw: Callable[[int, Mapping[str, str]], None] | None = None,
) -> AsyncClient:
    """Return a client. It follows redirects within a server, and refuses those to another one, which would
    be given the key. ``saw`` is called with the status and headers of each response."""
    logger_of("httpx2")  # it logs URLs
    return AsyncClient(
        base_url=base_url, headers=headers, timeout=timeout, follow_redirects=True, trust_env=False,
        transport=RoutedTransport(_LIMITS, saw), event_hooks={"response": [stay_on_server]},
    )  # fmt: skip
