"""Letta's ids, names, messages and pages as values; requests that are odd or hostile; who may see what."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Machine, Served, served
from pagefault.config import AgentSettings
from pagefault.errors import NotFoundError, UsageError
from pagefault.importers.letta.names import (
    agent_name,
    archive_name,
    free_name,
    handle_of,
    model_name,
    section_name,
)
from pagefault.message_meta import MessageMeta
from pagefault.names import check_agent_name, check_shared_name
from pagefault.section_settings import SectionSettings
from pagefault.server.auth import Caller, caller
from pagefault.server.letta.bodies import AgentBody, BlockBody
from pagefault.server.letta.ids import IdKind, LettaId, letta_id, read_id
from pagefault.server.letta.messages import messages_of, stop_reason
from pagefault.server.letta.paging import ListPage
from pagefault.server.letta.settings import Wishes, declared, setting_values
from pagefault.tenancy import KeyRole
from pagefault.testing.models import ScriptedModel, say
from pagefault.types import AgentId, Message, Role

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
AGENT = AgentId(7)

# ids and names


@given(st.integers(0, 2**60 - 1), st.integers(0, 2**50 - 1), st.integers(0, 2**12 - 1))
def test_an_id_holds_its_numbers(owner: int, number: int, part: int) -> None:
    id = letta_id("message", owner, number, part)
    assert read_id("message", id) == LettaId(AgentId(owner), number, part)
    assert read_id("message", id.upper().replace("MESSAGE", "message")) == LettaId(
        AgentId(owner), number, part
    )


def test_ids_have_the_form_that_letta_checks() -> None:
    pattern = r"agent-[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}"
    assert re.fullmatch(pattern, letta_id("agent", 12))


@pytest.mark.parametrize(
    "id", ["", "agent-", "agent-1", "block-" + "0" * 36, "agent-" + "f" * 36, "agent-\x00" * 9]
)
def test_what_is_no_id_names_nothing(id: str) -> None:
    with pytest.raises(NotFoundError, match="There is no agent"):
        read_id("agent", id)


@given(st.text(max_size=80))
def test_any_name_becomes_one_that_can_be_used(name: str) -> None:
    if made := agent_name(name):
        assert agent_name(made) == made
        if made.isascii():
            check_agent_name(made)
    if made := archive_name(name):
        check_shared_name("archive", made)
    try:
        section = section_name(name)
    except UsageError:
        return
    assert SectionSettings(name=section).name == section == section_name(section)


def test_names_are_numbered_until_they_are_free() -> None:
    assert free_name("a", {"a", "a-2"}) == "a-3"
    assert len(free_name("a" * 64, {"a" * 64})) == 64
    assert free_name("b" * 32, {"b" * 32}, "_", 32) == "b" * 30 + "_2"


@pytest.mark.parametrize(
    ("handle", "model"),
    [
        ("openai/gpt-4o-mini", "openai:gpt-4o-mini"),
        ("ollama/qwen3:8b", "ollama:qwen3:8b"),
        ("openrouter/qwen/qwen3", "openrouter:qwen/qwen3"),
        ("offline/offline", "offline"),
    ],
)
def test_handles_are_models(handle: str, model: str) -> None:
    assert (model_name(handle), handle_of(model)) == (model, handle)
    assert model_name("google_ai/gemini-2.5-flash") == "google:gemini-2.5-flash"
    assert handle_of("http://127.0.0.1:8000/v1#qwen3, openai:x") == "server/qwen3"


# messages and pages


def test_rows_are_messages() -> None:
    row = Message(Role.USER, "Hi", AT, event=3, seq=5, speaker="Ana")
    (user,) = messages_of(AGENT, row)
    assert (user["message_type"], user["content"], user["name"]) == ("user_message", "Hi", "Ana")
    assert (user["id"], user["date"]) == (letta_id("message", 7, 5), "2026-01-02T03:04:05+00:00")
    call = Message(Role.CALL, '{"a": 1}', AT, name="look", call_id="c1", seq=6, completion=6)
    assert messages_of(AGENT, call)[0]["tool_call"] == {
        "name": "look",
        "arguments": '{"a": 1}',
        "tool_call_id": "c1",
    }
    assert messages_of(AGENT, call, {6}) == []
    assert messages_of(AGENT, replace(call, name="send_message")) == []
    refused = Message(
        Role.RESULT, "Not run", AT, name="look", call_id="c1", seq=7, meta=MessageMeta(decision="refused")
    )
    response, returned = messages_of(AGENT, refused)
    assert (response["message_type"], response["approvals"][0]["approve"]) == (
        "approval_response_message",
        False,
    )
    assert (returned["message_type"], returned["status"]) == ("tool_return_message", "error")
    assert read_id("message", response["id"]) < read_id("message", returned["id"])
    thinking = Message(Role.THOUGHT, "hm", AT, name="thinking", seq=8)
    assert messages_of(AGENT, thinking)[0]["source"] == "reasoner_model"
    for role, kind in (
        (Role.EVENT, "system_message"),
        (Role.ALERT, "system_message"),
        (Role.SUMMARY, "summary_message"),
    ):
        assert messages_of(AGENT, replace(row, role=role))[0]["message_type"] == kind
    assert messages_of(AGENT, replace(row, role=Role.PREFETCH)) == []


def test_the_reason_why_a_turn_ended() -> None:
    def alert(name: str, text: str) -> Message:
        return Message(Role.ALERT, text, AT, name=name, meta=MessageMeta(stop=True))

    assert stop_reason([]) == "end_turn"
    assert stop_reason([], waits=True) == "requires_approval"
    assert stop_reason([alert("model_failed", "no")]) == "llm_api_error"
    assert stop_reason([alert("cancelled", "The turn was cancelled.")]) == "cancelled"
    assert stop_reason([alert("max_steps", "The limit of 5 steps is reached.")]) == "max_steps"
    said = Message(Role.ASSISTANT, "I will ca", AT, meta=MessageMeta(cut=True))
    for text in ("3 steps that were cancelled: no such tool", "The turn took more than 60 s."):
        assert stop_reason([said, alert("stopped", text)]) == "error", "no word of a text says why"


@given(st.lists(st.integers(1, 30), unique=True), st.integers(1, 5), st.booleans())
def test_pages_give_each_item_once(numbers: list[int], limit: int, descending: bool) -> None:
    def page(**cursor: str) -> list[int]:
        asked = ListPage(cursor.get("before"), cursor.get("after"), limit, descending)
        return asked.of(numbers, "message", lambda n: LettaId(AGENT, n))

    seen = items = page()
    while items:
        items = page(after=letta_id("message", AGENT, items[-1]))
        seen += items
    assert seen == sorted(numbers, reverse=descending)
    back = items = page(before=letta_id("message", AGENT, seen[-1])) if seen else []
    while items:
        items = page(before=letta_id("message", AGENT, items[0]))
        back = items + back
    assert back == seen[:-1]


# settings


def test_limits_are_lowered_to_what_the_window_has_room_for() -> None:
    wishes, blocks = Wishes(), [BlockBody(label=f"b{n}", value="word " * 50, limit=20_000) for n in range(3)]
    sections = declared(blocks, 8192, lambda text: len(text) // 4, wishes)
    assert sum(section["limit"] for section in sections) <= 8192 // 4
    assert all(section["limit"] >= 62 for section in sections)
    assert len(wishes.notices) == 3
    assert wishes.notices[0].startswith("The limit of b0 is ")
    with pytest.raises(UsageError, match="Two blocks would be called b"):
        declared([BlockBody(label="b"), BlockBody(label="B")], 8192, len, wishes)
    with pytest.raises(UsageError, match="over its limit"):
        declared([BlockBody(label="b", value="xxx", limit=2)], 8192, len, wishes)


def test_what_is_not_here_is_told() -> None:
    wishes = Wishes(["look"])
    body = AgentBody.model_validate(
        {"tools": ["look", "run_code", "memory"], "tool_rules": [{"type": "run_first", "tool_name": "look"}],
         "enable_sleeptime": True, "secrets": {}, "agent_type": "memgpt_agent", "tags": ["a"],
         "description": "d"}
    )  # fmt: skip
    values = setting_values(body, AgentSettings().model_dump(), wishes)
    assert (values["tools"], values["approval"], values["style"]) == (["look"], [], "memgpt")
    assert (values["tags"], values["metadata"]) == (["a"], {"letta": {"description": "d"}})
    assert wishes.notices == [
        "There are no tools run_code here; they are left out.",
        "Tool rules of the type run_first are not kept here.",
        "There is nothing here for enable_sleeptime.",
    ]


# odd and hostile requests

ODD: list[Any] = [
    None,
    -1,
    10**30,
    True,
    "",
    "\x00",
    "\ud800",
    [],
    [[]],
    {},
    {"a": {"b": []}},
    "x" * 3000,
    ["\x00"],
]
FIELDS = {
    "/v1/agents/": ("name", "model", "tags", "metadata", "timezone", "context_window_limit", "memory_blocks"),
    "/v1/blocks/": ("label", "value", "limit"),
    "/v1/folders/": ("name", "description"),
    "/v1/agents/{agent}/messages": ("input", "messages", "include_return_message_types"),
    "/v1/agents/{agent}/archival-memory": ("text", "tags", "created_at"),
}


async def post(server: Served, path: str, body: Any, method: str = "POST") -> httpx2.Response:
    data = json.dumps(body).encode("utf-8", "surrogatepass")
    return await server.client.request(
        method, path, content=data, headers={"content-type": "application/json"}
    )


@pytest.mark.anyio
@pytest.mark.parametrize("path", FIELDS)
async def test_odd_values_are_taken_or_refused(machine: Machine, path: str) -> None:
    model = ScriptedModel(lambda _: [say("Yes.")])  # pyright: ignore[reportArgumentType]
    async with machine.open(model) as rig, served(rig.kernel) as server:
        made = (
            await post(server, "/v1/agents/", {"memory_blocks": [{"label": "human", "value": ""}]})
        ).json()
        where = path.format(agent=made["id"])
        for field in FIELDS[path]:
            for value in ODD:
                answer = await post(server, where, {"label": "b", "text": "t", field: value})
                assert answer.status_code in (200, 400, 404, 409, 422, 501), (field, value, answer.text)
                if answer.status_code >= 400:
                    assert isinstance(answer.json()["detail"], str)
        for raw in (b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 3000):
            answer = await server.client.post(
                where, content=raw, headers={"content-type": "application/json"}
            )
            assert 400 <= answer.status_code < 500, raw


@pytest.mark.anyio
async def test_odd_ids_and_cursors_name_nothing(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        made = (await post(server, "/v1/agents/", {})).json()
        for kind in ("agent", "block", "archive", "folder", "run", "tool"):
            odd: tuple[IdKind, ...] = (kind,)  # pyright: ignore[reportAssignmentType]
            ids = [
                "x",
                "%00",
                "é",
                *(letta_id(k, 2**60 - 1, 2**50 - 1, 4095) for k in odd),
                letta_id(odd[0], 999, 5),
            ]
            for id in ids:
                answer = await server.client.get(f"/v1/{kind}s/{id}")
                assert answer.status_code in (400, 404), (kind, id, answer.text)
        for query in ("after=x", "limit=0", "limit=99999999999999999999", "order=up"):
            answer = await server.client.get(f"/v1/agents/{made['id']}/messages?{query}")
            assert answer.status_code in (404, 422), query
        far = letta_id("message", read_id("agent", made["id"]).owner, 2**50 - 1, 4095)
        for query in (f"after={far}", f"before={far}", f"after={far}&order=asc", f"before={far}&order=asc"):
            answer = await server.client.get(f"/v1/agents/{made['id']}/messages?{query}")
            assert (answer.status_code, answer.json()) == (200, [])
        times = ("0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-23:59", "x")
        for time in times:
            path = f"/v1/agents/{made['id']}/archival-memory/search?query=x&start_datetime={time}"
            assert (await server.client.get(path)).status_code in (200, 400, 422), time


# who may see what


@pytest.mark.anyio
async def test_a_key_reaches_its_agents_and_its_tenant_alone(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:

        def act_as(tenant: str, *agents: str, role: KeyRole = "admin") -> None:
            made = Caller(rig.kernel.within(tenant), "k", tenant, role, frozenset(agents) or None, False)
            server.app.dependency_overrides[caller] = lambda: made

        blocks = [{"label": "human", "value": "secret"}]
        act_as("firm")
        bo, cy = [
            (await post(server, "/v1/agents/", {"name": name, "memory_blocks": blocks})).json()
            for name in ("bo", "cy")
        ]
        shared = (await post(server, "/v1/blocks/", {"label": "plan", "value": "secret"})).json()
        folder = (await post(server, "/v1/folders/", {"name": "files"})).json()
        for each in (bo, cy):
            attach = f"/v1/agents/{each['id']}/core-memory/blocks/attach/{shared['id']}"
            assert (await post(server, attach, None, "PATCH")).status_code == 200
        passage = (await post(server, f"/v1/agents/{cy['id']}/archival-memory", {"text": "secret"})).json()[0]
        tries: list[tuple[str, str, Any]] = [
            ("GET", f"/v1/agents/{cy['id']}", None),
            ("PATCH", f"/v1/agents/{cy['id']}", {"name": "x"}),
            ("DELETE", f"/v1/agents/{cy['id']}", None),
            ("GET", f"/v1/agents/{cy['id']}/messages", None),
            ("POST", f"/v1/agents/{cy['id']}/messages", {"input": "Hi"}),
            ("POST", f"/v1/agents/{cy['id']}/messages/async", {"input": "Hi"}),
            ("PATCH", f"/v1/agents/{cy['id']}/reset-messages", {}),
            ("GET", f"/v1/agents/{cy['id']}/core-memory/blocks/human", None),
            ("GET", f"/v1/blocks/{cy['blocks'][0]['id']}", None),
            ("PATCH", f"/v1/blocks/{cy['blocks'][0]['id']}", {"value": "mine"}),
            ("GET", f"/v1/agents/{cy['id']}/archival-memory/search?query=secret", None),
            ("DELETE", f"/v1/agents/{cy['id']}/archival-memory/{passage['id']}", None),
            ("POST", "/v1/passages/search", {"agent_id": cy["id"], "query": "secret"}),
            ("GET", f"/v1/runs/{letta_id('run', read_id('agent', cy['id']).owner, 1)}", None),
            ("GET", f"/v1/folders/{folder['id']}", None),
            ("GET", f"/v1/archives/{folder['id'].replace('folder', 'archive')}", None),
        ]
        shared_tries: list[tuple[str, str, Any]] = [
            ("PATCH", f"/v1/blocks/{shared['id']}", {"value": "mine"}),
            ("DELETE", f"/v1/blocks/{shared['id']}", None),
            ("POST", "/v1/blocks/", {"label": "new", "value": ""}),
            ("POST", "/v1/folders/", {"name": "new"}),
            ("POST", "/v1/agents/", {"name": "dy"}),
        ]
        for tenant, agents in (("", ()), ("other", ()), ("firm", ("bo",))):
            act_as(tenant, *agents)
            for method, path, body in tries:
                answer = await post(server, path, body, method)
                assert answer.status_code == 404, (tenant, method, path, answer.text)
                assert "secret" not in answer.text
            names = [each["name"] for each in (await server.client.get("/v1/agents/")).json()]
            assert "cy" not in names
            assert cy["id"] not in (await server.client.get(f"/v1/blocks/{shared['id']}/agents")).text
        for method, path, body in shared_tries:  # still as the key for bo
            assert (await post(server, path, body, method)).status_code == 403, (method, path)
        own = await server.client.get(f"/v1/agents/{bo['id']}/core-memory/blocks/plan")
        assert own.json()["value"] == "secret"
        act_as("firm", role="read")
        for method, path, body in (*tries, *shared_tries):
            if method != "GET" and "search" not in path:
                assert (await post(server, path, body, method)).status_code == 403, (method, path)
