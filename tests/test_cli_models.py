"""`pagefault models` and `models check`: what is said of the providers, and of one model that is asked."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from conftest import Run
from pagefault.build import open_kernel
from pagefault.config import parse_settings
from pagefault.models import Call, Completion, Usage
from pagefault.models.directory.providers import PROVIDERS, Provider
from pagefault.testing.providers import KEY, ProviderRequest, ProviderServer, Turn, refuse
from pagefault.testing.providers.replies import offered

RIGHT = '{"first": 2, "second": 3}'
PONG = Completion("pong", usage=Usage(30, 2))
CALL = Completion(calls=(Call("c1", "add_numbers", RIGHT),), usage=Usage(50, 9, cached=16))
RED = Completion("Red.", usage=Usage(40, 2))
WRITTEN = Completion(f'<tool_call>{{"name": "add_numbers", "arguments": {RIGHT}}}</tool_call>')
OBJECT = Completion(f'{{"thoughts": "", "function": "add_numbers", "arguments": {RIGHT}}}')


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for provider in PROVIDERS.values():
        for variable in (provider.key, provider.other_key, provider.address):
            if variable:
                monkeypatch.delenv(variable, raising=False)


def line_of(out: str, name: str) -> str:
    return next(line for line in out.splitlines() if line[2:].startswith(name))


async def talk(home: Path, model: str) -> None:
    """Say a word to a new agent of this model."""
    async with open_kernel(home) as kernel:
        await kernel.create_agent("ana", parse_settings({"model": model}))
        _ = [output async for output in kernel.send("ana", "hello")]


# the list


def test_each_provider_says_what_it_lacks_and_the_line_that_mends_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    listed = run("models").out
    assert line_of(listed, "offline").startswith("* offline")
    assert "export OPENAI_API_KEY=..." in line_of(listed, "openai:")
    assert "ready: Gemini" in line_of(listed, "google:")
    assert "needs no key: vLLM, at http://127.0.0.1:8000/v1" in line_of(listed, "vllm:")
    assert KEY not in listed
    named = {entry["provider"]: entry["missing"] for entry in run("models", "--json").json}
    assert named.keys() == PROVIDERS.keys()
    assert named["openai"] == "It needs a key: export OPENAI_API_KEY=..."
    assert named["google"] is None


def test_a_server_of_its_shape_needs_no_key_for_openai(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8080/v1")
    assert "ready: OpenAI, or any server" in line_of(run("models").out, "openai:")


def test_a_missing_package_is_named_with_the_line_that_installs_it() -> None:
    provider = Provider("X", "x", package="no_such_package", extra="anthropic")
    assert provider.lacks_package() == "It needs a package; run: pip install 'pagefault[anthropic]'"


def test_providers_of_ones_own_are_listed_and_the_one_in_use_is_marked(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PAGEFAULT_MODEL", "work:big")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text(
        '[providers.work]\nbase_url = "https://llm.example.org/v1"\nkey = "WORK_KEY"\n'
    )
    assert "* work:NAME" in run("models").out
    assert "export WORK_KEY=..." in line_of(run("models").out, "work:")


# the check


def test_a_model_with_functions(run: Run) -> None:
    serves = {"/v1/models": {"data": [{"id": "m", "max_model_len": 16_384}]}}
    with ProviderServer([PONG, CALL, RED], serves=serves) as server:
        name = f"{server.url}#m"
        found = run("models", "check", name)
    assert found.code == 0
    told = dict(line.strip().split("  ", 1) for line in found.out.splitlines())
    assert {what: text.strip() for what, text in told.items() if what != "reachable"} == {
        "window": "16,384 tokens",
        "functions": "by the provider's own protocol",
        "images": "yes",
        "streaming": "yes",
        "thinking": "none seen",
        "usage": "120 in, 13 out",
        "prompt cache": "yes: 16 tokens read from it, 0 written to it",
        "adapted": "nothing",
    }
    assert len(server.requests) == 3


def test_calls_written_as_text_are_seen_as_such(run: Run) -> None:
    with ProviderServer([PONG, WRITTEN]) as server:
        found = run("models", "check", f"{server.url}#m", "--json").json
    assert (found["calling"], found["reported"], found["reachable"]) == ("text", False, True)
    assert found["adapted"] == ["Calls that were written as text were understood."]


@pytest.mark.parametrize("refused", [True, False], ids=["the server says so", "the model makes no call"])
def test_a_model_without_functions_is_found_to_need_json_mode_and_gets_it(
    run: Run, tmp_path: Path, refused: bool
) -> None:
    def turn(request: ProviderRequest) -> Turn:
        if offered(request):
            return refuse(400, "m does not support tools") if refused else Completion("I add them: 5.")
        return OBJECT if '"function"' in request.raw.decode().replace("\\", "") else PONG

    with ProviderServer(turn) as server:
        name = f"{server.url}#m"
        found = run("models", "check", name, "--json")
        assert (found.code, found.json["calling"]) == (0, "json")
        kept = json.loads((tmp_path / "home" / "models.json").read_text())
        assert kept == {name: {"calling": "json", "late_thinking": False, "images": False}}
        asked = len(server.requests)
        anyio.run(talk, tmp_path / "home", name)
        assert len(server.requests) > asked
        assert not any(offered(request) for request in server.seen[asked:])


def test_a_model_that_calls_nothing_is_of_no_use_and_that_is_said(run: Run, tmp_path: Path) -> None:
    with ProviderServer([PONG] * 3) as server:
        found = run("models", "check", f"{server.url}#m")
    assert found.code == 1
    assert "choose another model" in found.out
    assert not (tmp_path / "home" / "models.json").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("openai:gpt-4o-mini", "cannot be used. It needs a key: export OPENAI_API_KEY=..."),
        ("http://127.0.0.1:9/v1#m", "cannot be reached; check the network and the address."),
    ],
)
def test_what_does_not_answer_says_why(run: Run, name: str, said: str) -> None:
    found = run("models", "check", name)
    assert found.code == 1
    assert said in found.out


def test_a_key_that_is_refused_is_said_at_once_and_never_shown(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ProviderServer([refuse(401, f"Incorrect API key provided: {KEY}.")] * 3) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        found = run("models", "check", "openai:gpt-4o-mini")
    assert found.code == 1
    assert "does not accept the key; set OPENAI_API_KEY to a valid one" in found.out
    assert KEY not in found.out + found.err
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["nobody", "offline", "openai:a,openai:b"])
def test_what_cannot_be_checked_is_one_sentence(run: Run, name: str) -> None:
    found = run("models", "check", name)
    assert found.code == 1
    assert found.err.startswith("pagefault: ")
    assert found.err.count("\n") == 1
