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
from typing import TYPE_CHECKING, Any, NoReturn, cast

import anyio.to_thread

from pagefault.errors import ArgumentTypeError, UsageError
from pagefault.facade.agent import AsyncAgent
from pagefault.facade.archives import AsyncArchives
from pagefault.facade.checking import checked, checked_methods
from pagefault.facade.handle import Handle
from pagefault.facade.memory import AsyncMemory
from pagefault.facade.options import AgentOptions
from pagefault.facade.sharing import AsyncOutbox, AsyncSharedSections
from pagefault.names import check_tenant

if TYPE_CHECKING:  # they import libraries that take a while: a worker thread does it
    from typing import Unpack

    from pagefault.assembly import Parts
    from pagefault.clock import When
    from pagefault.config import Installation
    from pagefault.exporters.writing import ExportKind, ExportReport
    from pagefault.importers.report import ImportReport
    from pagefault.kernel import Kernel
    from pagefault.models import Model
    from pagefault.types import Output
    from pagefault.views.approvals import ApprovalView
    from pagefault.views.comparing import MemoryDifference
    from pagefault.views.held_items import HeldItem

__all__ = ["Pagefault", "open"]


@checked
def open(
    home: Path | str | None = None,
    *,
    database: str | None = None,
    tools: Sequence[Callable[..., Any]] = (),
    model: Model | None = None,
    parts: Parts | None = None,
    deps: object = None,
    tenant: str = "",
) -> Pagefault:
    """Open an installation for ``async with``; nothing happens before that.

    ``home``: the folder of the data; None: ``$PAGEFAULT_HOME``, else ``~/.pagefault``. ``database``: the URL
    of a PostgreSQL database to keep the data in. ``tools``: typed Python functions that the agents may call.
    ``deps``: a value of your own that tools are given with each call (``ToolContext.deps``).
    ``model``: a model of your own for all agents, whatever their settings name. ``parts``: further parts to
    use instead of those that settings choose (``pagefault.assembly.Parts``). ``tenant``: whose agents,
    archives and shared sections are seen and made; those of another are not there.
    """
    check_tenant(tenant)
    functions: object = tools
    if not callable(functions) and not isinstance(functions, list | tuple):
        raise ArgumentTypeError(f"tools is a list of functions, and {functions!r} is none; write tools=[f].")
    if model is not None and not hasattr(model, "stream"):
        raise ArgumentTypeError(
            f"model is an object with `stream`, and {model!r} has none; name a model in agent()."
        )
    if parts is not None and not hasattr(parts, "tools"):
        raise ArgumentTypeError(f"parts is a pagefault.assembly.Parts, and {parts!r} is none.")
    return Pagefault(
        home, database, (tools,) if callable(tools) else tuple(tools), model, parts, deps, tenant
    )


