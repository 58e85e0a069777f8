"""Sleep: an agent tidies its memory when it is asked to."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from pagefault.kernel.sleeping import sleep as tidy
from pagefault.kernel.streams import MOST_BEHIND
from pagefault.server.api.messages import STREAMED, ReplyBody, answer
from pagefault.server.api.values import AgentCaller, Name

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}", tags=["sleep"])
"""The route of sleep."""


@routes.post("/sleep", response_model=ReplyBody, responses=STREAMED)
async def sleep(name: Name, caller: AgentCaller, request: Request) -> Any:
    """Have an agent tidy its memory now, within the bounds of one sleep; answered as a message is."""
    caller.require("admin")
    return await answer(request, caller, tidy(caller.kernel, name, MOST_BEHIND), None)
