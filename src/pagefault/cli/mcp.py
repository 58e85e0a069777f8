"""`pagefault mcp`: one agent's memory for a client that starts this process and speaks over its pipes.

It ends when stdin does, or at SIGINT or SIGTERM; a turn that is open then stays open in the log, and the next
process that serves the agent carries it on. A server or a chat may use the same home meanwhile.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from functools import partial
from signal import SIGINT, SIGTERM
from typing import Any, cast

import anyio

from pagefault.cli.input import InputPieces
from pagefault.cli.session import Session
from pagefault.config import parse_settings
from pagefault.errors import UsageError

try:
    from mcp.server.stdio import stdio_server

    from pagefault.mcp import MemoryAccess
    from pagefault.mcp.serving import memory_server
except ImportError as error:
    raise UsageError("MCP needs more packages; run: pip install 'pagefault[server]'.") from error

__all__ = ["serve"]

_PIECE = 1 << 16  # bytes read at once
_LONGEST = 16 << 20  # bytes of a message, as over HTTP
_TOO_LONG = "?"  # no JSON: the protocol has an error for it


def serve(session: Session, agent: str, wanted: dict[str, Any], tokens: int) -> None:
    """Serve until the input ends or a signal comes; ``wanted``: settings of an agent that is made."""
    with session.naming_damage():
        anyio.run(_serve, session, agent, wanted, tokens)


async def _serve(session: Session, agent: str, wanted: dict[str, Any], tokens: int) -> None:
    installation = session.installation
    async with session.serving(installation) as kernel:
        defaults = installation.agent.model_dump(mode="json")
        await kernel.ensure_agent(agent, parse_settings(defaults | wanted))
        server = memory_server(MemoryAccess(kernel, agent, tokens=tokens))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_end_at_signals, tasks.cancel_scope)
            async with stdio_server(cast("anyio.AsyncFile[str]", _InputLines())) as (requests, answers):
                await server.run(requests, answers, server.create_initialization_options())
            tasks.cancel_scope.cancel()


async def _end_at_signals(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


class _InputLines:
    """The lines of stdin, as far as they are no longer than a message may be."""

    def __init__(self) -> None:
        self._pieces = InputPieces(partial(os.read, sys.stdin.fileno(), _PIECE))

    async def __aiter__(self) -> AsyncIterator[str]:
        rest, is_lost = bytearray(), False
        while piece := await self._pieces.next():
            *lines, last = piece.split(b"\n")
            for line in lines:
                yield _TOO_LONG if is_lost else (rest + line).decode("utf-8", "replace")
                rest, is_lost = bytearray(), False
            rest += last
            if len(rest) > _LONGEST:
                rest, is_lost = bytearray(), True
        if rest:
            yield rest.decode("utf-8", "replace")
