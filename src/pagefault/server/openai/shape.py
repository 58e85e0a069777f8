"""Errors as OpenAI's clients read them, and objects as events of a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Response
from sse_starlette import ServerSentEvent
from starlette.types import Scope

from pagefault.server.problems import Problem

__all__ = ["DONE", "as_json", "error_of", "openai_shape", "sent"]

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_CODES = {401: "invalid_api_key", 404: "not_found", 429: "rate_limit_exceeded"}
_INVALID = 422  # OpenAI's own status for such a request is 400

DONE = ServerSentEvent("[DONE]", sep="\n")
"""The end of a stream of Chat Completions."""


def error_of(problem: Problem) -> dict[str, Any]:
    """A problem in OpenAI's shape."""
    kind = (
        "server_error"
        if problem.status_code >= 500
        else _TYPES.get(problem.status_code, "invalid_request_error")
    )
    return {
        "message": problem.detail,
        "type": kind,
        "param": problem.more.get("param"),
        "code": problem.more.get("code", _CODES.get(problem.status_code)),
    }


def openai_shape(problem: Problem, _: Scope) -> Response:
    """The response of OpenAI's protocols to a problem."""
    status = 400 if problem.status_code == _INVALID else problem.status_code
    return as_json({"error": error_of(problem)}, status, problem.headers)


def as_json(value: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An object as a response; in ASCII, which holds whatever half of a character a client sent."""
    return Response(json.dumps(value), status, headers, "application/json")


def sent(value: dict[str, Any], *, named: bool = False) -> ServerSentEvent:
    """An object as an event of a stream; ``named``: by its type."""
    return ServerSentEvent(json.dumps(value), event=value["type"] if named else None, sep="\n")
