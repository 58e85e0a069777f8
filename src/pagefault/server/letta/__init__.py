"""Letta's V1 REST for pagefault's agents, as far as its client ``letta-client`` goes: ``docs/letta.md`` says
what works and what differs.

    agents.py      agents;  settings.py: what a client asks for as settings;  tools.py: the program's tools
    agent_files.py agent files (``.af``), imported and exported
    talking.py     messages, streams and runs;  inputs.py: what is said;  turns.py: what comes of it
    messages.py    rows of the log as messages
    blocks.py      sections, an agent's own and shared ones;  sections.py: changes of them
    passages.py    archival memory and search;  archives.py: archives;  folders.py: documents as files
    catalogue.py   models, tags, health; what is refused
    ids.py         ids of Letta's form;  paging.py: pages of lists;  names and handles: importers.letta.names
    records.py     what ids name, for this caller;  states.py: all of it as JSON;  bodies.py: what is sent

Left out: Letta's schedules, identities, groups, templates, conversations.
"""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from starlette.types import Scope

from pagefault.server.letta import (
    agent_files,
    agents,
    archives,
    blocks,
    catalogue,
    folders,
    passages,
    talking,
    tools,
)
from pagefault.server.problems import Problem

__all__ = ["PREFIXES", "router", "shape"]

PREFIXES = tuple(
    f"/v1/{kind}"
    for kind in (
        "agents", "archives", "blocks", "client-side-access-tokens", "conversations", "environments",
        "folders", "groups", "health", "identities", "jobs", "mcp-servers", "messages", "models/embedding",
        "passages", "providers", "runs", "sources", "steps", "tags", "templates", "tools",
    )
)  # fmt: skip
"""The beginnings of the paths that have Letta's errors."""


def router() -> APIRouter:
    """All of Letta's routes that there are."""
    routes = APIRouter(include_in_schema=False)  # Letta's documentation has them
    for module in (agent_files, agents, blocks, talking, passages, archives, folders, tools, catalogue):
        routes.include_router(module.routes)
    return routes


def shape(problem: Problem, _: Scope) -> Response:
    """An error as Letta's clients read it."""
    return JSONResponse({"detail": problem.detail} | problem.more, problem.status_code, problem.headers)
