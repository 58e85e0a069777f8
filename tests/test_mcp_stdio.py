"""`pagefault mcp` as a process: the official client in both versions, broken lines, its end, its home."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

import pagefault
from conftest import Run
from mcp_clients import MODES, message, text_of
from pagefault.assembly import Parts
from pagefault.embedders.null import NullEmbedder
from pagefault.mcp.tools import TOOLS
from test_server_process import process as server_process

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SECONDS = 120
ABOUT = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


def arguments(home: Path) -> list[str]:
    return ["-m", "pagefault", "mcp", "--agent", "ana", "--home", str(home), "--model", "offline"]


def environment() -> dict[str, str]:
    return {**os.environ, "PAGEFAULT_EMBEDDER": "null", "PYTHONPATH": str(Path(__file__).parents[1] / "src")}


@asynccontextmanager
async def client_of(home: Path, mode: str) -> AsyncGenerator[Client]:
    parameters = StdioServerParameters(command=sys.executable, args=arguments(home), env=environment())
    async with Client(stdio_client(parameters), mode=mode) as client:
        yield client


@contextmanager
def process(home: Path) -> Generator[subprocess.Popen[str]]:
    """The command, with pipes; it is killed in the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, *arguments(home)], text=True, env=environment(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as server:  # fmt: skip
        try:
            yield server
        finally:
            server.kill()


def asked(server: subprocess.Popen[str], line: str) -> dict[str, Any]:
    """The answer to one line."""
    assert server.stdin
    assert server.stdout
    server.stdin.write(f"{line}\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


@pytest.mark.parametrize("mode", MODES)
async def test_the_official_client_does_every_tool(tmp_path: Path, mode: str) -> None:
    async with client_of(tmp_path, mode) as client:

        async def call(name: str, **given: Any) -> dict[str, Any]:
            result = await client.call_tool(name, given)
            assert not result.is_error, text_of(result)
            return result.structured_content

        assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS.keys()
        assert (await call("add_memory", text="My sister lives in Porto."))["id"] == "p1"
        assert (await call("search_memories", query="sister"))["memories"][0]["id"] == "p1"
        assert (await call("update_memory", id="p1", text="My sister lives in Faro."))["id"] == "p2"
        assert (await call("get_memory", id="p2"))["text"] == "My sister lives in Faro."
        assert (await call("list_memories"))["total"] == 1
        assert (await call("delete_memory", id="p2"))["deleted"]
        said = [{"text": "The cat came too.", "speaker": "Bo", "at": "2025-06-01T10:00:00Z"}]
        assert (await call("append_messages", messages=said))["ids"] == ["m1"]
        assert (await call("search_conversations", query="cat"))["messages"][0]["speaker"] == "Bo"
        assert (await call("read_conversation", id="m1"))["messages"][0]["text"] == "The cat came too."
        assert (await call("send_message", text="I like tea."))["reply"]
        assert "pagefault://sections/human" in [
            str(each.uri) for each in (await client.list_resources()).resources
        ]
        about = await client.get_prompt("what_do_you_know_about", {"topic": "tea"})
        assert "I like tea." in about.messages[0].content.model_dump()["text"]


def test_lines_that_are_no_messages_do_not_end_it_and_the_end_of_the_input_does(tmp_path: Path) -> None:
    with process(tmp_path) as server:
        assert (
            asked(server, json.dumps(message("initialize", ABOUT)))["result"]["serverInfo"]["name"]
            == "pagefault"
        )
        assert server.stdin
        odd = ["", "x", "[]", "{", "null", '{"jsonrpc": "2.0"}', "[" * 5_000, "\ufffe\x00", "y" * (17 << 20)]
        for line in odd:
            server.stdin.write(f"{line}\n")
        server.stdin.write(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}) + "\n")
        answer = asked(server, json.dumps(message("tools/list", id=2)))
        while answer.get("id") != 2:  # errors without an id may come before
            assert "error" in answer
            assert server.stdout
            answer = json.loads(server.stdout.readline())
        assert len(answer["result"]["tools"]) == len(TOOLS)
        wrong = asked(server, json.dumps(message("tools/call", {"name": "drop_all"}, id=3)))
        assert wrong["error"]["message"] == "There is no tool drop_all; tools/list names those there are."
        out, err = server.communicate(timeout=SECONDS)
        assert (server.returncode, out) == (0, "")
        assert "Traceback" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_while_its_client_says_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with process(tmp_path) as server:
        asked(server, json.dumps(message("initialize", ABOUT)))
        server.send_signal(number)
        assert server.stdout
        assert server.stderr
        assert (server.stdout.read(), server.wait(SECONDS)) == ("", 0)
        assert "Traceback" not in server.stderr.read()


