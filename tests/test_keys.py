"""Keys: who may do what over HTTP, how often, and where; made, listed and revoked from the command line."""

from __future__ import annotations

import json
import logging
import re
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.main import get_command

from conftest import Machine, Run, Served, served
from image_files import png
from pagefault.cli.tree import COMMANDS, app
from pagefault.errors import NotFoundError, StorageError, UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.tenancy import acts, counts, create_key, key_of, keys, revoke_key, set_quota
from pagefault.redaction import redacted
from pagefault.server.keys import KeyRates
from pagefault.server.problems import Problem
from pagefault.server.running import bind, check_host, check_names
from pagefault.tenancy import ApiKey, Quota
from pagefault.testing.models import ScriptedModel, call, say
from test_inspector import sign_in

pytestmark = pytest.mark.anyio

AGENT = "/api/v1/agents/ana"
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


async def status(client: httpx2.AsyncClient, secret: str, method: str, path: str, **more: Any) -> int:
    return (await client.request(method, path, headers=bearer(secret), **more)).status_code


async def test_from_the_first_key_on_every_request_needs_one(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        assert await status(server.client, "whatever clients send", "GET", AGENT) == 200
        secret = await create_key(rig.kernel, "ci", role="read")
        for headers in (
            {},
            bearer(secret[:-1]),
            bearer(""),
            {"authorization": f"Basic {secret}"},
            bearer("é"),
        ):
            sent = [(name.encode(), value.encode()) for name, value in headers.items()]
            answer = await server.client.get(AGENT, headers=sent)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert await status(server.client, secret, "GET", AGENT) == 200
        await revoke_key(rig.kernel, "ci")
        await create_key(rig.kernel, "other")
        assert await status(server.client, secret, "GET", AGENT) == 401
        assert (await server.client.get("/healthz")).status_code == 200


async def test_a_role_may_what_comes_before_it(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("Hello.")]] * 3)) as rig, served(rig.kernel) as server:
        roles = {role: await create_key(rig.kernel, role, role=role) for role in ("read", "chat", "admin")}
        message, change = {"text": "Hi"}, {"settings": {"max_steps": 5}}
        for role, wanted in (
            ("read", (200, 403, 403)),
            ("chat", (200, 200, 403)),
            ("admin", (200, 200, 200)),
        ):
            got = (
                await status(server.client, roles[role], "GET", f"{AGENT}/history"),
                await status(server.client, roles[role], "POST", f"{AGENT}/messages", json=message),
                await status(server.client, roles[role], "PATCH", AGENT, json=change),
            )
            assert (role, got) == (role, wanted)
        found = await acts(rig.kernel)
        assert [(act.who, act.what) for act in found] == [
            ("key admin", "changed the settings of ana: max_steps 12 -> 5")
        ]


async def test_a_key_is_for_agents_by_name_or_by_tag(machine: Machine) -> None:
    async with machine.open(ScriptedModel([]), tags=["public"]) as rig, served(rig.kernel) as server:
        await rig.kernel.ensure_agent("bo", (await _settings(rig.kernel)).model_copy(update={"tags": ()}))
        named = await create_key(rig.kernel, "named", role="admin", agents=["bo"])
        tagged = await create_key(rig.kernel, "tagged", role="admin", tag="public")
        for secret, seen, unseen in ((named, "bo", "ana"), (tagged, "ana", "bo")):
            listed = await server.client.get("/api/v1/agents", headers=bearer(secret))
            assert [each["name"] for each in listed.json()["items"]] == [seen]
            assert await status(server.client, secret, "GET", f"/api/v1/agents/{seen}") == 200
            assert await status(server.client, secret, "GET", f"/api/v1/agents/{unseen}") == 404
            assert await status(server.client, secret, "DELETE", f"/api/v1/agents/{unseen}") == 404
            new = {"name": "new"}
            assert await status(server.client, secret, "POST", "/api/v1/agents", json=new) == 403
        with pytest.raises(UsageError, match="by name or by tag"):
            await create_key(rig.kernel, "both", agents=["bo"], tag="public")


