"""Clients of Letta and OpenAI, unchanged, with keys that ``pagefault key create`` made, against ``pagefault
serve`` with the offline model and no provider's key."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import openai
import pytest
from letta_client import APIStatusError, Letta
from openai import OpenAI

from conftest import Run
from test_server_process import process

pytestmark = pytest.mark.slow


@pytest.fixture
def url(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    """The address of a server over the home of ``run``, which has the agent bo."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert run("agent", "create", "bo").code == 0
    with process(tmp_path / "home", {}) as (_, url):
        yield url


def key(run: Run, name: str, *options: str) -> str:
    """The secret of a new key."""
    return run("--json", "key", "create", name, *options).json["key"]


def test_letta_falls_back_to_the_installations_model(run: Run, url: str) -> None:
    with Letta(base_url=url, api_key=key(run, "letta", "--role", "admin"), max_retries=0) as client:
        for handle in ("openai/gpt-4o-mini", "anthropic/claude-sonnet-4", "nobody/none", "none"):
            agent = client.agents.create(name="ana", model=handle, memory_blocks=[])
            assert agent.model == "offline/offline"
            assert agent.model_extra
            (notice,) = agent.model_extra["notices"]
            assert notice == (f"The model {handle!r} is not configured here; the agent uses offline/offline.")
        response = client.agents.messages.create(agent.id, input="My name is Ann.")
        assert response.stop_reason.stop_reason == "end_turn"
        assert "assistant_message" in [each.message_type for each in response.messages]
        known = client.agents.update(agent.id, model="offline/offline")
        assert "notices" not in (known.model_extra or {})


def test_letta_reaches_what_its_key_is_for(run: Run, url: str) -> None:
    admin, reader = key(run, "admin", "--role", "admin"), key(run, "bos", "--agents", "bo", "--role", "read")
    with Letta(base_url=url, api_key=admin) as client:
        ana = client.agents.create(name="ana", memory_blocks=[])
        names = {agent.name: agent.id for agent in client.agents.list()}
        assert names == {"ana": ana.id, "bo": names["bo"]}
    with Letta(base_url=url, api_key=reader, max_retries=0) as client:
        assert [agent.name for agent in client.agents.list()] == ["bo"]
        for agent, status in ((ana.id, 404), (names["bo"], 403)):
            with pytest.raises(APIStatusError) as refused:
                client.agents.messages.create(agent, input="Hi")
            assert refused.value.status_code == status
    for none in ("pf_wrong", "any"):
        with Letta(base_url=url, api_key=none, max_retries=0) as client, pytest.raises(APIStatusError) as no:
            client.agents.list()
        assert no.value.status_code == 401


def test_openai_reaches_what_its_key_is_for(run: Run, url: str) -> None:
    assert run("agent", "create", "ana").code == 0
    bos, secret = "bos", key(run, "bos", "--agents", "bo")
    messages = [{"role": "user", "content": "My name is Ann."}]
    with OpenAI(base_url=f"{url}/v1", api_key=secret, max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["bo"]
        answer = client.chat.completions.create(model="bo", messages=messages)  # pyright: ignore
        assert answer.choices[0].message.content
        response = client.responses.create(model="bo", input="Hi")
        assert client.responses.retrieve(response.id).output_text == response.output_text != ""
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model="ana", input="Hi")
        assert run("key", "revoke", bos).code == 0
        assert key(run, "other")
        with pytest.raises(openai.AuthenticationError):
            client.models.list()
