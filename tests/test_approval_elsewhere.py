"""Approval over processes and databases: heard and decided elsewhere, moved, checked, not given by a file."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import pytest

from pagefault import Agent, tool
from pagefault.assembly import Parts
from pagefault.build import open_kernel, open_transfer
from pagefault.config import AgentSettings, Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import NotFoundError, UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.approvals import answer, pending_approvals
from pagefault.models import Prompt
from pagefault.testing.models import Item, ScriptedModel, call
from pagefault.testing.postgres import Databases
from pagefault.transfer import check, export_agents, import_agents
from pagefault.types import Output

PATIENCE = 30.0


class Silent:
    def begin(self, what: str, total: int) -> None: ...
    def advance(self, rows: int) -> None: ...


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return ""
    databases: Databases = request.getfixturevalue("databases")
    return databases.new()


def obedient(prompt: Prompt) -> Item:
    """Deletes what it is told to, then says what came of it."""
    last = prompt.messages[-1]
    return f"It says: {last.text}" if last.role == "tool" else [call("delete", path="a")]


def worker(home: Path, url: str, deleted: list[str]) -> Kernel:
    @tool(approval=True)
    def delete(path: str) -> str:
        """Delete a file."""
        deleted.append(path)
        return f"deleted {path}"

    parts = Parts(ScriptedModel(obedient), NullEmbedder(), tools=(delete,))
    return open_kernel(home, parts, Installation(database=url))


@asynccontextmanager
async def heard(kernel: Kernel) -> AsyncGenerator[list[str]]:
    """The outputs of ana as this kernel hears them, by type."""
    types: list[str] = []

    async def listen() -> None:
        async with kernel.listen("ana") as outputs:
            ready.set()
            async for output in outputs:
                if output.type != "delta":
                    types.append(output.type)

    ready = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await ready.wait()
        yield types
        tasks.cancel_scope.cancel()


async def until(types: list[str], last: str) -> None:
    with anyio.fail_after(PATIENCE):
        while last not in types:  # noqa: ASYNC110
            await anyio.sleep(0.02)


@pytest.mark.anyio
async def test_a_turn_that_waits_is_heard_and_carried_on_by_another_worker(tmp_path: Path, url: str) -> None:
    mine, theirs = list[str](), list[str]()
    async with worker(tmp_path, url, mine) as here, worker(tmp_path, url, theirs) as there:
        await here.create_agent("ana", parse_settings({"style": "native"}))
        async with heard(there) as elsewhere, heard(here) as own:
            with anyio.fail_after(PATIENCE):
                outputs = [output async for output in here.send("ana", "Delete a.")]
            assert [o.type for o in outputs if o.type != "delta"] == ["called", "waiting"]
            if url:  # a file carries no signals: who only listens hears nothing of others
                await until(elsewhere, "waiting")
                assert elsewhere == ["called", "waiting"]
            ((name, waiting),) = await pending_approvals(there)
            with anyio.fail_after(PATIENCE):
                rest = [o async for o in answer(there, name, waiting.id, True, note="go")]
            assert [o.type for o in rest if o.type != "delta"] == ["returned", "said", "done"]
            if url:
                await until(own, "done")
                assert own == elsewhere == ["called", "waiting", "returned", "said", "done"]
        for kernel in (here, there):
            with pytest.raises(NotFoundError):
                await _all(kernel, waiting.id)
    assert (mine, theirs) == ([], ["a"])


@pytest.mark.anyio
async def test_of_two_decisions_at_once_one_holds(tmp_path: Path, url: str) -> None:
    deleted = list[str]()
    async with worker(tmp_path, url, deleted) as here, worker(tmp_path, url, deleted) as there:
        await here.create_agent("ana", parse_settings({"style": "native"}))
        for _ in range(5):
            async for _ in here.send("ana", "Delete a."):
                pass
            ((_, waiting),) = await pending_approvals(here)
            verdicts: list[str] = []

            async def decide(
                kernel: Kernel, approved: bool, id: str = waiting.id, to: list[str] = verdicts
            ) -> None:
                try:
                    await _all(kernel, id, approved=approved)
                    to.append(f"{approved}")
                except (UsageError, NotFoundError):
                    to.append("refused")

            before = len(deleted)
            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(decide, here, True)
                    tasks.start_soon(decide, there, False)
                await here.idle()
                await there.idle()
            assert sorted(verdicts)[-1] == "refused"
            assert len(deleted) - before == ("True" in verdicts)


async def _all(kernel: Kernel, id: str, *, approved: bool = True) -> list[Output]:
    return [output async for output in answer(kernel, "ana", id, approved)]


@pytest.mark.anyio
async def test_a_kernel_that_is_not_entered_decides_and_runs_nothing(tmp_path: Path, url: str) -> None:
    deleted = list[str]()
    async with worker(tmp_path, url, deleted) as kernel:
        await kernel.create_agent("ana", parse_settings({"style": "native"}))
        async for _ in kernel.send("ana", "Delete a."):
            pass
    looking = worker(tmp_path, url, deleted)
    assert await _all(looking, "m2") == []
    assert await looking.waiting() == ["ana"]
    await looking.close()
    assert deleted == []
    async with worker(tmp_path, url, deleted) as kernel:
        await kernel.recover()
    assert deleted == ["a"]


# moved and checked


def home_that_waits(home: Path, deleted: list[str]) -> None:
    """Ana waits for the second of two decisions; the first was made, and one function is granted."""
    script: list[Item] = [[call("delete", path="x")], "ok", [call("wipe", path="a"), call("wipe", path="b")]]

    @tool(approval=True)
    def delete(path: str) -> str:
        """Delete a file."""
        return path

    @tool(approval=True)
    def wipe(path: str) -> str:
        """Wipe a file."""
        deleted.append(path)
        return path

    parts = Parts(ScriptedModel(script), NullEmbedder(), tools=(delete, wipe))
    with Agent("ana", home=home, parts=parts, style="native") as ana:
        ana.approve(ana.send("Delete x.").waiting[0].id, remember="always")
        first, _ = ana.send("Wipe a and b.").waiting
        ana.approve(first.id, note="a only", by="Eva")


def exported(home: Path) -> bytes:
    database, file = open_transfer(home / "pagefault.db"), io.BytesIO()
    export_agents(database, ["ana"], file, "0", Silent())
    database.close()
    return file.getvalue()


@pytest.mark.parametrize("trust", [True, False])
def test_an_import_keeps_what_waits_and_allows_nothing_by_itself(tmp_path: Path, trust: bool) -> None:
    home_that_waits(tmp_path / "from", [])
    (tmp_path / "to").mkdir()
    database = open_transfer(tmp_path / "to" / "pagefault.db", make=True)
    own = AgentSettings(approval=("send_message",))
    content = io.BytesIO(exported(tmp_path / "from"))
    (moved,) = import_agents(database, content, "it", None, Silent(), trust=trust, defaults=own)
    assert check(database, Silent()) == []
    database.close()
    assert moved.left_out == ({} if trust else {"grants": ["delete"]})
    with Agent("ana", home=tmp_path / "to", parts=Parts(ScriptedModel([]), NullEmbedder())) as ana:
        assert [grant.name for grant in ana.grants()] == ["delete"] * trust
        assert len(ana.approvals()) == (1 if trust else 2)
        assert ana.settings.read().approval == (() if trust else ("send_message",))


DAMAGE = {
    "UPDATE approvals SET decision = 'refused'": "waits for a decision, but on no call",
    "UPDATE inbox SET state = 'done', rank = NULL": "is of a turn that is not open",
    "UPDATE inbox SET rank = 0 WHERE state = 'waiting'": "are not in the order of service",
    "UPDATE approvals SET number = 99 WHERE decision = ''": "is of a call that never was",
    "UPDATE approvals SET decision = 'maybe'": "decision is 'maybe'",
    "UPDATE approvals SET arguments = '[1]'": "it is no JSON object",
    "UPDATE agents SET undecided = NULL": "It is not ready for a turn as its inbox is.",
}


@pytest.mark.parametrize("statement", DAMAGE)
def test_what_is_wrong_with_approvals_is_found_and_a_damaged_one_runs_nothing(
    tmp_path: Path, statement: str
) -> None:
    deleted = list[str]()
    home_that_waits(tmp_path, deleted)
    database = open_transfer(tmp_path / "pagefault.db")
    assert check(database, Silent()) == []
    database.close()
    with closing(sqlite3.connect(tmp_path / "pagefault.db")) as db, db:
        assert db.execute(statement).rowcount > 0
    database = open_transfer(tmp_path / "pagefault.db")
    found = [finding.what for finding in check(database, Silent())]
    database.close()
    assert any(DAMAGE[statement] in what for what in found), found

    @tool(approval=True)
    def wipe(path: str) -> str:
        """Wipe a file."""
        deleted.append(path)
        return path

    parts = Parts(ScriptedModel(["Well.", "Well.", "Well."]), NullEmbedder(), tools=(wipe,))
    with Agent("ana", home=tmp_path, parts=parts) as ana:
        ana.approvals()
        ana.cancel()
        assert str(ana.send("Are you there?")) == "Well."
    assert deleted in ([], ["a"])
