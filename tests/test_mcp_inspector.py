"""Every tool of the MCP server, called by the inspector of the protocol's authors, an npm package.

Skipped without npm, or when the registry cannot be reached.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest

from conftest import Machine, served
from pagefault.kernel.tenancy import create_key
from pagefault.mcp.tools import TOOLS
from pagefault.testing.models import ScriptedModel, say

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PACKAGE = "@modelcontextprotocol/inspector@2.12.0"
PROGRAM = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"
SECONDS = 120


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The inspector, installed by npm."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("inspector")
    if npm is None or shutil.which("node") is None:
        pytest.skip("npm is not installed; it brings the inspector of MCP")
    command = [
        npm,
        "install",
        "--prefix",
        str(folder),
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        PACKAGE,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not bring {PACKAGE} within {SECONDS} seconds")
    if done.returncode or not (folder / PROGRAM).exists():
        pytest.skip(f"npm could not bring {PACKAGE}: {done.stderr[-300:]}")
    return str(folder / PROGRAM)


@dataclass
class Inspector:
    """The inspector, pointed at a server."""

    program: str
    target: list[str]
    era: str = "modern"

    async def ask(self, method: str, *options: str) -> dict[str, Any]:
        command = [
            "node",
            self.program,
            "--cli",
            *self.target,
            "--protocol-era",
            self.era,
            "--method",
            method,
        ]
        with anyio.fail_after(SECONDS):
            done = await anyio.run_process([*command, *options], check=False)
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
        return json.loads(done.stdout)

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        given = ["--tool-args-json", json.dumps(arguments)] if arguments else []
        found = await self.ask("tools/call", "--tool-name", tool, *given)
        assert found.get("isError") is not True, found
        return found["structuredContent"]


async def use_every_tool(inspector: Inspector) -> None:
    """Add, find, read, replace and delete a memory; append messages, find and read them; send one."""
    tools = (await inspector.ask("tools/list"))["tools"]
    assert {tool["name"] for tool in tools} == TOOLS.keys()
    added = await inspector.call("add_memory", text="My sister lives in Porto.", tags=["family"])
    found = await inspector.call("search_memories", query="Where does my sister live?")
    assert (added["added"], found["memories"][0]["id"]) == (True, added["id"])
    changed = await inspector.call("update_memory", id=added["id"], text="My sister lives in Faro.")
    assert (await inspector.call("get_memory", id=changed["id"]))["text"] == "My sister lives in Faro."
    assert (await inspector.call("list_memories"))["total"] == 1
    assert (await inspector.call("delete_memory", id=changed["id"]))["deleted"] is True
    said = {"text": "The cat came too.", "speaker": "Bo", "at": "2025-06-01T10:00:00Z"}
    first = (await inspector.call("append_messages", messages=[said]))["first"]
    (hit,) = (await inspector.call("search_conversations", query="cat"))["messages"]
    assert (hit["id"], hit["speaker"]) == (first, "Bo")
    assert (await inspector.call("read_conversation", id=first))["messages"][0]["text"] == said["text"]
    assert (await inspector.call("send_message", text="Hi"))["reply"]


async def test_the_inspector_does_every_tool_over_http(machine: Machine, program: str) -> None:
    model = ScriptedModel(lambda _: [say("Hello.")])
    async with machine.open(model) as rig, served(rig.kernel) as server, server.live() as url:
        key = await create_key(rig.kernel, "inspector", role="admin", speaks_for_users=True)
        target = [f"{url}/mcp/ana", "--transport", "http", "--header", f"Authorization: Bearer {key}"]
        await use_every_tool(Inspector(program, target))
        older = Inspector(program, target, "legacy")
        prompts = (await older.ask("prompts/list"))["prompts"]
        assert "what_do_you_know_about" in [prompt["name"] for prompt in prompts]
        resources = (await older.ask("resources/list"))["resources"]
        assert "pagefault://sections/human" in [each["uri"] for each in resources]
        assert (await older.call("search_conversations", query="cat"))["total"] == 1


async def test_the_inspector_starts_the_command(program: str, tmp_path: Path) -> None:
    source, config = str(Path(__file__).parents[1] / "src"), tmp_path / "mcp.json"
    environment = {"PYTHONPATH": source, "PAGEFAULT_EMBEDDER": "null", "PATH": os.environ["PATH"]}
    command = {
        "command": sys.executable, "env": environment,
        "args": ["-m", "pagefault", "mcp", "--agent", "ana", "--home", str(tmp_path), "--model", "offline"],
    }  # fmt: skip
    config.write_text(json.dumps({"mcpServers": {"memory": command}}))
    inspector = Inspector(program, ["--config", str(config), "--server", "memory"])
    added = await inspector.call("add_memory", text="My sister lives in Porto.")
    found = await inspector.call("search_memories", query="Where does my sister live?")
    assert [each["id"] for each in found["memories"]] == [added["id"]]
