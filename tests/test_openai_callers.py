"""What a key may not do, over OpenAI's protocols: another agent does not exist, another role is refused."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from conftest import Machine, Rig, Served, served
from pagefault.config import parse_settings
from pagefault.server.auth import Caller, caller
from pagefault.testing.models import ScriptedModel, say

pytestmark = pytest.mark.anyio

ASK = {"model": "ana", "messages": [{"role": "user", "content": "Hi"}]}


@asynccontextmanager
async def two_tenants(machine: Machine) -> AsyncGenerator[tuple[Rig, Served, str]]:
    """Ana of no tenant, who has answered once; another ana and a bob of the tenant ``other``."""
    async with machine.open(ScriptedModel([[say("A secret.")]])) as rig, served(rig.kernel) as server:
        other = rig.kernel.within("other")
        for name in ("ana", "bob"):
            await other.create_agent(name, parse_settings({"zone": "UTC"}))
        answer = await server.client.post("/v1/responses", json={"model": "ana", "input": "Hi"})
        yield rig, server, answer.json()["id"]


def within(server: Served, rig: Rig, tenant: str = "", **limits: Any) -> httpx2.AsyncClient:
    """The client of a caller with these limits."""
    kernel = rig.kernel.within(tenant) if tenant else rig.kernel
    server.app.dependency_overrides[caller] = lambda: Caller(kernel, tenant=tenant, **limits)
    return server.client


async def refused(client: httpx2.AsyncClient, id: str) -> list[int]:
    """The status of each way to reach ana and her response."""
    return [
        (await client.get("/v1/models/ana")).status_code,
        (await client.post("/v1/chat/completions", json=ASK)).status_code,
        (await client.post("/v1/chat/completions", json=ASK | {"stream": True})).status_code,
        (await client.post("/v1/responses", json={"model": "ana", "input": "Hi"})).status_code,
        (await client.get(f"/v1/responses/{id}")).status_code,
        (await client.get(f"/v1/responses/{id}", params={"stream": True})).status_code,
        (await client.post("/v1/responses", json={"input": "Hi", "previous_response_id": id})).status_code,
    ]


async def test_a_key_of_other_agents_reaches_none_of_it(machine: Machine) -> None:
    async with two_tenants(machine) as (rig, server, id):
        client = within(server, rig, agents=frozenset({"bob"}))
        assert await refused(client, id) == [404] * 7
        assert (await client.get("/v1/models")).json()["data"] == []
        assert len(await rig.events()) == 1


async def test_a_key_of_another_tenant_reaches_none_of_it(machine: Machine) -> None:
    async with two_tenants(machine) as (rig, server, id):
        client = within(server, rig, "other")
        assert [model["id"] for model in (await client.get("/v1/models")).json()["data"]] == ["ana", "bob"]
        for path in (f"/v1/responses/{id}", f"/v1/responses/{id}?stream=true"):
            answer = await client.get(path)
            assert (answer.status_code, "secret" in answer.text) == (404, False)
        continued = {"input": "Hi", "previous_response_id": id}
        assert (await client.post("/v1/responses", json=continued)).status_code == 404
        assert (await client.post("/v1/responses", json=continued | {"model": "ana"})).status_code == 404
        assert len(await rig.events()) == 1


async def test_a_key_that_reads_does_not_talk(machine: Machine) -> None:
    async with two_tenants(machine) as (rig, server, id):
        client = within(server, rig, role="read")
        assert await refused(client, id) == [200, 403, 403, 403, 200, 200, 403]
        assert (await client.post("/v1/chat/completions", json=ASK)).json()["error"][
            "type"
        ] == "permission_error"


async def test_a_user_is_believed_only_of_a_key_that_may_speak_for_users(machine: Machine) -> None:
    async with two_tenants(machine) as (rig, server, _):
        client = within(server, rig, role="chat", speaks_for_users=False)
        named = {"model": "ana", "messages": [{"role": "user", "name": "Eve", "content": "Hi"}]}
        for name in ("X-Pagefault-Sender", "X-OpenWebUI-User-Name", "X-OpenWebUI-User-Jwt"):
            answer = await client.post("/v1/chat/completions", json=named, headers={name: "Eve"})
            assert answer.status_code == 200
        assert {event.sender for event in await rig.events()} == {None}
