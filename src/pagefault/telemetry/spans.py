"""OpenTelemetry: an observer that makes a span of each turn, request, call and search, and measures requests.

The providers of traces and metrics are the program's, by default those that it has set for the whole process:
without any, nothing is recorded. A turn continues the trace of whoever posted its event; what a tool or a
client library records is within the span of the call or the request. Left out: exporters (``exporting``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from opentelemetry import context as current
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pagefault import __version__
from pagefault.message_meta import Usage
from pagefault.observing import (
    Activity,
    Ending,
    ObservedCall,
    ObservedRequest,
    ObservedSearch,
    ObservedTurn,
)
from pagefault.telemetry import conventions
from pagefault.telemetry.conventions import Attributes

__all__ = ["OpenTelemetry"]

_TRACE_CONTEXT = TraceContextTextMapPropagator()
_TURN = current.create_key("pagefault-turn")
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
# The boundaries that the conventions recommend.


@dataclass(slots=True)
class _Turn:
    """The turn within which others are recorded: its agent, and what its requests have used."""

    agent: Attributes
    input: int = 0
    output: int = 0

    def add(self, usage: Usage | None) -> None:
        if usage:
            self.input += usage.input
            self.output += usage.output


class OpenTelemetry:
    """Records spans and metrics. ``content``: with messages, queries, arguments, results and records too,
    which may say anything that people and agents said."""

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        content: bool = False,
    ) -> None:
        self._content = content
        self.tracer_provider = tracer_provider or trace.get_tracer_provider()
        self._tracer = trace.get_tracer("pagefault", __version__, tracer_provider)
        meter = metrics.get_meter("pagefault", __version__, meter_provider)
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Number of input and output tokens used.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )  # fmt: skip
        self._seconds = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", "GenAI operation duration.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )  # fmt: skip

    def trace(self) -> str:
        """Return the ``traceparent`` of the current span."""
        carrier: dict[str, str] = {}
        _TRACE_CONTEXT.inject(carrier)
        return carrier.get("traceparent", "")

    def begin(self, activity: Activity) -> Callable[[Ending], None]:
        """Begin a span, within which all is that this task does until it ends."""
        match activity:
            case ObservedTurn():
                return self._turn(activity)
            case ObservedRequest():
                return self._request(activity)
            case ObservedCall():
                return self._call(activity)
            case ObservedSearch():
                return self._search(activity)

    def _turn(self, turn: ObservedTurn) -> Callable[[Ending], None]:
        attributes, state = conventions.turn_attributes(turn), _Turn(_agent_of(turn))
        parent = _TRACE_CONTEXT.extract({"traceparent": turn.event.trace}, Context())
        parent = current.set_value(_TURN, state, parent)
        end = self._span(f"invoke_agent {turn.name}", SpanKind.INTERNAL, attributes, parent)

        def ended(ending: Ending) -> None:
            used: Attributes = {
                "gen_ai.usage.input_tokens": state.input,
                "gen_ai.usage.output_tokens": state.output,
            }
            end(ending, {"pagefault.turn.state": ending.state or "interrupted", **used})

        return ended

    def _request(self, request: ObservedRequest) -> Callable[[Ending], None]:
        model, turn, begun = conventions.model_attributes(request.model), _current_turn(), time.monotonic()
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            **model,
            **(turn.agent if turn else {}),
            "gen_ai.conversation.id": str(request.agent),
            "gen_ai.request.stream": True,
            "gen_ai.request.max_tokens": request.prompt.max_tokens,
        }
        if self._content:
            attributes |= conventions.prompt_content(request)
        name = f"chat {model['gen_ai.request.model']}"
        end = self._span(name, SpanKind.CLIENT, attributes)

        def ended(ending: Ending) -> None:
            made, more = ending.completion, conventions.answer_attributes(ending)
            if turn and made:
                turn.add(made.usage)
            self._measure(model, more, ending, time.monotonic() - begun)
            if self._content and made:
                more |= conventions.completion_content(made)
            end(ending, more)

        return ended

    def _measure(self, model: Attributes, answer: Attributes, ending: Ending, seconds: float) -> None:
        labels: Attributes = {"gen_ai.operation.name": "chat", **model}
        if "gen_ai.response.model" in answer:
            labels["gen_ai.response.model"] = answer["gen_ai.response.model"]
        failed: Attributes = {"error.type": ending.error} if ending.error else {}
        self._seconds.record(seconds, {**labels, **failed})
        if ending.completion and (usage := ending.completion.usage):
            for kind, count in (("input", usage.input), ("output", usage.output)):
                self._tokens.record(count, {**labels, "gen_ai.token.type": kind})

    def _call(self, call: ObservedCall) -> Callable[[Ending], None]:
        turn = _current_turn()
        attributes = conventions.call_attributes(call) | (turn.agent if turn else {})
        if self._content:
            attributes["gen_ai.tool.call.arguments"] = call.arguments
        start = time.time_ns() - round(call.seconds * 1e9)
        end = self._span(f"execute_tool {call.function}", SpanKind.INTERNAL, attributes, start=start)

        def ended(ending: Ending) -> None:
            if memory := conventions.memory_attributes(call, ending):
                content = conventions.memory_content(call) if self._content else {}
                operation = str(memory["gen_ai.operation.name"])
                self._span(operation, SpanKind.INTERNAL, memory | content, start=start)(Ending(), {})
            end(ending, {"gen_ai.tool.call.result": ending.text} if self._content else {})

        return ended

    def _search(self, search: ObservedSearch) -> Callable[[Ending], None]:
        attributes, turn = conventions.search_attributes(search), _current_turn()
        attributes |= turn.agent if turn else {}
        if self._content:
            attributes["gen_ai.memory.query.text"] = search.query
        end = self._span("search_memory", SpanKind.INTERNAL, attributes)
        return lambda ending: end(ending, {"gen_ai.memory.record.count": ending.count})

    def _span(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        parent: Context | None = None,
        start: int | None = None,
    ) -> Callable[[Ending, Attributes], None]:
        """Begin a span and make it the current one; what ends it takes its last attributes."""
        span: Span = self._tracer.start_span(name, parent, kind, attributes, start_time=start)
        token = current.attach(trace.set_span_in_context(span, parent))

        def end(ending: Ending, more: Attributes) -> None:
            current.detach(token)
            span.set_attributes(cast("Mapping[str, str]", more))
            if ending.error:
                span.set_attribute("error.type", ending.error)
                span.set_status(Status(StatusCode.ERROR))
            span.end()

        return end


def _agent_of(turn: ObservedTurn) -> Attributes:
    return {"gen_ai.agent.id": str(turn.agent), "gen_ai.agent.name": turn.name}


def _current_turn() -> _Turn | None:
    turn = current.get_value(_TURN)
    return turn if isinstance(turn, _Turn) else None
