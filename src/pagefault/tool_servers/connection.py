"""One connection to a server of tools, open as long as its task: it lists the tools, and carries calls.

Whatever the server does ends at most the connection. Left out: when one is made anew (``server``).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.to_thread

from pagefault.connections import failure_of
from pagefault.containment import Contained, barrier
from pagefault.errors import FunctionError, PagefaultError
from pagefault.redaction import logger_of, redacted
from pagefault.tool_servers.definitions import ToolDefinition, checked
from pagefault.tool_servers.gate import Gate, ServerFault
from pagefault.tool_servers.results import without

if TYPE_CHECKING:
    from mcp import Client
    from mcp.client._transport import TransportStreams
    from mcp_types import CallToolResult, Tool

__all__ = ["Listing", "MakeStreams", "ServerConnection"]

MakeStreams = Callable[[Gate], "AbstractAsyncContextManager[TransportStreams]"]
"""The way to a server, within the bounds of the gate."""

_MOST_TOOLS = 1_000
_MOST_PAGES = 100
_MOST_CHARACTERS = 1_000_000  # of all definitions together
_LONGEST_NAME = 128  # characters of a tool's own name
_CALLS = 32  # at once; others wait
_FRESH = 600.0  # seconds that a listing is taken for what the server has
_SETTLED = 2.0  # seconds between two listings
_ENDING = 5.0  # seconds that the end of a process may take
_LONGEST_FAULT = 500  # characters of an error of the server
_UNREAD = ("Failed to parse JSON response", "Failed to parse SSE message")  # as the SDK says it


@dataclass(frozen=True, slots=True)
class Listing:
    """The tools of a server in its order; ``note``: what is not among them."""

    tools: tuple[ToolDefinition, ...] = ()
    note: str = ""


@dataclass(eq=False, slots=True)
class ServerConnection:
    """A connection that is being made, open, or over. ``taken`` is given each listing; ``secrets``: values
    that no text may hold; ``words`` gives the last line that the server wrote on its standard error."""

    name: str
    streams: MakeStreams
    start_timeout: float
    taken: Callable[[Listing], Awaitable[None]]
    secrets: tuple[str, ...] = ()
    words: Callable[[], str] = lambda: ""
    gate: Gate = field(default_factory=Gate)
    opened_at: float = inf
    is_over: bool = False
    _ready: anyio.Event = field(default_factory=anyio.Event)
    _client: Client | None = None
    _calls: int = 0
    _retired: bool = False
    _limit: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(_CALLS))
    _task: Contained[None] | None = None

    @property
    def is_usable(self) -> bool:
        """Return whether calls can be made, now or as soon as it is open."""
        return not (self._retired or self.gate.is_closed or self.is_over)

    def start(self) -> None:
        self._task = Contained(f"the server of tools {self.name}", self._run())

    async def opened(self) -> None:
        """Return when the tools are listed; ``ServerFault`` if that failed."""
        await self._ready.wait()
        if self._client is None:
            raise ServerFault(self.fault)

    def retire(self) -> None:
        """Take no more calls, and end when those that are made are over."""
        self._retired = True
        if not self._calls:
            self.gate.close("it did not answer a call")

    async def end(self) -> None:
        """End the connection and what was started for it."""
        self.gate.close("it is not needed any more")
        if self._task:
            await self._task.end(after=_ENDING if self._ready.is_set() else 0.0, grace=_ENDING)

    async def _run(self) -> None:
        try:
            with barrier():
                await self._serve()
        except PagefaultError as error:
            self.gate.close(self._sentence(error))
        finally:
            self._client, self.is_over = None, True
            self.gate.close("it ended")
            self._ready.set()

    async def _serve(self) -> None:
        await anyio.to_thread.run_sync(_import_client)
        try:
            with anyio.fail_after(self.start_timeout) as starting:
                async with _client(self.streams(self.gate)) as client:
                    self.gate.news = anyio.Event()
                    await self.taken(await self._tools(client))
                    starting.deadline = inf
                    self._client, self.opened_at = client, monotonic()
                    self._ready.set()
                    while not self.gate.is_closed:
                        await self._refresh(client)
        except TimeoutError:
            self.gate.close(f"it did not list its tools within {self.start_timeout:g} s")

    async def _refresh(self, client: Client) -> None:
        """Wait for news, or until the listing is old, and list the tools anew."""
        from mcp import MCPError

        with anyio.move_on_after(_FRESH):
            await self.gate.news.wait()
        if self.gate.is_closed:
            return
        self.gate.news = anyio.Event()
        with anyio.move_on_after(self.start_timeout), suppress(MCPError, ValueError):
            await self.taken(await self._tools(client))
        with anyio.move_on_after(_SETTLED):  # however often a server has news
            while not self.gate.is_closed:
                await self.gate.news.wait()
                await anyio.sleep(_SETTLED)

    async def _tools(self, client: Client) -> Listing:
        self.gate.dropped = 0
        listing = await list_tools(client)
        note = f"{self.gate.dropped:,} of its tools are malformed." if self.gate.dropped else listing.note
        return replace(listing, note=note)

    def _sentence(self, error: PagefaultError) -> str:
        """The fault in a line, without secrets."""
        from httpx2 import ConnectError, ConnectTimeout

        cause = error.__cause__
        while isinstance(cause, BaseExceptionGroup):
            cause = cast("BaseExceptionGroup[BaseException]", cause).exceptions[0]
        if failure := failure_of(cause):
            return self._clean(f"{failure.reason}; {failure.fix}")
        if isinstance(cause, ConnectError | ConnectTimeout):
            return "nobody answers at its address; start it, or correct its url"
        if said := getattr(getattr(cause, "error", None), "message", ""):  # the SDK's own
            return self._clean(f"it refuses to be spoken to ({said})")
        return self._clean(str(error))

    def _clean(self, text: str) -> str:
        read = text[: 20 * _LONGEST_FAULT]  # of 8 MB it would take a second
        return redacted(without(read, self.secrets))[:_LONGEST_FAULT]

    @property
    def fault(self) -> str:
        """The reason for which the connection is over, with the last words of the server."""
        words = self._clean(self.words())
        return f"{self.gate.why} (its last words: {words})" if words else self.gate.why

    async def call(self, tool: str, arguments: Mapping[str, Any], seconds: float) -> CallToolResult:
        """Call a tool; ``FunctionError`` says why there is no result, and whether it may have had an effect.
        A connection on which nothing was heard meanwhile takes no further call."""
        from mcp import MCPError

        client, begun = self._client, monotonic()
        if client is None or not self.is_usable:
            raise ServerFault(self.fault)
        self._calls += 1
        try:
            with anyio.fail_after(seconds):
                async with self._limit:
                    return await self._call(client, tool, arguments)
        except TimeoutError:
            if self.gate.heard_at < begun:
                self.retire()
            raise FunctionError(
                f"{self.name} did not answer within {seconds:g} s{self._stray()}; whether the call had an "
                "effect is unknown."
            ) from None
        except MCPError as error:
            if self.gate.is_closed:
                raise FunctionError(self._broken_off()) from None
            if error.error.message.startswith(_UNREAD):
                raise FunctionError(
                    f"{self.name} sent an answer that cannot be read; whether the call had an effect is "
                    "unknown."
                ) from None
            raise FunctionError(f"{self.name} refuses the call: {self._clean(error.error.message)}") from None
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise FunctionError(self._broken_off()) from None
        except (ValueError, RuntimeError):
            raise FunctionError(
                f"{self.name} sent a result that the protocol does not know; whether the call had an effect "
                "is unknown."
            ) from None
        finally:
            self._calls -= 1
            if self._retired and not self._calls:
                self.gate.close("it did not answer a call")

    def _stray(self) -> str:
        said = self._clean(self.gate.stray)
        return f" (it wrote what is no message: {said})" if said else ""

    def _broken_off(self) -> str:
        return f"{self.name} broke off: {self.fault}; whether the call had an effect is unknown."

    async def _call(self, client: Client, tool: str, arguments: Mapping[str, Any]) -> CallToolResult:
        from mcp_types import CallToolResult

        result = await client.session.call_tool(tool, dict(arguments), allow_input_required=True)
        if not isinstance(result, CallToolResult):
            raise FunctionError(
                f"{self.name} asks for something before it answers (input of a person, or a model's text), "
                "which it is not given here; nothing more was sent."
            )
        return result


def _import_client() -> None:
    """Import the SDK in a thread: it takes as long as all of pagefault."""
    try:
        for module in ("mcp.client.streamable_http", "pagefault.tool_servers.http"):
            import_module(module)
    except ImportError:
        raise ServerFault("it needs more packages; run: pip install 'pagefault[server]'") from None
    for module in ("client.session", "client.client", "client.streamable_http", "shared.jsonrpc_dispatcher"):
        logger_of(f"mcp.{module}").setLevel(logging.CRITICAL)  # what servers send does not go to the terminal


def _client(streams: AbstractAsyncContextManager[TransportStreams]) -> Client:
    """The SDK's client without what is not used: a cache, callbacks, logs of its own."""
    from mcp import Client
    from mcp_types import Implementation

    from pagefault import __version__

    about = Implementation(name="pagefault", version=__version__)
    return Client(streams, client_info=about, cache=None)


async def list_tools(client: Client) -> Listing:
    """All tools of a server, page by page, within bounds; those of unusable names are left out."""
    found, cursor, note, room = dict[str, ToolDefinition](), None, "", _MOST_CHARACTERS
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            if len(found) > _MOST_TOOLS:
                break
            if len(tool.name) <= _LONGEST_NAME and tool.name.isprintable() and tool.name:
                if tool.name not in found:
                    found[tool.name] = made = checked(_definition(tool), room)
                    room -= made.size
            else:
                note = "It has tools whose names cannot be used."
        if len(found) > _MOST_TOOLS or (cursor := page.next_cursor) is None:
            break
    if len(found) > _MOST_TOOLS or cursor is not None:
        note = f"It has more than {_MOST_TOOLS:,} tools; the first {_MOST_TOOLS:,} are offered."
    return Listing(tuple(found.values())[:_MOST_TOOLS], note)


def _definition(tool: Tool) -> ToolDefinition:
    hints = tool.annotations
    return ToolDefinition(
        tool.name,
        tool.description or tool.title or "",
        tool.input_schema,
        bool(hints and hints.read_only_hint),
        bool(hints and hints.idempotent_hint),
    )
