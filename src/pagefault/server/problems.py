"""Errors as responses: one table from our errors to a status, and for each protocol the shape of its errors.

``Problem`` is what a route raises; a ``PagefaultError`` becomes one here. The REST's shape is RFC 9457;
another protocol registers its own with ``Shapes.add``. Left out: failures of a turn, which are outputs of
it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Scope

from pagefault import errors
from pagefault.quoting import whole
from pagefault.redaction import logger_of, redacted
from pagefault.server.hints import for_clients
from pagefault.server.logs import request_id

__all__ = ["Problem", "Shape", "Shapes", "fault", "install", "known", "problem_of", "rest_shape"]

logger = logger_of(__name__)


class Problem(HTTPException):
    """An error of a request. ``detail`` is one sentence: what is wrong, then how to fix it, for a client;
    ``more`` are further members of the response's body."""

    def __init__(
        self, status: int, title: str, detail: str, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(status, for_clients(detail), headers or {})
        self.title, self.more = title, more


Shape = Callable[[Problem, Scope], Response]
"""Makes the response that a protocol has for a problem of a request (its ASGI scope)."""

_STATUS: dict[type[errors.PagefaultError], tuple[int, str]] = {
    errors.FunctionError: (400, "Wrong request"),
    errors.UsageError: (400, "Wrong request"),
    errors.NotFoundError: (404, "Not found"),
    errors.NameTakenError: (409, "Name taken"),
    errors.InTurnError: (409, "In a turn"),
    errors.HeldError: (409, "Held"),
    errors.StaleEditError: (409, "Changed meanwhile"),
    errors.QuotaError: (403, "Quota reached"),
    errors.ParkedError: (409, "Agent parked"),
    errors.DamageError: (409, "Agent damaged"),
    errors.TurnHeldError: (409, "In a turn"),
    errors.DailyBudgetSpent: (429, "Budget spent"),
    errors.OutputError: (502, "Unfit answer"),
    errors.ModelSetupError: (400, "Model not set up"),
    errors.ModelError: (502, "Model failed"),
    errors.ModelUnavailable: (503, "Model unavailable"),
    errors.EmbedderSetupError: (400, "Embedder not set up"),
    errors.EmbedderError: (503, "Embedder unavailable"),
    errors.StorageError: (503, "Database unavailable"),
    errors.OperatorError: (500, "Server fault"),
}


_DATABASE = (
    "The database did not do this; try again, and look before whether a change was kept. The log of the "
    "server says why, by the request id."
)
"""For a client: what the error says of the database (files, processes, hosts) is for the log."""


def problem_of(error: errors.PagefaultError) -> Problem:
    """One of our errors as a problem, without secrets."""
    kinds = [kind for kind in type(error).__mro__ if kind in _STATUS]
    status, title = _STATUS[kinds[0]] if kinds else (500, "Server fault")
    if kinds and kinds[0] is errors.StorageError:
        return Problem(status, title, _DATABASE)
    return Problem(status, title, redacted(whole(str(error))))


def rest_shape(problem: Problem, _: Scope) -> Response:
    """The response of RFC 9457."""
    body = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status_code,
        "detail": problem.detail,
    }
    body |= problem.more | {"request_id": request_id.get()}
    return JSONResponse(body, problem.status_code, problem.headers, "application/problem+json")


@dataclass(slots=True)
class Shapes:
    """The shapes of errors by the beginning of the path; the longest that fits counts."""

    _by_prefix: dict[str, Shape] = field(default_factory=dict[str, Shape])

    def add(self, prefixes: Sequence[str], shape: Shape) -> None:
        self._by_prefix |= dict.fromkeys(prefixes, shape)

    def respond(self, scope: Scope, problem: Problem) -> Response:
        fitting = [prefix for prefix in self._by_prefix if scope["path"].startswith(prefix)]
        shape = self._by_prefix[max(fitting, key=len)] if fitting else rest_shape
        return shape(problem, scope)


def install(app: FastAPI, shapes: Shapes) -> None:
    """Answer every error of a route in the shape of its protocol."""

    def add(kind: type[Exception], to_problem: Callable[[Any], Problem]) -> None:
        async def handler(request: Request, error: Exception) -> Response:
            return shapes.respond(request.scope, to_problem(error))

        app.add_exception_handler(kind, handler)

    add(Problem, lambda problem: problem)
    add(errors.PagefaultError, known)
    add(RequestValidationError, _invalid)
    add(HTTPException, _http)
    add(RecursionError, _too_deep)


def known(error: errors.PagefaultError) -> Problem:
    """The problem of an error of ours, which goes to the log if the request is not to blame for it."""
    problem = problem_of(error)
    if problem.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.warning("%s: %s", type(error).__name__, error)
    return problem


def _invalid(error: RequestValidationError) -> Problem:
    if isinstance(error.body, bytes):  # nothing was read, for it is not sent as JSON
        what = "The body is not sent as JSON; give the header Content-Type: application/json."
        return Problem(422, "Invalid request", what, errors=[])
    faults = [{"in": list(each["loc"]), "why": redacted(whole(str(each["msg"])))} for each in error.errors()]
    first = faults[0] if faults else {"in": ["body"], "why": "it is not valid"}
    place = ".".join(str(part) for part in first["in"])
    if any(each["type"] == "json_invalid" for each in error.errors()):  # the place is an offset in the body
        what = f"The body is not valid JSON: correct it at character {first['in'][-1]}."
        return Problem(422, "Invalid request", what, errors=faults)
    return Problem(422, "Invalid request", f"{place}: {first['why']}.", errors=faults)


def _http(error: HTTPException) -> Problem:
    if isinstance(error.__cause__, UnicodeDecodeError):
        return Problem(422, "Invalid request", "The body is not valid JSON: send it in UTF-8.", errors=[])
    if isinstance(error.__cause__, RecursionError):
        return _too_deep(error.__cause__)
    title = HTTPStatus(error.status_code).phrase
    detail = {
        404: "There is no such address; /docs lists those there are.",
        405: "This address does not take that method; /docs lists those it takes.",
    }.get(error.status_code, str(error.detail))
    return Problem(error.status_code, title, detail, dict(error.headers or {}))


def _too_deep(_: RecursionError) -> Problem:
    return Problem(400, "Wrong request", "The JSON of this request is nested too deeply; flatten it.")


def fault(error: BaseException) -> Problem:
    """The problem of an error that nobody expected, which goes to the log."""
    logger.error("a request failed", exc_info=error)
    return Problem(
        500, "Server fault", "The server failed on this request; its log says why, by the request id."
    )
