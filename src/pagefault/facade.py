"""The small synchronous face: ``Agent("ana").send("hi")`` in a script, ``await`` it in async code.

It runs the same kernel, in a thread of its own with one event loop. Programs with many agents use
``Kernel``.
"""

from __future__ import annotations

import asyncio
import atexit
from collections.abc import Callable, Generator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import home_folder, load_installation, parse_settings
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import Kernel
from pagefault.types import Event, Output


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of an event. In a script it is there at once; in async code ``await`` it first."""

    _future: Future[list[Output]]

    @property
    def outputs(self) -> list[Output]:
        """Every committed output of the event's turn, in order."""
        if not self._future.done() and _in_event_loop():
            raise UsageError("The reply is not there yet; await it: `reply = await agent.send(...)`.")
        return self._future.result()

    @property
    def text(self) -> str:
        """What the agent said, empty if it said nothing."""
        return "\n".join(output.text for output in self.outputs if output.type == "said")

    def __str__(self) -> str:
        return self.text

    def __await__(self) -> Generator[Any, None, Reply]:
        yield from asyncio.wrap_future(self._future).__await__()
        return self


class Agent:
    """One agent by name, made if it does not exist, with ``settings`` over the installation's defaults
    (see ``config.AgentSettings``); settings given for one that exists are changed.

    ``tools``: typed Python functions the model may call. ``home``: where the data is kept;
    ``database``: the URL of a PostgreSQL database to keep it in instead. Close it, or use it in a ``with``
    statement; a program's end closes it too.
    """

    def __init__(
        self,
        name: str = "default",
        *,
        home: Path | str | None = None,
        database: str | None = None,
        tools: tuple[Callable[..., Any], ...] = (),
        parts: Parts | None = None,
        **settings: Any,
    ) -> None:
        self.name = name
        parts = parts or Parts()
        self._parts = replace(parts, tools=(*parts.tools, *tools))
        folder = home_folder(Path(home) if home else None)
        installation = load_installation(folder, database)
        defaults = installation.agent.model_dump(mode="json")
        parse_settings(defaults | settings)  # refused before anything is opened
        self._kernel = open_kernel(folder, self._parts, installation)
        self._context = start_blocking_portal()
        self._portal: BlockingPortal = self._context.__enter__()
        self._running = self._portal.wrap_async_context_manager(self._kernel)
        self._running.__enter__()
        atexit.register(self.close)
        try:
            self._portal.call(self._ensure, defaults, settings)
        except BaseException:
            self.close()
            raise

    async def _ensure(self, defaults: dict[str, Any], settings: dict[str, Any]) -> None:
        kernel, name = self._kernel, self.name
        try:
            record = await kernel.record(name)
        except NotFoundError:
            await kernel.create_agent(name, parse_settings(defaults | settings))
        else:
            if settings:
                wanted = parse_settings(dict(record.settings) | settings)
                await kernel.change_settings(name, wanted)
        await kernel.process(name)

    @property
    def kernel(self) -> Kernel:
        """The kernel underneath; its methods must run in this agent's loop."""
        return self._kernel

    def send(self, event: str | Event) -> Reply:
        """Send a user message (a string) or any event. In a script this returns when the turn is done."""
        reply = Reply(self._portal.start_task_soon(self._outputs, event))
        if not _in_event_loop():
            reply.outputs  # noqa: B018  waits, and raises what went wrong
        return reply

    async def _outputs(self, event: str | Event) -> list[Output]:
        taken_back = ("delta", "retracted")
        return [o async for o in self._kernel.send(self.name, event) if o.type not in taken_back]

    def close(self) -> None:
        """Stop the kernel and close the database; an open turn is carried on at the next start."""
        atexit.unregister(self.close)
        running, self._running = self._running, None
        if running is not None:
            running.__exit__(None, None, None)
            self._context.__exit__(None, None, None)

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
