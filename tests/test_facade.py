"""``Agent("ana").send("hi")``: in a script, in async code, across restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

from pagefault import Agent, tool
from pagefault.assembly import Parts
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import UsageError
from pagefault.testing.models import ScriptedModel, call, say


def parts(model: ScriptedModel) -> Parts:
    return Parts(model=model, embedder=NullEmbedder())


def test_a_script_gets_its_reply_at_once(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel([[say("Hello.")]]))) as agent:
        reply = agent.send("hi")
        assert str(reply) == reply.text == "Hello."
        assert [o.type for o in reply.outputs] == ["called", "said", "returned", "done"]


@pytest.mark.anyio
async def test_async_code_awaits_the_same_call(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel([[say("Hello.")]]))) as agent:
        reply = agent.send("hi")
        assert (await reply).text == "Hello."


@pytest.mark.anyio
async def test_reading_a_reply_that_was_not_awaited_says_what_to_do(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel([]))) as agent:
        reply = agent.send("hi")
        with pytest.raises(UsageError, match="await it"):
            _ = reply.text
        await reply


def test_the_agent_is_there_again_after_a_restart(tmp_path: Path) -> None:
    first = ScriptedModel([[call("working_context_append", section="human", text="Ana")]])
    with Agent("ana", home=tmp_path, parts=parts(first)) as agent:
        agent.send("I am Ana")
    second = ScriptedModel([[say("Welcome back.")]])
    with Agent("ana", home=tmp_path, parts=parts(second)) as agent:
        assert agent.send("me again").text == "Welcome back."
    assert "I am Ana" in str(second.prompts[0].messages)


def test_tools_and_settings_are_given_at_creation(tmp_path: Path) -> None:
    @tool
    def double(number: int) -> int:
        """Twice a number."""
        return 2 * number

    model = ScriptedModel([[call("double", heartbeat=True, number=21)], [say("42")]])
    with Agent("ana", home=tmp_path, tools=(double,), parts=parts(model), window=4096) as agent:
        outputs = agent.send("double 21").outputs
    assert "42" in [o.text for o in outputs if o.type == "returned"]


def test_settings_given_later_are_changed(tmp_path: Path) -> None:
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel([])), window=4096):
        pass
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel(["Hi."])), style="native") as agent:
        assert agent.send("hi").text == "Hi."


def test_defaults_come_from_the_installation(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[agent]\nstyle = "native"\n')
    with Agent("ana", home=tmp_path, parts=parts(ScriptedModel(["Hi."]))) as agent:
        assert agent.send("hi").text == "Hi."


def test_a_wrong_setting_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="The setting window is wrong"):
        Agent("ana", home=tmp_path, window=100)
