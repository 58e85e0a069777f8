"""The inspector's pages of undo and of forgetting, asked as a browser without scripts would ask them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

import pytest

from conftest import Machine, Rig, Served, served
from hostile_texts import STORED_TEXTS
from pagefault import tool
from pagefault.kernel.facts import remember
from pagefault.kernel.tenancy import create_key
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Message
from test_inspector import HTML, sign_in, token
from test_inspector_memory import page_of, words

pytestmark = pytest.mark.anyio

ANA = "/agents/ana"
LIVE = re.compile(r"<(script|img|svg|iframe|object|base|style|a)\b[^>]*hostile", re.I)


@tool
def ring(whom: str) -> str:
    """Ring a bell."""
    return f"rang for {whom}"


@pytest.fixture
async def rig(machine: Machine) -> AsyncGenerator[Rig]:
    async with machine.open(ScriptedModel(lambda _: [say("ok")]), tools=(ring,)) as rig:
        yield rig


@pytest.fixture
async def server(rig: Rig) -> AsyncGenerator[Served]:
    async with served(rig.kernel) as server:
        yield server


async def send(server: Served, path: str, status: int, **fields: object) -> str:
    """What comes of a form that a page sends: another page, or the address to which it leads."""
    form = token(await page_of(server, f"{ANA}/undo"))
    answer = await server.client.post(path, data={"form_token": form, **fields}, headers=HTML)
    assert answer.status_code == status, (path, words(answer.text)[-300:])
    return answer.headers.get("location") or answer.text


async def standing(rig: Rig) -> list[Message]:
    return [row for row in await rig.log() if row.role in ("user", "assistant")]


async def test_the_last_turn_is_undone_and_the_page_says_what_that_did(rig: Rig, server: Served) -> None:
    await rig.send("one")
    await rig.send("two")
    page = await page_of(server, ANA)
    assert f'href="{ANA}/undo"' in page
    said = words(await send(server, f"{ANA}/undo", 200))
    assert "Withdrawn turns: 1; rows: 4. The log goes on from m4." in said
    assert [row.text for row in await standing(rig)] == ["one", "ok"]
    await send(server, f"{ANA}/undo", 200)
    assert "There is nothing to undo" in words(await send(server, f"{ANA}/undo", 400))


async def test_what_cannot_be_undone_is_named(machine: Machine) -> None:
    model = ScriptedModel([[call("ring", heartbeat=True, whom="Bo")], [say("done")]])
    async with machine.open(model, tools=(ring,)) as rig, served(rig.kernel) as server:
        await rig.send("Ring.")
        assert "Not undonering ran (m2)" in words(await send(server, f"{ANA}/undo", 200))


async def test_the_last_message_is_answered_again_or_said_otherwise(rig: Rig, server: Served) -> None:
    await rig.send("one")
    assert await send(server, f"{ANA}/retry", 303) == ANA
    await rig.kernel.idle()
    assert [row.text for row in await standing(rig)] == ["one", "ok"]
    page = await page_of(server, f"{ANA}/undo")
    (last,) = re.findall(r'name="message" value="(m\d+)"', page)
    assert last == (await standing(rig))[0].id
    assert await send(server, f"{ANA}/edit", 303, message=last, text="first\r\nsecond") == ANA
    await rig.kernel.idle()
    assert [row.text for row in await standing(rig)] == ["first\nsecond", "ok"]
    await send(server, f"{ANA}/edit", 400, message=last, text="late")
    await send(server, f"{ANA}/edit", 400, message="m-1", text="wrong")
    assert [row.text for row in await standing(rig)] == ["first\nsecond", "ok"]


async def test_forgetting_shows_first_and_forgets_when_confirmed(rig: Rig, server: Served) -> None:
    await rig.send("The code is 4711.")
    await remember(rig.kernel, "ana", "code 4711")
    asked = {"query": "4711", "ids": "", "speaker": "", "since": "", "until": ""}
    page = await send(server, f"{ANA}/forgetting", 200, **asked)
    assert "This would be forgotten" in words(page)
    assert {"m1", "p1"} <= set(re.findall(r"<bdi>([mp]\d+)</bdi>", page))
    assert 'name="sure" value="yes"' in page
    assert 'name="query" value="4711"' in page
    assert "The code is 4711." in [row.text for row in await rig.log()]
    done = words(await send(server, f"{ANA}/forgetting", 200, **asked, sure="yes"))
    assert "Forgotten for good" in done
    assert "Backups and exports" in done
    assert not [row.text for row in await rig.log() if "4711" in row.text]
    again = await send(server, f"{ANA}/forgetting", 200, **asked)
    assert "There is nothing to forget" in words(again)
    assert 'name="sure"' not in again
    assert "message 1" in words(await page_of(server, f"{ANA}/forgetting"))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "Say what to forget"),
        ({"ids": "x1"}, "x1 is no id to forget"),
        ({"since": "moonday"}, "moonday"),
        ({"since": "2026-02-02", "until": "2026-01-01"}, "ends before it begins"),
    ],
)
async def test_a_wrong_form_is_answered_by_a_sentence(
    server: Served, fields: dict[str, object], why: str
) -> None:
    assert why in words(await send(server, f"{ANA}/forgetting", 400, **fields))


async def test_a_hold_is_shown_and_refuses(rig: Rig, server: Served) -> None:
    await rig.send("The code is 4711.")
    assert await send(server, f"{ANA}/hold", 303, why="case 7") == f"{ANA}/forgetting"
    for path in ("/", f"{ANA}/settings", f"{ANA}/forgetting"):
        assert "held: case 7" in words(await page_of(server, path)), path
    refused = words(await send(server, f"{ANA}/forgetting", 409, query="4711", sure="yes"))
    assert "ana is held (case 7), so nothing of it is forgotten; lift the hold first." in refused
    await send(server, f"{ANA}/settings/delete", 409, typed="ana")
    await send(server, f"{ANA}/hold", 400, why=" ")
    await send(server, f"{ANA}/lift-hold", 303)
    assert "held" not in words(await page_of(server, "/"))


async def test_hostile_texts_are_shown_and_not_obeyed(rig: Rig, server: Served) -> None:
    for text in STORED_TEXTS[::3]:
        await rig.send(text)
        for page in (
            await page_of(server, f"{ANA}/undo"),
            await send(server, f"{ANA}/forgetting", 200, query=text),
        ):
            assert not re.search(r"<(script|img|svg|iframe|object|base|style|a)\b[^>]*hostile", page, re.I), (
                text
            )


async def test_who_may_not_is_refused_and_is_offered_nothing(rig: Rig) -> None:
    await rig.send("one")
    secrets = {role: await create_key(rig.kernel, role, role=role) for role in ("read", "chat", "admin")}
    async with served(rig.kernel) as server:
        assert (await server.client.post(f"{ANA}/undo", headers=HTML)).status_code in (303, 401, 403)
        for role, allowed in (("read", set[str]()), ("chat", set[str]()), ("admin", {"forgetting", "undo"})):
            await sign_in(server.client, secrets[role])
            for path in ("forgetting", "undo", "hold"):
                if path not in allowed and (path, role) != ("hold", "admin"):
                    await send(server, f"{ANA}/{path}", 403, query="one", why="x")
            shown = await page_of(server, f"{ANA}/forgetting")
            assert ("Show what would go" in shown) == (role == "admin")
            assert ("Undo the last turn" in await page_of(server, f"{ANA}/undo")) == (role == "admin")
    assert [row.text for row in await standing(rig)] == ["one", "ok"]


async def test_no_form_without_a_token_is_taken(rig: Rig, server: Served) -> None:
    await rig.send("one")
    for path in ("undo", "retry", "edit", "forgetting", "hold", "lift-hold"):
        fields = {"query": "one", "message": "m1"}
        answer = await server.client.post(f"{ANA}/{path}", data=fields, headers=HTML)
        assert answer.status_code == 403, path
    assert [row.text for row in await standing(rig)] == ["one", "ok"]
