"""``/v1/models``: each agent that the caller may reach is a model."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from pagefault.server.auth import Calling
from pagefault.server.openai.turns import checked_agent
from pagefault.types import AgentRecord

__all__ = ["routes"]

routes = APIRouter()
"""The routes of models."""


@routes.get("/models")
async def list_models(caller: Calling) -> dict[str, Any]:
    """List the agents that the caller may reach, as models."""
    records = [record for record in await caller.kernel.agents() if caller.reaches(record)]
    return {"object": "list", "data": [_model(record) for record in records]}


@routes.get("/models/{name}")
async def get_model(name: str, caller: Calling) -> dict[str, Any]:
    """Return an agent, as a model."""
    await checked_agent(caller, name, "read")
    return _model(await caller.kernel.record(name))


def _model(record: AgentRecord) -> dict[str, Any]:
    created = int(record.created.timestamp())
    return {"id": record.name, "object": "model", "created": created, "owned_by": "pagefault"}
