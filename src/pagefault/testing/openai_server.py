"""A server of OpenAI's shape on loopback that says what it is told: real HTTP for tests of a client.

It streams scripted completions, answers with scripted bodies, and fails in the ways that servers do. The
request bodies it saw are kept. Left out: all paths but ``/chat/completions`` with ``stream`` and
``/embeddings``, whose turns are made by ``embeddings_server``.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from pagefault.models import Completion, Usage

__all__ = ["OpenAIServer", "Turn", "answer", "delta", "refuse"]

Body = dict[str, Any]

_PATHS = ("/chat/completions", "/embeddings")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one request gets: a ``body`` with ``status``, or else a stream of ``chunks``.

    A chunk that is a text is sent as it is. A stream that is ``cut`` ends without the end that HTTP
    requires; one that is ``held`` goes no further, until the client leaves.
    """

    chunks: tuple[Body | str, ...] = ()
    status: int = 200
    body: Body = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cut: bool = False
    held: bool = False


def delta(finish: str | None = None, **fields: Any) -> Body:
    """One chunk; ``fields`` are those of its delta (``content``, ``tool_calls`` ...)."""
    choice = {"index": 0, "delta": fields, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 0, "choices": [choice]}


def answer(completion: Completion, *, piece: int = 8, cut: bool = False, finish: str | None = "") -> Turn:
    """A completion as OpenAI streams it, ``piece`` characters a chunk.

    ``cut`` leaves out its second half; ``finish`` replaces the reason it gives for its end (None: none).
    """
    chunks = [delta(role="assistant", content="")]
    chunks += [delta(content=text) for text in _pieces(completion.text, piece)]
    for index, call in enumerate(completion.calls):
        head = {"index": index, "id": call.id, "type": "function"}
        chunks.append(delta(tool_calls=[{**head, "function": {"name": call.name, "arguments": ""}}]))
        for text in _pieces(call.arguments, piece):
            chunks.append(delta(tool_calls=[{"index": index, "function": {"arguments": text}}]))
    if cut:
        return Turn(tuple(chunks[: len(chunks) // 2 + 1]), cut=True)
    usual = "tool_calls" if completion.calls else "stop"
    chunks.append(delta(finish=usual if finish == "" else finish))
    if completion.usage:
        chunks.append({**delta(), "choices": [], "usage": _usage(completion.usage)})
    return Turn(tuple(chunks))


def refuse(status: int, message: str, *, code: str | None = None, **headers: str) -> Turn:
    """An error in OpenAI's shape; ``headers`` with underscores for hyphens, as ``retry_after="1"``."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Turn(status=status, body={"error": {"message": message, "code": code, "type": ""}}, headers=named)


def _pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _usage(usage: Usage) -> Body:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    }


class OpenAIServer:
    """Serves while its ``with`` block is open, at ``url``. ``turns`` are a list, one to a request, or a
    function of the request's body; after the end of a list it answers "ok".

    ``requests`` are the bodies as JSON values, ``bodies`` as bytes, ``keys`` what came as the key; ``left``
    is released once for each stream that the client left before its end.
    """

    def __init__(self, turns: Sequence[Turn] | Callable[[Body], Turn] = ()) -> None:
        self._turns = turns if callable(turns) else list(turns)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self.bodies: list[bytes] = []
        self.keys: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.left = threading.Semaphore(0)

    @property
    def requests(self) -> list[Body]:
        return [json.loads(body) for body in self.bodies]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next_turn(self, body: bytes, key: str) -> Turn:
        """Record a request and choose its answer."""
        self.bodies.append(body)
        self.keys.append(key)
        if callable(self._turns):
            return self._turns(json.loads(body))
        return self._turns.pop(0) if self._turns else answer(Completion("ok"))


def _handler(owner: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            key = self.headers.get("authorization", "").removeprefix("Bearer ")
            owner.headers.append({name.lower(): value for name, value in self.headers.items()})
            turn = owner.next_turn(body, key)
            if not self.path.endswith(_PATHS):
                turn = refuse(404, f"No such path: {self.path}")
            try:
                self._answer(turn) if turn.body or turn.status != 200 else self._stream(turn)
            except OSError:
                self.close_connection = True
                owner.left.release()

        def _answer(self, turn: Turn) -> None:
            data = json.dumps(turn.body).encode()
            self.send_response(turn.status)
            for name, value in turn.headers.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _stream(self, turn: Turn) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for chunk in turn.chunks:
                data = chunk if isinstance(chunk, str) else json.dumps(chunk)
                self._write(f"data: {data}\n\n".encode())
            if turn.held and not self.connection.recv(1):
                raise ConnectionResetError
            if turn.cut:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self._write(b"data: [DONE]\n\n")
            self._write(b"")

        def _write(self, data: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler
