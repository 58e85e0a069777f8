"""Every link on every page of the inspector leads somewhere."""

from __future__ import annotations

import pytest

from conftest import Machine, served
from inspector_links import STARTS, furnished, kind_of, walk
from pagefault.kernel.tenancy import create_key
from pagefault.tenancy import KeyRole
from pagefault.testing.models import ScriptedModel
from test_inspector import HTML, sign_in

pytestmark = pytest.mark.anyio


@pytest.mark.slow
@pytest.mark.parametrize("role", [None, "read"])
async def test_every_link_leads_to_a_page(machine: Machine, role: KeyRole | None) -> None:
    async with furnished(machine) as rig, served(rig.kernel, rate=0) as server:
        if role:
            await sign_in(server.client, await create_key(rig.kernel, "eve", role=role))
        found = await walk(server.client, *STARTS)
        assert found.wrong == []
        kinds = {kind_of(path) for path in found.pages}
        assert {
            "/", "/usage", "/usage?days", "/agents/ana", "/agents/bo", "/agents/ana/context",
            "/agents/ana/context?at", "/agents/ana/log/m1",
            "/agents/ana/memory", "/agents/ana/memory/human",
            "/agents/ana/passages", "/agents/ana/passages/p1",
            "/agents/ana/passages?page",
            "/agents/ana/search?q",
            "/agents/ana/search?as_of&page&q", "/agents/ana/documents", "/agents/ana/documents/d1/pages/1",
            "/agents/ana/documents/manuals%2Fd1/pages/1", "/agents/ana/turns", "/agents/ana/turns/1",
            "/agents/ana/usage", "/agents/ana/events", "/agents/ana/settings",
        } <= kinds  # fmt: skip


async def test_a_link_that_leads_nowhere_is_found(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, served(rig.kernel, rate=0) as server:
        found = await walk(server.client, "/agents/ana/documents/d9#nowhere")
        assert found.wrong == [
            " leads to /agents/ana/documents/d9#nowhere: 404",
            " leads to /agents/ana/documents/d9#nowhere, which is not there",
        ]


async def test_the_address_of_a_document_leads_to_its_first_page(machine: Machine) -> None:
    async with furnished(machine) as rig, served(rig.kernel) as server:
        for id in ("d1", "manuals/d1", "manuals%2Fd1"):
            answer = await server.client.get(f"/agents/ana/documents/{id}", headers=HTML)
            assert answer.status_code == 303
            page = await server.client.get(answer.headers["location"], headers=HTML)
            assert "boat" in page.text
        for id, status in (("d9", 404), ("d1/pages", 400), ("d1/delete", 400), ("xyz/d1", 400), ("%0a", 400)):
            answer = await server.client.get(f"/agents/ana/documents/{id}", headers=HTML)
            assert answer.status_code == status, id
