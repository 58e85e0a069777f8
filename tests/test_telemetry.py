"""OpenTelemetry spans and metrics of a turn, by the conventions for generative AI, and Prometheus' metrics:
what is recorded, that content is not unless asked for, and that nothing is sent without an endpoint."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
import yaml
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from conftest import served
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import ModelUnavailable, UsageError
from pagefault.functions.tools import tool
from pagefault.kernel import Kernel
from pagefault.models import Completion, Model, Usage
from pagefault.observing import Observer
from pagefault.telemetry import OpenTelemetry, Prometheus, Telemetry, Tracing, telemetry_of
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event

pytestmark = pytest.mark.anyio

SECRET = "the code of the safe is 4711"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Recorded:
    """Spans and metrics, kept in memory."""

    def __init__(self, *, content: bool = False) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        tracing = TracerProvider()
        tracing.add_span_processor(SimpleSpanProcessor(self._spans))
        self.observer = OpenTelemetry(tracing, MeterProvider([self._metrics]), content=content)

    @property
    def spans(self) -> list[ReadableSpan]:
        return sorted(self._spans.get_finished_spans(), key=lambda span: (span.start_time or 0, span.name))

    def span(self, name: str) -> ReadableSpan:
        return [span for span in self.spans if span.name == name][-1]

    def tree(self) -> list[str]:
        """The names of the spans, each behind that of its parent."""
        names = {span.context.span_id: span.name for span in self.spans if span.context}
        above = [
            (names.get(span.parent.span_id, "?") if span.parent else "", span.name) for span in self.spans
        ]
        return sorted(f"{parent} > {name}" if parent else name for parent, name in above)

    def text(self) -> str:
        """All that was recorded, as text."""
        return " ".join(span.to_json() for span in self.spans)

    def points(self, metric: str) -> dict[str, float]:
        """The sums of a histogram, by the kind of token or the error."""
        data = self._metrics.get_metrics_data()
        found: dict[str, float] = {}
        for resource in data.resource_metrics if data else ():
            for each in (m for scope in resource.scope_metrics for m in scope.metrics if m.name == metric):
                for point in each.data.data_points:
                    labels: Any = point.attributes
                    kind = labels.get("gen_ai.token.type") or labels.get("error.type") or ""
                    found[kind] = found.get(kind, 0) + point.sum  # type: ignore[union-attr]
        return found


@tool
def safe(place: str) -> str:
    """The code of the safe."""
    with trace.get_tracer("of the tool").start_as_current_span("inside"):
        return f"{place}: {SECRET}"


@asynccontextmanager
async def opened(tmp_path: Path, model: Model, *observers: Observer) -> AsyncGenerator[Kernel]:
    parts = Parts(model=model, embedder=NullEmbedder(), tools=(safe,), observers=observers)
    async with open_kernel(tmp_path, parts, Installation()) as kernel:
        await kernel.create_agent("ana", parse_settings({"zone": "UTC", "model": "openai:gpt-4o-mini"}))
        yield kernel


def answers() -> ScriptedModel:
    return ScriptedModel(
        [
            Completion(
                "", (call("archival_insert", heartbeat=True, text=SECRET),), Usage(100, 20, 60, 10, 5),
                model="gpt-4o-mini-2024-07-18", target="openai:gpt-4o-mini",
            ),
            [call("recall_search", query=SECRET)],
            [call("safe", heartbeat=True, place=SECRET)],
            Completion("", (say(f"It is: {SECRET}"),), Usage(300, 40)),
        ]
    )  # fmt: skip


async def told(kernel: Kernel, event: Event | str) -> None:
    _ = [output async for output in kernel.send("ana", event)]


async def test_a_turn_is_a_tree_of_spans(tmp_path: Path) -> None:
    seen = Recorded()
    async with opened(tmp_path, answers(), seen.observer) as kernel:
        await told(kernel, f"Keep it: {SECRET}.")
    assert seen.tree() == [
        "execute_tool archival_insert > create_memory",
        "execute_tool recall_search > search_memory",
        "invoke_agent ana",
        *["invoke_agent ana > chat gpt-4o-mini"] * 4,
        "invoke_agent ana > execute_tool archival_insert",
        "invoke_agent ana > execute_tool recall_search",
        "invoke_agent ana > execute_tool safe",
        "invoke_agent ana > execute_tool send_message",
    ]
    turn, inserted = seen.span("invoke_agent ana"), seen.span("execute_tool archival_insert")
    assert dict(turn.attributes or {}) == {
        "gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini", "gen_ai.agent.id": "1", "gen_ai.agent.name": "ana",
        "gen_ai.conversation.id": "1", "pagefault.event.id": 1, "pagefault.event.kind": "message",
        "pagefault.turn.state": "done", "gen_ai.usage.input_tokens": 400, "gen_ai.usage.output_tokens": 60,
    }  # fmt: skip
    assert dict(inserted.attributes or {}) == {
        "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "archival_insert",
        "gen_ai.tool.type": "datastore", "gen_ai.tool.call.id": "c2", "gen_ai.agent.id": "1",
        "gen_ai.agent.name": "ana",
    }  # fmt: skip
    assert dict(seen.span("create_memory").attributes or {}) == {
        "gen_ai.operation.name": "create_memory", "gen_ai.memory.store.id": "1/archival",
        "gen_ai.memory.record.id": "p1", "gen_ai.memory.record.count": 1,
    }  # fmt: skip
    searched = dict(seen.span("search_memory").attributes or {})
    assert searched["gen_ai.memory.store.id"] == "1/recall"
    assert searched["gen_ai.memory.record.count"] == 0
    first = next(span for span in seen.spans if span.name == "chat gpt-4o-mini")
    asked = dict(first.attributes or {})
    assert asked.pop("gen_ai.response.time_to_first_chunk") > 0  # type: ignore[operator]
    assert asked.pop("gen_ai.request.max_tokens") == 1024
    assert asked == {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini", "gen_ai.agent.id": "1", "gen_ai.agent.name": "ana",
        "gen_ai.conversation.id": "1", "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": ("tool_calls",),
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18", "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20, "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.cache_creation.input_tokens": 10, "gen_ai.usage.reasoning.output_tokens": 5,
    }  # fmt: skip
    assert seen.points("gen_ai.client.token.usage") == {"input": 400, "output": 60}
    assert seen.points("gen_ai.client.operation.duration")[""] > 0


async def test_content_is_recorded_only_if_it_is_asked_for(tmp_path: Path) -> None:
    without, with_content = Recorded(), Recorded(content=True)
    async with opened(tmp_path, answers(), without.observer, with_content.observer) as kernel:
        await told(kernel, f"Keep it: {SECRET}.")
    assert SECRET not in without.text()
    for span, key in (
        ("chat gpt-4o-mini", "gen_ai.input.messages"),
        ("chat gpt-4o-mini", "gen_ai.output.messages"),
        ("execute_tool safe", "gen_ai.tool.call.arguments"),
        ("execute_tool safe", "gen_ai.tool.call.result"),
        ("create_memory", "gen_ai.memory.records"),
        ("search_memory", "gen_ai.memory.query.text"),
    ):
        assert SECRET in str((with_content.span(span).attributes or {})[key]), key
    said = json.loads(str((with_content.span("chat gpt-4o-mini").attributes or {})["gen_ai.output.messages"]))
    assert said[0]["parts"][0]["name"] == "send_message"


async def test_a_failure_has_its_type(tmp_path: Path) -> None:
    seen = Recorded()
    model = ScriptedModel([[call("page_out", heartbeat=True, id="m9")], ModelUnavailable(SECRET)])
    async with opened(tmp_path, model, seen.observer) as kernel:
        await told(kernel, "Go.")
    failed = {
        span.name: (span.attributes or {}).get("error.type")
        for span in seen.spans
        if span.status.status_code is StatusCode.ERROR
    }
    assert failed == {
        "execute_tool page_out": "failed",
        "chat gpt-4o-mini": "ModelUnavailable",
        "invoke_agent ana": "model_failed",
    }
    assert "update_memory" not in [span.name for span in seen.spans]
    assert SECRET not in seen.text()
    assert set(seen.points("gen_ai.client.operation.duration")) == {"", "ModelUnavailable"}


async def test_a_turn_continues_the_trace_of_its_event(tmp_path: Path) -> None:
    """Also of one that another process posted, or this one before a restart."""
    seen = Recorded()
    async with opened(tmp_path, answers(), seen.observer) as kernel:
        pass
    with_trace = Event("message", "Hello.", trace=CALLER)
    kernel = open_kernel(tmp_path, Parts(model=answers(), embedder=NullEmbedder()), Installation())
    await kernel.post("ana", with_trace)
    await kernel.close()
    parts = Parts(model=answers(), embedder=NullEmbedder(), tools=(safe,), observers=(seen.observer,))
    async with open_kernel(tmp_path, parts, Installation()) as again:
        await again.recover()
        await again.idle()
    turn = seen.span("invoke_agent ana")
    assert turn.parent is not None
    assert f"{turn.parent.trace_id:032x}-{turn.parent.span_id:016x}" in CALLER


async def test_a_turn_without_a_trace_begins_one(tmp_path: Path) -> None:
    """Whatever the task that serves the agent was doing when it was started."""
    seen = Recorded()
    async with opened(tmp_path, answers(), seen.observer) as kernel:
        await told(kernel, Event("message", "Hello.", trace=CALLER))
        await kernel.post("ana", Event("message", "Again."))
        await kernel.idle()
    first, second = (span for span in seen.spans if span.name == "invoke_agent ana")
    assert first.parent is not None
    assert second.parent is None


async def test_a_tool_is_run_within_its_span(tmp_path: Path) -> None:
    """Its own spans, made with the program's provider in a thread, are below it."""
    seen, parents = Recorded(), list[str]()

    @tool
    def where() -> str:
        """Say where."""
        parents.append(f"{trace.get_current_span().get_span_context().span_id:x}")
        return "here"

    model = ScriptedModel([[call("where", heartbeat=True)], [say("ok")]])
    parts = Parts(model=model, embedder=NullEmbedder(), tools=(where,), observers=(seen.observer,))
    async with open_kernel(tmp_path, parts, Installation()) as kernel:
        await kernel.create_agent("ana", parse_settings({"zone": "UTC"}))
        await told(kernel, "Where?")
    context = seen.span("execute_tool where").context
    assert context is not None
    assert parents == [f"{context.span_id:x}"]


