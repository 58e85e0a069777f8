"""The servers of an installation, as agents are offered their tools and as a person sees them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

import anyio

from pagefault.errors import NotFoundError, UsageError
from pagefault.functions import Function, Outcome
from pagefault.functions.tool_source import OfferedTools, ServerTool, ToolServerState, unknown_server
from pagefault.quoting import inline, visible
from pagefault.redaction import logger_of
from pagefault.tool_server_settings import ToolServerSettings
from pagefault.tool_servers.definitions import ToolDefinition, function_names, tool_function
from pagefault.tool_servers.gate import ServerFault
from pagefault.tool_servers.kept import KeptServers
from pagefault.tool_servers.schemas import Unusable
from pagefault.tool_servers.server import ToolServer

__all__ = ["ToolServerSource"]

logger = logger_of(__name__)

_PATIENCE = 1.0  # seconds that an agent waits for a server that has failed
_OFTEN = 600.0  # seconds between two times that agents are loaded anew because a tool has changed
_GRACE = 5.0  # seconds beyond the server's own time, which says more


class ToolServerSource:
    """The servers by name; ``path`` is the file in which what is known of them is kept."""

    def __init__(self, settings: Mapping[str, ToolServerSettings], path: Path | None) -> None:
        self._reload: Callable[[], None] = lambda: None
        self._is_running: Callable[[], bool] = lambda: False
        self._reloaded_at = 0.0
        kept = KeptServers(path)
        self._servers = {
            name: ToolServer(name, each, kept, self._outdated) for name, each in settings.items()
        }

    def attach(self, reload: Callable[[], None], is_running: Callable[[], bool]) -> None:
        self._reload, self._is_running = reload, is_running

    def names(self) -> tuple[str, ...]:
        return tuple(self._servers)

    def check(self, names: Sequence[str]) -> None:
        for name in names:
            if name not in self._servers:
                raise UsageError(unknown_server(name, self.names()))

    async def offered(self, names: Sequence[str], taken: Collection[str]) -> OfferedTools:
        functions, faults = dict[str, Function](), list[str]()
        for name in dict.fromkeys(names):
            server = self._servers.get(name)
            if server is None:
                faults.append(unknown_server(name, self.names()))
                continue
            tools, fault = await self._tools(server)
            if fault:
                faults.append(fault)
            for made in self._functions(server, tools, {*taken, *functions}):
                functions[made.name] = made
        for fault in faults:
            logger.warning("%s", fault)
        return OfferedTools(tuple(functions.values()), tuple(faults), self.version(names))

    async def _tools(self, server: ToolServer) -> tuple[Sequence[ToolDefinition], str]:
        """The tools of a server, and a sentence if it does not answer."""
        known = await server.known()
        try:
            if known is not None:
                if self._is_running():
                    server.connect()
                return known, ""
            with anyio.fail_after(_PATIENCE if server.fault else None):
                return await server.listed(), ""
        except ServerFault as fault:
            why = str(fault)
        except TimeoutError:
            why = "it has not listed its tools yet"
        return known or (), "" if known else visible(
            f"The tools of the server {server.name} are not offered: {why}.", kept=""
        )

    def _functions(
        self, server: ToolServer, tools: Sequence[ToolDefinition], taken: Collection[str]
    ) -> list[Function]:
        functions = list[Function]()
        chosen = [each for each in tools if not server.settings.tools or each.name in server.settings.tools]
        named = function_names(server.name, [each.name for each in chosen], taken)
        for each in chosen:
            try:
                functions.append(_function(server, each, named[each.name]))
            except Unusable:  # `pagefault tools list` shows the reason
                continue
        return functions

    def version(self, names: Sequence[str]) -> str:
        said = [(name, [each.hash for each in self._servers[name].tools or ()])
                for name in names if name in self._servers]  # fmt: skip
        return sha256(repr(said).encode()).hexdigest()

    def _outdated(self) -> None:
        if not self._reloaded_at or monotonic() - self._reloaded_at > _OFTEN:
            self._reloaded_at = monotonic()
            self._reload()

    async def state(self, name: str) -> ToolServerState:
        server, fault = self._server(name), ""
        try:
            await server.listed()
        except ServerFault as error:
            fault = str(error)
        tools = await server.known() or ()
        named = function_names(name, [each.name for each in tools], ())
        shown = [await _shown(server, each, named[each.name]) for each in tools]
        return ToolServerState(name, server.place, tuple(shown), visible(fault or server.note, kept=""))

    async def allow(self, name: str, tool: str, allowed: bool) -> ServerTool:
        server = self._server(name)
        try:
            tools = await server.listed()
        except ServerFault as fault:
            raise UsageError(f"The server {name} does not answer: {fault}.") from None
        found = next((each for each in tools if each.name == tool), None)
        if found is None:
            raise NotFoundError(
                f"{name} has no tool {inline(tool)}; `pagefault tools list {name}` shows what it has."
            )
        await server.allow(found, allowed)
        named = function_names(name, [each.name for each in tools], ())
        return await _shown(server, found, named[tool])

    def _server(self, name: str) -> ToolServer:
        if name not in self._servers:
            raise NotFoundError(unknown_server(name, self.names()))
        return self._servers[name]

    async def aclose(self) -> None:
        async with anyio.create_task_group() as ending:
            for server in self._servers.values():
                ending.start_soon(server.aclose)


def _function(server: ToolServer, definition: ToolDefinition, name: str) -> Function:
    async def call(**arguments: Any) -> Outcome:
        needed = definition.schema.get("required") or ()
        given = {key: value for key, value in arguments.items() if value is not None or key in needed}
        return await server.call(definition, given)

    async def needs_decision(**_: Any) -> bool:
        return await server.permission(definition) in ("ask", "changed")

    settings = server.settings
    repeatable = definition.read_only or definition.idempotent
    return tool_function(
        definition, name, call, approval=needs_decision, idempotent=repeatable and settings.believes_hints,
        timeout=settings.timeout + _GRACE,
    )  # fmt: skip


async def _shown(server: ToolServer, definition: ToolDefinition, function: str) -> ServerTool:
    permission = await server.permission(definition)
    return ServerTool(
        definition.name, function, definition.description, definition.hash, permission, definition.fault
    )
