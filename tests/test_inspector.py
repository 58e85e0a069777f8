"""The inspector's frame: sessions, forms, roles, languages, headers, the list of agents, errors as pages."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from hashlib import sha256
from pathlib import Path
from time import process_time
from urllib.parse import quote, unquote

import httpx2
import pytest

from conftest import Machine, Served, served
from inspector_texts import FOLDER, fields, sentences
from pagefault.kernel.tenancy import create_key, revoke_key
from pagefault.server.inspector.markdown import markdown
from pagefault.server.inspector.texts import LANGUAGES, language_of, texts
from pagefault.tenancy import KeyRole
from pagefault.testing.models import ScriptedModel, say
from pagefault.types import Event, EventKind

pytestmark = pytest.mark.anyio

HTML = {"accept": "text/html"}


def token(page: str) -> str:
    """The token of a page's forms."""
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', page)
    assert found, page
    return found[1]


async def sign_in(client: httpx2.AsyncClient, secret: str, to: str = "/") -> httpx2.Response:
    page = await client.get("/login", headers=HTML)
    data = {"key": secret, "to": to, "form_token": token(page.text)}
    return await client.post("/login", data=data, headers=HTML)


async def agents_shown(server: Served) -> set[str]:
    page = (await server.client.get("/", headers=HTML)).text
    return set(re.findall(r'<a href="/agents/[^"]+"><bdi>([^<]+)</bdi>', page))


# who may see what


