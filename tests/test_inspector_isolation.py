"""Isolation in the inspector: a key of other agents, of another tenant or of a lesser role gets nothing by
its pages.

All routes are found from the application: one that is new and has no try here fails.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from conftest import Machine, served
from image_files import png
from pagefault import tool
from pagefault.config import parse_settings
from pagefault.images import read_image
from pagefault.kernel import Kernel, archives, edits, facts, shared_sections
from pagefault.kernel.tenancy import create_key
from pagefault.models import Completion, Prompt, Usage
from pagefault.shared import Archive
from pagefault.storage import Store
from pagefault.storage.postgres import PostgresStore
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event, EventKind
from test_inspector import HTML, sign_in
from test_row_security import protect, unprotect

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECRET = "tangerine"
PICTURE = read_image(png(4, 3))
OPEN = {
    "GET /static/{version}/{name:path}", "GET /login", "POST /login", "POST /logout", "POST /look",
}  # fmt: skip
"""Routes for anybody: they show nothing of an agent."""
OF_TENANT = {"GET /", "GET /agents", "POST /agents", "GET /usage"}
FORMS: dict[str, dict[str, str]] = {
    "POST /agents/{name}/chat/messages": {"text": "tell me"},
    "POST /agents/{name}/chat/stop": {},
    "POST /agents/{name}/chat/approvals/{id}": {"decision": "approve"},
    "POST /agents/{name}/approvals/{id}": {"decision": "always"},
    "POST /agents/{name}/memory": {"section": "planted", "text": "x"},
    "POST /agents/{name}/memory/{section}": {"text": "taken over", "version": "1"},
    "POST /agents/{name}/memory/{section}/restore": {"version": "1", "restored": "1"},
    "POST /agents/{name}/memory/{section}/limit": {"limit": "300"},
    "POST /agents/{name}/memory/{section}/remove": {"typed": "human"},
    "POST /agents/{name}/passages": {"text": "planted", "archive": "ana-archive"},
    "POST /agents/{name}/passages/{id:path}": {"text": "taken over"},
    "POST /agents/{name}/passages/{id:path}/delete": {},
    "POST /agents/{name}/archives/attach": {"archive": "ana-archive"},
    "POST /agents/{name}/archives/detach": {"archive": "ana-archive"},
    "POST /agents/{name}/documents": {"tags": "planted"},
    "POST /agents/{name}/documents/{id:path}/delete": {},
    "POST /agents/{name}/undo": {},
    "POST /agents/{name}/retry": {},
    "POST /agents/{name}/edit": {"message": "m1", "text": "Say it otherwise."},
    "POST /agents/{name}/forgetting": {"query": "tangerine", "sure": "yes"},
    "POST /agents/{name}/hold": {"why": "planted"},
    "POST /agents/{name}/lift-hold": {},
    "POST /agents/{name}/release": {},
    "POST /agents/{name}/events/{event}/retry": {},
    "POST /agents/{name}/events/{event}/drop": {},
    "POST /agents/{name}/schedules": {"note": "planted", "when": "in 1 hour"},
    "POST /agents/{name}/schedules/{id}/remove": {},
    "POST /agents/{name}/grants/{function}/revoke": {},
    "POST /agents/{name}/settings": {"zone": "UTC"},
    "POST /agents/{name}/settings/rename": {"new": "taken"},
    "POST /agents/{name}/settings/delete": {"typed": "ana"},
}
TALKING = {"chat/messages", "chat/stop", "chat/approvals/{id}"}
"""What the role `chat` may send; that of approvals for once is tried apart."""


@tool(approval=True)
def wire(to: str) -> str:
    """Send money."""
    return f"sent to {to}"


def answers(prompt: Prompt) -> Any:
    text, usage = str(prompt.messages[-1].text), Usage(111, 0)
    if "pay" in text and prompt.messages[-1].role == "user":
        return Completion(f"a {SECRET} in a thought", (call("wire", to=SECRET),), usage)
    return Completion("", (say(f"It is a {SECRET}." if SECRET in str(prompt) else "I do not know."),), usage)


@dataclass
class Pages:
    """The pages of a server, and a browser signed in for each key."""

    app: Any
    kernel: Kernel
    browsers: dict[str, httpx2.AsyncClient] = field(default_factory=dict[str, httpx2.AsyncClient])
    ids: dict[str, str] = field(default_factory=dict[str, str])

    def routes(self) -> list[tuple[str, str]]:
        return sorted(set(_routes(self.app.routes)))

    async def ask(
        self, key: str, method: str, path: str, form: dict[str, str] | None = None
    ) -> httpx2.Response:
        more: dict[str, Any] = {"data": form or {}} if method == "POST" else {}
        if path.endswith("/documents"):
            more["files"] = {"file": ("a.txt", b"planted", "text/plain")}
        headers = HTML | ({"hx-request": "true"} if method == "POST" else {})
        return await self.browsers[key].request(method, path, headers=headers, **more)


def _routes(routes: Any) -> Iterator[tuple[str, str]]:
    for route in routes:
        if router := getattr(route, "original_router", None):
            yield from _routes(router.routes)
        elif getattr(route, "endpoint", lambda: 0).__module__.startswith("pagefault.server.inspector"):
            yield from ((method, route.path) for method in route.methods if method != "HEAD")


async def furnish(kernel: Kernel, name: str, word: str) -> None:
    """Fill every memory of an agent with a word; a call of it waits for a decision."""
    await kernel.create_agent(name, parse_settings({"zone": "UTC", "tags": [f"of-{name}"]}))
    await facts.remember(kernel, name, f"a {word} in a passage", tags=[word])
    await edits.add_timer(kernel, name, f"a {word} in a timer", when="in 5 days")
    await archives.create(kernel, f"{name}-archive", f"a {word} in a description")
    await facts.remember(kernel, Archive(f"{name}-archive"), f"a {word} in an archive")
    await archives.attach(kernel, f"{name}-archive", name)
    await shared_sections.share(kernel, f"{name}_plan", [name], text=f"a {word} in a section")
    for text in (f"Remember the {word}.", "Now pay."):
        contents = (PICTURE,) if name == "ana" else ()
        async for _ in kernel.send(name, Event(EventKind.MESSAGE, text, contents=contents, sender=word)):
            pass
    await kernel.idle()


@asynccontextmanager
async def pages(machine: Machine, store: Store | None = None) -> AsyncGenerator[Pages]:
    """A server with the tenants `first`, where ana has the secret and bo has none, and `second`, with
    another bo; and the keys `owner` of all in `first`, `neighbour` (of bo alone), `tagged` (of bo's
    tag), `reader` and `talker` there (of all, with lesser roles), and `stranger` (in `second`)."""
    model = ScriptedModel(answers)
    async with machine.open(model, store=store, tools=(wire,)) as rig, served(rig.kernel, rate=0) as server:
        first, second = rig.kernel.within("first"), rig.kernel.within("second")
        await furnish(first, "ana", SECRET)
        await furnish(first, "bo", "plum")
        await furnish(second, "bo", "plum")
        found = Pages(server.app, first)
        keys = {
            "owner": await create_key(first, "owner", role="admin"),
            "neighbour": await create_key(first, "neighbour", role="admin", agents=["bo"]),
            "tagged": await create_key(first, "tagged", role="admin", tag="of-bo"),
            "reader": await create_key(first, "reader", role="read"),
            "talker": await create_key(first, "talker", role="chat"),
            "stranger": await create_key(second, "stranger", role="admin"),
            "installation": await create_key(rig.kernel, "installation", role="admin"),
        }
        transport = httpx2.ASGITransport(app=server.app, raise_app_exceptions=False)
        for name, secret in keys.items():
            browser = httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8283")
            assert (await sign_in(browser, secret)).status_code == 303
            found.browsers[name] = browser
        found.ids.update(await ids_of(found))
        yield found
        for browser in found.browsers.values():
            await browser.aclose()


def filled(server: Pages, path: str, name: str) -> str:
    """The path of a route with an agent's name and what ana has: ids, numbers, hashes."""
    ids = server.ids | {"documents": "d1", "/chat/rows": "m1", "/log/": "m1", "passages": "ana-archive/p1"}
    id = next(id for what, id in {**ids, "": "p1"}.items() if what in path)
    section = "human" if path.endswith(("/limit", "/remove")) else "ana_plan"  # a shared one has neither
    values = {
        "name": name, "id": id, "section": section, "function": "wire", "number": "1", "index": "1",
        "hash": server.ids["media"], "event": "1",
    }  # fmt: skip
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: values[match[1]], path)