async def test_two_clients_and_a_command_share_a_home(tmp_path: Path, run: Run) -> None:
    home = tmp_path / "home"
    async with client_of(home, MODES[0]) as one, client_of(home, MODES[1]) as other:
        await one.call_tool("add_memory", {"text": "My sister lives in Porto."})
        await other.call_tool("add_memory", {"text": "The red bike is in the cellar."})
        for client in (one, other):
            assert (await client.call_tool("list_memories", {})).structured_content["total"] == 2
        sent = await one.call_tool("send_message", {"text": "I like tea."})
        assert sent.structured_content["state"] == "done"
        found = await other.call_tool("search_conversations", {"query": "tea"})
        assert "I like tea." in text_of(found)
        listed = await anyio.to_thread.run_sync(run, "archival", "list", "--agent", "ana")
        assert "Porto" in listed.out


async def test_a_server_and_a_piped_client_share_a_home(tmp_path: Path) -> None:
    """Both write at once, each reads at once what the other wrote, and no message of either is lost."""
    home = tmp_path / "home"
    async with (
        client_of(home, MODES[1]) as piped,
        serving(home) as url,
        Client(streamable_http_client(f"{url}/mcp/ana"), mode=MODES[1], cache=None) as served,
    ):
        clients = {"piped": piped, "served": served}
        failed = list[str]()

        async def use(name: str, client: Client) -> None:
            for number in range(4):
                said = {"text": f"The {name} word {number} is said.", "key": f"{name}-{number}"}
                question = {"text": f"The {name} question {number}?", "key": f"{name}.{number}"}
                for tool, given in (
                    ("add_memory", {"text": f"The {name} fact {number} is kept."}),
                    ("append_messages", {"messages": [said]}),
                    ("send_message", question),
                ):
                    result = await client.call_tool(tool, given)
                    data: dict[str, Any] = result.structured_content or {}
                    if result.is_error or data.get("state", "done") != "done":
                        failed.append(text_of(result))

        async with anyio.create_task_group() as tasks:
            for name, client in clients.items():
                tasks.start_soon(use, name, client)
        assert failed == []
        for client in clients.values():
            assert (await client.call_tool("list_memories", {})).structured_content["total"] == 8
            for of in clients:
                for kind in ("word", "question"):
                    found = await client.call_tool("search_conversations", {"query": f"The {of} {kind} 3"})
                    assert f"The {of} {kind} 3" in text_of(found)
        written = await piped.call_tool("add_memory", {"text": "The boiler is in the attic."})
        id = written.structured_content["id"]
        await served.call_tool("update_memory", {"id": id, "text": "The boiler is in the cellar."})
        read = await piped.call_tool("get_memory", {"id": id})
        assert read.structured_content["text"] == "The boiler is in the cellar."
    async with pagefault.open(home, parts=Parts(embedder=NullEmbedder())) as pf:
        rows = [row.text for row in await (await pf.agent("ana")).history(limit=500)]
        for name in clients:
            for number in range(4):
                assert rows.count(f"The {name} word {number} is said.") == 1
                assert rows.count(f"The {name} question {number}?") == 1
        assert await pf.kernel.store.read(lambda tx: tx.waiting(9)) == []


@asynccontextmanager
async def serving(home: Path) -> AsyncGenerator[str]:
    """`pagefault serve` on a home; gives its address."""
    with server_process(home, environment()) as (_, url):
        yield url


def test_what_is_wrong_at_the_start_is_a_sentence(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    for options in (["--agent", "a/b"], ["--home", str(file)], ["--model", "nobody:x"], ["--tokens", "3"]):
        ran = run("mcp", *options)
        assert ran.code in (1, 2)
        assert ran.out == ""
        assert "Traceback" not in ran.err
        assert ran.err