@pytest.mark.parametrize(
    "limits", [{"tag": "public"}, {"agents": ["ana", "b03", "b06", "b09", "nobody"]}, {}]
)
async def test_agents_are_listed_page_by_page_as_far_as_a_key_reaches(
    machine: Machine, limits: dict[str, Any]
) -> None:
    async with machine.open(ScriptedModel([]), tags=["public"]) as rig, served(rig.kernel) as server:
        settings = await _settings(rig.kernel)
        for number in range(12):
            tags = ("public",) if number % 3 == 0 and number else ()
            await rig.kernel.create_agent(f"b{number:02}", settings.model_copy(update={"tags": tags}))
        headers = bearer(await create_key(rig.kernel, "key", **limits))
        seen, asked = list[str](), {"limit": "2"}
        while True:
            page = (await server.client.get("/api/v1/agents", params=asked, headers=headers)).json()
            assert len(page["items"]) <= 2
            seen += [each["name"] for each in page["items"]]
            if page["next"] is None:
                break
            asked["cursor"] = page["next"]
        few = ["ana", "b03", "b06", "b09"]
        assert seen == (few if limits else ["ana", *(f"b{number:02}" for number in range(12))])
        models = (await server.client.get("/v1/models", headers=headers)).json()
        assert [each["id"] for each in models["data"]] == seen
        for cursor in ("../x", "a b", "x" * 9_999):
            asked = {"cursor": cursor}
            found = await server.client.get("/api/v1/agents", params=asked, headers=headers)
            assert (found.status_code, "no cursor of this list" in found.json()["detail"]) == (400, True)


async def test_a_key_by_tag_looks_at_what_is_asked_for_alone(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        machine.open(ScriptedModel([[say("Hello.")]]), tags=["public"]) as rig,
        served(rig.kernel) as server,
    ):
        settings = await _settings(rig.kernel)
        await rig.kernel.ensure_agent("bo", settings.model_copy(update={"tags": ()}))
        tagged = await create_key(rig.kernel, "tagged", role="admin", tag="public")

        async def list_all(_: Kernel) -> None:
            raise AssertionError("all agents of the tenant were listed")

        monkeypatch.setattr(Kernel, "agents", list_all)
        assert await status(server.client, tagged, "POST", f"{AGENT}/messages", json={"text": "Hi"}) == 200
        there, absent = [
            await server.client.get(f"/api/v1/agents/{name}", headers=bearer(tagged))
            for name in ("bo", "nobody")
        ]
        assert there.status_code == absent.status_code == 404
        assert there.json()["detail"] == absent.json()["detail"]  # it does not say which of the two is there
        assert await status(server.client, tagged, "PATCH", AGENT, json={"name": "cy"}) == 403
        assert await status(server.client, tagged, "PATCH", AGENT, json={"settings": {"tags": []}}) == 200
        assert await status(server.client, tagged, "GET", AGENT) == 404  # from the next request on


async def test_a_change_that_a_key_may_not_make_changes_nothing(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        secret = await create_key(rig.kernel, "one", agents=["ana"], role="admin")
        before = (await rig.kernel.record("ana")).settings
        letta = (await server.client.get("/v1/agents/", headers=bearer(secret))).json()[0]["id"]
        rest: dict[str, Any] = {"name": "eva", "settings": {"max_steps": 5}}
        for path, body in ((AGENT, rest), (f"/v1/agents/{letta}", {"name": "eva", "metadata": {"a": 1}})):
            assert await status(server.client, secret, "PATCH", path, json=body) == 403
        assert (await rig.kernel.record("ana")).settings == before


async def test_only_a_key_that_speaks_for_users_says_who_the_sender_is(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("Hello.")]] * 2)) as rig, served(rig.kernel) as server:
        own = await create_key(rig.kernel, "own")
        users = await create_key(rig.kernel, "users", speaks_for_users=True)
        message = {"text": "Hi", "sender": "Ann"}
        assert await status(server.client, own, "POST", f"{AGENT}/messages", json=message) == 403
        assert await status(server.client, users, "POST", f"{AGENT}/messages", json=message) == 200
        assert [event.sender for event in await rig.events()] == ["Ann"]
        said = {"messages": [{"text": "Hi"}, {"text": "Hi", "speaker": "Bo"}]}
        assert await status(server.client, own, "POST", f"{AGENT}/conversation", json=said) == 403
        assert await status(server.client, users, "POST", f"{AGENT}/conversation", json=said) == 201


