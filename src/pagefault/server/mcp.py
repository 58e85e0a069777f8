"""Agents' memory for clients of the Model Context Protocol: `/mcp/{agent}`, streamable HTTP.

Each POST is answered by itself, whichever version of the protocol it speaks; there are no sessions, so any
server of a database takes any request. The walls, keys, roles and limits are those of the REST. Left out:
OAuth; a client sends its key as a Bearer token. The tools: ``pagefault.mcp``."""

from __future__ import annotations

from importlib import import_module

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from pagefault.containment import in_thread
from pagefault.mcp import MemoryAccess
from pagefault.server.api.values import AgentCaller, IdempotencyKey, Name
from pagefault.server.auth import options_of
from pagefault.server.problems import Problem

__all__ = ["PREFIXES", "router", "shape"]

PREFIXES = ("/mcp/",)
"""The beginnings of the paths that have errors of JSON-RPC."""

_SERVER_FAULT = 500
_INTERNAL_ERROR, _INVALID_REQUEST = -32603, -32600  # of JSON-RPC


def router() -> APIRouter:
    """The route of the protocol."""
    routes = APIRouter(include_in_schema=False)  # the protocol describes itself
    routes.add_api_route("/mcp/{name}", _answer, methods=["POST"])
    return routes


async def _answer(name: Name, caller: AgentCaller, request: Request, key: IdempotencyKey) -> Response:
    """Answer one message of a client."""
    options, speaks = options_of(request), caller.speaks_for_users
    access = MemoryAccess(
        caller.kernel, name, caller.role, speaks, options.mcp_tokens, options.mcp_seconds, key
    )
    return _Exchange(access, options.body)


class _Exchange(Response):
    """A response that the SDK makes, to one request; it is imported for the first one, in a thread."""

    def __init__(self, access: MemoryAccess, most: int) -> None:
        super().__init__()
        self._access, self._most = access, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        library = await in_thread(import_module, "pagefault.mcp.exchange")
        await library.exchange(self._access, self._most, scope, receive, send)


def shape(problem: Problem, _: Scope) -> Response:
    """An error as clients of the protocol show it. It comes before the message is read, so it has no id."""
    code = _INTERNAL_ERROR if problem.status_code >= _SERVER_FAULT else _INVALID_REQUEST
    error = {"code": code, "message": problem.detail}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, problem.status_code, problem.headers)
