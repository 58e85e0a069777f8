"""The resources of the server's REST, each as a client sees it: what is written is read again."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest

from conftest import Machine, Rig, Served, served
from image_files import PNG
from pagefault import tool
from pagefault.testing.models import ScriptedModel, call
from test_server import STREAM

pytestmark = pytest.mark.anyio

ANA = "/api/v1/agents/ana"


@pytest.fixture
async def server(machine: Machine) -> AsyncGenerator[Served]:
    async with machine.open(ScriptedModel([]), style="native") as rig, served(rig.kernel) as server:
        yield server


def problem(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["detail"]


async def test_history_goes_back_page_by_page(server: Served) -> None:
    for text in ("one", "two", "three"):
        await server.client.post(f"{ANA}/messages", json={"text": text})
    newest = (await server.client.get(f"{ANA}/history", params={"limit": 2})).json()
    assert [(item["role"], item["text"]) for item in newest["items"]] == [
        ("user", "three"),
        ("assistant", "ok"),
    ]
    before = (await server.client.get(f"{ANA}/history", params={"limit": 4, "cursor": newest["next"]})).json()
    assert [item["text"] for item in before["items"]] == ["one", "ok", "two", "ok"]
    assert before["next"] is None
    assert set(newest["items"][0]) >= {"position", "role", "text", "at", "event"}
    users = (await server.client.get(f"{ANA}/history", params={"role": "user"})).json()
    assert [item["text"] for item in users["items"]] == ["one", "two", "three"]
    wrong = await server.client.get(f"{ANA}/history", params={"role": "pope"})
    assert problem(wrong)[0] == 400


async def test_a_message_brings_images(server: Served) -> None:
    image = "DATA:image/png;base64," + b64encode(PNG).decode()
    sent = await server.client.post(f"{ANA}/messages", json={"text": "What is this?", "images": [image]})
    assert sent.status_code == 200
    (row,) = (await server.client.get(f"{ANA}/history", params={"role": "user"})).json()["items"]
    assert row["text"].startswith("What is this?\n[image image-")
    for wrong, why in (
        (["/etc/passwd"], "https: or a data: address"),
        (["file:///etc/passwd"], "https: or a data: address"),
        (["http://127.0.0.1:1/a.png"], "private network"),
        ([image] * 21, "up to 20 images"),
    ):
        answer = await server.client.post(f"{ANA}/messages", json={"text": "And?", "images": wrong})
        assert problem(answer)[0] == 400
        assert why in problem(answer)[1]


async def test_what_is_overheard_is_read_and_not_answered(server: Served) -> None:
    heard = {"kind": "overheard", "text": "We meet on Tuesday.", "sender": "Bo"}
    event = (await server.client.post(f"{ANA}/events", json=heard)).json()["id"]
    reply = (await server.client.get(f"{ANA}/events/{event}/outputs")).json()
    assert (reply["text"], reply["usage"]["requests"]) == ("", 0)
    assert (await server.client.post(f"{ANA}/messages", json={"text": "When?"})).json()["text"] == "ok"
    rows = (await server.client.get(f"{ANA}/history")).json()["items"]
    assert (rows[0]["speaker"], rows[0]["text"]) == ("Bo", "We meet on Tuesday.")


async def test_a_turn_is_traced_and_counted(server: Served) -> None:
    reply = (await server.client.post(f"{ANA}/messages", json={"text": "one"})).json()
    trace = (await server.client.get(f"{ANA}/trace", params={"event": reply["event"]})).json()
    assert trace["event"]["text"] == "one"
    assert trace["totals"]["steps"] == 1
    turns = (await server.client.get(f"{ANA}/usage", params={"by": "turn"})).json()["items"]
    assert [(row["part"], row["spent"]["requests"]) for row in turns] == [("1", 1)]
    everybody = (await server.client.get("/api/v1/usage")).json()["items"]
    assert [row["agent"] for row in everybody] == ["ana"]
    assert problem(await server.client.get(f"{ANA}/trace", params={"event": "99"}))[0] == 404


async def test_search_says_why_each_result_stands_where_it_does(server: Served) -> None:
    await server.client.post(f"{ANA}/messages", json={"text": "My boat is called Heron."})
    await server.client.post(f"{ANA}/passages", json={"text": "Boats need varnish.", "tags": ["boat"]})
    found = (await server.client.get(f"{ANA}/search", params={"q": "boat", "limit": 1})).json()
    assert found["total"] >= 2
    assert found["items"][0]["parts"]
    rest = (
        await server.client.get(f"{ANA}/search", params={"q": "boat", "limit": 1, "cursor": found["next"]})
    ).json()
    assert {found["items"][0]["tier"], rest["items"][0]["tier"]} == {"recall", "archival"}
    tagged = (await server.client.get(f"{ANA}/search", params={"tag": "boat"})).json()
    assert [item["text"] for item in tagged["items"]] == ["Boats need varnish."]
    assert (
        problem(await server.client.get(f"{ANA}/search", params={"since": "the day before never"}))[0] == 400
    )


async def test_sections_have_versions(server: Served) -> None:
    client, sections = server.client, f"{ANA}/sections"
    made = await client.post(sections, json={"name": "plan", "description": "what to do", "limit": 100})
    assert (made.status_code, made.json()["limit"]) == (201, 100)
    assert (await client.patch(f"{sections}/plan", json={"text": "Rest."})).json()["text"] == "Rest."
    assert (await client.patch(f"{sections}/plan", json={"limit": 120})).json()["limit"] == 120
    versions = (await client.get(f"{sections}/plan/versions")).json()["items"]
    assert [version["text"] for version in versions] == ["", "Rest.", "Rest."]
    assert "plan" in [each["name"] for each in (await client.get(sections)).json()["items"]]
    too_long = await client.patch(f"{sections}/plan", json={"text": "word " * 500})
    assert problem(too_long)[0] == 400
    assert (await client.delete(f"{sections}/plan")).status_code == 204
    assert problem(await client.get(f"{sections}/plan"))[0] == 404


async def test_messages_are_taken_as_chat_apis_write_them(server: Served) -> None:
    talk = [
        {"role": "user", "content": "Hello.", "name": "Bo", "timestamp": "2021-03-04T09:00:00Z"},
        {"role": "assistant", "content": "Hi.", "date": "2021-03-04T09:01:00Z"},
    ]
    answer = await server.client.post(f"{ANA}/conversation", json={"messages": talk})
    assert (answer.status_code, answer.json()["added"]) == (201, 2)
    rows = (await server.client.get(f"{ANA}/conversation")).json()["items"]
    assert [(row["text"], row["speaker"], row["at"][:16]) for row in rows] == [
        ("Hello.", "Bo", "2021-03-04T09:00"),
        ("Hi.", "", "2021-03-04T09:01"),
    ]


async def test_a_conversation_is_appended_and_read_around_a_message(server: Served) -> None:
    client, path = server.client, f"{ANA}/conversation"
    talk = [
        {"text": "The boiler is in the cellar.", "speaker": "Bo", "at": "2021-03-04T09:00:00Z"},
        {"text": "I shall remember.", "role": "assistant"},
        {"text": "Bo came home.", "role": "event"},
    ]
    key = {"Idempotency-Key": "talk"}
    appended = await client.post(path, json={"messages": talk}, headers=key)
    assert (appended.status_code, appended.json()) == (201, {"ids": ["m1", "m2", "m3"], "added": 3})
    again = await client.post(path, json={"messages": talk}, headers=key)
    assert again.json() == {"ids": ["m1", "m2", "m3"], "added": 0}
    other = await client.post(path, json={"messages": talk[:1]}, headers=key)
    assert problem(other) == (
        400,
        "The key 'talk' was given with other messages before; give these another key.",
    )
    (hit,) = (await client.get(f"{ANA}/search", params={"q": "boiler", "tier": "recall"})).json()["items"]
    assert (hit["id"], hit["speaker"], hit["at"][:10]) == ("m1", "Bo", "2021-03-04")
    page = (await client.get(path, params={"around": "m2", "limit": 1})).json()
    assert [(row["position"], row["text"]) for row in page["items"]] == [(2, "I shall remember.")]
    assert (page["before"], page["after"]) == ("m2", "m2")
    after = (await client.get(path, params={"after": page["after"]})).json()
    assert ([row["text"] for row in after["items"]], after["after"]) == (["Bo came home."], None)
    assert (await client.get(path, params={"role": "assistant"})).json()["items"][0]["position"] == 2
    for wrong, status in (
        ({"around": "m9"}, 404), ({"around": "x"}, 400), ({"around": "m1", "after": "m2"}, 400),
        ({"limit": "0"}, 422), ({"role": "pope"}, 400),
    ):  # fmt: skip
        assert problem(await client.get(path, params=wrong))[0] == status
    bodies: list[tuple[list[dict[str, str]], int]] = [
        ([], 422), ([{"text": " "}], 400), ([{"text": "x"}] * 1001, 422),
        ([{"text": "x", "role": "tool"}], 422), ([{"text": "x", "at": "soon"}], 400),
        ([{"text": "x", "speaker": "x] [alert"}], 400),
    ]  # fmt: skip
    for messages, status in bodies:
        assert problem(await client.post(path, json={"messages": messages}))[0] == status
    assert len((await client.get(f"{ANA}/history")).json()["items"]) == 3


async def test_passages_are_added_changed_and_deleted(server: Served) -> None:
    client, passages = server.client, f"{ANA}/passages"
    made = (
        await client.post(passages, json={"text": "Ann sails.", "tags": ["#ann"], "at": "2026-02-01"})
    ).json()
    assert (made["id"], made["tags"]) == ("p1", ["ann"])
    changed = (await client.patch(f"{passages}/p1", json={"text": "Ann rows."})).json()
    assert (changed["text"], changed["tags"]) == ("Ann rows.", ["ann"])
    assert (await client.get(f"{passages}/p1")).json() == changed  # an id leads to the newest text
    listed = (await client.get(passages)).json()
    assert [item["text"] for item in listed["items"]] == ["Ann rows."]
    assert (await client.delete(f"{passages}/{changed['id']}")).status_code == 204
    assert (await client.get(passages)).json()["items"] == []
    assert problem(await client.get(f"{passages}/p1"))[0] == 404


async def test_what_was_not_read_of_an_upload_is_said_and_an_encoding_can_be_set(server: Served) -> None:
    client, documents = server.client, f"{ANA}/documents"
    file = ("a.txt", "Привет, Иван.".encode("cp1251"))
    (item,) = (await client.post(documents, files={"file": file})).json()["items"]
    assert "not certain" in item["notes"][0]
    loaded = await client.post(documents, files={"file": file}, data={"encoding": "cp1251"})
    assert [(each["state"], each["notes"]) for each in loaded.json()["items"]] == [("replaced", [])]
    assert (await client.get(f"{documents}/d1/pages/1")).json()["text"] == "Привет, Иван."
    wrong = problem(await client.post(documents, files={"file": file}, data={"encoding": "klingon"}))
    assert wrong[0] in (400, 422)
    assert "There is no encoding" in str(wrong)


async def test_documents_are_uploaded_read_and_deleted(server: Served) -> None:
    client, documents = server.client, f"{ANA}/documents"
    file = ("../../etc/guide.md", b"# Boats\n\nVarnish them.\n\n# Oars\n\nDry them.\n", "text/markdown")
    loaded = (await client.post(documents, files={"file": file}, data={"tag": "boat"})).json()
    (item,) = loaded["items"]
    assert (item["state"], item["source"], item["document"]) == ("loaded", "upload:guide.md", "d1")
    again = (await client.post(documents, files={"file": file}, data={"tag": "boat"})).json()
    assert [item["state"] for item in again["items"]] == ["unchanged"]
    assert [each["id"] for each in (await client.get(documents)).json()["items"]] == ["d1"]
    assert (await client.get(f"{documents}/d1")).json()["tags"] == ["boat"]
    assert "Varnish" in (await client.get(f"{documents}/d1/pages/1")).json()["text"]
    assert (await client.get(f"{documents}/d1/find", params={"text": "varnish"})).json()["items"][0][
        "times"
    ] == 1
    assert (await client.delete(f"{documents}/d1")).status_code == 204
    assert problem(await client.get(f"{documents}/d1"))[0] == 404


async def test_an_upload_shows_its_progress(server: Served) -> None:
    files = [("file", ("a.txt", b"One boat.")), ("file", ("b.pdf", b"%PDF-1.4 that is none"))]
    answer = await server.client.post(f"{ANA}/documents", files=files, headers=STREAM)
    events = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert [event for event in events if event != "page"] == ["begin", "end", "begin", "end", "report"]
    (report,) = [line for line in answer.text.splitlines() if line.startswith("data: ") and '"items"' in line]
    states = [item["state"] for item in json.loads(report.removeprefix("data: "))["items"]]
    assert states == ["loaded", "failed"]


async def test_an_upload_that_cannot_be_read_is_a_problem(server: Served) -> None:
    status, detail = problem(
        await server.client.post(f"{ANA}/documents", files={"file": ("b.pdf", b"%PDF-1.4 none")})
    )
    assert status == 422
    assert detail.endswith(".")


async def test_timers_are_set_listed_and_removed(server: Served) -> None:
    client, schedules = server.client, f"{ANA}/schedules"
    made = await client.post(schedules, json={"note": "water the plants", "when": "+2h"})
    assert (made.status_code, made.json()["id"]) == (201, "t1")
    assert [each["note"] for each in (await client.get(schedules)).json()["items"]] == ["water the plants"]
    assert problem(await client.post(schedules, json={"note": "x"}))[0] == 400
    assert (await client.delete(f"{schedules}/t1")).status_code == 204
    assert problem(await client.delete(f"{schedules}/t1"))[0] == 404


async def test_a_parked_event_is_listed_retried_and_dropped(machine: Machine) -> None:
    async with machine.open(ScriptedModel([]), style="native") as rig, served(rig.kernel) as server:
        await _park(rig)
        for path in ("/api/v1/inbox", f"{ANA}/events"):
            (event,) = (await server.client.get(path, params={"parked": "true"})).json()["items"]
            assert (event["agent"], event["state"], event["text"]) == ("ana", "parked", "poison")
        posted = await server.client.post(f"{ANA}/events/{event['id']}/retry")
        assert (posted.status_code, posted.json()["text"]) == (202, "poison")
        assert problem(await server.client.delete(f"{ANA}/events/{event['id']}"))[0] == 404


async def _park(rig: Rig) -> None:
    from pagefault.types import Event

    record = await rig.kernel.record("ana")
    await rig.kernel.store.write(
        lambda tx: tx.post(record.id, Event("message", "poison", at=rig.clock.now()))
    )
    await rig.kernel.store.write(lambda tx: tx.set_event(record.id, 1, "parked", parked="It was poison."))


@tool(approval=True)
def sell(what: str) -> str:
    """Sell something.

    Args:
        what: the thing
    """
    return f"{what} is sold"


async def test_a_call_is_decided_on_and_its_function_allowed(machine: Machine) -> None:
    model = ScriptedModel(
        [[call("sell", what="the boat")], "Sold.", [call("sell", what="an oar")], "Sold too."]
    )
    async with machine.open(model, tools=(sell,), style="native") as rig, served(rig.kernel) as server:
        client = server.client
        reply = (await client.post(f"{ANA}/messages", json={"text": "Sell the boat."})).json()
        (waiting,) = reply["waiting"]
        assert (waiting["name"], waiting["arguments"]) == ("sell", {"what": "the boat"})
        for path in ("/api/v1/approvals", f"{ANA}/approvals"):
            assert [each["id"] for each in (await client.get(path)).json()["items"]] == [waiting["id"]]
        for unclear in ("yes", 1, "true", None):
            answer = await client.post(f"{ANA}/approvals/{waiting['id']}", json={"approved": unclear})
            assert problem(answer)[0] == 422, unclear
        decision = {"approved": True, "remember": "always", "arguments": {"what": "the old boat"}}
        after: dict[str, Any] = (await client.post(f"{ANA}/approvals/{waiting['id']}", json=decision)).json()
        assert after["text"] == "Sold."
        assert after["outputs"][0]["text"].startswith("the old boat is sold")
        assert problem(await client.post(f"{ANA}/approvals/{waiting['id']}", json=decision))[0] in (400, 404)
        assert [each["name"] for each in (await client.get(f"{ANA}/grants")).json()["items"]] == ["sell"]
        assert (await client.post(f"{ANA}/messages", json={"text": "And an oar."})).json()[
            "text"
        ] == "Sold too."
        assert (await client.delete(f"{ANA}/grants/sell")).status_code == 204
        assert problem(await client.delete(f"{ANA}/grants/sell"))[0] == 404


async def test_what_is_not_there_is_404_and_what_is_wrong_400_or_422(server: Served) -> None:
    client = server.client
    for path in ("passages/p9", "documents/d9", "sections/none", "events/9/outputs", "documents/d9/pages/1"):
        assert problem(await client.get(f"{ANA}/{path}"))[0] == 404, path
    for path in (
        "passages/x",
        "search?as_of=x",
        "history?cursor=x",
        "usage?cursor=x",
        "trace?event=x",
        "outputs?cursor=-",
    ):
        assert problem(await client.get(f"{ANA}/{path}"))[0] == 400, path
    for path in ("history?limit=0", "events/x/outputs", "usage?by=moon", "outputs?after=-1"):
        assert problem(await client.get(f"{ANA}/{path}"))[0] == 422, path


def nested(opening: str, levels: int) -> str:
    return opening * levels + "1" + "}" * levels


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "messages", r'{"text": "half a pair: \ud800"}', 200),
        ("POST", "messages", "[" * 100_000, 400),
        ("POST", "messages", nested('{"text": ', 500), 400),
        ("PATCH", "", '{"settings": {"metadata": ' + nested('{"a": ', 51) + "}}", 400),
        ("PATCH", "", '{"settings": {"metadata": ' + nested('{"a": ', 400) + "}}", 400),
        ("POST", "messages", '{"text": NaN}', 422),
        ("POST", "events", r'{"kind": "door", "text": "\ud800"}', 202),
        ("POST", "sections", '{"name": "plan", "limit": 1e400}', 400),
        ("POST", "passages", r'{"text": "x", "tags": ["\ud800"]}', 201),
        ("POST", "passages", '{"text": "x", "at": "9999-12-31T23:59:59-23:59"}', 400),
        ("PATCH", "", '{"settings": {"window": 99999999999999999999}}', 400),
        ("PATCH", "", r'{"settings": {"\ud800": 1}}', 400),
        ("PATCH", "", '{"settings": {"zone": "../../etc/passwd"}}', 400),
        ("GET", "events/9007199254740991/outputs", "", 404),
        ("GET", "documents/d1/pages/99999999999999999999999", "", 404),
        ("GET", "../archive:manuals", "", 404),
        ("DELETE", "../section:plan", "", 404),
    ],
)
async def test_strange_requests_are_answered(
    server: Served, method: str, path: str, body: str, status: int
) -> None:
    headers = {"content-type": "application/json"}
    url = f"{ANA}/{path}".rstrip("/")
    answer = await server.client.request(method, url, content=body.encode() or None, headers=headers)
    assert answer.status_code == status, answer.text