@pytest.mark.parametrize(
    ("setting", "provider", "model", "address"),
    [
        ("openai:gpt-4o-mini", "openai", "gpt-4o-mini", None),
        ("google:gemini-2.5-flash,openai:gpt-4o", "gcp.gemini", "gemini-2.5-flash", None),
        ("offline", "offline", "offline", None),
        ("http://127.0.0.1:8080/v1#qwen3:8b", "openai", "qwen3:8b", ("127.0.0.1", 8080)),
        ("https://user:secret@models.example/v1#m", "openai", "m", ("models.example", 443)),
    ],
)
def test_a_model_is_named_as_the_conventions_do(
    setting: str, provider: str, model: str, address: tuple[str, int] | None
) -> None:
    from pagefault.telemetry.conventions import model_attributes

    found = model_attributes(setting)
    assert (found["gen_ai.provider.name"], found["gen_ai.request.model"]) == (provider, model)
    assert ((found["server.address"], found["server.port"]) if address else None) == address
    assert "secret" not in str(found)


# Prometheus


async def test_prometheus_counts_without_names_of_people_or_models_making(tmp_path: Path) -> None:
    counts = Prometheus()
    model = ScriptedModel(
        [
            [call("archival_insert", heartbeat=True, text=SECRET), call("made_up_by_the_model")],
            Completion("", (say("Hello."),), Usage(300, 40, 200)),
        ]
    )
    async with opened(tmp_path, model, counts) as kernel:
        await told(kernel, SECRET)
    text = counts.exposition().decode()
    for line in (
        'pagefault_turns_total{error="",state="done"} 1.0',
        "pagefault_open_turns 0.0",
        'pagefault_model_requests_total{error="",model="openai:gpt-4o-mini"} 2.0',
        'pagefault_tokens_total{model="openai:gpt-4o-mini",type="input"} 300.0',
        'pagefault_tokens_total{model="openai:gpt-4o-mini",type="cached"} 200.0',
        'pagefault_function_calls_total{error="",function="archival_insert"} 1.0',
        'pagefault_function_calls_total{error="invalid",function=""} 1.0',
        'pagefault_function_seconds_count{kind="memory"} 3.0',
    ):
        assert line in text.splitlines(), text
    assert SECRET not in text
    assert "ana" not in text.replace("pagefault_", "")
    assert "made_up" not in text


