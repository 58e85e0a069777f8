"""One server of tools: its connection, made at the first use and again when it is over; its tools; its calls.

A server that failed is tried again after a pause, which grows; until then its calls fail at once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from time import monotonic
from typing import Any

import anyio
import anyio.to_thread

from pagefault.addresses import server_of
from pagefault.errors import FunctionError, UsageError
from pagefault.functions import Outcome
from pagefault.functions.tool_source import Permission
from pagefault.quoting import inline
from pagefault.tool_server_settings import ToolServerSettings
from pagefault.tool_servers.connection import Listing, MakeStreams, ServerConnection
from pagefault.tool_servers.definitions import HASH, ToolDefinition
from pagefault.tool_servers.gate import ServerFault
from pagefault.tool_servers.kept import KeptServer, KeptServers
from pagefault.tool_servers.results import outcome_of_result

__all__ = ["ToolServer"]

_LONGEST_PAUSE = 60.0  # seconds until a server that failed is tried again
_STEADY = 30.0  # seconds that a connection holds to count as one that works
_MOST_SEEN = 2_000  # names; a tool beyond them is asked for, whatever it says
_SHORTEST_SECRET = 6  # characters; a shorter value may be any word


class ToolServer:
    """A server as set in ``[mcp.NAME]``. ``tools`` are those last listed, None: they never were; ``note``:
    what is not among them; ``fault``: why it was not reached the last time, if so. ``outdated`` is called
    when an agent was offered a tool that is another now."""

    def __init__(
        self, name: str, settings: ToolServerSettings, kept: KeptServers, outdated: Callable[[], None]
    ) -> None:
        self.name = name
        self.settings = settings
        self.note = ""
        self.fault = ""
        self.tools: tuple[ToolDefinition, ...] | None = None
        self._kept = kept
        self._outdated = outdated
        self._connection: ServerConnection | None = None
        self._left: list[ServerConnection] = []
        self._failures, self._tried_at = 0, 0.0
        self._was_read = False

    @property
    def place(self) -> str:
        """The command; the address, without what may be a secret."""
        return self.settings.command or server_of(self.settings.url)

    async def known(self) -> tuple[ToolDefinition, ...] | None:
        """The tools as they were last listed, in this process or before; None if they never were."""
        if not self._was_read:
            kept = await anyio.to_thread.run_sync(self._kept.read, self.name)
            if not self._was_read:
                self.tools, self._was_read = kept.tools, True
        return self.tools

    async def listed(self) -> tuple[ToolDefinition, ...]:
        """The tools as the server has them; ``ServerFault`` if it does not answer."""
        await self.connect().opened()
        return self.tools or ()

    async def call(self, definition: ToolDefinition, arguments: Mapping[str, Any]) -> Outcome:
        """Call a tool as it was defined when it was offered; ``FunctionError`` says why it has no result."""
        try:
            connection = self.connect()
            await connection.opened()
            self._check(definition)
            result = await connection.call(definition.name, arguments, self.settings.timeout)
        except ServerFault as fault:
            raise FunctionError(f"{self.name} cannot be used now: {fault}. Nothing was run.") from None
        read = partial(outcome_of_result, result, definition.name, connection.secrets)
        return await anyio.to_thread.run_sync(read, abandon_on_cancel=True)

    def _check(self, definition: ToolDefinition) -> None:
        now = {each.name: each.hash for each in self.tools or ()}
        if now.get(definition.name) != definition.hash:
            self._outdated()
            raise FunctionError(
                f"{self.name} has changed its tool {inline(definition.name)} since it was offered to you, or "
                "has it no more; nothing was run. A later message brings you what there is now."
            )

    # what runs unasked

    async def permission(self, definition: ToolDefinition) -> Permission:
        """Return whether calls of a tool run unasked. The definition by which it may is remembered when it is
        listed, and another one asks; so does one that says only later that it reads."""
        kept = await anyio.to_thread.run_sync(self._kept.read, self.name)
        name, hash = definition.name, definition.hash
        hashes = [each.partition("#")[2] for each in self.settings.allow if each.partition("#")[0] == name]
        if kept.allowed.get(name) == hash or any(each and hash.startswith(each[:HASH]) for each in hashes):
            return "allowed"
        if name in kept.allowed or any(hashes):
            return "changed"
        if not self._is_trusted(definition):
            return "ask"
        if self._is_unseen(definition, kept):
            await anyio.to_thread.run_sync(self._kept.change, self.name, partial(self._see, [definition]))
            kept = await anyio.to_thread.run_sync(self._kept.read, self.name)
        if kept.seen.get(name) != hash:
            return "changed"
        return "allowed" if hashes else "read-only"

    def _is_trusted(self, definition: ToolDefinition) -> bool:
        """Return whether it runs unasked by its name, or by the word of a server that is believed."""
        return definition.name in self.settings.allow or (
            definition.read_only and self.settings.believes_hints
        )

    def _is_unseen(self, definition: ToolDefinition, kept: KeptServer) -> bool:
        """Return whether a definition is to be remembered. That of a tool which was asked for is none, and
        counts, so that a server which is believed cannot take its word back; but for one that is named."""
        seen = kept.seen.get(definition.name)
        if self._is_trusted(definition):
            return seen is None or (not seen and definition.name in self.settings.allow)
        return seen is None and self.settings.believes_hints

    def _see(self, definitions: Iterable[ToolDefinition], kept: KeptServer) -> None:
        for each in definitions:
            if self._is_unseen(each, kept) and (len(kept.seen) < _MOST_SEEN or each.name in kept.seen):
                kept.seen[each.name] = each.hash if self._is_trusted(each) else ""

    async def allow(self, definition: ToolDefinition, allowed: bool) -> None:
        """Let calls of a tool run unasked as it is defined now; or take that back."""

        def edit(kept: KeptServer) -> None:
            kept.allowed.pop(definition.name, None)
            kept.seen.pop(definition.name, None)
            if allowed:
                kept.allowed[definition.name] = definition.hash

        await anyio.to_thread.run_sync(self._kept.change, self.name, edit)

    # the connection

    def connect(self) -> ServerConnection:
        """The connection, begun if there is none; ``ServerFault`` if it cannot be, or failed a moment ago."""
        if self._connection and self._connection.is_usable:
            return self._connection
        self._leave()
        pause = min(_LONGEST_PAUSE, 2.0 ** (self._failures - 2)) if self._failures > 1 else 0.0
        if (left := self._tried_at + pause - monotonic()) > 0.0:
            raise ServerFault(f"{self.fault}; it is tried again in {left:.0f} s")
        self._tried_at = monotonic()
        self._failures += 1
        try:
            self._connection = self._connection_to()
        except UsageError as error:
            self.fault = str(error).rstrip(".")
            raise ServerFault(self.fault) from None
        self._connection.start()
        return self._connection

    def _leave(self) -> None:
        """Let go of a connection that takes no more calls: it ends when those that it has are over."""
        self._left = [each for each in self._left if not each.is_over]
        if self._connection is None:
            return
        self.fault = self._connection.fault
        if monotonic() - self._connection.opened_at > _STEADY:
            self._failures = 0
        self._left.append(self._connection)
        self._connection = None

    def _connection_to(self) -> ServerConnection:
        settings, words = self.settings, lambda: ""
        if settings.url:
            sent = settings.filled(settings.headers, os.environ, self.name)
            streams, secrets = self._http(sent), sent.values()
        else:
            from pagefault.tool_servers.stdio import Command, LastWords, stdio_streams

            env = settings.filled(settings.env, os.environ, self.name)
            command = Command(settings.command, settings.args, env, settings.cwd or None)
            if shutil.which(settings.command, path=command.environment.get("PATH")) is None:
                raise UsageError(f"there is no program {settings.command}; install it, or name it in full")
            said = LastWords()
            words = said.__str__
            streams = partial(stdio_streams, command, words=said)
            secrets = env.values()
        values = (settings.url, *secrets)
        hidden = tuple(
            part
            for each in values
            for part in {each, each.rpartition(" ")[2]}
            if len(part) >= _SHORTEST_SECRET
        )
        return ServerConnection(self.name, streams, settings.start_timeout, self._take, hidden, words)

    def _http(self, headers: Mapping[str, str]) -> MakeStreams:
        from pagefault.tool_servers.http import http_streams

        return partial(http_streams, self.settings.url, headers, self.settings.timeout + 30.0)

    async def _take(self, listing: Listing) -> None:
        """Take a listing as what the server has, and keep it."""

        def edit(kept: KeptServer) -> None:
            kept.tools = listing.tools
            self._see(listing.tools, kept)

        is_new = self.tools != listing.tools
        self.tools, self.note, self.fault, self._was_read = listing.tools, listing.note, "", True
        kept = await anyio.to_thread.run_sync(self._kept.read, self.name)
        if is_new or any(self._is_unseen(each, kept) for each in listing.tools):
            await anyio.to_thread.run_sync(self._kept.change, self.name, edit)

    async def aclose(self) -> None:
        """End the connections."""
        ending = (*self._left, *((self._connection,) if self._connection else ()))
        self._connection, self._left = None, []
        for each in ending:
            await each.end()
