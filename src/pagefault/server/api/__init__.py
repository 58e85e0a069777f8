"""The REST under ``/api/v1``: small and regular, a file for each kind of thing. ``docs/server.md`` describes
it.

    agents.py       agents: made, listed, changed, deleted; their context and the state of their turns
    messages.py     messages, events, and the outputs that come of them, as a reply or as a stream
    undoing.py      undo, edit and retry;  forking.py: forks, differences, the past
    inbox.py        inboxes with parked events, timers, approvals and grants
    history.py      the log, one turn step by step, search, usage
    conversations.py  what was said elsewhere, appended; the log around a message
    memory.py       sections with versions, passages;  documents.py: documents, uploaded with progress
    held.py         all that is held of a person
    forgetting.py   what is forgotten, everywhere

Lists are ``{"items": [...], "next": cursor}``; the next page is asked for with ``?cursor=``. Errors are
problems of RFC 9457. Left out: the protocols of others, which have packages of their own."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from pagefault.server.api import (
    agents,
    conversations,
    documents,
    forgetting,
    forking,
    held,
    history,
    inbox,
    memory,
    messages,
    sleeping,
    undoing,
)
from pagefault.server.api.values import ProblemDetail

__all__ = ["PREFIX", "router"]

PREFIX = "/api/v1"
"""The path under which the REST is."""


def router() -> APIRouter:
    """All routes of the REST."""
    content = {"application/problem+json": {"schema": ProblemDetail.model_json_schema()}}
    problems: dict[str, Any] = {"description": "A problem (RFC 9457)", "content": content}
    responses: dict[int | str, dict[str, Any]] = {"default": problems}
    routes = APIRouter(prefix=PREFIX, responses=responses)
    of_agents = (agents, messages, undoing, forking, inbox, history, conversations, memory, documents)
    for module in (*of_agents, sleeping, held, forgetting):
        routes.include_router(module.routes)
    return routes
