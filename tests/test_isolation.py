"""Isolation over HTTP: whoever has a key for other agents, or of another tenant, reads and changes nothing.

Each route of every protocol is tried with the names and ids of what the caller may not reach; a route that is
new is tried as well.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from conftest import Machine, served
from pagefault.config import parse_settings
from pagefault.kernel import Kernel, archives, edits, facts, shared_sections
from pagefault.kernel.tenancy import create_key
from pagefault.mcp.tools import TOOLS
from pagefault.models import Prompt
from pagefault.server.letta import agent_files, blocks, catalogue, folders, passages, talking
from pagefault.server.letta import agents as letta_agents
from pagefault.server.letta import archives as letta_archives
from pagefault.shared import Archive
from pagefault.testing.models import ScriptedModel, say

pytestmark = pytest.mark.anyio

SECRET = "tangerine"
LETTA = (letta_agents, agent_files, blocks, talking, passages, letta_archives, folders, catalogue)
LETTA_ID = re.compile(r"\b(agent|archive|block|file|folder|message|passage|run|step)-[0-9a-f-]{36}\b")
BODIES: dict[str, dict[str, Any]] = {
    "PATCH /api/v1/agents/{name}": {"settings": {"max_steps": 3}},
    "POST /api/v1/agents/{name}/messages": {"text": "tell me"},
    "POST /api/v1/agents/{name}/events": {"kind": "message", "text": "tell me"},
    "POST /api/v1/agents/{name}/schedules": {"note": "x", "when": "in 1 hour"},
    "POST /api/v1/agents/{name}/approvals/{id}": {"approved": True},
    "POST /api/v1/agents/{name}/sections": {"name": "notes", "limit": 100},
    "PATCH /api/v1/agents/{name}/sections/{section}": {"text": "x"},
    "POST /api/v1/agents/{name}/conversation": {"messages": [{"text": "x"}]},
    "POST /api/v1/agents/{name}/passages": {"text": "x"},
    "PATCH /api/v1/agents/{name}/passages/{id}": {"text": "x"},
    "POST /v1/agents/{agent_id}/messages": {"input": "tell me"},
    "POST /v1/agents/{agent_id}/messages/stream": {"input": "tell me"},
    "POST /v1/agents/{agent_id}/messages/async": {"input": "tell me"},
    "PATCH /v1/agents/{agent_id}": {"system": "obey"},
    "POST /v1/agents/{agent_id}/archival-memory": {"text": "x"},
    "PATCH /v1/agents/{agent_id}/core-memory/blocks/{block_label}": {"value": "x"},
    "PATCH /v1/agents/{agent_id}/tools/approval/{tool_name}": {"requires_approval": True},
    "PATCH /v1/blocks/{block_id}": {"value": "x"},
    "PATCH /v1/archives/{archive_id}": {"name": "x"},
    "PATCH /v1/folders/{folder_id}": {"name": "x"},
    "POST /v1/archives/{archive_id}/passages": {"text": "x"},
    "POST /v1/archives/{archive_id}/passages/batch": {"passages": [{"text": "x"}]},
}
FIXED = {
    "name": "ana", "id": "p1", "section": "persona", "function": "f", "page": "1", "block_label": "human",
    "tool_name": "archival_insert",
}  # fmt: skip
REFUSED = {403, 404, 501}


def answers(prompt: Prompt) -> Any:
    return [say(f"It is a {SECRET}." if SECRET in str(prompt) else "I do not know.")]


@dataclass
class Protocols:
    """The routes of an application, and one client for each key."""

    app: Any
    clients: dict[str, httpx2.AsyncClient] = field(default_factory=dict[str, httpx2.AsyncClient])

    def routes(self) -> Iterator[tuple[str, str]]:
        """Method and path of each route, those of the documentation and of the server's health left out."""
        for path, methods in self.app.openapi()["paths"].items():
            if path.startswith(("/api/", "/v1/")):
                yield from ((method.upper(), path) for method in methods)
        for module in LETTA:
            for route in module.routes.routes:
                path, methods = getattr(route, "path"), getattr(route, "methods")  # noqa: B009
                yield from ((method, path) for method in methods if method != "HEAD")

    async def ask(self, key: str, method: str, path: str, **more: Any) -> httpx2.Response:
        return await self.clients[key].request(method, path, **more)


def filled(path: str, *ids: dict[str, str]) -> Iterator[str]:
    """A path with its parameters, each from one of the ``ids``: all ways to do so."""
    names = re.findall(r"\{(\w+)(?::\w+)?\}", path)
    ways: list[dict[str, str]] = [{}]
    for name in names:
        found = dict.fromkeys(given[name] for given in ids if name in given)
        ways = [{**way, name: value} for way in ways for value in found]
    for way in ways:
        yield re.sub(r"\{(\w+)(?::\w+)?\}", lambda match, way=way: way[match[1]], path)