async def test_each_key_has_its_requests_a_minute(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel, rate=2) as server:
        first, second = await create_key(rig.kernel, "first"), await create_key(rig.kernel, "second")
        assert [await status(server.client, first, "GET", AGENT) for _ in range(3)] == [200, 200, 429]
        assert await status(server.client, second, "GET", AGENT) == 200
        answer = await server.client.get(AGENT, headers=bearer(first))
        assert int(answer.headers["retry-after"]) <= 30


def test_requests_come_back_with_time() -> None:
    now = 0.0
    limits, key = KeyRates(60, lambda: now), ApiKey("a", NOW)
    for _ in range(60):
        limits.take(key)
    with pytest.raises(Problem, match="try again in 1 s"):
        limits.take(key)
    limits.take(replace(key, tenant="firm"))
    now = 1.0
    limits.take(key)
    with pytest.raises(Problem):
        limits.take(key)


def test_a_rate_of_its_own_counts_instead_of_the_servers() -> None:
    slow, fast, free = (ApiKey(name, NOW, rate=rate) for name, rate in (("s", 1), ("f", 4), ("0", 0)))
    for per_minute in (0, 2):
        limits = KeyRates(per_minute, lambda: 0.0)
        for key, most in ((slow, 1), (fast, 4), (free, 99)):
            for _ in range(most):
                limits.take(key)
        for key in (slow, fast):
            with pytest.raises(Problem, match=f"has had its {key.rate} requests a minute"):
                limits.take(key)


JSON = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


def body_of(size: int) -> list[bytes]:
    """A body that any protocol could have, in pieces."""
    text = "x" * size
    body = json.dumps({"model": "ana", "input": text, "text": text}).encode()
    return [body[start : start + 100] for start in range(0, len(body), 100)]


async def taken_into(taken: list[bytes], pieces: list[bytes]) -> AsyncGenerator[bytes]:
    for piece in pieces:
        taken.append(piece)
        yield piece


async def paths_of_protocols(server: Served, secret: str) -> dict[str, str]:
    letta = (await server.client.get("/v1/agents/", headers=bearer(secret))).json()[0]["id"]
    return {
        "rest": f"{AGENT}/messages", "openai chat": "/v1/chat/completions", "openai": "/v1/responses",
        "letta": f"/v1/agents/{letta}/messages", "mcp": "/mcp/ana",
    }  # fmt: skip


def sentence(answer: httpx2.Response) -> str:
    """The sentence of an error, from where each protocol has it."""
    found = answer.json()
    if "error" in found:
        return str(found["error"]["message"])
    return str(found["detail"])


