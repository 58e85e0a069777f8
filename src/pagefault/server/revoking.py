"""Streams end when their key is revoked, or changed, within some seconds: the key is looked up again. So do
those of a session that is over.

However many streams a key has, it is asked for once in that time. Left out: requests without a stream, which
are answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import monotonic

import anyio

from pagefault.errors import PagefaultError
from pagefault.kernel import Kernel
from pagefault.kernel.tenancy import keys
from pagefault.tenancy import ApiKey

__all__ = ["KeyWatch"]


@dataclass(slots=True)
class KeyWatch:
    """The keys of open streams in this process; ``every``: seconds between two looks at one."""

    kernel: Kernel
    every: float
    clock: Callable[[], float] = monotonic
    sleep: Callable[[float], Awaitable[object]] = anyio.sleep
    _looked: dict[ApiKey, float] = field(default_factory=dict[ApiKey, float])
    _gone: set[ApiKey] = field(default_factory=set[ApiKey])

    async def until_revoked(self, key: ApiKey, is_over: Callable[[], bool] = bool) -> None:
        """Wait until the key is no more, or the session of the stream is over."""
        while not is_over() and await self._is_there(key):
            await self.sleep(self.every)

    async def _is_there(self, key: ApiKey) -> bool:
        now = self.clock()
        if key not in self._gone and now - self._looked.get(key, -self.every) >= self.every:
            self._looked[key] = now
            try:
                if key not in await keys(self.kernel.within(key.tenant)):
                    self._gone.add(key)
            except PagefaultError:  # the database is away: the next look may see it
                pass
        return key not in self._gone
