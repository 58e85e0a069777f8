"""The rest: health, models, tags; and what Letta has and pagefault has not, refused with a sentence each."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from pagefault import __version__
from pagefault.errors import PagefaultError
from pagefault.importers.letta.names import handle_of
from pagefault.server.auth import Calling, options_of
from pagefault.server.letta.states import settings_shown
from pagefault.server.problems import Problem

__all__ = ["routes"]

routes = APIRouter(prefix="/v1", tags=["letta"])
"""The routes of what is no agent's."""

JsonObject = dict[str, Any]


@routes.get("/health/")
async def health() -> JsonObject:
    """Say that the server answers, and its version."""
    return {"version": __version__, "status": "ok"}


@routes.get("/models/")
async def models(caller: Calling, request: Request) -> list[JsonObject]:
    """List the installation's model, and those of its agents."""
    agents = [each for each in await caller.kernel.agents() if caller.reaches(each)]
    found = {options_of(request).agent.model: options_of(request).agent}
    found |= {settings.model: settings for each in agents if (settings := settings_shown(each)).model}
    listed = list[JsonObject]()
    for settings in found.values():
        try:
            window, _ = await caller.kernel.window(settings)
        except PagefaultError:  # it cannot be used as things are
            continue
        handle = handle_of(settings.model)
        provider, _, name = handle.partition("/")
        listed.append(
            {
                "handle": handle, "name": name, "display_name": name, "model": name, "model_type": "llm",
                "provider_type": provider, "provider_name": provider, "provider_category": "base",
                "model_endpoint_type": provider, "context_window": window, "max_context_window": window,
            }
        )  # fmt: skip
    return listed


@routes.get("/models/embedding")
async def embedding_models(caller: Calling) -> list[JsonObject]:
    """List the installation's embedder, which all agents share."""
    del caller
    return [
        {
            "handle": "pagefault/installation", "name": "installation", "display_name": "the installation's",
            "embedding_model": "pagefault", "embedding_dim": 384, "embedding_endpoint_type": "hugging-face",
            "provider_name": "pagefault", "provider_type": "hugging-face", "model_type": "embedding",
        }
    ]  # fmt: skip


@routes.get("/tags/")
async def tags(caller: Calling, query_text: str | None = None, limit: int = 50) -> list[str]:
    """List the tags of agents."""
    agents = [each for each in await caller.kernel.agents() if caller.reaches(each)]
    found = {tag for each in agents for tag in settings_shown(each).tags}
    return sorted(tag for tag in found if (query_text or "").lower() in tag.lower())[: max(0, limit)]


_ABSENT = {
    "access tokens": ("client-side-access-tokens", "make keys with `pagefault key create`."),
    "conversations beside one another": (
        "conversations",
        "an agent has one log; make another agent, or send here.",
    ),
    "environments": ("environments", "tools run in the program that serves."),
    "groups": ("groups", "agents write to one another with the setting agents."),
    "identities": ("identities", "say who speaks by the name of a message."),
    "jobs": ("jobs", "see the runs."),
    "MCP servers": ("mcp-servers", "give tools to the program that serves."),
    "providers": ("providers", "name them in config.toml."),
    "sources": ("sources", "use folders."),
    "steps": ("steps", "see `pagefault trace`."),
    "templates": ("templates", "make agents by your program."),
}
"""The parts of Letta that are not here: name, beginning of the paths, and what to use instead."""

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def _refusal(what: str, instead: str) -> Any:
    async def refuse(caller: Calling) -> JsonObject:
        del caller
        raise Problem(501, "Not here", f"pagefault has no {what} of Letta's kind; {instead}")

    return refuse


for _what, (_path, _instead) in _ABSENT.items():
    for _form in (f"/{_path}", f"/{_path}/", f"/{_path}/{{rest:path}}"):
        routes.add_api_route(
            _form, _refusal(_what, _instead), methods=_METHODS, include_in_schema=False, response_model=None
        )
for _form, _what, _instead in (
    ("/agents/{agent_id}/schedule", "schedules", "use timers: /api/v1/agents/{name}/schedules."),
    ("/agents/{agent_id}/schedule/{rest:path}", "schedules", "use timers: /api/v1/agents/{name}/schedules."),
    ("/agents/{agent_id}/identities/{rest:path}", "identities", "say who speaks by the name of a message."),
    ("/agents/{agent_id}/files/{rest:path}", "open files", "an agent reads every file of its folders."),
    ("/agents/{agent_id}/groups", "groups", "agents write to one another with the setting agents."),
    ("/agents/{agent_id}/tools/{tool_name}/run", "direct calls of tools", "ask the agent to call it."),
    ("/agents/{agent_id}/messages/{rest:path}", "changes of messages", "a log is only added to."),
    ("/runs/{run_id}/{rest:path}", "steps and traces", "see `pagefault trace`."),
    ("/tools/search", "search of tools", "list them."),
    ("/messages/{rest:path}", "messages of all agents together", "ask for those of one agent."),
):
    routes.add_api_route(
        _form, _refusal(_what, _instead), methods=_METHODS, include_in_schema=False, response_model=None
    )