async def test_a_body_above_the_limit_of_its_key_is_refused_unread_in_every_protocol(
    machine: Machine,
) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel, body=2_000) as server:
        small = await create_key(rig.kernel, "small", role="admin", body=1_000)
        large = await create_key(rig.kernel, "large", role="admin", body=9_000)
        usual = await create_key(rig.kernel, "usual", role="admin")
        limits = (small, 1_000, "with this key"), (large, 2_000, "here"), (usual, 2_000, "here")
        for protocol, path in (await paths_of_protocols(server, small)).items():
            for secret, most, where in limits:
                pieces, taken = body_of(most // 2 + 200), list[bytes]()
                for content in (taken_into(taken, pieces), b"".join(pieces)):
                    answer = await server.client.post(path, content=content, headers=JSON | bearer(secret))
                    assert answer.status_code == 413, (protocol, most, answer.text)
                    assert f"may have {most:,} bytes {where}" in sentence(answer), protocol
                assert sum(map(len, taken)) <= most + 100, protocol
        assert await rig.events() == []


async def test_nothing_is_read_of_a_body_that_says_it_is_too_large(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        secret = await create_key(rig.kernel, "small", role="admin", body=1_000)
        for protocol, path in (await paths_of_protocols(server, secret)).items():
            pieces, taken = body_of(600), list[bytes]()
            headers = JSON | bearer(secret) | {"content-length": str(sum(map(len, pieces)))}
            answer = await server.client.post(path, content=taken_into(taken, pieces), headers=headers)
            assert (answer.status_code, taken) == (413, []), protocol


async def test_a_body_below_the_limit_of_its_key_is_taken(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("Hello.")]] * 2)) as rig, served(rig.kernel) as server:
        secret = await create_key(rig.kernel, "small", body=1_000)
        body = json.dumps({"text": "x" * (1_000 - len(json.dumps({"text": ""})))}).encode()
        for content in (body, taken_into([], [body[:500], body[500:]])):
            answer = await server.client.post(
                f"{AGENT}/messages",
                content=content,
                headers=bearer(secret) | {"content-type": JSON["content-type"]},
            )
            assert answer.json()["text"] == "Hello."