async def furnish(kernel: Kernel, name: str, word: str) -> None:
    """Fill every memory of an agent with a word."""
    await kernel.create_agent(name, parse_settings({"zone": "UTC"}))
    await facts.remember(kernel, name, f"a {word} in a passage")
    await edits.add_timer(kernel, name, f"a {word} in a timer", when="in 5 days")
    await archives.create(kernel, f"{name}-archive", f"a {word} in a description")
    await facts.remember(kernel, Archive(f"{name}-archive"), f"a {word} in an archive")
    await archives.attach(kernel, f"{name}-archive", name)
    await shared_sections.share(kernel, f"{name}_plan", [name], text=f"a {word} in a section")
    async for _ in kernel.send(name, f"Remember the {word}."):
        pass
    await kernel.idle()


@asynccontextmanager
async def protocols(machine: Machine) -> AsyncGenerator[Protocols]:
    """A server with tenants `first`, where ana has the secret and bo has none, and `second`, with another bo;
    and the keys `owner` (of all in `first`), `neighbour` (of bo alone there) and `stranger` (in `second`)."""
    async with machine.open(ScriptedModel(answers)) as rig, served(rig.kernel, rate=0) as server:
        first, second = rig.kernel.within("first"), rig.kernel.within("second")
        await furnish(first, "ana", SECRET)
        await furnish(first, "bo", "plum")
        await furnish(second, "bo", "plum")
        keys = {
            "owner": await create_key(first, "owner", role="admin"),
            "neighbour": await create_key(first, "neighbour", role="admin", agents=["bo"]),
            "stranger": await create_key(second, "stranger", role="admin"),
        }
        found = Protocols(server.app)
        transport = httpx2.ASGITransport(app=server.app, raise_app_exceptions=False)
        for name, secret in keys.items():
            headers = {"authorization": f"Bearer {secret}"}
            found.clients[name] = httpx2.AsyncClient(
                transport=transport, base_url="http://127.0.0.1:8283", headers=headers
            )
        yield found
        for client in found.clients.values():
            await client.aclose()


async def ids_of(server: Protocols, key: str, only: str = "") -> dict[str, str]:
    """An id of each kind that a key sees, as the parameters of paths are called."""
    seen = defaultdict[str, str](str)
    listed = await server.ask(key, "GET", "/v1/agents/")
    own = [each["id"] for each in listed.json() if each["name"] == only]
    paths = [path for method, path in server.routes() if method == "GET" and path.startswith("/v1/")]
    for path in sorted(paths, key=lambda path: path.count("{")):
        given = {**FIXED, **{f"{kind}_id": id for kind, id in seen.items()}, "agent_id": own[0]}
        for filled_path in filled(path, given):
            answer = await server.ask(key, "GET", filled_path)
            for kind, id in [(match[1], match[0]) for match in LETTA_ID.finditer(answer.text)]:
                if "agents" in filled_path and own[0] in filled_path:
                    seen.setdefault(kind, id)
    return {**{f"{kind}_id": id for kind, id in seen.items()}, "agent_id": own[0]}


async def state(server: Protocols, ids: dict[str, str]) -> dict[str, Any]:
    """All that the owner sees."""
    found = dict[str, Any]()
    for method, path in server.routes():
        if method == "GET":
            for each in filled(path, {**FIXED, **ids, "event": "1"}):
                answer = await server.ask("owner", "GET", each)
                found[each] = answer.status_code, re.sub(r'"request_id":"\w+"', "", answer.text)
    return found


@pytest.mark.parametrize("key", ["neighbour", "stranger"])
async def test_no_route_shows_or_changes_what_a_key_is_not_for(machine: Machine, key: str) -> None:
    async with protocols(machine) as server:
        theirs, own = await ids_of(server, "owner", "ana"), await ids_of(server, key, "bo")
        assert {"agent_id", "block_id", "passage_id", "archive_id", "message_id", "run_id"} <= theirs.keys()
        before = await state(server, theirs)
        assert SECRET in str(before)
        tries, succeeded = 0, list[str]()
        for method, path in server.routes():
            foreign = {**FIXED, **theirs, "event": "1"}
            for each in filled(path, foreign, own):
                if "{" in path and not any(theirs[k] in each for k in theirs) and "/ana" not in each:
                    continue  # the caller's own
                body = BODIES.get(f"{method} {path}", {})
                files = (
                    {"file": ("a.txt", b"x", "text/plain")}
                    if path.endswith(("upload", "documents"))
                    else None
                )
                more = {"files": files} if files and method == "POST" else {"json": body}
                answer = await server.ask(key, method, each, **({} if method in ("GET", "DELETE") else more))
                tries += 1
                if SECRET in answer.text or ("{" in path and answer.status_code not in REFUSED):
                    succeeded.append(f"{method} {each}: {answer.status_code} {answer.text[:200]}")
        assert not succeeded, "\n".join(succeeded)
        assert tries >= 40
        assert await state(server, theirs) == before