@checked_methods
class Pagefault:
    """An open installation: its agents run while it is entered. ``pagefault.open`` makes it."""

    def __init__(
        self,
        home: Path | str | None,
        database: str | None,
        tools: tuple[Callable[..., Any], ...],
        model: Model | None,
        parts: Parts | None,
        deps: object,
        tenant: str,
    ) -> None:
        self._home = home
        self._database = database
        self._tools = tools
        self._model = model
        self._parts = parts
        self._deps = deps
        self._tenant = tenant
        self._opened: tuple[Kernel, Installation] | None = None
        self._stack = AsyncExitStack()
        self._pid = os.getpid()
        self.archives = AsyncArchives(self)
        self.shared_sections = AsyncSharedSections(self)
        self.outbox = AsyncOutbox(self)

    def __enter__(self) -> NoReturn:
        raise UsageError("Write `async with pagefault.open() as pf:`; without async, use pagefault.Agent.")

    def __exit__(self, *exc: object) -> None: ...

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
        deps = parts.deps if self._deps is None else self._deps
        tools, model = (*parts.tools, *self._tools), self._model or parts.model
        parts = replace(parts, tools=tools, model=model, deps=deps)
        return open_kernel(folder, parts, installation).within(self._tenant), installation

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
        from pagefault.config import parse_settings, settings_of

        kernel, installation = self._now()
        defaults, wanted = installation.agent.model_dump(mode="json"), _wanted(options)
        record = await kernel.ensure_agent(name, parse_settings(defaults | wanted))
        stored = settings_of(record)
        changed = parse_settings(dict(record.settings) | wanted)
        if changed != stored:
            await kernel.change_settings(name, changed)
        return AsyncAgent(Handle(self, name))

    def memory(self, name: str = "default") -> AsyncMemory:
        """The memory of the agent of this name, without the agent: no model is asked, and none is needed. The
        agent is made when its memory is first used, if there is none."""

        async def make() -> None:
            kernel, installation = self._now()
            await kernel.ensure_agent(name, installation.agent)

        return AsyncMemory(Handle(self, name), make)

    async def agents(self) -> list[str]:
        """The names of all agents, in alphabetical order."""
        return [record.name for record in await self.kernel.agents()]

    async def export(self, *, speaker: str, agents: Sequence[str] | None = None) -> tuple[HeldItem, ...]:
        """All that is held of the person of this name: by these agents and what is attached to them; None: by
        all agents, archives and shared sections."""
        from pagefault.views.held import held_of

        return tuple([item async for item in held_of(self.kernel, speaker, agents)])

    async def export_to(self, path: str | Path, *, agent: str, kind: ExportKind = "af") -> ExportReport:
        """Write an agent to a new file, as ``Agent.export_to`` does."""
        from pagefault.exporters.writing import export_to_file

        return await export_to_file(self.kernel, agent, path, kind)

    async def import_from(
        self,
        path: str | Path,
        *,
        agent: str | None = None,
        kind: str | None = None,
        me: str = "",
        zone: str = "",
        since: When = None,
        trust: bool = False,
        dry: bool = False,
    ) -> ImportReport:
        """Import what another program exported: a file, a folder or a ZIP, once, however often it is given.

        ``agent``: into which, made if there is none; None: the agents of the file, or ``default``. ``kind``:
        None: recognised by the content. ``me``: the user's name in it; ``zone``: of times that name none,
        the agent's if empty. ``since``: what is older stays out. ``trust``: a new agent takes the model and
        the instructions of the file. ``dry``: only report. ``UsageError`` if it cannot be read.
        """
        from pagefault.importers.runner import ImportWishes, import_source

        kernel, installation = self._now()
        wishes = ImportWishes(agent, kind, me, zone, since, trust, dry)
        return await import_source(kernel, path, installation.agent, wishes)

    async def diff(
        self, first: str, second: str, *, at: int | str | None = None, other_at: int | str | None = None
    ) -> MemoryDifference:
        """The memory that differs between two agents; ``at`` and ``other_at``: as they were at a position."""
        from pagefault.views.comparing import compare

        return await compare(self.kernel, first, second, at=at, other_at=other_at)

    async def parked(self) -> dict[str, str]:
        """The agents that are not served, each with the reason."""
        from pagefault.views.agents import agents

        return {agent.name: agent.parked for agent in await agents(self.kernel) if agent.parked}

    async def release(self, name: str) -> None:
        """Let an agent that is parked be served again; if it cannot be loaded still, it stays parked."""
        from pagefault.kernel import parked

        await parked.release(self.kernel, name)

    async def delete(self, name: str) -> None:
        """Delete an agent with all its memory, also one that cannot be read."""
        await self.kernel.delete(name)

    def add_tool(self, tool: Callable[..., Any]) -> None:
        """Offer one more typed function to the agents, from their next event on: to those whose setting
        ``tools`` names it, or names none. The beginning of their prompts changes with it."""
        from pagefault.kernel import tools

        tools.add_tool(self.kernel, tool)

    def remove_tool(self, name: str) -> None:
        """Offer the tool of this name no longer, from each agent's next event on."""
        from pagefault.kernel import tools

        tools.remove_tool(self.kernel, name)

    async def approvals(self) -> tuple[ApprovalView, ...]:
        """The calls of all agents that wait until a person decides on them; the oldest first."""
        from pagefault.views.approvals import approvals

        return await approvals(self.kernel)

    async def idle(self) -> None:
        """Return when no agent is in a turn in this process; one that waits for a decision is in none."""
        await self.kernel.idle()

    async def serve(self) -> None:
        """Serve timers, and inboxes that other processes left, until this is cancelled."""
        await self.kernel.serve()

    async def listen(self) -> AsyncGenerator[tuple[str, Output]]:
        """Yield the outputs of all agents from now on, deltas included, each with the agent's name."""
        async with self.kernel.listen_all() as outputs:
            async for named in outputs:
                yield named


def _wanted(options: AgentOptions) -> dict[str, Any]:
    """The settings given; ``ArgumentTypeError`` for a model that is an object, or a tool that is one."""
    model: object = options.get("model", "")
    tools = cast("Any", options.get("tools"))
    if callable(tools) or (isinstance(tools, list | tuple) and any(map(callable, cast("list[Any]", tools)))):
        raise ArgumentTypeError(
            "An agent's tools are named; give functions to pagefault.open(tools=[...]) or to add_tool(), and "
            "their names here."
        )
    if isinstance(model, str):
        return dict(options)
    raise ArgumentTypeError(
        f"An agent's model is named, and {type(model).__name__} is not a name; for a model of your own write "
        "pagefault.open(model=...), which gives it to all agents."
    )
