"""Exporters by OpenTelemetry's standard variables: without an endpoint, none is made and nothing is sent.

``OTEL_EXPORTER_OTLP_ENDPOINT`` (or that of traces or metrics alone) names the collector; what else the SDK
reads (headers, sampling, intervals, resource attributes) holds as its documentation says. Only OTLP over HTTP
is spoken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opentelemetry.metrics import MeterProvider as AnyMeterProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NoOpTracerProvider
from opentelemetry.trace import TracerProvider as AnyTracerProvider

from pagefault import __version__
from pagefault.errors import UsageError
from pagefault.telemetry.spans import OpenTelemetry

__all__ = ["observer_from"]

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""The standard variable that has messages, queries and records recorded; off unless it is true."""

_ENDPOINT = "OTEL_EXPORTER_OTLP_{}ENDPOINT"


def observer_from(environment: Mapping[str, str]) -> tuple[OpenTelemetry | None, Callable[[], None]]:
    """Return the observer that the variables set, None if they name no endpoint, and what flushes and closes
    its exporters (it blocks for some seconds at most). ``UsageError`` for another protocol than HTTP."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None, lambda: None
    ends: list[Callable[[], None]] = []
    tracing = _tracing(ends) if _is_set(environment, "TRACES") else None
    metering = _metering(ends) if _is_set(environment, "METRICS") else None
    if tracing is None and metering is None:
        return None, lambda: None
    content = environment.get(CONTENT, "").lower() in ("true", "1", "span_only", "span_and_event")
    observer = OpenTelemetry(
        tracing or NoOpTracerProvider(), metering or NoOpMeterProvider(), content=content
    )

    def close() -> None:
        for end in ends:
            end()

    return observer, close


def _is_set(environment: Mapping[str, str], signal: str) -> bool:
    """Return whether an exporter of this signal is asked for."""
    if environment.get(f"OTEL_{signal}_EXPORTER", "otlp").lower() == "none":
        return False
    names = _ENDPOINT.format(""), _ENDPOINT.format(f"{signal}_")
    if not any(environment.get(name) for name in names):
        return False
    general = environment.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    protocol = environment.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", general)
    if protocol != "http/protobuf":
        raise UsageError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}, and telemetry is sent as http/protobuf alone; unset "
            "it and name the HTTP port of the collector (usually 4318)."
        )
    return True


def _tracing(ends: list[Callable[[], None]]) -> AnyTracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=_resource())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    ends.append(provider.shutdown)
    return provider


def _metering(ends: list[Callable[[], None]]) -> AnyMeterProvider:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=_resource())
    ends.append(provider.shutdown)
    return provider


def _resource() -> Resource:
    """The resource that the variables set; without a name the service is called pagefault."""
    made = Resource.create({"service.version": __version__})
    if str(made.attributes.get("service.name", "")).startswith("unknown_service"):
        made = made.merge(Resource({"service.name": "pagefault"}))
    return made