@pytest.mark.parametrize("key", ["neighbour", "stranger"])
async def test_a_model_or_an_answer_of_another_is_not_there_for_clients_of_openai(
    machine: Machine, key: str
) -> None:
    async with protocols(machine) as server:
        chat = {"model": "ana", "messages": [{"role": "user", "content": "Which fruit?"}]}
        own = await server.ask(
            "owner", "POST", "/v1/responses", json={"model": "ana", "input": "Which fruit?"}
        )
        assert SECRET in own.text
        id = own.json()["id"]
        tries = {
            "models": await server.ask(key, "GET", "/v1/models"),
            "model": await server.ask(key, "GET", "/v1/models/ana"),
            "chat": await server.ask(key, "POST", "/v1/chat/completions", json=chat),
            "stream": await server.ask(key, "POST", "/v1/chat/completions", json={**chat, "stream": True}),
            "response": await server.ask(key, "POST", "/v1/responses", json={"model": "ana", "input": "?"}),
            "follow": await server.ask(
                key, "POST", "/v1/responses", json={"input": "?", "previous_response_id": id}
            ),
            "mix": await server.ask(
                key, "POST", "/v1/responses", json={"model": "bo", "input": "?", "previous_response_id": id}
            ),
            "read": await server.ask(key, "GET", f"/v1/responses/{id}"),
            "resume": await server.ask(key, "GET", f"/v1/responses/{id}?stream=true&starting_after=0"),
        }
        assert tries.pop("models").status_code == 200
        assert {what: answer.status_code for what, answer in tries.items() if answer.status_code < 400} == {}
        assert not [what for what, answer in tries.items() if SECRET in answer.text]


PLACES = ("p1", "ana-archive/p1", "ana/p1", "first/ana/p1", "../ana/p1", "d1", "ana-archive/d1")
TOOL_TRIES: dict[str, list[dict[str, Any]]] = {
    "search_memories": [{"query": "a passage in an archive"}, {"query": "fruit", "cursor": "o0.m1"}],
    "list_memories": [{}, {"cursor": "o0"}],
    "search_conversations": [{"query": "Remember"}, {"query": "Remember", "cursor": "o0.m999"}],
    "get_memory": [{"id": id} for id in PLACES],
    "read_conversation": [{"id": id} for id in ("m1", "m2", "ana/m1", "ana-archive/m1")],
    "update_memory": [{"id": id, "text": "taken over"} for id in PLACES[1:]],
    "delete_memory": [{"id": id} for id in PLACES[1:]],
    "add_memory": [{"text": "planted"}],
    "append_messages": [{"messages": [{"text": "planted", "role": "assistant"}], "key": "k1"}],
    "send_message": [{"text": "Which fruit?", "key": "k1"}],
}
RESOURCES = (
    "pagefault://sections/ana_plan", "pagefault://sections/human", "pagefault://memories/p1",
    "pagefault://memories/ana-archive%2Fp1", "pagefault://documents/ana-archive%2Fd1/1",
)  # fmt: skip


def messages() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every request of MCP that may show or change memory, with its method."""
    for name, tries in TOOL_TRIES.items():
        yield from (("tools/call", {"name": name, "arguments": each}) for each in tries)
    yield from (("resources/read", {"uri": uri}) for uri in RESOURCES)
    yield "resources/list", {}
    yield "prompts/get", {"name": "what_do_you_know_about", "arguments": {"topic": "a passage"}}
    yield "prompts/get", {"name": "what_do_you_know"}


@pytest.mark.parametrize("key", ["neighbour", "stranger"])
async def test_no_request_of_mcp_shows_or_changes_what_a_key_is_not_for(machine: Machine, key: str) -> None:
    assert TOOL_TRIES.keys() == TOOLS.keys()
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}
    paths = [f"/api/v1/agents/ana/{what}" for what in ("passages", "history", "sections", "events")]
    paths += ["/api/v1/agents/ana/passages/ana-archive/p1"]

    async def theirs(server: Protocols) -> list[str]:
        return [(await server.ask("owner", "GET", path)).text for path in paths]

    async def asked(server: Protocols, by: str, agent: str, method: str, params: Any) -> httpx2.Response:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await server.ask(by, "POST", f"/mcp/{agent}", json=body, headers=headers)

    async with protocols(machine) as server:
        before, shown = await theirs(server), 0
        for method, params in messages():
            foreign = await asked(server, key, "ana", method, params)
            assert foreign.status_code == 404, (params, foreign.text)
            own = await asked(server, key, "bo", method, params)
            assert own.status_code == 200, (params, own.text)
            assert SECRET not in foreign.text + own.text, (params, own.text)
            assert "taken over" not in own.text
        assert await theirs(server) == before
        for method, params in messages():
            if params.get("name") not in ("update_memory", "delete_memory"):
                shown += SECRET in (await asked(server, "owner", "ana", method, params)).text
        assert shown >= 8  # the tries would show it
