"""Prometheus: an observer that counts and times, and the exposition of its metrics as text.

No label has a name that people or models choose without bound: functions are those of pagefault and of the
program, models those of settings. Several processes of one server share their metrics through the folder
``PROMETHEUS_MULTIPROC_DIR``, as the client library's documentation says. Left out: scraping and alerts
(docs/observability.md).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import (
    MultiProcessCollector,
    mark_process_dead,  # pyright: ignore[reportUnknownVariableType]
)

from pagefault.observing import (
    Activity,
    Ending,
    ObservedCall,
    ObservedRequest,
    ObservedSearch,
    ObservedTurn,
)

__all__ = ["CONTENT_TYPE", "SHARED", "Prometheus", "forget_process"]

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The variable that names the folder in which several processes share their metrics, set before this module
is imported."""

CONTENT_TYPE = CONTENT_TYPE_LATEST
"""The media type of the exposition."""

_TURN = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
_REQUEST = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
_SHORT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


def forget_process(pid: int | None) -> None:
    """Leave out what a process that has ended said of the moment; its counts stay."""
    if os.environ.get(SHARED) and pid is not None:
        mark_process_dead(pid)


class Prometheus:
    """Counts turns, requests to models, tokens, calls, searches and HTTP requests, in its own registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry or CollectorRegistry()
        self._turns = self._counter("turns", "Turns that ended here, by how.", "state", "error")
        self._turn_seconds = self._times("turn", "Of a turn.", _TURN)
        self._open = self._gauge("open_turns", "Turns that are open here now.", "livesum")
        self._requests = self._counter(
            "model_requests", "Requests to models, retries not counted.", "model", "error"
        )
        self._request_seconds = self._times("model_request", "Until the whole completion.", _REQUEST, "model")
        self._first_seconds = self._times("model_first_piece", "Until its first piece.", _REQUEST, "model")
        self._tokens = self._counter(
            "tokens", "As reported; input includes cached and written, output thinking.", "model", "type"
        )
        self._calls = self._counter("function_calls", "Calls of functions.", "function", "error")
        self._call_seconds = self._times("function", "Of a call.", _SHORT, "kind")
        self._search_seconds = self._times("search", "Of a search.", _SHORT, "tier")
        self._waiting = self._gauge(
            "agents_waiting", "Agents with an event that waits or an unfinished turn.", "mostrecent"
        )
        self._http = self._counter("http_requests", "HTTP requests.", "method", "route", "status")
        self._http_seconds = self._times(
            "http_request", "Of an HTTP request, a stream to its end.", _TURN, "route"
        )

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"pagefault_{name}", about, labels, registry=self._registry)

    def _times(self, of: str, about: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"pagefault_{of}_seconds", about, labels, buckets=buckets, registry=self._registry)

    def _gauge(self, name: str, about: str, mode: Literal["livesum", "mostrecent"]) -> Gauge:
        """``mode``: how several processes are put together."""
        return Gauge(f"pagefault_{name}", about, registry=self._registry, multiprocess_mode=mode)

    def exposition(self) -> bytes:
        """Return the metrics as text, of all processes of a server if they share a folder."""
        if not os.environ.get(SHARED):
            return generate_latest(self._registry)
        shared = CollectorRegistry()
        MultiProcessCollector(shared)
        return generate_latest(shared)

    def waiting(self, agents: int) -> None:
        """Note the number of agents that wait."""
        self._waiting.set(agents)

    def http(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered; ``route`` is the pattern of its path."""
        self._http.labels(method, route, str(status)).inc()
        self._http_seconds.labels(route).observe(seconds)

    def trace(self) -> str:
        """Return nothing: metrics have no trace."""
        return ""

    def begin(self, activity: Activity) -> Callable[[Ending], None]:
        """Time an activity, and count it when it ends."""
        begun = monotonic()
        if isinstance(activity, ObservedTurn):
            self._open.inc()
        return lambda ending: self._ended(activity, ending, monotonic() - begun)

    def _ended(self, activity: Activity, ending: Ending, seconds: float) -> None:
        match activity:
            case ObservedTurn():
                self._open.dec()
                self._turns.labels(ending.state or "interrupted", ending.error).inc()
                self._turn_seconds.observe(seconds)
            case ObservedRequest():
                self._requested(activity.model, ending, seconds)
            case ObservedCall():
                unknown = ending.error == "invalid"  # a model may write any name
                self._calls.labels("" if unknown else activity.function, ending.error).inc()
                self._call_seconds.labels(activity.kind).observe(seconds + activity.seconds)
            case ObservedSearch():
                self._search_seconds.labels(activity.tier).observe(seconds)

    def _requested(self, asked: str, ending: Ending, seconds: float) -> None:
        made = ending.completion
        model = (made and made.target) or asked
        self._requests.labels(model, ending.error).inc()
        self._request_seconds.labels(model).observe(seconds)
        if made is None:
            return
        self._first_seconds.labels(model).observe(ending.first)
        if usage := made.usage:
            counts = (
                ("input", usage.input), ("output", usage.output), ("cached", usage.cached),
                ("written", usage.written), ("thinking", usage.thinking),
            )  # fmt: skip
            for kind, count in counts:
                self._tokens.labels(model, kind).inc(count)
