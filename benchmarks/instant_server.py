"""A server that answers at once, in a process of its own, so that its CPU is not the client's.

It reads a request and sends the same ``send_message`` call back, streamed as OpenAI, Anthropic or Ollama
would, whichever path is asked for; only the call's id differs. It takes as little of the machine as it can.
Left out: reading what the request says (``pagefault.testing.providers`` is the server that does).

    python benchmarks/instant_server.py [TIMES]     # prints its port; ends when its standard input does

With ``TIMES`` the answer is plain text, the reply so many times: a long stream.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

from pagefault.models import Completion
from pagefault.testing.models import say
from pagefault.testing.providers import Delivery, Shape
from pagefault.testing.providers.shapes import WIRES, shape_of

REPLY = "Noted: you live in Porto now, with Clara; shall I remind you of the piano tuner on Thursday?"
PIECE = 4  # characters of the arguments in one event: about a token, as providers stream
_ID = "call_00000000"
_SHAPES: tuple[Shape, ...] = ("openai", "anthropic", "ollama")


def _response(shape: Shape) -> bytes:
    """The answer as one piece of HTTP, an event to a chunk."""
    wire = WIRES[shape]
    call = Completion(calls=(replace(say(REPLY), id=_ID),))
    answer = Delivery(Completion(REPLY * int(sys.argv[1])) if sys.argv[1:] else call, piece=PIECE)
    events = [*map(wire.frame, wire.chunks(answer)), *([wire.mark] if wire.mark else [])]
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {wire.kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%s\r\n" % (len(event), event) for event in events) + b"0\r\n\r\n"


@cache
def _answers() -> dict[Shape, bytes]:
    return {shape: _response(shape) for shape in _SHAPES}


_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"


class _Connection(asyncio.Protocol):
    """One client; its requests one after another."""

    answered = 0  # over all connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._read = bytearray()
        self._ends = 0  # length of the request that is being read; 0: not known yet

    def data_received(self, data: bytes) -> None:
        self._read += data
        if not self._ends and (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._read[:end]).lower()
            _, _, rest = head.partition(b"\r\ncontent-length:")
            self._ends = end + 4 + int(rest.partition(b"\r\n")[0] or 0)
            self._shape: Shape | None = shape_of(head.split(b" ", 2)[1].decode())
        if self._ends and len(self._read) >= self._ends:
            del self._read[: self._ends]
            self._ends = 0
            _Connection.answered += 1
            answer = _answers().get(self._shape, _NOT_FOUND) if self._shape else _NOT_FOUND
            self._transport.write(answer.replace(_ID.encode(), b"call_%08d" % _Connection.answered))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def instant_server(times: int = 0) -> Iterator[str]:
    """The server while the block is open; gives ``http://127.0.0.1:PORT``."""
    command = [sys.executable, __file__, *([str(times)] if times else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        watchdog = threading.Timer(900, process.kill)
        watchdog.start()
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            watchdog.cancel()
            process.stdin.close()


if __name__ == "__main__":
    asyncio.run(_serve())
