"""A server of tools as a process of ours: its lines are read within bounds, and it ends with us.

It is started by the ``guard``, which ends it when this process is gone. Of the environment it gets what any
program needs, and what its settings name. Its standard error is read slowly, and its end is kept for errors.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from anyio.abc import AsyncResource, Process
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from pagefault.quoting import in_texts, inline, whole
from pagefault.tool_servers import guard
from pagefault.tool_servers.gate import LARGEST_MESSAGE, Gate, ServerFault

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams
    from mcp.shared.message import SessionMessage
    from mcp_types import JSONRPCMessage

__all__ = ["Command", "LastWords", "stdio_streams"]

_INHERITED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT",
    "APPDATA", "LOCALAPPDATA", "PATHEXT", "TEMP", "TMP", "USERPROFILE",
)  # fmt: skip
_CHUNK = 65_536
_ERRORS_RATE = 0.05  # seconds between two chunks of standard error
_PATIENCE = 0.8  # seconds until a server whose input has ended is ended by the guard
_LAST = 3.0  # seconds for the end itself; whatever is left is the guard's business


@dataclass(frozen=True, slots=True)
class Command:
    """The command line of a server; ``env``: what it gets beside what any program needs."""

    command: str
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    cwd: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {name: os.environ[name] for name in _INHERITED if name in os.environ} | dict(self.env)


class LastWords:
    """The end of what a server wrote on standard error."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque(maxlen=2)

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk[-2_000:])

    def __str__(self) -> str:
        lines = b"".join(self._chunks).decode("utf-8", "replace").strip().splitlines()
        return inline(lines[-1], 300) if lines else ""


@asynccontextmanager
async def stdio_streams(command: Command, gate: Gate, words: LastWords) -> AsyncGenerator[TransportStreams]:
    """Start the server; give the streams of messages from it and to it. ``ServerFault`` if it cannot be."""
    lifeline, held = os.pipe() if os.name == "posix" else (-1, -1)
    try:
        process = await _start(command, lifeline)
    except (OSError, ValueError) as error:
        _close(lifeline, held)
        why = getattr(error, "strerror", None) or error
        raise ServerFault(f"{command.command} cannot be started: {why}") from None
    _close(lifeline)
    to_client, from_server = anyio.create_memory_object_stream["SessionMessage | Exception"](0)
    to_server, from_client = anyio.create_memory_object_stream["SessionMessage"](0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_read, process, to_client, gate)
        tasks.start_soon(_write, process, from_client, gate)
        tasks.start_soon(_listen_to_errors, process, words)
        try:
            yield from_server, to_server
        finally:
            gate.is_ending = True
            try:
                with anyio.CancelScope(shield=True):
                    await _stop(process, held)
            finally:
                for stream in (to_client, from_server, to_server, from_client):
                    stream.close()
                tasks.cancel_scope.cancel()


async def _start(command: Command, lifeline: int) -> Process:
    wanted, passed = [command.command, *command.args], ()
    if lifeline >= 0:
        wanted = [sys.executable, "-I", "-S", guard.__file__, str(lifeline), *wanted]
        passed = (lifeline,)
    return await anyio.open_process(
        wanted, env=command.environment, cwd=command.cwd, stderr=subprocess.PIPE, pass_fds=passed,
        start_new_session=True,
    )  # fmt: skip


async def _read(
    process: Process, to_client: MemoryObjectSendStream[SessionMessage | Exception], gate: Gate
) -> None:
    """Pass on what the server writes, line by line, until its end or a fault."""
    assert process.stdout
    line, why = bytearray(), "it ended"
    try:
        while True:
            chunk = await process.stdout.receive(_CHUNK)
            *whole, rest = chunk.split(b"\n")
            for piece in whole:
                line += piece
                await _deliver(bytes(line), to_client, gate)
                line.clear()
            line += rest
            if len(line) > LARGEST_MESSAGE:
                gate.check(line)
    except ServerFault as fault:
        why = str(fault)
    except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        pass
    gate.lost(why)
    to_client.close()


async def _deliver(
    line: bytes, to_client: MemoryObjectSendStream[SessionMessage | Exception], gate: Gate
) -> None:
    from mcp.shared.message import SessionMessage

    gate.check(line)
    if (message := _message(line)) is None:
        return gate.stumble(line)
    gate.admit(message, len(line))
    await to_client.send(SessionMessage(message))


def _message(line: bytes) -> JSONRPCMessage | None:
    """The message of a line, also with halves of characters, as programs that cut texts write them; None if
    it is none, as of a program that prints."""
    from mcp_types import jsonrpc_message_adapter

    with suppress(ValueError):
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    with suppress(ValueError, RecursionError):
        value = in_texts(whole, json.loads(line.decode("utf-8", "replace")))
        return jsonrpc_message_adapter.validate_python(value, by_name=False)
    return None


async def _write(
    process: Process, from_client: MemoryObjectReceiveStream[SessionMessage], gate: Gate
) -> None:
    assert process.stdin
    try:
        async for each in from_client:
            gate.sent(each.message)
            text = each.message.model_dump_json(by_alias=True, exclude_unset=True)
            await process.stdin.send(text.encode() + b"\n")
    except (anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        gate.lost("it takes no more requests")


async def _listen_to_errors(process: Process, words: LastWords) -> None:
    """Keep the end of what comes; whoever writes much waits."""
    assert process.stderr
    with suppress(anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError, OSError):
        while True:
            words.add(await process.stderr.receive(_CHUNK))
            await anyio.sleep(_ERRORS_RATE)


async def _stop(process: Process, held: int) -> None:
    """End the input, which ends a good server; then the guard ends it, and would do so without us."""
    stdin, *outputs = process.stdin, process.stdout, process.stderr
    try:
        await _close_stream(stdin)
        await _has_ended(process, _PATIENCE)
    finally:
        _close(held)  # the guard's sign
        if held < 0 and process.returncode is None:
            process.kill()
    await _has_ended(process, _LAST)
    for stream in outputs:
        await _close_stream(stream)
    transport = getattr(getattr(process, "_process", None), "_transport", None)
    if transport is not None and process.returncode is not None:  # it would kill the guard
        with suppress(PermissionError):
            transport.close()


async def _close_stream(stream: AsyncResource | None) -> None:
    with suppress(OSError, anyio.ClosedResourceError, anyio.BrokenResourceError):
        if stream:
            await stream.aclose()


async def _has_ended(process: Process, seconds: float) -> bool:
    """Return whether the process ends in time; not by ``wait``, which waits for the ends of its pipes too."""
    until = anyio.current_time() + seconds
    while process.returncode is None and anyio.current_time() < until:  # noqa: ASYNC110
        await anyio.sleep(0.01)
    return process.returncode is not None


def _close(*descriptors: int) -> None:
    for each in descriptors:
        if each >= 0:
            os.close(each)