async def ids_of(server: Pages) -> dict[str, str]:
    """The ids in ana's pages by the word of the path before them."""
    text = "".join([(await server.ask("owner", "GET", f"/agents/ana{at}")).text for at in ("", "/events")])
    return {what: _first(rf"/{what}/([^/\"]+)", text) for what in ("approvals", "schedules", "media")}


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found, pattern
    return found[1]


async def state(server: Pages) -> dict[str, str]:
    """The owner's view of ana."""
    found = dict[str, str]()
    for method, path in server.routes():
        if method == "GET" and "{name}" in path and "/stream" not in path:
            at = filled(server, path, "ana")
            answer = await server.ask("owner", "GET", at)
            assert answer.status_code in (200, 303) or "documents/" in path, (
                at,
                answer.status_code,
                answer.text,
            )
            found[path] = re.sub(r'form_token" value="\w+|\d+ (min|h) ago|just now', "", answer.text)
    return found


def of_agents(server: Pages) -> list[tuple[str, str]]:
    """The routes of one agent; all others are known."""
    found = [route for route in server.routes() if route[1].startswith("/agents/{name}")]
    assert {" ".join(route) for route in server.routes()} - {
        " ".join(route) for route in found
    } == OPEN | OF_TENANT
    assert {" ".join(route) for route in found if route[0] == "POST"} == FORMS.keys()
    assert len(found) > 40
    return found


