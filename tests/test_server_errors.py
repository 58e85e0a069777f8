"""Errors for clients of the server: requests and not commands as hints, nothing of the machine, in time."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

import pagefault
from conftest import Machine, served
from pagefault.cli.tree import COMMANDS
from pagefault.config import parse_settings
from pagefault.errors import ModelSetupError, StaleAgentError, StorageError
from pagefault.kernel import edits
from pagefault.kernel.approvals import answer, grants, pending_approvals
from pagefault.kernel.tenancy import create_key
from pagefault.names import system_key
from pagefault.server.hints import REQUESTS, for_clients
from pagefault.testing.memory import MemoryStore
from pagefault.testing.memory_transaction import MemoryTransaction
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.types import Event
from test_inspector import sign_in

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def test_an_error_hints_at_requests_and_not_at_commands(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        nobody = (await server.client.get("/api/v1/agents/nobody")).json()["detail"]
        assert nobody == (
            "There is no agent nobody; `GET /api/v1/agents` shows those there are, `POST /api/v1/agents` "
            "makes it."
        )
        addresses = server.app.openapi()["paths"]
        for command, request in REQUESTS.items():
            method, path = request.partition("?")[0].split()
            assert method.lower() in addresses[path], command
            assert command.split()[0] in COMMANDS, command
    parked = for_clients("Agent a.b is parked: x. Mend that, then: `pagefault agent release a.b`")
    assert parked.endswith("then: `POST /api/v1/agents/{name}/release`")
    assert for_clients("`pagefault key list` shows them.") == "`pagefault key list` on the server shows them."


def test_sentences_name_commands_in_marks_by_which_they_are_found() -> None:
    bare = re.compile(rf"(?<!`)\bpagefault (?:{'|'.join(COMMANDS)}) [\w<{{-]")
    files = [file for file in SOURCE.rglob("*.py") if file.relative_to(SOURCE).parts[0] not in EDGES]
    found = [(file.name, line) for file in files for line in sentences(file) if bare.search(line)]
    assert len(files) > 300
    assert found == []


SOURCE = Path(pagefault.__file__).parent
EDGES = ("cli", "bench", "mcp")
"""The packages whose sentences are not those of errors that requests meet."""


def sentences(file: Path) -> list[str]:
    """The texts of a module, with its values written {}; not its docstrings."""
    tree = ast.parse(file.read_text("utf-8"))
    said = list[str]()
    for node in ast.walk(tree):
        parts = node.values if isinstance(node, ast.JoinedStr) else [node]
        texts = [part.value if isinstance(part, ast.Constant) else "{}" for part in parts]
        said += ["".join(text for text in texts if isinstance(text, str))]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    apart = {ast.get_docstring(node, False) for node in ast.walk(tree) if isinstance(node, documented)}
    return [text for text in said if text not in apart]


async def test_what_a_turn_failed_on_is_fixed_by_requests_too(machine: Machine) -> None:
    failed = ModelSetupError("m is gone; run `pagefault agent set ana model=n`.")
    async with machine.open(ScriptedModel([failed])) as rig, served(rig.kernel) as server:
        asked = {"model": "ana", "messages": [{"role": "user", "content": "Hi"}]}
        answer = await server.client.post("/v1/chat/completions", json=asked)
        assert "`PATCH /api/v1/agents/{name}`" in answer.json()["error"]["message"]
        absent = (await server.client.get("/v1/steps/")).json()["detail"]
        assert absent.endswith("see `GET /api/v1/agents/{name}/trace`.")
        keyless = (await server.client.get("/v1/client-side-access-tokens/")).json()["detail"]
        assert keyless.endswith("make keys with `pagefault key create` on the server.")


async def test_who_gave_a_wrong_key_is_told_whom_to_ask(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        await create_key(rig.kernel, "ann")
        page = await sign_in(server.client, "pf_wrong")
        assert "ask who runs the server for one" in page.text
        assert "`pagefault" not in page.text


class HeldStore(MemoryStore):
    """A database that another process holds, once it is said to be."""

    held = False

    async def read(self, work: Callable[[MemoryTransaction], T]) -> T:
        if self.held:
            raise StorageError("The database /home/eva/.pagefault/pagefault.db is held by process 4711.")
        return await super().read(work)


async def test_the_database_is_not_described_to_clients(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    store = HeldStore()
    async with machine.open(ScriptedModel([]), store=store) as rig, served(rig.kernel) as server:
        store.held = True
        answer = await server.client.get("/api/v1/agents/ana")
        store.held = False
    assert answer.status_code == 503
    assert "The database did not do this; try again" in answer.text
    assert "4711" not in answer.text
    assert "/home" not in answer.text
    assert "4711" in caplog.text


async def test_a_request_cannot_take_the_key_of_an_event_of_the_system(machine: Machine) -> None:
    async with machine.open(ScriptedModel([]), timers=True) as rig, served(rig.kernel) as server:
        made = await edits.add_timer(rig.kernel, "ana", "water the plants", when="in 1 hour")
        due = f"{made.id}@{made.due.astimezone(UTC).isoformat()}"
        post = partial(server.client.post, "/api/v1/agents/ana/events", json={"kind": "door", "text": "x"})
        assert (await post(headers={"idempotency-key": due})).status_code == 202
        forged = await post(headers={"idempotency-key": system_key(due)})
        assert (forged.status_code, "printable characters only" in forged.text) == (400, True)
        id = (await server.client.get("/v1/agents/")).json()[0]["id"]
        body = {"messages": [{"role": "user", "content": "x", "otid": system_key(due)}]}
        assert (await server.client.post(f"/v1/agents/{id}/messages", json=body)).status_code == 400
        rig.clock.advance(3600)
        await rig.kernel.fire_timers()
        await rig.kernel.idle()
        assert [event.kind for event in await rig.events()] == ["door", "timer"]


async def test_documents_without_their_packages_are_a_problem_before_the_stream(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])  # where packages are found that are not imported yet
    for name in ("mammoth", "selectolax"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel) as server:
        answer = await server.client.post(
            "/api/v1/agents/ana/documents",
            files={"file": ("a.txt", b"text")},
            headers={"accept": "text/event-stream"},
        )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Loading documents needs further packages" in answer.json()["detail"]


async def test_what_is_for_one_agent_is_not_posted_to_another_that_has_its_name(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        ana = await rig.kernel.record("ana")
        await rig.kernel.rename("ana", "former")
        await rig.kernel.create_agent("ana", parse_settings({"zone": "UTC"}))
        with pytest.raises(StaleAgentError):
            async with rig.kernel.posting("ana", Event("message", "for the former"), only=ana.id):
                pass
        with pytest.raises(StaleAgentError):
            await anext(answer(rig.kernel, "ana", "m1", True, only=ana.id))
        assert await rig.events() == []


async def test_a_decision_has_the_name_of_who_made_it(machine: Machine) -> None:
    model = ScriptedModel([[call("archival_insert", text="x")], [say("Done.")]])
    async with machine.open(model, approval=["archival_insert"]) as rig, served(rig.kernel) as server:
        waiting = await rig.send("Note it.")
        assert waiting[-1].type == "waiting"
        ((_, pending),) = await pending_approvals(rig.kernel)
        body = {"approved": True, "remember": "always"}
        path = f"/api/v1/agents/ana/approvals/m{pending.number}"
        assert (await server.client.post(path, json=body)).status_code == 200
        assert [grant.by for grant in await grants(rig.kernel, "ana")] == ["local"]
