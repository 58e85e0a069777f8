"""Telemetry for programs that want it: OpenTelemetry spans and metrics, and metrics for Prometheus.

    conventions.py  the names of OpenTelemetry's conventions for generative AI
    spans.py        ``OpenTelemetry``: an observer that makes spans and metrics
    prometheus.py   ``Prometheus``: an observer that counts, and its exposition as text
    exporting.py    exporters as the standard variables set them; without an endpoint there is none
    http.py         the trace of a request, continued from its caller and to the turn

It needs the extra ``pagefault[server]``. Texts of people, agents and records are left out unless the program
asks for them, and nothing leaves the machine unless an exporter is set.
"""

from __future__ import annotations

from pagefault.telemetry.exporting import Telemetry, telemetry_of
from pagefault.telemetry.http import Tracing
from pagefault.telemetry.prometheus import Prometheus
from pagefault.telemetry.spans import OpenTelemetry

__all__ = ["OpenTelemetry", "Prometheus", "Telemetry", "Tracing", "telemetry_of"]