async def check_nothing_of_ana_is_reached(server: Pages, key: str) -> None:
    before = await state(server)
    assert sum(SECRET in text for text in before.values()) >= 10
    wrong = list[str]()
    for method, path in of_agents(server):
        form = FORMS.get(f"{method} {path}")
        foreign = await server.ask(key, method, filled(server, path, "ana"), form)
        if foreign.status_code != 404 or SECRET in foreign.text:
            wrong.append(f"{method} {path}: {foreign.status_code}")
    assert wrong == []
    for method, path in of_agents(server):
        if path.count("{") > 1 or "archives" in path or path.endswith("/passages"):
            own = await server.ask(key, method, filled(server, path, "bo"), FORMS.get(f"{method} {path}"))
            if SECRET in own.text or own.status_code >= 500:
                wrong.append(f"{method} {path} of bo: {own.status_code}")
    for path in (
        "/", "/?find=an", "/usage", "/agents/bo/memory", "/agents/bo/settings",
        "/agents/bo/search?q=tangerine", "/agents/bo/search?q=passage&archive=ana-archive",
        "/agents/bo/passages?archive=ana-archive", "/agents/bo/documents?archive=ana-archive",
        "/agents/bo/search?speaker=tangerine", "/agents/bo/context?at=3", "/agents/bo/events",
    ):  # fmt: skip
        text, other = await told(server, key, path), path.replace("ana-archive", "xyz-archive")
        assert "ana" not in re.findall(r"[\w-]+", text), path
        assert "in an archive" not in text, path
        assert text.replace("ana-archive", "xyz-archive") == await told(server, key, other), (
            path
        )  # if there is one
    assert wrong == []
    assert await state(server) == before


async def check_usage(server: Pages) -> None:
    """All agents spent the same, and nobody sees more than what his own did."""
    found = dict[str, int]()
    for key in server.browsers:
        page = (await server.ask(key, "GET", "/usage")).text
        found[key] = int(_first(r"<dt>Requests</dt><dd>([^<]+)", page))
    one = found["neighbour"]
    assert one > 0
    wanted = {"owner": 2 * one, "reader": 2 * one, "talker": 2 * one, "installation": 0}
    assert found == dict.fromkeys(server.browsers, one) | wanted


