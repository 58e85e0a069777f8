"""`pagefault serve` as a process: it says where it listens, is killed in mid-stream and carried on, and
drains."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pagefault.cli import main
from pagefault.models import Completion
from pagefault.server.running import bind
from pagefault.testing.providers import KEY, Delivery, ProviderServer
from test_server import STREAM
from waiting import eventually

pytestmark = pytest.mark.slow

TEXT = "Hello Ann, how are you on this fine day?"
HELD = Delivery(Completion(TEXT), cut=True, held=True)


@contextmanager
def process(
    home: Path, environment: dict[str, str], *options: str
) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A server on a free port, and its address; it is killed in the end if it still runs."""
    command = [
        sys.executable,
        "-m",
        "pagefault",
        "--home",
        str(home),
        "--json",
        "serve",
        "--port",
        "0",
        *options,
    ]
    with (
        home.with_suffix(".log").open("a") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=os.environ | environment
        ) as server,
    ):
        try:
            assert server.stdout
            lines: list[str] = []
            while not lines or lines[-1] != "}\n":
                lines.append(server.stdout.readline())
                assert lines[-1], home.with_suffix(".log").read_text()
            yield server, json.loads("".join(lines))["url"]
        finally:
            server.kill()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("PAGEFAULT_EMBEDDER", "null")
    folder = tmp_path / "home"
    options = ["--model", "openai:gpt-test", "--window", "8192", "--style", "native"]
    with pytest.raises(SystemExit) as exit:
        main(["--home", str(folder), "agent", "create", "ana", *options])
    assert not exit.value.code
    return folder


def sent(lines: list[str]) -> list[tuple[str, int, dict[str, Any]]]:
    """The server-sent events in lines."""
    found: list[tuple[str, int, dict[str, Any]]] = []
    fields: dict[str, str] = {}
    for line in lines:
        if not line and "data" in fields:
            found.append((fields["event"], int(fields["id"]), json.loads(fields["data"])))
        name, _, value = line.partition(": ")
        fields = {**fields, name: value} if line else {}
    return found


def test_a_server_that_is_killed_in_mid_stream_loses_and_doubles_nothing(home: Path) -> None:
    with ProviderServer([HELD, Completion(TEXT)]) as provider:
        environment = provider.environment
        headers = {**STREAM, "idempotency-key": "one"}
        lines: list[str] = []
        with process(home, environment) as (server, url):
            with (
                httpx2.stream(
                    "POST",
                    f"{url}/api/v1/agents/ana/messages",
                    json={"text": "Hi"},
                    headers=headers,
                    timeout=60,
                ) as answer,
                suppress(httpx2.RemoteProtocolError),
            ):
                for line in answer.iter_lines():
                    lines.append(line)
                    if len(sent(lines)) == 1:
                        server.send_signal(signal.SIGKILL)
            assert server.wait(60) == -signal.SIGKILL
        first = sent(lines)
        assert {type for type, _, _ in first} == {"delta"}
        with process(home, environment) as (_, url):
            resume = headers | {"last-event-id": str(first[-1][1])}
            with httpx2.stream(
                "POST", f"{url}/api/v1/agents/ana/messages", json={"text": "Hi"}, headers=resume, timeout=60
            ) as answer:
                rest = sent(list(answer.iter_lines()))
            history = httpx2.get(f"{url}/api/v1/agents/ana/outputs", timeout=60).json()["items"]
        committed = [
            (type, data["text"]) for type, _, data in first + rest if type not in ("delta", "retracted")
        ]
        assert committed == [("said", TEXT), ("done", "")]
        assert rest[0][0] == "retracted"
        assert [item["text"] for item in history] == [TEXT]
        assert len(provider.seen) == 2  # the turn was carried on, not begun for a second message


