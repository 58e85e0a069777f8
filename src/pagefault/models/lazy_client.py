"""The client library of an adapter: made at the first request, in a thread, because its import is slow.

Left out: retries, which are in the wrappers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio
from anyio import to_thread

__all__ = ["LazyClient"]

ClientT = TypeVar("ClientT")


class LazyClient(Generic[ClientT]):
    """Holds the client that ``make`` returns. It belongs to the event loop of its first use; after
    ``aclose`` the next use makes a new one."""

    def __init__(self, make: Callable[[], ClientT], close: Callable[[ClientT], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._lock = anyio.Lock()
        self._client: ClientT | None = None

    async def get(self) -> ClientT:
        """Return the client; errors of ``make`` pass through."""
        if self._client is None:
            async with self._lock:
                if self._client is None:
                    self._client = await to_thread.run_sync(self._make)
        return self._client

    async def aclose(self) -> None:
        """Close the client's connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await self._close(client)