async def test_a_session_and_an_upload_have_the_limit_of_the_key(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        secret = await create_key(rig.kernel, "small", role="admin", body=1_000)
        files = {"file": ("a.txt", b"x" * 2_000)}
        refused = await server.client.post(f"{AGENT}/documents", files=files, headers=bearer(secret))
        assert "may have 1,000 bytes with this key" in sentence(refused)
        assert (await sign_in(server.client, secret)).status_code == 303
        pages = "/agents/ana"
        for sent in (
            await server.client.post(f"{pages}/documents", files=files),
            await server.client.post(f"{pages}/chat/messages", data={"text": "x" * 2_000}),
        ):
            assert (sent.status_code, sentence(sent)) == (413, sentence(refused))
        assert (await server.client.get(AGENT)).status_code == 401  # a session opens no other protocol
        assert await rig.events() == []


async def test_a_request_too_many_is_refused_unread_and_counted_once_in_every_protocol(
    machine: Machine,
) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        paths = await paths_of_protocols(server, "")
        for number, (protocol, path) in enumerate(paths.items()):
            secret = await create_key(rig.kernel, f"k{number}", role="read", rate=2, body=1_000)
            refused = list[int]()
            for _ in range(2):  # above the limit of the body: counted, though nobody asked for the caller
                large = await server.client.post(path, content=b"x" * 1_001, headers=JSON | bearer(secret))
                refused.append(large.status_code)
            taken = list[bytes]()
            content = taken_into(taken, body_of(200))
            answer = await server.client.post(path, content=content, headers=JSON | bearer(secret))
            assert (refused, answer.status_code) == ([413, 413], 429), protocol
            assert int(answer.headers["retry-after"]) <= 30, protocol
            assert "has had its 2 requests a minute" in sentence(answer), protocol
            assert taken == [], protocol
        assert await rig.events() == []


async def test_a_database_that_is_away_while_a_body_is_read_is_said_as_such(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        secret = await create_key(rig.kernel, "ci")

        async def away(*_: object) -> None:
            raise StorageError("the server db.internal is gone")

        paths = await paths_of_protocols(server, secret)
        monkeypatch.setattr(type(rig.kernel.scheduler.store), "read", away)
        for protocol, path in paths.items():
            answer = await server.client.post(path, content=b"{}", headers=JSON | bearer(secret))
            assert (answer.status_code, "db.internal" in answer.text) == (503, False), protocol


async def test_the_server_is_shown_to_others_only_with_a_key(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel, host="0.0.0.0") as server:
        for host in ("0.0.0.0", "192.0.2.1", "::", "example.org"):
            with pytest.raises(UsageError, match="make one with `pagefault key create NAME`"):
                await check_host(rig.kernel, host)
        for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
            await check_host(rig.kernel, host)
        assert (await server.client.get(AGENT)).status_code == 401
        await create_key(rig.kernel.within("firm"), "ci")
        await check_host(rig.kernel, "0.0.0.0")


@pytest.mark.parametrize("host", ["", "*", "https://agents.example", "agents.example:8283", "a b"])
def test_a_name_that_no_request_could_give_is_refused(host: str) -> None:
    check_names(["agents.example", "10.0.0.7", "::1"])
    with pytest.raises(UsageError, match="without scheme, port and path"):
        check_names([host])


def test_a_port_that_is_taken_is_said_in_a_sentence() -> None:
    with bind("127.0.0.1", 0) as taken, pytest.raises(UsageError, match=r"\(Address already in use\);"):
        bind("127.0.0.1", taken.getsockname()[1])


def test_every_command_about_agents_takes_a_tenant() -> None:
    def without(command: Any, path: str) -> Iterator[str]:
        for name, part in getattr(command, "commands", {}).items():
            yield from without(part, f"{path} {name}")
        options = {option.name for option in command.params}
        if "home" in options and "tenant" not in options:
            yield path

    root: Any = get_command(app)
    found = {path for name in COMMANDS for path in without(root.commands[name], name)}
    of_no_agent = ("db ", "models", "bench ", "tenant ", "embedders", "serve", "tools ")  # it is the argument
    assert [path for path in sorted(found) if not path.startswith(of_no_agent)] == []


async def test_the_secret_is_not_kept_and_is_in_no_log(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        secret = await create_key(rig.kernel, "ci")
        found = await key_of(rig.kernel, secret)
        assert found is not None
        assert found.name == "ci"
        assert secret not in repr(machine.database)
        assert secret not in redacted(f"it failed with {secret}")
        with caplog.at_level(logging.DEBUG):
            await status(server.client, secret, "GET", AGENT)
            await status(server.client, secret, "GET", f"/api/v1/agents/none?key={secret}")
        ours = [record.__dict__ for record in caplog.records if record.name.startswith("pagefault")]
        assert len(ours) >= 2
        assert secret not in repr(ours)


async def test_keys_are_each_tenants_own(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        first, second = rig.kernel.within("first"), rig.kernel.within("second")
        await create_key(first, "ci")
        await create_key(second, "ci", role="read")
        assert [key.role for key in await keys(second)] == ["read"]
        with pytest.raises(UsageError, match="There is a key ci already"):
            await create_key(first, "ci")
        with pytest.raises(NotFoundError, match="There is no key ci"):
            await revoke_key(rig.kernel, "ci")
        for name in ("", "a b", "a/b", "x" * 65):
            with pytest.raises(UsageError, match="cannot be a key's name"):
                await create_key(first, name)


NEAR = "http://10.0.0.7:8000/v1"
"""The server that the installation's own models are at."""


@pytest.mark.parametrize(
    "model",
    [
        "http://169.254.169.254/v1#x",
        "openai:gpt-4o-mini, http://127.0.0.1:8283/v1#x",
        "pydantic-ai:huggingface:http://10.0.0.9/x",
        "pydantic-ai:openai:gpt,https://example.org/v1#x",
        f"{NEAR}/other#x",
        "http://10.0.0.7:9000/v1#x",
    ],
)
async def test_a_tenants_key_names_no_server_of_its_own(machine: Machine, model: str) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        firm, settings = rig.kernel.within("firm"), await _settings(rig.kernel)
        await firm.create_agent("ana", settings)
        own = settings.model_copy(update={"model": f"offline,{NEAR}#qwen3"})
        async with served(rig.kernel, agent=own) as server:
            headers = bearer(await create_key(firm, "ops", role="admin"))

            async def refused(method: str, path: str, body: dict[str, Any]) -> str:
                answer = await server.client.request(method, path, headers=headers, json=body)
                assert answer.status_code == 403, answer.text
                return answer.text

            wanted = {"settings": {"model": model, "max_steps": 5}}
            assert "no server" in await refused("POST", "/api/v1/agents", {"name": "bo", **wanted})
            assert "no server" in await refused("PATCH", AGENT, {"name": "eva", **wanted})
            letta = (await server.client.get("/v1/agents/", headers=headers)).json()[0]["id"]
            handle = {"model": model.replace(":", "/", 1)}
            if not model.startswith("http"):  # which makes no address of a handle
                assert "no server" in await refused("POST", "/v1/agents/", {"name": "cy", **handle})
                assert "no server" in await refused("PATCH", f"/v1/agents/{letta}", handle)
        assert [(each.name, each.settings["model"]) for each in await firm.agents()] == [("ana", "offline")]


async def test_a_tenants_key_may_name_the_installations_models(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        firm, settings = rig.kernel.within("firm"), await _settings(rig.kernel)
        near, other = f"{NEAR}#qwen3", "http://10.0.0.8/v1#x"
        await firm.create_agent("ana", settings.model_copy(update={"model": other}))  # by the operator
        async with served(rig.kernel, agent=settings.model_copy(update={"model": near})) as server:
            tenants = await create_key(firm, "ops", role="admin")
            operators = await create_key(rig.kernel, "ops", role="admin")
            for secret, change in (
                (tenants, {"max_steps": 5}),
                (tenants, {"model": other, "max_steps": 6}),
                (tenants, {"model": f"openai:gpt-4o-mini, {NEAR}/#qwen3-coder"}),
                (operators, {"model": other}),
            ):
                assert await status(server.client, secret, "PATCH", AGENT, json={"settings": change}) == 200
            new = {"name": "bo"}
            assert await status(server.client, tenants, "POST", "/api/v1/agents", json=new) == 201
            assert (await firm.record("bo")).settings["model"] == near


async def test_a_quota_is_reached_with_a_sentence_and_turns_end(machine: Machine) -> None:
    script = [[call("archival_insert", text="more", heartbeat=True)], [say("Noted.")], [say("Never.")]]
    async with machine.open(ScriptedModel(script)) as rig, served(rig.kernel) as server:
        firm = rig.kernel.within("firm")
        await firm.create_agent("ana", await _settings(rig.kernel))
        secret = await create_key(firm, "ci", role="admin")
        await set_quota(firm, Quota(agents=1, rows=1))
        new = await server.client.post("/api/v1/agents", headers=bearer(secret), json={"name": "bo"})
        assert (new.status_code, new.json()["title"]) == (403, "Quota reached")
        first = await server.client.post(
            f"{AGENT}/messages", headers=bearer(secret), json={"text": "Save it."}
        )
        assert first.json()["text"] == "Noted."
        results = [output["text"] for output in first.json()["outputs"] if output["type"] == "returned"]
        assert "as many rows as it may have (1)" in results[0]
        second = await server.client.post(
            f"{AGENT}/messages", headers=bearer(secret), json={"text": "Again."}
        )
        assert second.status_code == 403
        with pytest.raises(UsageError, match="has no quota"):
            await set_quota(rig.kernel, Quota(agents=1))


async def test_a_tenant_that_has_its_bytes_of_images_says_words_alone(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("Nice.")]] * 4)) as rig, served(rig.kernel) as server:
        firm = rig.kernel.within("firm")
        await firm.create_agent("ana", await _settings(rig.kernel))
        headers, pictures = bearer(await create_key(firm, "ci")), [png(shade=shade) for shade in (0, 99)]
        await set_quota(firm, Quota(media_bytes=len(pictures[0])))

        async def sent(*shown: bytes) -> httpx2.Response:
            images = [f"data:image/png;base64,{b64encode(each).decode()}" for each in shown]
            message = {"text": "Look.", "images": images}
            return await server.client.post(f"{AGENT}/messages", headers=headers, json=message)

        assert (await sent()).status_code == 200
        assert (await sent(pictures[0])).status_code == 200
        refused = await sent(pictures[1])
        assert (refused.status_code, refused.json()["title"]) == (403, "Quota reached")
        assert "as many media bytes as it may have" in refused.json()["detail"]
        assert (await sent()).status_code == 200
        assert (await counts(firm))["media_bytes"] == len(pictures[0])
        assert (await counts(rig.kernel))["media_bytes"] == 0
        await set_quota(firm, Quota(media_bytes=len(pictures[0]) + 1))
        assert (await sent(pictures[1])).status_code == 200


async def test_a_tenant_that_has_spent_its_day_waits(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("One.")], [say("Two.")]])) as rig:
        firm, other = rig.kernel.within("firm"), rig.kernel.within("other")
        for tenant in (firm, other):
            await tenant.create_agent("ana", await _settings(rig.kernel))
        await set_quota(firm, Quota(daily_tokens=1))
        assert [o.text async for o in firm.send("ana", "Hi") if o.type == "said"] == ["One."]
        alerts = [o.text async for o in firm.send("ana", "Hi") if o.type == "alerted"]
        assert "The tenant firm has reached its daily budget" in alerts[0]
        assert "pagefault tenant set firm --daily-tokens N" in alerts[0]
        assert [o.text async for o in other.send("ana", "Hi") if o.type == "said"] == ["Two."]


