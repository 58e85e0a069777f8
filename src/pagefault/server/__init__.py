"""The server: agents over HTTP, in a REST of our own and in protocols that other clients speak.

    running.py    a process that serves: signals, drain;  workers.py: several processes
    keys.py       the keys of a request, and their limits (rates.py);  auth.py: its caller
    walls.py      what stands before all routes
    problems.py   errors as responses;  hints.py: what to do, as requests;
    sse.py        outputs as server-sent events;  revoking.py: their end with their key
    posting.py    events that requests post;  uploads.py: uploaded files
    api/          the REST under ``/api/v1``;  openai/: what clients of OpenAI speak
    letta/        Letta's REST under ``/v1``;  inspector/: pages for people, at ``/``
    mcp.py        memory for clients of MCP, ``/mcp/{agent}``;  metrics.py: ``/metrics``
    health.py     ``/healthz`` and ``/readyz``;  logs.py: lines of JSON with the id of the request

It needs the extra ``pagefault[server]``. Left out: what agents do; it calls the kernel and shows views.
"""

from __future__ import annotations

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from pagefault import __version__
from pagefault.kernel import Kernel
from pagefault.server import api, health, inspector, letta, mcp, metrics, openai, problems
from pagefault.server.keys import KeyRates, bearer_digest
from pagefault.server.options import ServerOptions
from pagefault.server.problems import Shapes, rest_shape
from pagefault.server.rates import Allowances
from pagefault.server.revoking import KeyWatch
from pagefault.server.walls import Walls
from pagefault.telemetry import Telemetry, Tracing

__all__ = ["ServerOptions", "create_app"]


def create_app(
    kernel: Kernel, options: ServerOptions | None = None, telemetry: Telemetry | None = None
) -> FastAPI:
    """The application over a kernel, which the caller has entered and leaves. ``telemetry`` observes the
    kernel too (``assembly.Parts``); without it there are no metrics."""
    options, shapes = options or ServerOptions(), Shapes()
    app = FastAPIOffline(  # a page whose script comes from this server, not from elsewhere
        title="pagefault",
        version=__version__,
        description="Agents with memory, over HTTP.",
        redoc_url=None,
        swagger_ui_parameters={"validatorUrl": None},
    )
    app.state.kernel, app.state.options, app.state.stopping = kernel, options, False
    app.state.rates, app.state.shapes = KeyRates(options.rate), shapes
    app.state.watch = KeyWatch(kernel, options.recheck)
    app.state.logins, app.state.signed_out = Allowances(), inspector.signed_out()
    app.include_router(health.router())
    app.include_router(api.router())
    app.include_router(letta.router())  # first: it has fixed paths under /v1/models
    app.include_router(openai.router())
    app.include_router(mcp.router())
    app.include_router(inspector.router())
    shapes.add(inspector.PREFIXES, inspector.error_page)
    shapes.add((f"{api.PREFIX}/",), rest_shape)
    shapes.add(openai.PREFIXES, openai.openai_shape)
    shapes.add(letta.PREFIXES, letta.shape)
    shapes.add(mcp.PREFIXES, mcp.shape)
    problems.install(app, shapes)
    readers = bearer_digest, inspector.session_digest
    app.add_middleware(Walls, options=options, shapes=shapes, readers=readers)
    if telemetry:
        app.include_router(metrics.router(telemetry.prometheus))
        provider = telemetry.opentelemetry and telemetry.opentelemetry.tracer_provider
        app.add_middleware(Tracing, tracer_provider=provider, counts=telemetry.prometheus)
    return app
