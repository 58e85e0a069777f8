"""Tenants: two with the same names see nothing of each other, in any store; a kernel is within one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest

import pagefault
from pagefault import Agent
from pagefault.approvals import Approval
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import Kernel, archives, edits, facts, parked, shared_sections
from pagefault.kernel.approvals import answer, pending_approvals
from pagefault.shared import Archive
from pagefault.storage import Store
from pagefault.storage.postgres import PostgresStore
from pagefault.storage.postgres.protection import Protection
from pagefault.storage.sqlite import SQLiteStore
from pagefault.testing.memory import MemoryStore
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.testing.postgres import Databases
from pagefault.types import Event
from pagefault.views import agents as agent_views
from pagefault.views import archives as archive_views
from pagefault.views import documents as document_views
from pagefault.views import events as event_views
from pagefault.views import history as history_views
from pagefault.views import memory as memory_views
from pagefault.views import sharing as sharing_views
from pagefault.views import trace as trace_views
from pagefault.views import usage as usage_views

pytestmark = pytest.mark.anyio

STORES = [
    "memory",
    "sqlite",
    *(pytest.param(each, marks=pytest.mark.slow) for each in ("postgres", "protected")),
]
SETTINGS = {"zone": "UTC", "agents": True, "approval": ["archival_insert"]}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return MemoryStore()
    if request.param == "sqlite":
        return SQLiteStore.open(tmp_path / "a.db")
    databases: Databases = request.getfixturevalue("databases")
    url = databases.new()
    if request.param == "protected":
        with closing(Protection.open(url)) as protection:
            protection.switch_on()
    return PostgresStore.open(url)


@asynccontextmanager
async def opened(tmp_path: Path, store: Store, model: ScriptedModel) -> AsyncGenerator[Kernel]:
    parts = Parts(model=model, embedder=NullEmbedder(), store=store)
    async with open_kernel(tmp_path, parts, Installation()) as kernel:
        yield kernel


async def said(kernel: Kernel, name: str, text: str) -> list[str]:
    return [output.text async for output in kernel.send(name, text) if output.type == "said"]


async def refused(work: Callable[[], Awaitable[object]]) -> str:
    """The sentence with which it is refused as a thing that is not there."""
    with pytest.raises(NotFoundError) as error:
        await work()
    return str(error.value)


async def furnish(kernel: Kernel, secret: str) -> None:
    """Give a tenant an agent of every kind of memory, in each of which is the secret."""
    await kernel.create_agent("ana", parse_settings(SETTINGS))
    await facts.remember(kernel, "ana", f"{secret} in a passage", tags=["t"])
    await archives.create(kernel, "manuals", f"about {secret}")
    await facts.remember(kernel, Archive("manuals"), f"{secret} in an archive")
    await archives.attach(kernel, "manuals", "ana")
    await shared_sections.share(kernel, "plan", ["ana"], text=f"{secret} in a section")
    assert await said(kernel, "ana", f"{secret} in a message") == [f"heard {secret}"]


def parrot() -> ScriptedModel:
    return ScriptedModel(lambda prompt: [say("heard " + ("apple" if "apple" in str(prompt) else "pear"))])


async def everything(kernel: Kernel) -> str:
    """All that can be seen of a tenant through the views and the kernel."""
    found: list[Any] = [
        await kernel.agents(),
        await agent_views.agents(kernel),
        await archive_views.archives(kernel),
        await sharing_views.shared_sections(kernel),
        await sharing_views.effects(kernel),
        await event_views.events(kernel),
        await pending_approvals(kernel),
        await kernel.waiting(),
        await usage_views.usage(kernel),
    ]
    for name in [record.name for record in await kernel.agents()]:
        found += [
            await history_views.history(kernel, name),
            await trace_views.trace(kernel, name),
            await memory_views.search(kernel, name, "apple pear"),
            await memory_views.sections(kernel, name),
            await agent_views.context(kernel, name),
            await document_views.documents(kernel, name),
            await kernel.outputs(name),
        ]
    return repr(found)


async def test_two_tenants_with_the_same_names_see_nothing_of_each_other(
    tmp_path: Path, store: Store
) -> None:
    async with opened(tmp_path, store, parrot()) as kernel:
        first, second = kernel.within("first"), kernel.within("second")
        async with first.listen_all() as heard_first, second.listen_all() as heard_second:
            await furnish(first, "apple")
            await furnish(second, "pear")
            with anyio.move_on_after(0.1):
                async for name, output in heard_first:
                    assert (name, "pear" in output.text) == ("ana", False)
            with anyio.move_on_after(0.1):
                async for name, output in heard_second:
                    assert (name, "apple" in output.text) == ("ana", False)
        assert "apple" in await everything(first)
        assert "pear" in await everything(second)
        assert "pear" not in (await everything(first)).replace("apple pear", "")
        assert "apple" not in (await everything(second)).replace("apple pear", "")
        assert [r.tenant for r in await first.agents()] == ["first"]
        default = await everything(kernel)
        assert not any(secret in default for secret in ("apple", "pear", "ana"))


async def test_what_is_another_tenants_is_not_there(tmp_path: Path, store: Store) -> None:
    async with opened(tmp_path, store, parrot()) as kernel:
        first, other = kernel.within("first"), kernel.within("other")
        await furnish(first, "apple")
        agent = (await first.record("ana")).id
        asked = Approval(9, 1, "archival_insert", "{}", first.clock.now())
        await first.store.write(lambda tx: tx.put_approvals(agent, [asked]))

        async def decide() -> None:
            async for _ in answer(other, "ana", "m9", True):
                pass

        tries: dict[str, Callable[[], Awaitable[object]]] = {
            "record": lambda: other.record("ana"),
            "archive": lambda: other.record(Archive("manuals")),
            "post": lambda: other.post("ana", Event("message", "hello")),
            "outputs": lambda: other.outputs("ana"),
            "cancel": lambda: other.cancel("ana"),
            "flush": lambda: other.flush("ana"),
            "process": lambda: other.process("ana"),
            "delete": lambda: other.delete("ana"),
            "rename": lambda: other.rename("ana", "bo"),
            "change": lambda: other.change_settings("ana", parse_settings({})),
            "wake": lambda: other.wake("ana"),
            "idle": lambda: other.idle("ana"),
            "recover": lambda: other.recover("ana"),
            "history": lambda: history_views.history(other, "ana"),
            "trace": lambda: trace_views.trace(other, "ana"),
            "search": lambda: memory_views.search(other, "ana", "apple"),
            "section": lambda: memory_views.sections(other, "ana"),
            "remember": lambda: facts.remember(other, "ana", "x"),
            "passage": lambda: edits.delete_passage(other, "ana", "p1"),
            "timer": lambda: edits.add_timer(other, "ana", "x", when="in 1 hour"),
            "attach": lambda: archives.attach(other, "manuals", "ana"),
            "drop archive": lambda: archives.delete(other, "manuals"),
            "section edit": lambda: shared_sections.edit(other, "plan", "x"),
            "section delete": lambda: shared_sections.delete(other, "plan"),
            "release": lambda: parked.release(other, "ana"),
            "retry": lambda: parked.retry_effect(other, "section:plan", 1),
            "decide": decide,
        }
        for what, work in tries.items():
            sentence = await refused(work)
            assert "apple" not in sentence, what
        assert "apple in a passage" in await everything(first)
        assert await first.store.read(lambda tx: tx.approvals(agent)) == [asked]
        assert [name for name, _ in await pending_approvals(first)] == ["ana"]
        assert not await other.store.read(lambda tx: tx.agent_by_id(agent))


async def test_an_agent_writes_to_those_of_its_tenant_alone(tmp_path: Path, store: Store) -> None:
    model = ScriptedModel([])
    async with opened(tmp_path, store, model) as kernel:
        first, second = kernel.within("first"), kernel.within("second")
        for tenant, names in ((first, ("ana", "bo")), (second, ("bo", "cleo")), (kernel, ("bo", "dora"))):
            for name in names:
                await tenant.create_agent(name, parse_settings(SETTINGS))
        model.script = [
            [call("send_to_agent", name="cleo", text="psst", heartbeat=True)],
            [call("send_to_agent", name="dora", text="psst", heartbeat=True)],
            [call("send_to_agent", name="bo", text="psst", heartbeat=True)],
            [say("done")],
        ]
        await said(first, "ana", "go")
        await kernel.idle()
        results = [row.text for row in await _rows(first, "ana") if row.role == "result"]
        assert "There is no other agent cleo to write to; agents: bo." in results[0]
        assert "There is no other agent dora to write to; agents: bo." in results[1]
        assert "Sent to bo." in results[2]
        assert [len(await _events(tenant, "bo")) for tenant in (first, second, kernel)] == [1, 0, 0]


async def test_a_name_is_the_tenants_own(tmp_path: Path, store: Store) -> None:
    async with opened(tmp_path, store, parrot()) as kernel:
        first, second = kernel.within("first"), kernel.within("second")
        made = await first.create_agent("ana", parse_settings(SETTINGS))
        other = await second.create_agent("ana", parse_settings(SETTINGS))
        await second.rename("ana", "bo")
        await first.rename("ana", "cleo")
        assert [(r.id, r.name) for r in await first.agents()] == [(made.id, "cleo")]
        assert (await second.record("bo")).id == other.id
        await first.delete("cleo")
        assert [r.name for r in await second.agents()] == ["bo"]
        await first.create_agent("bo", parse_settings(SETTINGS))
        assert (await second.ensure_agent("bo", parse_settings({}))).id == other.id
        for name in ("a b", "é", "x" * 65, "-a", "a\n"):
            with pytest.raises(UsageError, match="cannot be a tenant's name"):
                kernel.within(name)


async def _rows(kernel: Kernel, name: str) -> list[Any]:
    id = (await kernel.record(name)).id
    return await kernel.store.read(lambda tx: list(tx.messages(id)))


async def _events(kernel: Kernel, name: str) -> list[Event]:
    id = (await kernel.record(name)).id
    return await kernel.store.read(lambda tx: tx.events(id))


# -- in a program


async def test_a_program_opens_one_tenant(tmp_path: Path) -> None:
    parts = Parts(model=parrot(), embedder=NullEmbedder())
    for tenant, secret in (("", "quince"), ("firm", "apple")):
        async with pagefault.open(tmp_path, parts=parts, tenant=tenant) as pf:
            ana = await pf.agent("ana")
            await ana.remember(f"{secret} in a passage")
            await pf.archives.create(f"of-{secret}", "papers")
            await ana.send(f"{secret} in a message")
            assert await pf.agents() == ["ana"]
            assert [archive.name for archive in await pf.archives.list()] == [f"of-{secret}"]
            found = repr(await ana.search("passage")) + repr(await ana.history())
            assert (secret in found, "quince" in found) == (True, not tenant)


def test_a_script_has_an_agent_of_one_tenant(tmp_path: Path) -> None:
    parts = Parts(model=parrot(), embedder=NullEmbedder())
    with Agent("ana", home=tmp_path, parts=parts, tenant="firm") as ana:
        assert ana.send("apple").text == "heard apple"
        assert ana.history()
    with Agent("ana", home=tmp_path, parts=parts) as ana:
        assert not any("apple" in row.text for row in ana.history())
    with pytest.raises(UsageError, match="'a b' cannot be a tenant's name"):
        Agent("ana", home=tmp_path, parts=parts, tenant="a b")
    with pytest.raises(UsageError, match="cannot be a tenant's name"):
        pagefault.open(tmp_path, tenant="../x")
