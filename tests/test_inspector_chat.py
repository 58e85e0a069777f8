"""The chat page from the server: who may do what, rows by their numbers, messages stored once, media."""

from __future__ import annotations

import re

import pytest

from conftest import Machine, served
from image_files import png
from pagefault.functions.tools import tool
from pagefault.images import read_image
from pagefault.kernel.tenancy import create_key
from pagefault.tenancy import KeyRole
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event, EventKind
from test_inspector import HTML, sign_in, token

pytestmark = pytest.mark.anyio

ANA = "/agents/ana"
HX = HTML | {"hx-request": "true"}


def rows(page: str) -> list[str]:
    return re.findall(r'<li id="(m\d+)"', page)


async def test_rows_are_asked_for_by_number_each_once(machine: Machine) -> None:
    script = [[say(f"Answer {number}.")] for number in range(60)]
    async with machine.open(ScriptedModel(script)) as rig, served(rig.kernel) as server:
        for number in range(60):
            await rig.send(f"Question {number}")
        whole = [row.id for row in await rig.log() if row.name != "send_message"]
        page = (await server.client.get(ANA, headers=HTML)).text
        shown = rows(page)
        while before := re.search(r'data-before="(m\d+)"', page):
            page = (await server.client.get(f"{ANA}/chat/rows?before={before[1]}", headers=HX)).text
            shown = rows(page) + shown
        assert shown == whole
        shown, last = list[str](), 0
        while True:
            page = (await server.client.get(f"{ANA}/chat/rows?after={last}", headers=HX)).text
            shown += rows(page)
            last = int(re.findall(r'data-last="(\d+)"', page)[0])
            if "data-more" not in page:
                break
        assert shown == whole
        nothing = await server.client.get(f"{ANA}/chat/rows?after={last + 9}", headers=HX)
        assert rows(nothing.text) == []


async def test_a_message_with_a_key_is_stored_once(machine: Machine) -> None:
    model = ScriptedModel([[say("One.")], [say("Two.")]])
    async with machine.open(model) as rig, served(rig.kernel) as server:
        for _ in range(3):
            answer = await server.client.post(
                f"{ANA}/chat/messages", data={"text": "Hi <b>", "key": "k1"}, headers=HX
            )
            assert answer.status_code == 204
        await rig.kernel.idle()
        assert len(model.prompts) == 1
        page = (await server.client.get(ANA, headers=HTML)).text
        assert page.count("Hi &lt;b&gt;") == 1
        assert "Hi <b>" not in page
        other = await server.client.post(f"{ANA}/chat/messages", data={"text": "x", "key": "k1"}, headers=HX)
        assert other.status_code == 422
        empty = await server.client.post(f"{ANA}/chat/messages", data={"text": " "}, headers=HX)
        assert (empty.status_code, "write something" in empty.text) == (400, True)


async def test_a_form_without_scripts_leads_back_to_the_conversation(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("One.")]])) as rig, served(rig.kernel) as server:
        form_token = token((await server.client.get(ANA, headers=HTML)).text)
        answer = await server.client.post(
            f"{ANA}/chat/messages", data={"text": "Hi", "form_token": form_token}, headers=HTML
        )
        assert (answer.status_code, answer.headers["location"]) == (303, ANA)
        await rig.kernel.idle()
        page = (await server.client.get(ANA, headers=HTML)).text
        assert "One." in page


async def test_who_reads_does_not_talk_and_who_is_for_others_sees_nothing(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        posts = {
            f"{ANA}/chat/messages": {"text": "Hi"},
            f"{ANA}/chat/stop": {},
            f"{ANA}/chat/approvals/m1": {"decision": "approve"},
        }
        roles: tuple[tuple[KeyRole, bool], ...] = (("read", False), ("chat", True))
        for role, may in roles:
            await sign_in(server.client, await create_key(rig.kernel, role, role=role))
            page = (await server.client.get(ANA, headers=HTML)).text
            assert ('id="writer"' in page) is may
            assert ("may read this conversation and not write in it" in page) is not may
            for path, data in posts.items():
                answer = await server.client.post(path, data=data, headers=HX)
                assert (answer.status_code == 403) is not may
                assert (await server.client.post(path, data=data, headers=HTML)).status_code == 403
        await sign_in(server.client, await create_key(rig.kernel, "other", agents=["bob"]))
        for path in ("", "/chat/rows", "/chat/rows/m1", "/chat/stream", "/media/00"):
            assert (await server.client.get(f"{ANA}{path}", headers=HTML)).status_code == 404
        for path, data in posts.items():
            assert (await server.client.post(path, data=data, headers=HX)).status_code == 404


async def test_images_are_shown_and_whatever_else_is_downloaded(machine: Machine) -> None:
    evil = b"\xff<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"

    @tool
    def draw() -> bytes:
        """Draw."""
        return evil

    script = [[say("Seen.")], [call("draw", heartbeat=True)], [say("Drawn.")]]
    async with machine.open(ScriptedModel(script), tools=(draw,)) as rig, served(rig.kernel) as server:
        await rig.send(Event(EventKind.MESSAGE, "See", contents=(read_image(png(4, 3)),)))
        await rig.send("Draw")
        page = (await server.client.get(ANA, headers=HTML)).text
        found = set(re.findall(rf'"({ANA}/media/[0-9a-f]+)"', page))
        types: set[tuple[str, str]] = set()
        for path in found:
            answer = await server.client.get(path)
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            types.add((answer.headers["content-type"], answer.headers["content-disposition"]))
        assert types == {("image/png", "inline"), ("application/octet-stream", "attachment")}
        assert (await server.client.get(f"{ANA}/media/{'0' * 64}", headers=HTML)).status_code == 404


async def test_the_rest_of_a_folded_row_is_offered_in_the_fold_and_shown_open(machine: Machine) -> None:
    calls = [call("working_context_append", section="human", text="long " * 400), say("ok")]
    async with machine.open(ScriptedModel([calls])) as rig, served(rig.kernel) as server:
        await rig.send("Note this")
        folded = re.findall(
            r"<details>(.*?)</details>", (await server.client.get(ANA, headers=HTML)).text, re.S
        )
        (offer,) = [
            found for part in folded for found in re.findall(r'hx-get="([^"]+/chat/rows/m\d+)"', part)
        ]
        whole = (await server.client.get(offer, headers=HX)).text
        assert "<details open>" in whole
        assert "Show all" not in whole


async def test_a_long_text_is_cut_and_can_be_had_whole(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("ok")]])) as rig, served(rig.kernel) as server:
        await rig.send(f"{'long ' * 2000}END")
        page = (await server.client.get(ANA, headers=HTML)).text
        assert "END" not in page
        whole = await server.client.get(re.findall(r'hx-get="([^"]+/chat/rows/m\d+)"', page)[0], headers=HX)
        assert "END" in whole.text
        assert rows(whole.text) == ["m1"]
        for wrong in ("m99", "x", "m1%2f2"):
            assert (await server.client.get(f"{ANA}/chat/rows/{wrong}", headers=HX)).status_code in (400, 404)
