"""``pagefault.open``: the asynchronous face of an installation, and the agents in it.

Opening imports, connects and upgrades in a worker thread, so the caller's event loop goes on meanwhile.
Leaves out what an agent can do (``facade.agent``) and how agents run (``kernel``).
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from pagefault.errors import NotFoundError, UsageError
from pagefault.facade.agent import AsyncAgent
from pagefault.facade.handle import Handle
from pagefault.facade.options import AgentOptions

if TYPE_CHECKING:  # they import libraries that take a while: a worker thread does it
    from typing import Unpack

    from pagefault.assembly import Parts
    from pagefault.config import Installation
    from pagefault.kernel import Kernel
    from pagefault.types import AgentRecord, Output

__all__ = ["Pagefault", "open"]


def open(
    home: Path | str | None = None,
    *,
    database: str | None = None,
    tools: Sequence[Callable[..., Any]] = (),
    parts: Parts | None = None,
) -> Pagefault:
    """Open an installation for ``async with``; nothing happens before that.

    ``home``: the folder of the data; None: ``$PAGEFAULT_HOME``, else ``~/.pagefault``. ``database``: the URL
    of a PostgreSQL database to keep the data in. ``tools``: typed Python functions that the agents may call.
    ``parts``: what is used instead of what settings choose (``pagefault.assembly.Parts``).
    """
    return Pagefault(home, database, tuple(tools), parts)


class Pagefault:
    """An open installation: its agents run while it is entered. ``pagefault.open`` makes it."""

    def __init__(
        self,
        home: Path | str | None,
        database: str | None,
        tools: tuple[Callable[..., Any], ...],
        parts: Parts | None,
    ) -> None:
        self._home = home
        self._database = database
        self._tools = tools
        self._parts = parts
        self._opened: tuple[Kernel, Installation] | None = None
        self._stack = AsyncExitStack()
        self._pid = os.getpid()

    async def __aenter__(self) -> Pagefault:
        if self._opened is not None:
            raise UsageError("This is open already; call pagefault.open() for another one.")
        self._pid = os.getpid()
        opened = await anyio.to_thread.run_sync(self._open)
        await self._stack.enter_async_context(opened[0])
        self._opened = opened
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop the agents and close the database; an open turn is carried on at the next start."""
        self._opened = None
        if os.getpid() == self._pid:
            await self._stack.aclose()

    def _open(self) -> tuple[Kernel, Installation]:
        from pagefault.assembly import Parts
        from pagefault.build import open_kernel
        from pagefault.config import home_folder, load_installation

        import_module("pagefault.views.reply")  # here, for the first reply must not hold up the loop
        parts = self._parts or Parts()
        folder = home_folder(Path(self._home) if self._home else None)
        installation = load_installation(folder, self._database)
        tools = (*parts.tools, *self._tools)
        return open_kernel(folder, replace(parts, tools=tools), installation), installation

    @property
    def kernel(self) -> Kernel:
        """The kernel underneath, which has more methods."""
        return self._now()[0]

    def _now(self) -> tuple[Kernel, Installation]:
        if self._opened is None:
            raise UsageError("This is not open; use it inside `async with pagefault.open() as pf:`.")
        if os.getpid() != self._pid:
            raise UsageError(
                "This was opened before the process forked, and its database connection belongs to the "
                "parent; call pagefault.open() in the child."
            )
        return self._opened

    async def agent(self, name: str = "default", **options: Unpack[AgentOptions]) -> AsyncAgent:
        """The agent of this name, made if there is none; several may ask for it at once.

        ``options`` are settings (``AgentOptions`` lists them). A new agent takes them over the installation's
        defaults; of one that exists those given are changed. ``UsageError`` if it could not work as set.
        """
        kernel, installation = self._now()
        await _ensure_agent(kernel, name, dict(options), installation.agent.model_dump(mode="json"))
        return AsyncAgent(Handle(self, name))

    async def agents(self) -> list[str]:
        """The names of all agents, in alphabetical order."""
        return [record.name for record in await self.kernel.agents()]

    async def serve(self) -> None:
        """Serve timers, and inboxes that other processes left, until this is cancelled."""
        await self.kernel.serve()

    async def listen(self) -> AsyncGenerator[tuple[str, Output]]:
        """Yield the outputs of all agents from now on, deltas included, each with the agent's name."""
        async with self.kernel.listen_all() as outputs:
            async for named in outputs:
                yield named


async def _ensure_agent(kernel: Kernel, name: str, wanted: dict[str, Any], defaults: dict[str, Any]) -> None:
    """Make the agent if there is none of this name, with the settings ``wanted`` over the ``defaults``. If
    it exists, even if it was made just now elsewhere, change those ``wanted``."""
    from pagefault.config import parse_settings

    settings = parse_settings(defaults | wanted)  # refused before anything is stored
    record = await _known(kernel, name)
    if record is None:
        try:
            await kernel.create_agent(name, settings)
            return
        except UsageError:
            record = await _known(kernel, name)
            if record is None:
                raise
    stored = dict(record.settings)
    if (changed := parse_settings(stored | wanted)) != parse_settings(stored):
        await kernel.change_settings(name, changed)


async def _known(kernel: Kernel, name: str) -> AgentRecord | None:
    try:
        return await kernel.record(name)
    except NotFoundError:
        return None
