"""Sessions of the inspector: cookies that were copied, forged, planted or ended, and keys guessed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import httpx2
import jwt
import pytest

from conftest import Machine, Served, served
from pagefault.kernel.tenancy import create_key, digest_of, revoke_key
from pagefault.server.inspector.signed_out import BrowserSession, SignedOut
from pagefault.server.rates import Allowances
from pagefault.testing.models import ScriptedModel
from test_inspector import HTML, sign_in, token

pytestmark = pytest.mark.anyio

COOKIE = "pagefault_session"
SECRET = "of this server, " * 4
FOREIGN = "of another one, " * 4


@asynccontextmanager
async def visitor(server: Served, address: str = "127.0.0.1") -> AsyncGenerator[httpx2.AsyncClient]:
    """Another browser, at another address."""
    transport = httpx2.ASGITransport(app=server.app, client=(address, 5000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8283") as client:
        yield client


async def opens(server: Served, cookie: str) -> bool:
    """Return whether a browser that sends this cookie is in."""
    async with visitor(server) as client:
        client.cookies.set(COOKIE, cookie)
        answer = await client.get("/", headers=HTML)
        assert answer.status_code in (200, 303)
        return answer.status_code == 200


async def sign_out(client: httpx2.AsyncClient) -> None:
    page = await client.get("/", headers=HTML)
    left = await client.post("/logout", data={"form_token": token(page.text)}, headers=HTML)
    assert left.headers["location"] == "/login"


def cookie_of(client: httpx2.AsyncClient) -> str:
    return client.cookies[COOKIE]


# the flag Secure


async def test_the_first_of_the_forwarded_protocols_is_the_visitors(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        secret = await create_key(rig.kernel, "ann")

        async def is_safe(said: str) -> bool:
            async with visitor(server) as client:
                client.headers["x-forwarded-proto"] = said
                return "; Secure" in (await sign_in(client, secret)).headers["set-cookie"]

        for said in ("https", "HTTPS", "https, http", " https ,http,http"):
            assert await is_safe(said), said
        for said in ("", "http", "http, https", ",https", "httpsx"):
            assert not await is_safe(said), said
        assert "; Secure" not in (await sign_in(server.client, secret)).headers["set-cookie"]


# cookies that are not of a session that this server began


async def test_a_cookie_from_before_the_sign_in_is_not_the_one_behind_it(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        secret, other = [await create_key(rig.kernel, name) for name in ("ann", "eve")]
        await sign_in(server.client, other)
        planted = cookie_of(server.client)  # eve's own session, or any text, put into ann's browser
        for before in (planted, "any"):
            async with visitor(server) as client:
                client.cookies.set(COOKIE, before, domain="127.0.0.1", path="/")
                assert (await sign_in(client, secret)).status_code == 303
                after = cookie_of(client)
            assert after != before
            assert await opens(server, after)
            assert not await opens(server, before)


async def test_each_sign_in_begins_a_session_of_its_own(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        secret, cookies = await create_key(rig.kernel, "ann"), set[str]()
        for _ in range(3):  # at the same time, by a clock that stands still
            async with visitor(server) as client:
                await sign_in(client, secret)
                cookies.add(cookie_of(client))
        assert len(cookies) == 3


async def test_only_this_servers_signature_opens(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel, session_secret=SECRET) as server:
        secret = await create_key(rig.kernel, "ann")
        ends = (rig.clock.now() + timedelta(hours=1)).timestamp()
        claims = {"jti": "1", "sub": digest_of(secret), "aud": COOKIE, "exp": ends}
        ours = jwt.encode(claims, SECRET, "HS256")
        assert await opens(server, ours)
        head, body, signature = ours.split(".")
        unsigned = jwt.encode(claims, "", "none")
        forged = [
            jwt.encode(claims, FOREIGN, "HS256"), jwt.encode(claims, SECRET, "HS512"), unsigned,
            f"{unsigned.split('.')[0]}.{body}.{signature}", f"{head}.{body}.", f"{head}.{body}",
            f"{head}.{body}.{signature[::-1]}", "", "a.b.c",
        ]  # fmt: skip
        assert [cookie for cookie in forged if await opens(server, cookie)] == []
        wrong = [claims | {"aud": "other"}, claims | {"sub": "0" * 64}, claims | {"exp": ends - 3600}]
        wrong += [{name: value for name, value in claims.items() if name != left} for left in claims]
        wrong = [jwt.encode(each, SECRET, "HS256") for each in wrong]
        assert [cookie for cookie in wrong if await opens(server, cookie)] == []


async def test_a_cookie_of_another_servers_secret_is_none(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as one, served(rig.kernel) as other:
        await sign_in(one.client, await create_key(rig.kernel, "ann"))
        assert await opens(one, cookie_of(one.client))
        assert not await opens(other, cookie_of(one.client))


# sessions that were ended


async def test_a_copied_cookie_opens_nothing_once_its_session_was_ended(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        secret = await create_key(rig.kernel, "ann")
        async with visitor(server) as elsewhere:  # the same key in another browser
            await sign_in(elsewhere, secret)
            await sign_in(server.client, secret)
            copy = cookie_of(server.client)
            assert await opens(server, copy)
            await sign_out(server.client)
            assert not await opens(server, copy)
            assert await opens(server, cookie_of(elsewhere))
        await sign_in(server.client, secret)
        assert await opens(server, cookie_of(server.client))
        assert not await opens(server, copy)


async def test_a_stream_ends_with_its_session(machine: Machine) -> None:
    async with (
        machine.open(ScriptedModel([])) as rig, served(rig.kernel, recheck=0.02) as server,
        server.live() as url, httpx2.AsyncClient(base_url=url, timeout=60) as client,
    ):  # fmt: skip
        await sign_in(client, await create_key(rig.kernel, "ann"))
        with anyio.fail_after(60):
            async with client.stream("GET", "/agents/ana/chat/stream") as answer:
                assert answer.status_code == 200
                await sign_out(client)
                assert "its session is over" in (await answer.aread()).decode()


async def test_other_servers_of_the_secret_know_of_no_end_but_that_of_the_key(machine: Machine) -> None:
    async with (
        machine.open(ScriptedModel([])) as rig, served(rig.kernel, session_secret=SECRET) as one,
        served(rig.kernel, session_secret=SECRET) as other,
    ):  # fmt: skip
        await sign_in(one.client, await create_key(rig.kernel, "ann"))
        copy = cookie_of(one.client)
        await sign_out(one.client)
        assert (await opens(one, copy), await opens(other, copy)) == (False, True)
        await create_key(rig.kernel, "bo")  # without any key everybody would be in
        await revoke_key(rig.kernel, "ann")
        assert not await opens(other, copy)


def test_whoever_ends_many_sessions_makes_none_of_them_valid_again() -> None:
    ended = SignedOut(lasts=100.0, most=3)
    sessions = [BrowserSession(str(number), "ann", 100.0 + number) for number in range(8)]
    bo = BrowserSession("bo", "bo", 100.0)
    for number, session in enumerate(sessions[:5]):
        assert not ended.has(session) or number == 4
        ended.add(session, float(number))
    assert [ended.has(each) for each in sessions] == [True] * 4 + [True] + [False] * 3
    assert not ended.has(bo)  # of another key: nobody else is signed out


def test_what_is_kept_of_ended_sessions_ends_with_their_time() -> None:
    ended = SignedOut(lasts=100.0, most=3)
    for number in range(40):
        ended.add(BrowserSession(str(number), f"key {number % 8}", 100.0 + number), float(number))
    assert sum(map(len, ended._ids.values())) <= 8 * 3  # pyright: ignore[reportPrivateUsage]
    ended.add(BrowserSession("last", "ann", 400.0), 300.0)
    assert ended._ids == {"ann": {"last": 400.0}}  # pyright: ignore[reportPrivateUsage]
    assert ended._before == {}  # pyright: ignore[reportPrivateUsage]


# keys that are guessed


async def test_an_address_has_ten_wrong_keys_a_minute(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        now = 0.0
        server.app.state.logins = Allowances(lambda: now)
        secret = await create_key(rig.kernel, "ann")
        for _ in range(10):
            assert (await sign_in(server.client, "pf_wrong")).status_code == 403
        for given in ("pf_wrong", secret):  # whether one is right is not looked up
            refused = await sign_in(server.client, given)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "6")
            assert "Too many wrong keys came from this address; try again in 6 s." in refused.text
            assert not server.client.cookies
        for address in ("10.0.0.2", "2001:db8::1"):
            async with visitor(server, address) as elsewhere:
                assert (await sign_in(elsewhere, secret)).status_code == 303
        now = 6.0
        assert (await sign_in(server.client, secret)).status_code == 303


async def test_right_keys_are_not_counted(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        server.app.state.logins = Allowances(lambda: 0.0)
        secret = await create_key(rig.kernel, "ann")
        for _ in range(30):
            assert (await sign_in(server.client, secret)).status_code == 303


async def test_guesses_at_the_same_time_are_no_more_than_one_by_one(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        server.app.state.logins = Allowances(lambda: 0.0)
        await create_key(rig.kernel, "ann")
        form = {"form_token": token((await server.client.get("/login", headers=HTML)).text), "key": "pf_no"}
        statuses = list[int]()

        async def guess() -> None:
            statuses.append((await server.client.post("/login", data=form, headers=HTML)).status_code)

        async with anyio.create_task_group() as tasks:
            for _ in range(40):
                tasks.start_soon(guess)
        assert sorted(statuses) == [403] * 10 + [429] * 30


async def test_a_visitor_has_one_address(machine: Machine) -> None:
    same = ("2001:db8::1", "2001:db8::ffff:2"), ("::ffff:10.0.0.1", "10.0.0.1"), ("unix:", "unix:")
    others = ("2001:db8::1", "2001:db8:0:1::1"), ("::ffff:10.0.0.1", "::ffff:10.0.0.2"), ("unix:", "10.0.0.1")
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        await create_key(rig.kernel, "ann")
        for status, pairs in ((429, same), (403, others)):
            for first, second in pairs:
                server.app.state.logins = Allowances(lambda: 0.0)
                async with visitor(server, first) as one, visitor(server, second) as other:
                    for _ in range(10):
                        await sign_in(one, "pf_wrong")
                    assert (await sign_in(other, "pf_wrong")).status_code == status, (first, second)


def test_addresses_are_kept_up_to_a_number_those_counted_last() -> None:
    now = 0.0
    allowances = Allowances(lambda: now, kept=3)
    assert [allowances.take("a", 1), allowances.take("a", 1)] == [0, 60]
    for other in "bc":
        assert allowances.take(other, 1) == 0
    now = 30.0
    assert allowances.take("a", 1) == 30
    for other in "defg":
        assert allowances.take(other, 1) == 0
    assert len(allowances._left) == 3  # pyright: ignore[reportPrivateUsage]
    assert allowances.take("g", 1) == 60
    assert allowances.take("a", 1) == 0  # forgotten, so it begins anew
