"""A server that answers at once, in a process of its own, so that its CPU is not the client's.

It reads a request and sends the same ``send_message`` call back, streamed as OpenAI, Anthropic or Ollama
would, whichever path is asked for; only the call's id differs. Left out: reading what the request says.

    python benchmarks/instant_server.py     # prints its port; ends when its standard input does
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pagefault.testing.models import say

REPLY = "Noted: you live in Porto now, with Clara; shall I remind you of the piano tuner on Thursday?"
PIECE = 4  # characters of the arguments in one event: about a token, as providers stream
_ID = "call_00000000"
_ARGUMENTS = say(REPLY).arguments
_PIECES = [_ARGUMENTS[start : start + PIECE] for start in range(0, len(_ARGUMENTS), PIECE)]


def _openai() -> Iterator[str]:
    def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "instant"}
        return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}

    function = {"name": "send_message", "arguments": ""}
    opening = {"index": 0, "id": _ID, "type": "function", "function": function}
    events = [chunk(role="assistant", content=None), chunk(tool_calls=[opening])]
    events += [chunk(tool_calls=[{"index": 0, "function": {"arguments": piece}}]) for piece in _PIECES]
    events += [chunk("tool_calls")]
    for event in events:
        yield f"data: {json.dumps(event)}\n\n"
    yield "data: [DONE]\n\n"


def _anthropic() -> Iterator[str]:
    usage = {"input_tokens": 10, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "instant", "content": []}
    block = {"type": "tool_use", "id": _ID, "name": "send_message", "input": {}}
    events: list[dict[str, Any]] = [
        {
            "type": "message_start",
            "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage},
        },
        {"type": "content_block_start", "index": 0, "content_block": block},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "input_json_delta", "partial_json": piece},
            }
            for piece in _PIECES
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": len(_PIECES)},
        },
        {"type": "message_stop"},
    ]
    for event in events:
        yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"


def _ollama() -> Iterator[str]:
    function = {"name": "send_message", "arguments": json.loads(_ARGUMENTS)}
    message = {"role": "assistant", "content": "", "tool_calls": [{"id": _ID, "function": function}]}
    head = {"model": "instant", "created_at": "2026-01-01T00:00:00Z"}
    yield json.dumps({**head, "message": message, "done": False}) + "\n"
    end = {"role": "assistant", "content": ""}
    yield json.dumps({**head, "message": end, "done": True, "done_reason": "stop"}) + "\n"


def _response(kind: str, events: Iterator[str]) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    chunks = (b"%x\r\n%s\r\n" % (len(event.encode()), event.encode()) for event in events)
    return head + b"".join(chunks) + b"0\r\n\r\n"


_ANSWERS = {
    b"/chat/completions": _response("text/event-stream", _openai()),
    b"/messages": _response("text/event-stream", _anthropic()),
    b"/api/chat": _response("application/x-ndjson", _ollama()),
}
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
            self._path = head.split(b" ", 2)[1].partition(b"?")[0]
        if self._ends and len(self._read) >= self._ends:
            del self._read[: self._ends]
            self._ends = 0
            _Connection.answered += 1
            found = next((a for path, a in _ANSWERS.items() if self._path.endswith(path)), _NOT_FOUND)
            self._transport.write(found.replace(_ID.encode(), b"call_%08d" % _Connection.answered))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def instant_server() -> Iterator[str]:
    """The server while the block is open; gives ``http://127.0.0.1:PORT``."""
    command = [sys.executable, __file__]
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
