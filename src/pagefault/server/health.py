"""``/healthz``: the process answers; ``/readyz``: it can serve, that is reads its database and is not
stopping."""

from __future__ import annotations

import anyio
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from pagefault.containment import barrier
from pagefault.errors import PagefaultError

__all__ = ["router"]

_PATIENCE = 5.0  # seconds that the database may take


def router() -> APIRouter:
    """The routes of health."""
    routes = APIRouter(tags=["health"])
    routes.add_api_route("/healthz", _healthz, summary="Whether the process answers")
    routes.add_api_route("/readyz", _readyz, summary="Whether it can serve", responses={503: {}})
    for path, endpoint in (("/healthz", _healthz), ("/readyz", _readyz)):  # monitors ask without a body
        routes.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False)
    return routes


async def _healthz() -> dict[str, str]:
    return {"status": "ok"}


async def _readyz(request: Request) -> JSONResponse:
    """Answer 200 if the server can serve, else 503 with the reason."""
    if request.app.state.stopping:
        return JSONResponse({"status": "stopping"}, 503)
    try:
        with barrier(), anyio.fail_after(_PATIENCE):
            await request.app.state.kernel.waiting(1)
    except PagefaultError:
        return JSONResponse({"status": "the database cannot be read"}, 503)
    return JSONResponse({"status": "ok"})