async def test_without_keys_the_loopback_is_in(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        assert await agents_shown(server) == {"ana"}
        login = await server.client.get("/login")
        assert (login.status_code, login.headers["location"]) == (303, "/")


async def test_a_session_lasts_as_long_as_its_key_and_no_longer_than_12_hours(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        secret = await create_key(rig.kernel, "ann", role="read")
        asked = await server.client.get("/?page=1", headers=HTML)
        assert (asked.status_code, asked.headers["location"]) == (303, "/login?to=%2F%3Fpage%3D1")
        wrong = await sign_in(server.client, secret[:-1])
        assert wrong.status_code == 403
        assert "There is no such key" in wrong.text
        assert not server.client.cookies
        entered = await sign_in(server.client, secret, "/?page=1")
        assert (entered.status_code, entered.headers["location"]) == (303, "/?page=1")
        cookie = entered.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Max-Age=43200", "Path=/"))
        assert secret not in cookie
        assert await agents_shown(server) == {"ana"}
        machine.clock.advance(12 * 3600)
        assert await agents_shown(server) == set()
        await sign_in(server.client, secret)
        assert await agents_shown(server) == {"ana"}
        await revoke_key(rig.kernel, "ann")
        await create_key(rig.kernel, "ann", role="read")
        assert await agents_shown(server) == set()


async def test_signing_out_ends_the_session(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        await sign_in(server.client, await create_key(rig.kernel, "ann"))
        page = (await server.client.get("/", headers=HTML)).text
        await server.client.post("/logout", data={"form_token": token(page)}, headers=HTML)
        assert await agents_shown(server) == set()


async def test_a_session_of_another_secret_is_none(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        secret = await create_key(rig.kernel, "ann")
        async with served(rig.kernel, session_secret="a" * 32) as one:
            await sign_in(one.client, secret)
            cookies = dict(one.client.cookies)
        for options, status in (({"session_secret": "a" * 32}, 200), ({}, 303)):
            async with served(rig.kernel, **options) as other:
                other.client.cookies.update(cookies)
                assert (await other.client.get("/", headers=HTML)).status_code == status


async def test_the_cookie_opens_pages_and_not_the_rest(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        await sign_in(server.client, await create_key(rig.kernel, "ann", role="admin"))
        assert (await server.client.get("/api/v1/agents")).status_code == 401
        assert (await server.client.post("/api/v1/agents", json={"name": "bob"})).status_code == 401


async def test_a_key_sees_its_tenants_and_its_own_agents(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        acme, settings = rig.kernel.within("acme"), server.app.state.options.agent
        await acme.create_agent("bob", settings)
        await acme.create_agent("carl", settings)
        await sign_in(server.client, await create_key(rig.kernel, "own"))
        assert await agents_shown(server) == {"ana"}
        await sign_in(server.client, await create_key(acme, "all"))
        assert await agents_shown(server) == {"bob", "carl"}
        await sign_in(server.client, await create_key(acme, "one", agents=["carl"]))
        assert await agents_shown(server) == {"carl"}


async def test_only_admins_make_agents(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        roles: tuple[tuple[KeyRole, bool], ...] = (("read", False), ("chat", False), ("admin", True))
        for role, made in roles:
            await sign_in(server.client, await create_key(rig.kernel, role, role=role))
            page = (await server.client.get("/", headers=HTML)).text
            assert ("New agent" in page) is made
            data = {"name": "bob", "form_token": token(page)}
            answer = await server.client.post("/agents", data=data, headers=HTML)
            assert answer.status_code == (303 if made else 403)
        assert await agents_shown(server) == {"ana", "bob"}
        again = await server.client.post(
            "/agents", data={"name": "bob"}, headers=HTML | {"hx-request": "true"}
        )
        assert again.status_code == 409
        assert "<html" not in again.text
        assert 'class="notice bad"' in again.text


# forms that only our pages send


@pytest.mark.parametrize("headers", [{}, {"hx-request": "yes"}, {"content-type": "application/json"}])
async def test_a_form_without_its_token_changes_nothing(machine: Machine, headers: dict[str, str]) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        for forged in ("", "0" * 64, "é"):
            answer = await server.client.post(
                "/agents", data={"name": "bob", "form_token": forged}, headers=HTML | headers
            )
            assert answer.status_code in (403, 422)
        other = await server.client.post(
            "/agents", data={"name": "bob"}, headers={"hx-request": "true", "origin": "https://evil.example"}
        )
        assert other.status_code == 403
        assert await agents_shown(server) == {"ana"}


@pytest.mark.parametrize(
    "to", ["https://evil.example/", "//evil.example", "/\\evil.example", "/a\r\nx: y", ""]
)
async def test_nobody_is_led_to_another_server(machine: Machine, to: str) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        entered = await sign_in(server.client, await create_key(rig.kernel, "ann"), to)
        assert entered.headers["location"] == "/"


async def test_addresses_in_any_script_are_led_to(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        secret = await create_key(rig.kernel, "ann")
        asked = await server.client.get("/agents/卡尔?q=中", headers=HTML)
        to = unquote(asked.headers["location"].removeprefix("/login?to="))
        entered = await sign_in(server.client, secret, to)
        assert entered.headers["location"] == "/agents/%E5%8D%A1%E5%B0%94?q=%E4%B8%AD"
        form = {"form_token": token((await server.client.get("/", headers=HTML)).text), "theme": "dark"}
        for to in ("/agents/卡尔", "/agents/\U0001f600", "/agents/\ufffd?é"):
            chosen = await server.client.post("/look", data=form | {"to": to}, headers=HTML)
            assert chosen.headers["location"] == quote(to, safe="/?")


@pytest.mark.parametrize("url", ["http://[", "javascript:x", "//[v1.x]:y", "http://x:y:z/%"])
async def test_a_part_asked_for_from_no_page_leads_to_sign_in(machine: Machine, url: str) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        await create_key(rig.kernel, "ann")
        headers = {"hx-request": "true", "hx-current-url": url}
        answer = await server.client.get("/", headers=headers)
        assert answer.status_code == 204
        assert answer.headers["hx-redirect"].startswith("/login")


# languages, themes


def test_every_sentence_is_translated_and_every_translation_is_used() -> None:
    said = {text for text, _ in sentences()}
    for language in LANGUAGES:
        if language != "en":
            known = texts(language)
            assert said - set(known) == set()
            assert set(known) - said == set()
            assert {text for text in said if fields(text) != fields(known[text])} == set()


def test_no_sentence_is_translated_twice() -> None:
    files = sorted((FOLDER / "texts" / "zh").glob("*.toml"))
    keys = [key for path in files for key in tomllib.loads(path.read_text("utf-8"))]
    assert len(files) > 0
    assert len(keys) == len(texts("zh"))


def test_the_language_is_the_one_chosen_else_the_one_preferred() -> None:
    assert language_of("zh", "en") == "zh"
    assert language_of("xx", "fr, zh-CN;q=0.8, en;q=0.7") == "zh"
    assert language_of(None, "en-GB, zh") == "en"
    assert language_of(None, "") == "en"
    assert language_of(None, "zh;q=x, en;q=0.1") == "en"


async def test_language_and_theme_are_kept(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        page = (await server.client.get("/", headers=HTML | {"accept-language": "zh-CN,zh;q=0.9"})).text
        assert '<html lang="zh-Hans" data-theme="auto">' in page
        assert "智能体" in page
        data = {"form_token": token(page), "language": "zh", "theme": "dark", "to": "/?page=1"}
        chosen = await server.client.post("/look", data=data)
        assert chosen.headers["location"] == "/?page=1"
        assert '<html lang="zh-Hans" data-theme="dark">' in (await server.client.get("/", headers=HTML)).text


# headers, files


async def test_every_response_lets_nothing_run_but_our_own_files(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        page = (await server.client.get("/", headers=HTML)).text
        files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
        assert len(files) >= 4
        for path in ("/", "/?page=99", "/login", "/no/such/page", "/static/x/none.js", *files):
            answer = await server.client.get(path, headers=HTML)
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
            assert "unsafe" not in policy
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["x-content-type-options"] == "nosniff"
        for path in FOLDER.rglob("*.html"):
            text = path.read_text()
            assert not re.search(
                r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son(?!e=)[a-z]+=|hx-on|hx-vals=.js:", text
            ), path


async def test_files_are_kept_for_good_and_packed(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        page = (await server.client.get("/", headers=HTML)).text
        style = re.findall(r'href="(/static/[^"]+\.css)"', page)[0]
        packed = await server.client.get(style)
        assert packed.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert packed.headers["content-encoding"] == "gzip"
        plain = await server.client.get(style, headers={"accept-encoding": "identity"})
        assert plain.content == packed.content == (FOLDER / "static" / "style.css").read_bytes()
        old = await server.client.get("/static/0123456789abcdef/style.css")
        assert (old.status_code, old.headers["cache-control"]) == (200, "no-cache")
        for path in ("/static/x/..%2fpages.py", "/static/x/..%5cpages.py", "/static/x/"):
            assert (await server.client.get(path)).status_code == 404


def test_the_script_of_others_is_the_one_that_is_named() -> None:
    script = (Path(__file__).parents[1] / "scripts" / "vendor.sh").read_text()

    found = sha256((FOLDER / "static" / "vendor" / "htmx.min.js").read_bytes()).hexdigest()
    assert f"htmx_sha256={found}" in script
    assert "Zero-Clause BSD" in (FOLDER / "static" / "vendor" / "htmx.LICENSE.txt").read_text()


# errors


async def test_errors_are_pages_for_browsers_and_problems_for_programs(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        for path, status in (("/no/such/page", 404), ("/?page=99", 404), ("/?page=x", 422)):
            page = await server.client.get(path, headers=HTML)
            assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
            assert "<h1>" in page.text
            program = await server.client.get(path)
            assert program.headers["content-type"] == "application/problem+json"
        elsewhere = await server.client.get("/agents", headers=HTML)
        assert (elsewhere.status_code, elsewhere.headers["location"]) == (303, "/")
        rest = await server.client.get("/api/v1/nothing", headers=HTML)
        assert rest.headers["content-type"] == "application/problem+json"


# the list of agents


async def test_the_list_says_what_each_agent_does(machine: Machine) -> None:
    async with machine.open(ScriptedModel([[say("Hello.")]])) as rig, served(rig.kernel) as server:
        await rig.said("Hi")
        machine.clock.advance(300)
        page = (await server.client.get("/", headers=HTML)).text
        assert "idle" in page
        assert "5 min ago" in page
        rig.kernel.scheduler.admission.most = 0
        await rig.kernel.post("ana", Event(EventKind.MESSAGE, "and?"))
        page = (await server.client.get("/", headers=HTML)).text
        assert "waits" in page


async def test_many_agents_are_paged_and_found_by_name(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        settings = server.app.state.options.agent
        for number in range(120):
            await rig.kernel.create_agent(f"agent-{number:03}", settings)
        pages = [await server.client.get(f"/?page={n}", headers=HTML) for n in (1, 2, 3)]
        names = [re.findall(r"<bdi>([^<]+)</bdi>", page.text) for page in pages]
        assert list(map(len, names)) == [50, 50, 21]
        assert len({name for each in names for name in each}) == 121
        found = await server.client.get("/?find=-11", headers=HTML | {"hx-request": "true"})
        assert re.findall(r"<bdi>([^<]+)</bdi>", found.text) == [f"agent-11{n}" for n in range(10)]
        assert "<html" not in found.text
        nothing = await server.client.get("/?find=<script>alert(1)</script>", headers=HTML)
        assert "<script>alert" not in nothing.text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in nothing.text


# Markdown


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))", "[x](data:text/html;base64,PHNjcmlwdD4=)", "![x](https://evil.example/a.png)",
        "<svg/onload=alert(1)>", "[x]: javascript:alert(1)\n\n[x]", "![x](javascript:alert(1))",
        "<a href='javascript:alert(1)'>x</a>", "[x](vbscript:a)",
        "[x](https://a.example 'onclick=alert(1)\" x=')",
        "`<script>`", "```\"><script>\nx\n```",
        "<javascript:alert(1)>", "[a](//evil.example)", "[a](/logout)",
    ],
)  # fmt: skip
def test_markdown_brings_no_markup_of_its_own(text: str) -> None:
    html = str(markdown(text))
    tags = re.findall(r"<(\w+)([^>]*)>", html)
    assert {tag for tag, _ in tags} <= {"p", "a", "code", "pre"}
    for tag, rest in tags:
        names = set(re.findall(r'(\S+?)="[^"]*"', rest))
        assert names <= ({"href", "rel", "target", "title"} if tag == "a" else {"class"})
        assert not re.search(r'href="(?!https://)', rest)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000, "![" * 10_000, "> " * 10_000, "[!" * 6000 + "](a)](b)" * 900, "[a][" * 5000,
        "**a" * 6600, "[" * 1_000_000, "|a|b|\n|-|-|\n" + "|c\n" * 6000,
        "|a" * 3000 + "\n" + "|-" * 3000 + "\n" + "|b" * 3000,
        "|" + "a|" * 900 + "\n|" + "-|" * 900 + "\n" + "a\n" * 8000,
        "|" + "a|" * 60 + "\n|" + "-|" * 60 + "\n" + "a\n" * 9000,
    ],
    ids=lambda text: text[:6].strip(),
)  # fmt: skip
def test_markdown_is_no_work_beyond_its_length(text: str) -> None:
    start = process_time()
    html = markdown(text)
    assert process_time() - start < 1.0  # it takes 20 ms, and a page has 40 of them
    assert len(html) < 12 * len(text)


def test_markdown_is_rendered() -> None:
    html = str(
        markdown("# One\n\n**b** ~~s~~ [l](https://a.example)\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n- x\n")
    )
    for part in (
        '<p class="heading h1">One</p>',
        "<strong>b</strong>",
        "<s>s</s>",
        "<table>",
        "<li>x</li>",
        '<td class="align-right">2</td>',
    ):
        assert part in html
    assert '<a href="https://a.example" rel="noopener noreferrer nofollow" target="_blank">l</a>' in html
    assert "\\u202e" in markdown("a\u202eb")
    assert markdown("x" * 30_000).startswith('<p class="plain">')


# the package


@pytest.mark.slow
def test_the_wheel_has_templates_files_and_texts(tmp_path: Path) -> None:
    root = Path(__file__).parents[1]
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=root, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = [path for path in FOLDER.rglob("*.*") if path.is_file() and path.suffix != ".pyc"]
    assert len(files) > 15
    assert {f"pagefault/{path.relative_to(root / 'src/pagefault').as_posix()}" for path in files} <= inside
