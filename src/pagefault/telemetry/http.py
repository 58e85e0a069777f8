"""Telemetry of HTTP requests, as plain ASGI: a span that continues the caller's trace, and counts.

An event that is posted within the span keeps its trace, so that the turn is a part of it in whichever process
it is run. The query of a URL and bodies are not recorded.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, cast

from opentelemetry import context as current
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pagefault import __version__
from pagefault.telemetry.prometheus import Prometheus

__all__ = ["Tracing"]

Scope = MutableMapping[str, Any]
"""The scope of an ASGI connection."""

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
"""The receiving side of one."""

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
"""The sending side of one."""

_TRACE_CONTEXT = TraceContextTextMapPropagator()
_CONTINUED = ("traceparent", "tracestate")
_UNKNOWN = "(unknown)"  # paths that no route has could be any


class Tracing:
    """An application with telemetry of its requests. Without a ``tracer_provider`` no span is made;
    ``counts``: the metrics to count in, if any."""

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        tracer_provider: TracerProvider | None = None,
        counts: Prometheus | None = None,
    ) -> None:
        self._app = app
        self._tracer = tracer_provider and trace.get_tracer("pagefault.server", __version__, tracer_provider)
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        begun, status = time.monotonic(), 0

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        span = self._begin(scope)
        token = current.attach(trace.set_span_in_context(span)) if span else None
        try:
            await self._app(scope, receive, watched)
        finally:
            if token:
                current.detach(token)
            route = _route_of(scope)
            if span:
                _end(span, scope["method"], route, status)
            if self._counts:
                self._counts.http(scope["method"], route, status, time.monotonic() - begun)

    def _begin(self, scope: Scope) -> Span | None:
        if self._tracer is None:
            return None
        headers = cast("Iterable[tuple[bytes, bytes]]", scope["headers"])
        named = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
        carrier = {name: value for name, value in named if name in _CONTINUED}
        parent = _TRACE_CONTEXT.extract(carrier, Context())
        method, path = scope["method"], scope["path"]
        attributes = {"http.request.method": method, "url.path": path, "url.scheme": scope["scheme"]}
        return self._tracer.start_span(method, parent, SpanKind.SERVER, attributes)


def _route_of(scope: Scope) -> str:
    """The whole pattern of the path; a router of FastAPI that is included in another has it apart."""
    whole = scope.get("fastapi", {}).get("effective_route_context")
    return getattr(whole, "path", "") or getattr(scope.get("route"), "path", _UNKNOWN)


def _end(span: Span, method: str, route: str, status: int) -> None:
    if route != _UNKNOWN:
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    if status >= 500 or not status:
        span.set_attribute("error.type", str(status or "interrupted"))
        span.set_status(Status(StatusCode.ERROR))
    span.end()
