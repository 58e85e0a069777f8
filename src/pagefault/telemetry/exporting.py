"""Exporters by OpenTelemetry's standard variables: without an endpoint, none is made and nothing is sent.

``OTEL_EXPORTER_OTLP_ENDPOINT`` (or that of traces or metrics alone) names the collector; what else the SDK
reads (headers, sampling, intervals, resource attributes) holds as its documentation says. Only OTLP over HTTP
is spoken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from opentelemetry.metrics import MeterProvider as AnyMeterProvider
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NoOpTracerProvider
from opentelemetry.trace import TracerProvider as AnyTracerProvider

from pagefault import __version__
from pagefault.errors import UsageError
from pagefault.observing import Observer
from pagefault.telemetry.prometheus import Prometheus
from pagefault.telemetry.spans import OpenTelemetry

__all__ = ["Telemetry", "telemetry_of"]

CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""The standard variable that has messages, queries and records recorded; off unless it is true."""

_ENDPOINT = "OTEL_EXPORTER_OTLP_{}ENDPOINT"


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The telemetry of a process: counts for Prometheus always, OpenTelemetry if an endpoint is set."""

    prometheus: Prometheus = field(default_factory=Prometheus)
    opentelemetry: OpenTelemetry | None = None
    closing: tuple[Callable[[], None], ...] = ()

    @property
    def observers(self) -> tuple[Observer, ...]:
        """The observers to give to a kernel (``assembly.Parts``)."""
        return (self.prometheus, self.opentelemetry) if self.opentelemetry else (self.prometheus,)

    def close(self) -> None:
        """Send what is left and close the exporters; blocks for some seconds at most."""
        for close in self.closing:
            close()


def telemetry_of(environment: Mapping[str, str]) -> Telemetry:
    """Return the telemetry that the variables set. ``UsageError`` for another protocol than HTTP."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Telemetry()
    closing: list[Callable[[], None]] = []
    tracing = _tracing(closing) if _is_set(environment, "TRACES") else None
    metering = _metering(closing) if _is_set(environment, "METRICS") else None
    if tracing is None and metering is None:
        return Telemetry()
    content = environment.get(CONTENT, "").lower() in ("true", "1", "span_only", "span_and_event")
    observer = OpenTelemetry(
        tracing or NoOpTracerProvider(), metering or NoOpMeterProvider(), content=content
    )
    return Telemetry(opentelemetry=observer, closing=tuple(closing))


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


def _tracing(closing: list[Callable[[], None]]) -> AnyTracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=_resource())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    closing.append(provider.shutdown)
    return provider


def _metering(closing: list[Callable[[], None]]) -> AnyMeterProvider:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=_resource())
    closing.append(provider.shutdown)
    return provider


def _resource() -> Resource:
    """The resource that the variables set; without a name the service is called pagefault."""
    made = Resource.create({"service.version": __version__})
    if str(made.attributes.get("service.name", "")).startswith("unknown_service"):
        made = made.merge(Resource({"service.name": "pagefault"}))
    return made
