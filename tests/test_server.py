"""The server: messages as replies and as streams that are taken up again, agents, problems, walls."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import httpx2
import pytest
from fastapi.routing import APIRoute

from conftest import Machine, served
from pagefault.models import Prompt, StreamItem
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event, Output

pytestmark = pytest.mark.anyio

API = "/api/v1"
STREAM = {"accept": "text/event-stream"}


@dataclass
class Gate:
    """Where a model stops: ``reached`` when it has come there, and it goes on when it is ``opened``."""

    reached: anyio.Event = field(default_factory=anyio.Event)
    opened: anyio.Event = field(default_factory=anyio.Event)


class HaltingModel(ScriptedModel):
    """Stops in each completion behind its second delta until its gate is opened; without gates it does
    not."""

    def __init__(self, script: Any, *gates: Gate) -> None:
        super().__init__(script)
        self.gates = list(gates)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        gate, n = self.gates.pop(0) if self.gates else None, 0
        async for item in super().stream(prompt):
            yield item
            n += 1
            if gate and n == 3:
                gate.reached.set()
                await gate.opened.wait()


@dataclass
class Sent:
    """One server-sent event."""

    type: str
    id: int
    data: dict[str, Any]


async def sent_events(response: httpx2.Response) -> AsyncIterator[Sent]:
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
        elif not line and fields:
            yield Sent(fields["event"], int(fields["id"]), json.loads(fields["data"]))
            fields = {}


# messages


async def test_a_message_is_answered_when_the_turn_is_over(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("Hello Ann.")]])) as rig, served(rig.kernel) as server:
        answer = await server.client.post(f"{API}/agents/ana/messages", json={"text": "Hi, I am Ann."})
        assert answer.status_code == 200
        reply = answer.json()
        assert (reply["text"], reply["alerts"], reply["waiting"]) == ("Hello Ann.", [], [])
        assert [output["type"] for output in reply["outputs"]] == ["called", "said", "returned", "done"]
        assert answer.headers["x-request-id"]


async def test_a_message_with_a_key_is_answered_once(machine: Machine) -> None:
    model = ScriptedModel([[say("One.")], [say("Two.")]])
    async with machine.open(model) as rig, served(rig.kernel) as server:

        async def post(text: str, key: str) -> httpx2.Response:
            headers = {"idempotency-key": key}
            return await server.client.post(
                f"{API}/agents/ana/messages", json={"text": text}, headers=headers
            )

        first, again = await post("Hi", "k1"), await post("Hi", "k1")
        assert first.json()["text"] == again.json()["text"] == "One."
        assert first.json()["event"] == again.json()["event"]
        assert len(model.prompts) == 1
        other = await post("Something else", "k1")
        assert (other.status_code, other.json()["title"]) == (422, "Key used")


async def test_an_event_is_stored_and_its_reply_can_be_asked_for(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("Welcome.")]])) as rig, served(rig.kernel) as server:
        posted = await server.client.post(
            f"{API}/agents/ana/events", json={"kind": "door_opened", "text": "x"}
        )
        assert posted.status_code == 202
        reply = await server.client.get(f"{API}/agents/ana/events/{posted.json()['id']}/outputs")
        assert reply.json()["text"] == "Welcome."


@pytest.mark.parametrize("kind", ["memory_pressure", "agent", "edited", "user", "Door"])
async def test_events_that_only_the_system_makes_are_refused(machine: Machine, kind: str) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        answer = await server.client.post(f"{API}/agents/ana/events", json={"kind": kind})
        assert answer.status_code == 400
        assert await rig.events() == []


WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "rest": ("POST", f"{API}/agents/ana/messages", {"text": "Hi"}),
    "chat": (
        "POST",
        "/v1/chat/completions",
        {"model": "ana", "messages": [{"role": "user", "content": "Hi"}]},
    ),
    "responses": ("POST", "/v1/responses", {"model": "ana", "input": "Hi"}),
    "letta": ("POST", "/v1/agents/agent-00000000-0001-4000-8000-000000000000/messages", {"input": "Hi"}),
}


@pytest.mark.parametrize("way", WAYS)
async def test_who_waits_for_an_agent_that_is_deleted_is_told(machine: Machine, way: str) -> None:
    method, path, body = WAYS[way]
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server, server.live() as url:
        rig.kernel.scheduler.admission.most = 0  # the turn does not begin
        answers: list[httpx2.Response] = []

        async def send(client: httpx2.AsyncClient, path: str, **more: Any) -> None:
            answers.append(await client.request(method, path, **more))

        async with httpx2.AsyncClient(base_url=url, timeout=60) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(partial(send, client, path, json=body))
            path += "/stream" if way == "letta" else ""
            body = body | ({} if way == "rest" else {"stream": True})
            tasks.start_soon(partial(send, client, path, json=body, headers=STREAM))
            with anyio.fail_after(60):
                while len(await rig.events()) < 2:  # noqa: ASYNC110  both are stored
                    await anyio.sleep(0.01)
                await anyio.sleep(0.1)
                assert (await client.delete(f"{API}/agents/ana")).status_code == 204
        whole, stream = sorted(answers, key=lambda answer: -answer.status_code)
        assert (whole.status_code, stream.status_code) == (404, 200)
        assert "event: error" in stream.text
        assert "There is no agent ana" in whole.text
        assert "There is no agent ana" in stream.text


async def test_an_agent_in_a_turn_is_not_deleted_or_renamed(machine: Machine) -> None:
    gate = Gate()
    async with machine.open(HaltingModel([[say("Hello.")]], gate)) as rig, served(rig.kernel) as server:
        await server.client.post(f"{API}/agents/ana/events", json={"kind": "message", "text": "Hi"})
        await gate.reached.wait()
        for answer in (
            await server.client.delete(f"{API}/agents/ana"),
            await server.client.patch(f"{API}/agents/ana", json={"name": "eva"}),
        ):
            assert (answer.status_code, answer.json()["title"]) == (409, "In a turn")
        gate.opened.set()
        await rig.kernel.idle()


async def test_a_listener_that_takes_nothing_is_left_behind(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        agent = await rig.kernel.find("ana")
        async with rig.kernel.listen("ana", 2) as slow, rig.kernel.listen("ana") as other:
            for number in range(1, 5):
                agent.show(Output("thought", "", 1, number))
            assert [output.position async for output in slow] == [1, 2]
            assert [(await other.receive()).position for _ in range(4)] == [1, 2, 3, 4]


# streams


async def test_a_stream_has_each_output_with_its_position(machine: Machine) -> None:
    model = ScriptedModel(
        [[call("archival_insert", content="Ann", heartbeat=True)], [say("Hello Ann, hello.")]]
    )
    async with machine.open(model) as rig, served(rig.kernel) as server, server.live() as url:
        async with (
            httpx2.AsyncClient(base_url=url, timeout=60) as client,
            client.stream(
                "POST", f"{API}/agents/ana/messages", json={"text": "Hi"}, headers=STREAM
            ) as answer,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            sent = [each async for each in sent_events(answer)]
        committed = [each for each in sent if each.type != "delta"]
        assert [each.type for each in committed] == [
            "called",
            "returned",
            "called",
            "said",
            "returned",
            "done",
        ]
        assert all(each.id == each.data["position"] for each in sent)
        deltas = "".join(each.data["text"] for each in sent if each.type == "delta")
        assert deltas == "Hello Ann, hello."


async def test_a_stream_that_was_lost_goes_on_where_it_was_left(machine: Machine) -> None:
    gate = Gate()
    steps = [[call("archival_insert", content="Ann", heartbeat=True)], [say("Hello Ann, how are you?")]]
    model = HaltingModel(steps, Gate(), gate)
    model.gates[0].opened.set()
    async with machine.open(model) as rig, served(rig.kernel) as server, server.live() as base:
        async with httpx2.AsyncClient(base_url=base, timeout=60) as client:
            seen: list[Sent] = []
            headers = {**STREAM, "idempotency-key": "one"}
            url, body = f"{API}/agents/ana/messages", {"text": "Hi"}
            async with client.stream("POST", url, json=body, headers=headers) as answer:
                async for each in sent_events(answer):
                    seen.append(each)
                    if each.type == "delta":
                        break
            await gate.reached.wait()
            event, last = seen[-1].data["event"], seen[-1].id
            resume = {**STREAM, "last-event-id": str(last)}
            ways = (
                client.stream("GET", f"{API}/agents/ana/events/{event}/outputs", headers=resume),
                client.stream(
                    "POST", f"{API}/agents/ana/messages", json={"text": "Hi"}, headers=headers | resume
                ),
            )
            for way in ways:
                async with way as answer:
                    gate.opened.set()
                    rest = [each async for each in sent_events(answer)]
                assert [each.type for each in rest] == ["retracted", "called", "said", "returned", "done"]
                committed = [each for each in seen + rest if each.type not in ("delta", "retracted")]
                assert [each.type for each in committed] == [
                    "called",
                    "returned",
                    "called",
                    "said",
                    "returned",
                    "done",
                ]
        assert len(model.prompts) == 2


async def test_outputs_are_listed_page_by_page(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pagefault.kernel.streams._ROWS", 3)
    texts = ["One.", "Two.", "Three.", "Four."]
    async with machine.open(ScriptedModel(list(texts)), style="native") as rig, served(rig.kernel) as server:
        for text in texts:
            await rig.send(f"before {text}")
        found, pages, cursor = list[str](), 0, "0"
        while cursor:
            query = {"limit": 1, "cursor": cursor} if pages else {"limit": 1}
            page = (await server.client.get(f"{API}/agents/ana/outputs", params=query)).json()
            found += [item["text"] for item in page["items"]]
            cursor, pages = page["next"], pages + 1
        assert (found, pages) == (texts, 4)
        behind = await server.client.get(f"{API}/agents/ana/outputs", params={"after": 2**52})
        assert behind.json() == {"items": [], "next": None}


async def test_all_outputs_of_an_agent_can_be_followed(machine: Machine) -> None:
    async with machine.open(ScriptedModel(["One.", "Two.", "Three."]), style="native") as rig:
        await rig.send("first")
        async with (
            served(rig.kernel) as server,
            server.live() as url,
            httpx2.AsyncClient(base_url=url, timeout=60) as client,
        ):
            listed = (await client.get(f"{API}/agents/ana/outputs")).json()
            assert [item["text"] for item in listed["items"]] == ["One."]
            said: list[str] = []
            async with client.stream("GET", f"{API}/agents/ana/outputs", headers=STREAM) as answer:
                async for each in sent_events(answer):
                    said += [each.data["text"]] if each.type == "said" else []
                    if len(said) == 3:
                        break
                    if each.type in ("said", "done") and len(said) < 3:
                        await rig.kernel.post("ana", Event("message", "go on", key=f"{len(said)}"))
            assert said == ["One.", "Two.", "Three."]


async def test_a_server_that_stops_lets_open_turns_end_and_begins_no_other(machine: Machine) -> None:
    gate = Gate()
    model = HaltingModel([[say("Hello Ann, how are you?")], [say("Second.")]], gate)
    async with machine.open(model) as rig, served(rig.kernel, grace=20.0) as server:
        replies: list[httpx2.Response] = []

        async def post(client: httpx2.AsyncClient, text: str) -> None:
            replies.append(await client.post(f"{API}/agents/ana/messages", json={"text": text}))

        async with (
            server.live() as url,
            httpx2.AsyncClient(base_url=url, timeout=60) as client,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(post, client, "Hi")
            await gate.reached.wait()
            tasks.start_soon(post, client, "And then?")
            while len(await rig.events()) < 2:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            server.stop.set()
            while not server.app.state.stopping:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            assert (await server.client.get("/readyz")).status_code == 503
            gate.opened.set()
        assert sorted(reply.status_code for reply in replies) == [200, 503]
        assert [event.state for event in await rig.events()] == ["done", "pending"]
    async with machine.open(model) as rig:  # the next start carries on
        await rig.kernel.recover()
        assert [event.state for event in await rig.events()] == ["done", "done"]


# agents


async def test_agents_are_made_listed_changed_renamed_and_deleted(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        client = server.client
        made = await client.post(f"{API}/agents", json={"name": "bob", "settings": {"style": "native"}})
        assert (made.status_code, made.json()["style"]) == (201, "native")
        assert made.headers["location"].endswith("/api/v1/agents/bob")
        assert (await client.post(f"{API}/agents", json={"name": "bob"})).status_code == 409
        named = await client.post(f"{API}/agents", json={"name": "安娜"})
        assert (named.status_code, (await client.get(named.headers["location"])).json()["name"]) == (
            201,
            "安娜",
        )
        assert (await client.delete(f"{API}/agents/安娜")).status_code == 204
        page = (await client.get(f"{API}/agents?limit=1")).json()
        assert ([item["name"] for item in page["items"]], page["next"]) == (["ana"], "ana")
        rest = (await client.get(f"{API}/agents?limit=1&cursor=ana")).json()
        assert ([item["name"] for item in rest["items"]], rest["next"]) == (["bob"], None)
        changed = await client.patch(f"{API}/agents/bob", json={"name": "ben", "settings": {"max_steps": 3}})
        assert (changed.json()["name"], changed.json()["settings"]["max_steps"]) == ("ben", 3)
        assert (await client.get(f"{API}/agents/bob")).status_code == 404
        assert (await client.delete(f"{API}/agents/ben")).status_code == 204
        assert (await client.delete(f"{API}/agents/ben")).status_code == 404
        assert (await client.get(f"{API}/agents/ana/context")).json()["sizes"]["window"] == 8192


# problems and walls


async def test_errors_are_problems(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        client = server.client
        answers = {
            404: await client.get(f"{API}/agents/nobody"),
            405: await client.put(f"{API}/agents"),
            422: await client.post(f"{API}/agents/ana/messages", json={"txt": "Hi"}),
            400: await client.post(f"{API}/agents", json={"name": "x", "settings": {"window": 7}}),
        }
        for status, answer in answers.items():
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            problem = answer.json()
            assert problem["status"] == status
            assert problem["detail"].endswith(".")
            assert problem["request_id"] == answer.headers["x-request-id"]
        unmarked = await client.post(f"{API}/agents/ana/messages", data={"text": "Hi"})
        assert unmarked.json()["detail"].endswith("give the header Content-Type: application/json.")
        broken = await client.post(
            f"{API}/agents/ana/messages", content='{"text":', headers={"Content-Type": "application/json"}
        )
        assert broken.status_code == 422
        assert broken.json()["detail"].startswith("The body is not valid JSON: correct it at character 8")
        latin = await client.post(
            f"{API}/agents/ana/messages",
            content=b'{"text": "\xe9"}',
            headers={"Content-Type": "application/json"},
        )
        assert (latin.status_code, latin.json()["title"]) == (422, "Invalid request")
        assert latin.json()["detail"] == "The body is not valid JSON: send it in UTF-8."


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {}),
        (200, {"host": "localhost:8283"}),
        (200, {"origin": "http://127.0.0.1:8283"}),
        (200, {"origin": "https://127.0.0.1:8283"}),  # behind a proxy with TLS
        (
            200,
            {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        ),  # a link that a person followed
        (421, {"host": "evil.example"}),  # a name that was made to lead here
        (421, {"host": "127.0.0.1.evil.example:8283"}),
        (421, {"host": ""}),
        (403, {"origin": "https://evil.example"}),
        (403, {"origin": "http://127.0.0.1:3000"}),
        (403, {"origin": "null"}),
        (403, {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}),
    ],
)
async def test_pages_of_others_cannot_use_the_server(
    machine: Machine, status: int, headers: dict[str, str]
) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        answer = await server.client.get(f"{API}/agents", headers=headers)
        assert answer.status_code == status
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "0:0:0:0:0:0:0:1", "LOCALHOST"])
async def test_no_form_of_the_loopback_is_open_to_names_of_others(machine: Machine, host: str) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel, host=host) as server:
        answer = await server.client.get(f"{API}/agents", headers={"host": "evil.example"})
        assert answer.status_code == 421


async def test_a_fault_of_the_server_is_found_in_its_log(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        for path in (f"{API}/fault", "/v1/chat/fault", "/v1/agents/fault"):
            server.app.router.routes.insert(0, APIRoute(path, fail))
            answer = await server.client.get(path, headers={"x-request-id": "mine"})
            assert (answer.status_code, answer.headers["x-request-id"]) == (500, "mine")
            assert "its log says why" in answer.text
    assert len([line for line in caplog.records if line.exc_info]) == 3


async def test_a_body_is_bounded_whether_it_says_its_size_or_not(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel, body=1000) as server:
        url, headers = f"{API}/agents/ana/messages", {"content-type": "application/json"}
        text = json.dumps({"text": "x" * 2000}).encode()

        async def pieces() -> AsyncGenerator[bytes]:
            for start in range(0, len(text), 100):
                yield text[start : start + 100]

        for content in (text, pieces()):
            answer = await server.client.post(url, content=content, headers=headers)
            assert (answer.status_code, answer.json()["title"]) == (413, "Too large")
        assert await rig.events() == []


async def test_a_request_of_two_lengths_is_refused(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        headers = {"content-length": "2", "transfer-encoding": "chunked"}
        answer = await server.client.post(f"{API}/agents", content=b"{}", headers=headers)
        assert (answer.status_code, answer.headers["connection"]) == (400, "close")


async def test_health(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        for path in ("/healthz", "/readyz"):
            assert (await server.client.get(path)).json() == {"status": "ok"}
            assert (await server.client.head(path)).status_code == 200  # as monitors ask


@pytest.mark.parametrize(
    "path", ["/api/v1/agents/ana/messages", "/v1/chat/completions", "/v1/responses", "/v1/agents/"]
)
async def test_json_that_is_nested_too_deeply_is_named(machine: Machine, path: str) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        headers, nested = {"content-type": "application/json"}, b"[" * 200_000
        answer = await server.client.post(path, content=nested, headers=headers)
        assert answer.status_code == 400
        assert "The JSON of this request is nested too deeply; flatten it." in answer.text


async def test_the_page_of_the_rest_loads_nothing_from_elsewhere(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        page = (await server.client.get("/docs")).text
        assert "https://" not in page
        assert '"validatorUrl": null' in page
        for address in re.findall(r'(?:src|href)="([^"]+)"', page):
            loaded = await server.client.get(address)
            assert loaded.status_code == 200, address
            assert loaded.content