def exposed() -> set[str]:
    """The names of all series that a server may have."""
    text, kinds = Prometheus().exposition().decode(), {"counter": ["_total"], "gauge": [""]}
    kinds["histogram"] = ["_bucket", "_sum", "_count"]
    names: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE ") and "_created " not in line:
            _, _, name, kind = line.split()
            names |= {name.removesuffix("_total") + end for end in kinds[kind]} if kind in kinds else set()
    return names


def test_the_dashboard_and_the_alerts_name_metrics_that_exist() -> None:
    deploy = Path(__file__).parents[1] / "deploy"
    board = json.loads((deploy / "grafana-dashboard.json").read_text("utf-8"))
    rules = yaml.safe_load((deploy / "alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for rule in rules]
    named = {name for expression in asked for name in re.findall(r"pagefault_\w+", expression)}
    assert named <= exposed()
    assert {name for name in exposed() if not name.endswith(("_sum", "_count"))} - named == set()
    assert all(set(rule["annotations"]) == {"summary", "action"} for rule in rules)
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    page = (deploy.parent / "docs/observability.md").read_text("utf-8")
    metrics = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed()}
    assert {name for name in metrics if f"`{name}`" not in page} == set()


# HTTP


async def application(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
    """Answers with the current span; ``/broken`` raises."""

    class Route:
        path = "/agents/{name}"

    if scope["path"] == "/broken":
        raise ValueError(SECRET)
    if scope["path"].startswith("/agents/"):
        scope["route"] = Route()
    now = trace.get_current_span().get_span_context()
    body = f"{now.trace_id:032x} {now.span_id:016x}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def test_a_request_continues_the_trace_of_its_caller() -> None:
    seen, counts = Recorded(), Prometheus()
    app = Tracing(application, seen.observer.tracer_provider, counts)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        inside = (await client.get("/agents/ana?q=secret", headers={"traceparent": CALLER})).text
        await client.get("/unknown-path")
        assert (await client.get("/broken", headers={"traceparent": "nonsense"})).status_code == 500
    span = seen.span("GET /agents/{name}")
    assert span.context is not None
    assert inside == f"{span.context.trace_id:032x} {span.context.span_id:016x}"
    assert span.parent is not None
    assert f"{span.parent.trace_id:032x}-{span.parent.span_id:016x}" in CALLER
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET", "url.path": "/agents/ana", "url.scheme": "http",
        "http.route": "/agents/{name}", "http.response.status_code": 200,
    }  # fmt: skip
    assert [s.parent for s in seen.spans if s.name == "GET"] == [None, None]
    assert [s.status.status_code for s in seen.spans if s.name == "GET"][-1] is StatusCode.ERROR
    assert SECRET not in seen.text()
    assert 'pagefault_http_requests_total{method="GET",route="/agents/{name}",status="200"} 1.0' in (
        counts.exposition().decode()
    )
    assert "unknown-path" not in counts.exposition().decode()


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_the_turn_of_a_request_is_a_part_of_the_trace_of_its_caller(
    tmp_path: Path, accept: str
) -> None:
    seen = Recorded()
    telemetry = Telemetry(opentelemetry=seen.observer)
    headers = {"traceparent": CALLER, "accept": accept}
    async with (
        opened(tmp_path, ScriptedModel([[say("Hello.")]]), *telemetry.observers) as kernel,
        served(kernel, telemetry) as server,
    ):
        body = {"text": SECRET}
        answer = await server.client.post("/api/v1/agents/ana/messages", json=body, headers=headers)
        assert "Hello." in answer.text
        metrics = await server.client.get("/metrics")
    assert seen.tree() == [
        "? > POST /api/v1/agents/{name}/messages",
        "GET /metrics",
        "POST /api/v1/agents/{name}/messages > invoke_agent ana",
        "invoke_agent ana > chat gpt-4o-mini",
        "invoke_agent ana > execute_tool send_message",
    ]
    traces = {span.context.trace_id for span in seen.spans if span.context and span.name != "GET /metrics"}
    assert [f"{trace_id:032x}" for trace_id in traces] == [CALLER.split("-")[1]]
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'pagefault_turns_total{error="",state="done"} 1.0' in metrics.text
    assert 'route="/api/v1/agents/{name}/messages",status="200"} 1.0' in metrics.text
    assert "pagefault_agents_waiting 0.0" in metrics.text
    assert SECRET not in metrics.text + seen.text()


# Exporting


def test_nothing_is_exported_without_an_endpoint() -> None:
    for environment in (
        {},
        {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SERVICE_NAME": "x"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
        },
    ):
        assert telemetry_of(environment).opentelemetry is None
    with pytest.raises(UsageError, match="http/protobuf"):
        telemetry_of(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
        )


@contextmanager
def collector() -> Generator[tuple[str, list[tuple[str, bytes]]]]:
    """A collector on the loopback, which keeps what it is sent."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", got
        server.shutdown()


SENDING = """
import anyio, os, sys
from pathlib import Path
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.telemetry import telemetry_of
from pagefault.testing.models import ScriptedModel

async def main():
    telemetry = telemetry_of(os.environ)
    parts = Parts(model=ScriptedModel([]), embedder=NullEmbedder(), observers=telemetry.observers)
    async with open_kernel(Path(sys.argv[1]), parts, Installation()) as kernel:
        await kernel.create_agent("ana", parse_settings({"zone": "UTC"}))
        _ = [output async for output in kernel.send("ana", "the code of the safe is 4711")]
    telemetry.close()

anyio.run(main)
"""


@pytest.mark.slow
def test_spans_and_metrics_reach_a_collector(tmp_path: Path) -> None:
    with collector() as (url, got):
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", SENDING, str(tmp_path)], env=environment, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted({path for path, _ in got}) == ["/v1/metrics", "/v1/traces"]
    sent = b"".join(body for _, body in got)
    assert b"invoke_agent ana" in sent
    assert b"pagefault" in sent
    assert SECRET.encode() not in sent


@contextmanager
def server_process(home: Path, *options: str, **environment: str) -> Generator[str]:
    """`pagefault serve` as a process, stopped in the end; its URL."""
    command = [
        sys.executable,
        "-m",
        "pagefault",
        "--home",
        str(home),
        "serve",
        "--port",
        "0",
        "--json",
        *options,
    ]
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": ":".join(sys.path), "PAGEFAULT_EMBEDDER": "null"}
    with subprocess.Popen(
        command, env=kept | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            lines = ""
            while not lines.endswith("}\n") and (line := process.stdout.readline()):
                lines += line
            yield json.loads(lines)["url"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, process.stderr.read()
        finally:
            process.kill()


@pytest.mark.slow
def test_a_server_of_two_processes_has_the_metrics_of_both_and_sends_its_traces(tmp_path: Path) -> None:
    with collector() as (url, got):
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url}
        with (
            server_process(tmp_path, "--workers", "2", **environment) as server,
            httpx.Client(base_url=server, timeout=60) as client,
        ):
            for name in ("ana", "bo", "cleo"):
                client.post("/api/v1/agents", json={"name": name}).raise_for_status()
                with httpx.Client(base_url=server, timeout=60) as other:  # a new connection: any worker
                    answer = other.post(f"/api/v1/agents/{name}/messages", json={"text": SECRET})
                    assert answer.status_code == 200, answer.text
            for _ in range(5):
                text = httpx.get(f"{server}/metrics", timeout=60).text
                assert 'pagefault_turns_total{error="",state="done"} 3.0' in text
                assert "pagefault_open_turns 0.0" in text
    sent = b"".join(body for _, body in got)
    assert sent.count(b"invoke_agent cleo") == 1
    assert b"POST /api/v1/agents/{name}/messages" in sent
    assert SECRET.encode() not in sent
