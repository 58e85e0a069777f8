"""The server: real HTTP/1.1 on loopback, one thread per connection, in every shape.

Left out: TLS, HTTP/2, and all functions of a provider besides answers.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast

from pagefault.models import Completion
from pagefault.testing.providers.shapes import WIRES, key_of, shape_of
from pagefault.testing.providers.turns import Body, Delivery, ProviderRequest, RawReply, Refused, Turn, refuse

__all__ = ["KEY", "ProviderServer"]

KEY = "test-key-0123456789"
_LINGER_NOT = struct.pack("ii", 1, 0)  # a close that resets the connection


class ProviderServer:
    """Serves while its ``with`` block is open. ``turns`` are a list, one per request, or a function of the
    request; after the end of a list it answers "ok".

    ``serves`` has the server's description of itself by path (``/v1/models``, ``/props``,
    ``/api/v0/models``, ``/api/ps``, ``/api/tags``; ``/tokenize`` as a function of what is posted), and may be
    changed at any time; other paths are not found. ``seen`` are the requests, with their ``requests`` (bodies
    as JSON values), ``bodies`` (as bytes), ``keys`` and ``headers``; ``looked_up`` are the requested paths of
    ``serves``. ``left`` is released once for each stream that the client closed before its end.
    """

    def __init__(
        self,
        turns: Sequence[Turn] | Callable[[ProviderRequest], Turn] = (),
        *,
        serves: Mapping[str, Body | Callable[[Body], Body]] | None = None,
        port: int = 0,
    ) -> None:
        self._turns = turns if callable(turns) else list(turns)
        self._lock = threading.Lock()
        self._server = _Listener(port, self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.root = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.root}/v1"
        self.serves = dict(serves or {})
        self.seen: list[ProviderRequest] = []
        self.looked_up: list[str] = []
        self.left = threading.Semaphore(0)

    @property
    def requests(self) -> list[Body]:
        return [request.body for request in self.seen]

    @property
    def bodies(self) -> list[bytes]:
        return [request.raw for request in self.seen]

    @property
    def keys(self) -> list[str]:
        return [request.key for request in self.seen]

    @property
    def headers(self) -> list[Mapping[str, str]]:
        return [request.headers for request in self.seen]

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point ``openai:``, ``anthropic:``, ``google:``, ``ollama:`` and the
        local providers to this server."""
        local = {f"{name}_BASE_URL": self.url for name in ("OPENAI", "VLLM", "LLAMACPP", "LMSTUDIO")}
        own = {"ANTHROPIC_BASE_URL": self.root, "GEMINI_BASE_URL": self.root, "OLLAMA_HOST": self.root}
        return local | own | {f"{name}_API_KEY": KEY for name in ("OPENAI", "ANTHROPIC", "GEMINI")}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reply(self, request: ProviderRequest) -> RawReply:
        """Record a request and choose its answer."""
        with self._lock:
            self.seen.append(request)
            turn = self._turns if callable(self._turns) else self._next()
        return _reply(turn, request)

    def _next(self) -> Turn:
        assert not callable(self._turns)
        return self._turns.pop(0) if self._turns else Completion("ok")


def _reply(turn: Turn, request: ProviderRequest) -> RawReply:
    """Return the turn in the shape of the request."""
    while not isinstance(turn, Completion | Delivery | Refused | RawReply):
        turn = turn(request)
    wire = WIRES[request.shape]
    if isinstance(turn, Completion):
        turn = Delivery(turn)
    if isinstance(turn, Refused):
        return RawReply(status=turn.status, body=wire.refusal(turn), headers=turn.headers)
    if isinstance(turn, RawReply):
        return turn
    if not request.stream:
        return RawReply(body=wire.whole(turn))
    chunks = wire.chunks(turn)
    if turn.cut:
        chunks = chunks[: len(chunks) // 2 + 1]
    return RawReply(tuple(chunks), cut=turn.cut, held=turn.held)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # connections that wait while the machine is busy

    def __init__(self, port: int, owner: ProviderServer) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.owner = owner

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the exception of a request, but for a client that closed its connection."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def _owner(self) -> ProviderServer:
        return cast("_Listener", self.server).owner

    def do_GET(self) -> None:
        self._owner.looked_up.append(self.path)
        self._describe()

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        shape = shape_of(self.path)
        if shape is None:
            self._owner.looked_up += [self.path] if self.path in self._owner.serves else []
            return self._describe(raw)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = ProviderRequest(self.path, shape, raw, headers, key_of(headers))
        reply = self._owner.reply(request)
        try:
            if reply.is_stream:
                self._stream(reply, request)
            else:
                self._send(reply)
        except OSError:
            self.close_connection = True
            self._owner.left.release()

    def _describe(self, posted: bytes = b"{}") -> None:
        found = self._owner.serves.get(self.path.partition("?")[0])
        found = found(json.loads(posted)) if callable(found) else found
        nothing = WIRES["openai"].refusal(refuse(404, f"No such path: {self.path}"))
        self._send(RawReply(body=nothing, status=404) if found is None else RawReply(body=found))

    def _send(self, reply: RawReply) -> None:
        raw = isinstance(reply.body, bytes)
        data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        headers = {"content-type": "text/html" if raw else "application/json", **reply.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, reply: RawReply, request: ProviderRequest) -> None:
        wire = WIRES[request.shape]
        if reply.reset and not reply.chunks:
            return self._reset()
        self.send_response(200)
        self.send_header("content-type", wire.kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in reply.chunks:
            self._write(chunk if isinstance(chunk, bytes) else wire.frame(chunk))
        if reply.held and not self.connection.recv(1):
            raise ConnectionResetError
        if reply.reset:
            return self._reset()
        if reply.cut:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if reply.done and wire.mark:
            self._write(wire.mark)
        self._write(b"")

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.connection.close()

    def _write(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""