def test_what_is_made_for_a_tenant_is_said_with_the_tenant(run: Run) -> None:
    alone = run("key", "create", "one", "--tenant", "firm", "--agents", "eva")
    assert "There is no agent eva yet; the key reaches it once it is made." in alone.err
    made = run("agent", "create", "eva", "--tenant", "firm").out
    assert "`pagefault chat --agent eva --tenant firm` talks with it." in made
    assert "`pagefault chat --agent eva` talks with it." in run("agent", "create", "eva").out


def test_keys_and_quotas_from_the_command_line(run: Run) -> None:
    made = run("--json", "key", "create", "ci", "--tenant", "firm", "--role", "admin").json
    assert (made["name"], made["tenant"], made["role"], made["key"][:3]) == ("ci", "firm", "admin", "pf_")
    shown = run("key", "create", "web", "--tenant", "firm", "--agents", "ana,bo", "--speaks-for-users")
    assert re.fullmatch(r"pf_\S+\n", shown.out)  # the key alone, for KEY=$(pagefault key create ...)
    assert "it is shown this once" in shown.err
    assert "There is no agent ana and no agent bo yet; the key reaches them once they are made." in shown.err
    assert run("key", "create", "bulk", "--tenant", "firm", "--rate", "0", "--body", "100k").code == 0
    listed = run("key", "list", "--tenant", "firm").out
    assert "pf_" not in listed
    assert "ana, bo" in listed
    assert re.search(r"^bulk .* no limit +100,000 ", listed, re.MULTILINE)
    limits = {
        key["name"]: (key["rate"], key["body"])
        for key in run("--json", "key", "list", "--tenant", "firm").json
    }
    assert limits == {"bulk": (0, 100_000), "ci": (None, None), "web": (None, None)}
    assert run("key", "list").out == "There are no keys.\n"
    quota = ("--agents", "1", "--daily-cost", "2.5", "--media-bytes", "2G")
    assert run("tenant", "set", "firm", *quota).code == 0
    assert run("--json", "tenant", "show", "firm").json["quota"]["media_bytes"] == 2_000_000_000
    assert run("agent", "create", "ana", "--tenant", "firm").code == 0
    refused = run("--tenant", "firm", "agent", "create", "bo")
    assert "as many agents as it may have (1)" in refused.err
    assert run("--json", "tenant", "show", "firm").json["has"]["agents"] == 1
    assert run("agent", "list").out == "There are no agents yet.\n"
    assert run("key", "revoke", "ci", "--tenant", "firm").code == 0
    acts = [act["what"] for act in run("--json", "audit", "--tenant", "firm").json]
    assert acts == [
        "revoked the key ci", "made ana",
        "set the quota: agents none -> 1; daily_cost none -> 2.5; media_bytes none -> 2000000000",
        "made the key bulk, role chat, for all agents, at any rate, 100,000 bytes a request",
        "made the key web, role chat, for ana, bo, speaks for users",
        "made the key ci, role admin, for all agents",
    ]  # fmt: skip


