"""For tests of servers of tools: an agent named ``ana`` that uses the scripted one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from conftest import Rig
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.models import Prompt
from pagefault.testing.clock import FixedClock
from pagefault.testing.memory import MemoryDatabase, MemoryStore
from pagefault.testing.models import Item, ScriptedModel, call
from pagefault.types import Output

SCRIPT = str(Path(__file__).with_name("scripted_tool_server.py"))


@dataclass
class Desk:
    """A home with the server ``demo``, a database that outlives kernels, and a model with a script."""

    home: Path
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    env: dict[str, str] = field(default_factory=dict[str, str])
    database: MemoryDatabase = field(default_factory=MemoryDatabase)
    model: ScriptedModel = field(default_factory=lambda: ScriptedModel([], window=32_768))

    @property
    def state(self) -> Path:
        return self.home / "state.json"

    def serve(self, **state: Any) -> None:
        """What the server has from its next answer on."""
        self.state.write_text(json.dumps(state), "utf-8")

    def server(self) -> dict[str, Any]:
        env = {"STATE": str(self.state), **self.env}
        return {"command": sys.executable, "args": [SCRIPT], "env": env, "timeout": 20.0, **self.settings}

    @asynccontextmanager
    async def open(
        self,
        script: Sequence[Item] | Callable[[Prompt], Item],
        *,
        servers: dict[str, Any] | None = None,
        agents: Sequence[str] = ("ana",),
        **settings: Any,
    ) -> AsyncGenerator[Rig]:
        if not self.state.exists():
            self.serve()
        self.model.script = script if callable(script) else list(script)
        parts = Parts(self.model, NullEmbedder(), MemoryStore(self.database), FixedClock())
        installation = Installation.model_validate({"mcp": servers or {"demo": self.server()}})
        kernel = open_kernel(self.home, parts, installation)
        given = {"zone": "UTC", "mcp": ["demo"], "max_steps": 50, **settings}
        async with kernel:
            for name in agents:
                await kernel.ensure_agent(name, parse_settings(given))
            yield Rig(kernel, FixedClock(), parts)


def use(tool: str, **arguments: Any) -> Item:
    """A call of a function, which wants control back."""
    return [call(tool, heartbeat=True, **arguments)]


def returned(outputs: Sequence[Output]) -> list[str]:
    """The results in order, without that of the speech at the end."""
    return [o.text for o in outputs if o.type == "returned" and o.text != "Sent."]


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; the bound only ends a test that hangs."""
    with anyio.fail_after(60):
        while not condition():  # noqa: ASYNC110
            await anyio.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")
