"""``/metrics``: the metrics of the server as text for Prometheus, to whoever may look at all tenants."""

from __future__ import annotations

from fastapi import APIRouter, Response

from pagefault.kernel.tenancy import waiting_of_all
from pagefault.server.auth import Calling
from pagefault.server.problems import Problem
from pagefault.telemetry import Prometheus
from pagefault.telemetry.prometheus import CONTENT_TYPE

__all__ = ["router"]

_MOST = 1_000  # agents that wait, as far as they are counted


def router(prometheus: Prometheus) -> APIRouter:
    """The route of the metrics."""
    routes = APIRouter(tags=["health"])

    async def metrics(caller: Calling) -> Response:
        """The metrics of this server, for Prometheus."""
        if caller.tenant or caller.is_limited:
            raise Problem(
                403,
                "Forbidden",
                "The metrics are of all tenants and agents; use a key for all agents that is of no tenant.",
            )
        prometheus.waiting(await waiting_of_all(caller.kernel, _MOST))
        return Response(prometheus.exposition(), media_type=CONTENT_TYPE)

    routes.add_api_route("/metrics", metrics, summary="Metrics for Prometheus", response_class=Response)
    return routes
