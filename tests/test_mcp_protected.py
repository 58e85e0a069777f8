"""Tenants' memories over MCP on PostgreSQL with row-level security: nothing of another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import served
from mcp_clients import MODES, connected
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.kernel.tenancy import create_key
from pagefault.storage.postgres import PostgresStore
from pagefault.tenancy import KeyRole
from pagefault.testing.models import ScriptedModel, say
from pagefault.testing.postgres import Databases
from test_row_security import protect, unprotect

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECRET = "The tangerine is in the cellar."
SAID = [{"text": "We moved the tangerine.", "speaker": "Bo", "at": "2025-06-01"}]


@pytest.mark.parametrize("mode", MODES)
async def test_tenants_of_a_protected_database(mode: str, databases: Databases, tmp_path: Path) -> None:
    url = databases.new()
    parts = Parts(ScriptedModel(lambda _: [say("Hello.")]), NullEmbedder(), PostgresStore.open(url))
    protect(url)
    try:
        async with open_kernel(tmp_path, parts, Installation()) as kernel, served(kernel) as server:
            keys = list[str]()
            roles: dict[str, KeyRole] = {"firm": "admin", "other": "chat"}
            for tenant, role in roles.items():
                own = kernel.within(tenant)
                await own.ensure_agent("ana", parse_settings({"zone": "UTC"}))
                keys.append(await create_key(own, "k", role=role, speaks_for_users=role == "admin"))
            async with (
                connected(server, mode, key=keys[0]) as firm,
                connected(server, mode, key=keys[1]) as other,
            ):
                for is_new in (True, False):
                    assert (await firm.data("add_memory", text=SECRET))["added"] is is_new
                    assert (await firm.data("append_messages", messages=SAID))["added"] is int(is_new)
                assert (await firm.data("send_message", text="Hi", key="k1"))["reply"] == "Hello."
                for tool in ("search_memories", "search_conversations"):
                    assert (await firm.data(tool, query="tangerine"))["total"] == 1
                    assert (await other.data(tool, query="tangerine"))["total"] == 0
                assert (await other.data("list_memories"))["total"] == 0
                for tool, given in (("get_memory", {"id": "p1"}), ("read_conversation", {"id": "m1"})):
                    assert "There is no" in await other.failure(tool, **given)
                assert (await other.data("send_message", text="Ho", key="k1"))["reply"] == "Hello."
                assert (await other.data("add_memory", text=SECRET))["added"]
                assert (await firm.data("update_memory", id="p1", text="It is gone."))["id"] == "p2"
                assert (await firm.data("delete_memory", id="p2"))["deleted"]
                assert (await other.data("list_memories"))["total"] == 1
                assert "I am" in await other.resource("pagefault://sections/persona")
    finally:
        unprotect(url)
