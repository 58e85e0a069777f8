"""The cost of observers in a turn: none, Prometheus, OpenTelemetry, both; spans are batched and then dropped.

A turn is one of ``turn_overhead.py``: a message and an answer, or a chain of five calls, on a SQLite file
with a model in the process. CPU is that of the process, the thread that batches spans included.

    python benchmarks/observer_cost.py [--turns 400] [--repeats 5]

Left out: sending spans to a collector, and scraping.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from pagefault.observing import Observer
from pagefault.telemetry import OpenTelemetry, Prometheus
from turn_overhead import CHAIN, SPEAK, compare, measure


class Dropping(SpanExporter):
    """Takes spans and drops them."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002
        return SpanExportResult.SUCCESS


def tracing(*, content: bool = False) -> OpenTelemetry:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Dropping()))
    return OpenTelemetry(provider, NoOpMeterProvider(), content=content)


OBSERVERS: dict[str, Callable[[], tuple[Observer, ...]]] = {
    "no observer": lambda: (),
    "Prometheus": lambda: (Prometheus(),),
    "OpenTelemetry": lambda: (tracing(),),
    "OpenTelemetry with content": lambda: (tracing(content=True),),
    "Prometheus and OpenTelemetry": lambda: (Prometheus(), tracing()),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--turns", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for what, calls, turns in (("one call", SPEAK, given.turns), ("chain of 5", CHAIN, given.turns // 4)):
            print(f"{what + ', ms':<54}{'CPU':>9}{'p50':>9}{'p95':>9}{'turns/s':>9}")
            case = partial(measure, Path(folder), turns=turns, calls=calls)
            cases = {name: partial(case, observers=make()) for name, make in OBSERVERS.items()}
            compare(given.repeats, cases)
    return 0


if __name__ == "__main__":
    sys.exit(main())
