"""``llm`` (simonw) as a client: its own program, with the configuration that docs/openai.md gives."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import anyio
import pytest

from conftest import Machine, served
from pagefault.models import Completion, Prompt, Usage
from pagefault.testing.models import ScriptedModel, say

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[1] / "docs" / "openai.md"


def configuration(url: str) -> str:
    """The file that the documentation has a person write, for this address."""
    found = re.search(r"```yaml\n(- model_id: ana\n.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert found, "docs/openai.md has no extra-openai-models.yaml"
    return found[1].replace("http://127.0.0.1:8283", url)


def used(_prompt: Prompt, _completion: Completion) -> Usage:
    return Usage(100, 7)


async def run_llm(folder: Path, *arguments: str) -> tuple[int, str, str]:
    environment = {"LLM_USER_PATH": str(folder), "PATH": "", "HOME": str(folder)}
    done = await anyio.run_process([sys.executable, "-m", "llm", *arguments], check=False, env=environment)
    return done.returncode, done.stdout.decode().strip(), done.stderr.decode().strip()


@pytest.mark.slow
async def test_llm_talks_to_an_agent(machine: Machine, tmp_path: Path) -> None:
    texts = ["Hello Ann, how are you?", "Two.", "Three.", "Four."]
    model = ScriptedModel([[say(text)] for text in texts], usage=used)
    folder = tmp_path / "llm"
    folder.mkdir()
    async with machine.open(model) as rig, served(rig.kernel) as server, server.live() as url:
        schemas = f"- {{model_id: ana-schemas, model_name: ana, api_base: {url}/v1, supports_schema: true}}\n"
        file = folder / "extra-openai-models.yaml"
        file.write_text(configuration(url) + schemas, encoding="utf-8")
        streamed = await run_llm(folder, "-m", "ana", "-u", "-s", "Be a pirate.", "Hi, I am Ann.")
        assert streamed == (0, texts[0], "Token usage: 100 input, 7 output")
        whole = await run_llm(folder, "-m", "ana", "-c", "--no-stream", "And?")
        assert whole == (0, "Two.", "")
        responses = await run_llm(folder, "-m", "ana-responses", "-u", "Hi")
        assert responses[:2] == (0, "Three.")
        assert responses[2].startswith("Token usage: 100 input, 7 output")
        again = await run_llm(folder, "-m", "ana-responses", "-c", "--no-stream", "Go on")
        assert again == (0, "Four.", "")
        assert [event.text for event in await rig.events()] == ["Hi, I am Ann.", "And?", "Hi", "Go on"]
        failed = await run_llm(folder, "-m", "ana-schemas", "--schema", "name str", "Hi")
        assert (failed[0], "The agent answers in plain text" in failed[2]) == (1, True)