async def test_usage_sums_are_of_agents_that_a_key_reaches(machine: Machine) -> None:
    async with pages(machine) as server:
        await check_usage(server)


async def check_roles(server: Pages) -> None:
    before, wrong = await state(server), list[str]()
    for method, path in of_agents(server):
        if method == "POST":
            form, at = FORMS[f"{method} {path}"], filled(server, path, "ana")
            may = path.removeprefix("/agents/{name}/") in TALKING
            for key in ("reader", *(() if may else ("talker",))):
                answer = await server.ask(key, method, at, form)
                if answer.status_code != 403:
                    wrong.append(f"{key} {method} {path}: {answer.status_code}")
    assert wrong == []
    assert await state(server) == before
    made = await server.ask("talker", "POST", "/agents", {"name": "carl"})
    assert made.status_code == 403


async def test_no_form_changes_more_than_the_role_of_a_key_may(machine: Machine) -> None:
    async with pages(machine) as server:
        await check_roles(server)


async def test_no_form_is_taken_from_elsewhere_and_no_page_changes_anything(machine: Machine) -> None:
    async with pages(machine) as server:
        before = await state(server)
        for method, path in server.routes():
            at = filled(server, path, "ana") if "{name}" in path else path
            for other in {"POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - {method}:
                if (other, path) not in server.routes():
                    answer = await server.browsers["owner"].request(other, at, headers=HTML)
                    assert answer.status_code in (403, 404, 405), (other, path, answer.status_code)
            if method == "POST":
                form = FORMS.get(f"{method} {path}")
                for headers in (
                    {},
                    {"hx-request": "true", "origin": "https://evil.example"},
                    {"origin": "null"},
                ):
                    answer = await server.browsers["owner"].post(at, data=form, headers=HTML | headers)
                    assert answer.status_code == 403, (path, headers, answer.status_code)
        assert await state(server) == before


async def test_the_owner_does_what_is_refused_to_others(machine: Machine) -> None:
    """So the tries of these tests are not refused for what is wrong with them."""
    async with pages(machine) as server:
        last = ("{id:path}/delete", "/detach", "/settings", "/rename", "/settings/delete")
        routes = [each for each in of_agents(server) if "/stream" not in each[1]]
        for method, path in sorted(routes, key=lambda each: [each[1].endswith(end) for end in last[::-1]]):
            at = filled(server, path, "ana") if await exists(server) else path
            if path.endswith(("/chat/approvals/{id}", "/release", "/retry", "/drop")):
                continue  # decided on by the other form; nothing is parked
            answer = await server.ask("owner", method, at, FORMS.get(f"{method} {path}"))
            assert answer.status_code not in (400, 403, 422, 500), (method, at, answer.text)


async def exists(server: Pages) -> bool:
    return any(record.name == "ana" for record in await server.kernel.agents())


async def told(server: Pages, key: str, path: str) -> str:
    answer = await server.ask(key, "GET", path)
    assert answer.status_code < 500, path
    return re.sub(r'form_token" value="\w+', "", answer.text)


@pytest.mark.parametrize("key", ["neighbour", "tagged", "stranger"])
async def test_no_page_shows_or_changes_what_a_key_is_not_for(machine: Machine, key: str) -> None:
    async with pages(machine) as server:
        await check_nothing_of_ana_is_reached(server, key)


@pytest.fixture
def protected(database: str) -> Iterator[str]:
    """A database that confines each tenant by itself."""
    protect(database)
    yield database
    unprotect(database)


async def test_on_a_protected_database_pages_show_the_same(machine: Machine, protected: str) -> None:
    store = PostgresStore.open(protected, connections=2)
    try:
        async with pages(machine, store) as server:
            await check_usage(server)
            await check_roles(server)
            await check_nothing_of_ana_is_reached(server, "neighbour")
            await check_nothing_of_ana_is_reached(server, "stranger")
    finally:
        await store.close()
