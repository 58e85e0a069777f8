"""docs/openai.md, held to the code: its program runs, and its headers are those that are read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from conftest import Machine, served
from pagefault.server.openai import identity
from pagefault.testing.models import ScriptedModel, say

pytestmark = pytest.mark.anyio

TEXT = (Path(__file__).parents[1] / "docs" / "openai.md").read_text(encoding="utf-8")
HEADER = re.compile(r"X-(?:Pagefault|OpenWebUI)-[A-Za-z-]+|X?-?Idempotency-Key")


async def test_the_program_runs(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    found = re.search(r"```python no-run\n(from openai.*?)```", TEXT, re.DOTALL)
    assert found
    model = ScriptedModel([[say("Hello Ann.")], [say("Your name is Ann.")]])
    async with machine.open(model) as rig, served(rig.kernel) as server, server.live() as url:
        program = found[1].replace("http://127.0.0.1:8283", url)
        code = compile(program, "docs/openai.md", "exec", dont_inherit=True)
        await run_sync(lambda: exec(code, {"__name__": "__main__"}))
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "['ana']"
    assert printed[1].startswith("Hello Ann. CompletionUsage(")
    assert printed[2:] == ["Your name is Ann."]


def test_the_headers_are_those_that_are_read() -> None:
    source = Path(identity.__file__).read_text(encoding="utf-8")
    read = set(re.findall(r'"(x-[a-z-]+|idempotency-key)"', source))
    assert {header.lower() for header in HEADER.findall(TEXT)} == read