def test_a_server_ends_with_0_at_a_signal_and_its_log_has_the_requests(home: Path) -> None:
    with ProviderServer([Completion(TEXT)]) as provider, process(home, provider.environment) as (server, url):
        headers = {"x-request-id": "mine-1"}
        body = {"text": "My password is hunter2."}
        answer = httpx2.post(f"{url}/api/v1/agents/ana/messages", json=body, headers=headers, timeout=60)
        assert answer.json()["text"] == TEXT
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    log = home.with_suffix(".log").read_text()
    (line,) = [json.loads(line) for line in log.splitlines() if "mine-1" in line]
    assert (line["method"], line["path"], line["status"]) == ("POST", "/api/v1/agents/ana/messages", 200)
    assert "hunter2" not in log


def test_several_workers_serve_one_address(home: Path) -> None:
    with ProviderServer(lambda _: Completion(TEXT)) as provider:
        environment = provider.environment
        with process(home, environment, "--workers", "2") as (server, url):
            for _ in range(4):
                answer = httpx2.post(f"{url}/api/v1/agents/ana/messages", json={"text": "Hi"}, timeout=60)
                assert answer.json()["text"] == TEXT
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0


def workers(server: subprocess.Popen[str]) -> dict[int, set[str]]:
    """The processes that serve, each with the inodes of its sockets; any may end, or close a file."""
    found: dict[int, set[str]] = {}
    for child in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split():
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                sockets = found[int(child)] = set[str]()
                for file in os.listdir(f"/proc/{child}/fd"):
                    with suppress(OSError):
                        sockets.add(os.readlink(f"/proc/{child}/fd/{file}"))
    return found


def inode_of(server_port: int, client_port: int) -> str:
    """The inode of the server's end of a connection on the loopback."""
    ends = f"0100007F:{server_port:04X} 0100007F:{client_port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()
    return next(f"socket:[{line.split()[9]}]" for line in lines if ends in line)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes in /proc")
def test_a_worker_that_is_killed_is_replaced_and_its_streams_go_on_at_another(home: Path) -> None:
    with (
        ProviderServer([HELD, *[Completion(TEXT)] * 9]) as provider,
        process(home, provider.environment, "--workers", "2") as (server, url),
    ):
        port, headers = int(url.rpartition(":")[2]), {**STREAM, "idempotency-key": "one"}
        address, lines, killed = f"{url}/api/v1/agents/ana/messages", list[str](), 0
        with (
            suppress(httpx2.RemoteProtocolError),
            httpx2.stream("POST", address, json={"text": "Hi"}, headers=headers, timeout=60) as answer,
        ):
            client = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
            for line in answer.iter_lines():
                lines.append(line)
                if len(sent(lines)) == 1 and not killed:
                    inode = inode_of(port, client)
                    (killed,) = (pid for pid, sockets in workers(server).items() if inode in sockets)
                    os.kill(killed, signal.SIGKILL)
        first = sent(lines)
        assert {type for type, _, _ in first} == {"delta"}
        resume = headers | {"last-event-id": str(first[-1][1])}
        with httpx2.stream("POST", address, json={"text": "Hi"}, headers=resume, timeout=60) as answer:
            rest = sent(list(answer.iter_lines()))
        assert [type for type, _, _ in rest if type != "delta"] == ["retracted", "said", "done"]
        assert len(provider.seen) == 2
        eventually(lambda: len(workers(server)) == 2 and killed not in workers(server))
        for _ in range(4):
            assert httpx2.post(address, json={"text": "Hi"}, timeout=60).json()["text"] == TEXT
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    assert f"worker {killed} ended with -9; another one starts" in home.with_suffix(".log").read_text()


@pytest.mark.parametrize("options", [("--host", "0.0.0.0"), ("--port", "1")])
def test_what_cannot_be_served_is_one_sentence(home: Path, options: tuple[str, str]) -> None:
    if options[0] == "--port" and os.geteuid() == 0:
        pytest.skip("root may listen on any port")
    command = [sys.executable, "-m", "pagefault", "--home", str(home), "serve", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("pagefault: The server ")


def test_connections_do_not_hold_small_packets_back() -> None:
    """With Nagle's algorithm each request would take the client's delayed acknowledgement, 40 ms, longer."""
    with bind("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
