"""Tasks that are counted, so that somebody can wait until none is left."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import TaskGroup

__all__ = ["CountedTasks"]


@dataclass(slots=True)
class CountedTasks:
    """Tasks that run while it is ``running``; those that are left at its end are cancelled."""

    _group: TaskGroup | None = None
    _count: int = 0
    _none: anyio.Event = field(default_factory=anyio.Event)

    @property
    def is_running(self) -> bool:
        return self._group is not None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                yield
            finally:
                self._group = None
                group.cancel_scope.cancel()

    def start(self, task: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Start a task; nothing is done if it is not ``running``."""
        if self._group is not None:
            self._count += 1
            self._group.start_soon(self._counted, task, *args)

    async def idle(self) -> None:
        """Return when no task is left."""
        while self._count:
            self._none = anyio.Event()
            await self._none.wait()

    async def _counted(self, task: Callable[..., Awaitable[None]], *args: Any) -> None:
        try:
            await task(*args)
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()
