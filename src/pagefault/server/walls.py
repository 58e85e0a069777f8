"""Walls before all routes, as plain ASGI: the request's id, Host and Origin, the size of a body, the log
line.

A page of the web can make a browser post to the loopback, or make a name of its own lead there (DNS
rebinding); so a request must name this server as its host, and come from no other origin. CORS stays closed:
no origin is ever allowed. A body is cut where the server and the key of the request have their limits: of the
key when the first byte is asked for, which is before routes know their caller. Left out: that (``auth``)."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pagefault.containment import barrier
from pagefault.errors import PagefaultError
from pagefault.redaction import logger_of
from pagefault.server.auth import is_loopback
from pagefault.server.keys import DigestReader, body_limit
from pagefault.server.logs import request_id
from pagefault.server.options import ServerOptions
from pagefault.server.problems import Problem, Shapes, fault

__all__ = ["Walls"]

logger = logger_of(__name__)

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that are asked so often that the log has only their failures."""


@dataclass(slots=True)
class Walls:
    """The application behind the walls. ``shapes``: of the errors, as routes have them; ``readers``: of the
    keys that a request comes with."""

    app: ASGIApp
    options: ServerOptions
    shapes: Shapes
    readers: Sequence[DigestReader]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        request_id.set(id)  # each request has a task, and so a context, of its own
        watch = _Response(send, id)
        try:
            await self._answer(scope, headers, receive, watch)
        finally:
            _log(scope, watch)

    async def _answer(self, scope: Scope, headers: Headers, receive: Receive, send: _Response) -> None:
        try:
            self._check(scope, headers)
            limited = _Body(receive, self._most(headers), self._limit_of_key(scope))
            limited.declare(headers)
            with barrier():
                await self.app(scope, limited, send)
        except (Problem, PagefaultError) as error:
            if send.status:  # the response has begun
                raise
            cause = error.__cause__ or error
            problem = cause if isinstance(cause, Problem) else fault(cause)
            await self.shapes.respond(scope, problem)(scope, receive, send)

    def _most(self, headers: Mapping[str, str]) -> int:
        has_files = headers.get("content-type", "").startswith("multipart/form-data")
        return self.options.upload if has_files else self.options.body

    def _limit_of_key(self, scope: Scope) -> Callable[[], Awaitable[int | None]] | None:
        """The call that finds the limit of the key; None where no route reads a body."""
        is_read = scope["method"] not in ("GET", "HEAD")
        return partial(body_limit, Request(scope), self.readers) if is_read else None

    def _check(self, scope: Scope, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._is_ours(_host_of(f"//{host}")):
            raise Problem(
                421, "Unknown host",
                "This server is not known by the host of this request; start it with --allow-host NAME.",
            )  # fmt: skip
        origins = f"http://{host}", f"https://{host}"  # TLS may end at a proxy
        if headers.get("origin", origins[0]) not in origins:
            raise Problem(403, "Foreign origin", "Pages of other origins may not use this server.")
        crosses = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if crosses and headers.get("sec-fetch-mode") != "navigate":
            raise Problem(403, "Foreign origin", "Pages of other origins may not use this server.")
        if "transfer-encoding" in headers and "content-length" in headers:
            detail = "The request has two lengths; leave Content-Length or Transfer-Encoding out."
            raise Problem(400, "Wrong request", detail, {"connection": "close"})
        if "\0" in scope["path"] or b"%00" in scope.get("query_string", b""):
            raise Problem(400, "Wrong request", "The address has a NUL character; leave it out.")

    def _is_ours(self, host: str) -> bool:
        """Return whether a host names this server; behind another address than the loopback any does unless
        names were given, for there a key is needed that no page has."""
        options = self.options
        if host in _LOOPBACK or host in (options.host.lower(), *map(str.lower, options.hosts)):
            return True
        return bool(host) and not is_loopback(options.host) and not options.hosts


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


@dataclass(slots=True)
class _Body:
    """The receiving side, which ends with a ``Problem`` when a body is larger than ``most``, or than the
    limit ``of_key``, which is asked for once."""

    receive: Receive
    most: int
    of_key: Callable[[], Awaitable[int | None]] | None
    where: str = "here"
    declared: int = 0
    read: int = 0

    def declare(self, headers: Mapping[str, str]) -> None:
        """Take the size that the headers say: of a body that is too large nothing is read."""
        declared = headers.get("content-length", "")
        if declared.isascii() and declared.isdigit():
            self.declared = int(declared[:18])
        self._check()

    async def __call__(self) -> Message:
        if ask := self.of_key:
            self.of_key, limit = None, await ask()
            if limit is not None and limit < self.most:
                self.most, self.where = limit, "with this key"
                self._check()
        message = await self.receive()
        self.read += len(message.get("body", b""))
        self._check()
        return message

    def _check(self) -> None:
        if max(self.declared, self.read) > self.most:
            what = f"A request may have {self.most:,} bytes {self.where}; send less at once."
            raise Problem(413, "Too large", what)


class _Response:
    """The sending side, which adds the headers of every response and keeps the status."""

    __slots__ = ("began", "id", "send", "status")

    def __init__(self, send: Send, id: str) -> None:
        self.send, self.id, self.status, self.began = send, id, 0, time.perf_counter()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["x-request-id"] = self.id
            headers["x-content-type-options"] = "nosniff"
            headers.setdefault("cache-control", "no-store")
        await self.send(message)


def _log(scope: Scope, response: _Response) -> None:
    if scope["path"] in _QUIET and response.status < 400:
        return
    fields = {
        "method": scope["method"], "path": scope["path"], "status": response.status,
        "milliseconds": round((time.perf_counter() - response.began) * 1000, 1),
        **({"key": key} if (key := scope.get("state", {}).get("key")) else {}),
    }  # fmt: skip
    logger.info("request", extra={"fields": fields})