def test_tenants_are_listed_with_their_agents_and_keys(run: Run) -> None:
    assert run("tenant", "list").out == "There are no tenants.\n"
    assert run("--json", "tenant", "list").json == []
    for tenant in ((), ("--tenant", "firm")):
        assert run("agent", "create", "ana", *tenant).code == 0
    assert run("agent", "create", "bo", "--tenant", "firm").code == 0
    assert run("key", "create", "ci", "--tenant", "firm").code == 0
    assert run("tenant", "set", "new", "--agents", "5").code == 0
    rows = [line.split() for line in run("tenant", "list").out.splitlines()]
    assert rows == [
        ["tenant", "agents", "keys"], ["(default)", "1", "0"], ["firm", "2", "1"], ["new", "0", "0"],
    ]  # fmt: skip
    listed = run("--json", "tenant", "list").json
    assert listed[1] == {"tenant": "firm", "agents": 2, "keys": 1}


def test_wrong_options_of_keys_are_one_sentence_each(run: Run) -> None:
    for arguments, sentence in (
        (("key", "create", "ci", "--role", "root"), "root is no role; write read, chat or admin."),
        (("key", "create", "ci", "--all", "--tag", "x"), "--all goes with neither"),
        (("key", "create", "ci", "--agents", "a b/c"), "cannot be an agent's name"),
        (("key", "create", "c i"), "cannot be a key's name"),
        (("key", "create", "ci", "--body", "0"), "may have 1 to 1,000,000,000,000 bytes, not 0."),
        (("key", "create", "ci", "--body", "9" * 15 + "T"), "may have 1 to 1,000,000,000,000 bytes, not"),
        (
            ("key", "create", "ci", "--body", "a lot"),
            "--body takes a size in bytes, such as 100k or 10M, not a lot.",
        ),
        (("key", "create", "ci", "--rate", "9" * 20), "minute are 0 (no limit) to 1,000,000,000,000, not"),
        (("tenant", "set", "firm", "--media-bytes", "-1"), "--media-bytes takes a size in bytes"),
        (
            ("tenant", "set", "firm", "--media-bytes", "9" * 15 + "T"),
            "--media-bytes takes a number from 0 on",
        ),
        (("key", "revoke", "none"), "There is no key none"),
        (("tenant", "set", "firm"), "Give a limit"),
        (("tenant", "set", "firm", "--rows", "many"), "--rows takes a number from 0 on, or none"),
        (("tenant", "set", "a b", "--rows", "1"), "cannot be a tenant's name"),
        (("--tenant", "../x", "agent", "list"), "cannot be a tenant's name"),
        (("serve", "--host", "0.0.0.0"), "The server has no key, and 0.0.0.0 is not the loopback"),
    ):
        ran = run(*arguments)
        assert (ran.code, sentence in ran.err) == (1, True), (arguments, ran)


async def _settings(kernel: Kernel) -> Any:
    from pagefault.config import settings_of

    return settings_of(await kernel.record("ana"))


def test_an_import_brings_no_tag_unasked(run: Run, tmp_path: Path) -> None:
    assert run("agent", "create", "ana", "--setting", "tags=public").code == 0
    assert run("db", "export", "ana", str(tmp_path / "ana.jsonl")).code == 0
    assert run("db", "import", str(tmp_path / "ana.jsonl"), "--name", "bo").code == 0
    assert run("--json", "agent", "show", "bo").json["settings"]["tags"] == []


def test_a_secret_too_short_to_sign_with_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEFAULT_SESSION_SECRET", "short")
    ran = run("serve", "--port", "0")
    assert (ran.code, ran.out) == (1, "")
    why = "PAGEFAULT_SESSION_SECRET is too short to sign with; give at least 32 random characters."
    assert ran.err == f"pagefault: {why}\n"
