"""All that is held of a person, as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import StreamingResponse

from pagefault.server.auth import Calling
from pagefault.views.held import export_lines

__all__ = ["routes"]

routes = APIRouter(tags=["looking"])
"""The route of the export of a person."""

Speaker = Annotated[str, Query(description="The name of the person, as it stands in messages.")]
Agents = Annotated[list[str] | None, Query(description="Only this agent; may be repeated.")]


@routes.get("/export", response_class=StreamingResponse)
async def export_person(speaker: Speaker, caller: Calling, agent: Agents = None) -> StreamingResponse:
    """Return all that is held of a person, a line of JSON each; the last line counts the others."""
    caller.require("admin")
    for name in agent or ():
        await caller.check(name)
    names = agent
    if names is None and caller.is_limited:
        names = await caller.names()
    lines = export_lines(caller.kernel, speaker, names)
    first = await anext(lines)  # here, so that a wrong name is a problem
    return StreamingResponse(_sent(first, lines), media_type="application/x-ndjson")


async def _sent(first: dict[str, Any], lines: AsyncGenerator[dict[str, Any]]) -> AsyncGenerator[bytes]:
    async with aclosing(lines):
        yield _line(first)
        async for line in lines:
            yield _line(line)


def _line(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
