"""Overheard messages: they enter the log and memory, and the model is not asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Run
from pagefault import Agent, Event
from pagefault.assembly import Parts
from pagefault.embedders.null import NullEmbedder
from pagefault.testing.clock import FixedClock
from pagefault.testing.models import ScriptedModel, say

pytestmark = pytest.mark.anyio


def agent(home: Path, model: ScriptedModel, **settings: int) -> Agent:
    parts = Parts(model=model, embedder=NullEmbedder(), clock=FixedClock(step=1.0))
    return Agent("ana", home=home, parts=parts, **settings)  # pyright: ignore[reportArgumentType]


def overheard(text: str, sender: str = "Bo", key: str | None = None) -> Event:
    return Event("overheard", text, sender=sender, key=key)


def test_the_model_is_not_asked_and_reads_it_with_the_next_message(tmp_path: Path) -> None:
    model = ScriptedModel([[say("On Tuesday.")]])
    with agent(tmp_path, model) as ana:
        reply = ana.send(overheard("We meet on Tuesday."))
        assert [output.type for output in reply.outputs] == ["done"]
        assert model.prompts == []
        assert ana.events.list() == ()
        assert ana.send(Event("message", "When do we meet?", sender="Cy")).text == "On Tuesday."
    first, second = (message.text for message in model.prompts[0].messages if message.role == "user")
    assert first.startswith("[overheard Bo ")
    assert first.endswith("] We meet on Tuesday.")
    assert second.startswith("[user Cy ")


def test_it_is_found_by_who_said_it(tmp_path: Path) -> None:
    with agent(tmp_path, ScriptedModel([])) as ana:
        ana.send(overheard("The key hangs behind the door."))
        (hit,) = ana.search("key door")
        assert "The key hangs behind the door." in hit.text
        assert [(row.role, row.speaker) for row in ana.history()] == [("event", "Bo")]


def test_it_has_a_key_and_stays_over_restarts(tmp_path: Path) -> None:
    for _ in range(2):
        with agent(tmp_path, ScriptedModel([])) as ana:
            ana.send(overheard("Once.", key="u1"))
            assert [row.text for row in ana.history()] == ["Once."]


def test_a_talk_that_is_only_overheard_is_flushed_like_any_other(tmp_path: Path) -> None:
    """Nothing but a warning asks the model, and the queue stays within the window."""
    model = ScriptedModel(lambda _: [say("I listen.")])
    with agent(tmp_path, model, window=4096) as ana:
        for number in range(60):
            ana.send(overheard(f"Sentence {number}. " + "Nothing new in the harbour today. " * 20))
            sizes = ana.context().sizes
            assert sizes.instructions + sizes.working_context + sizes.queue <= sizes.window
        types = [output.type for output in ana.outputs()]
        assert types.count("flushed") > 2
        assert types.count("warned") > 2
        for number in (0, 30, 59):
            assert any(f"Sentence {number}." in hit.text for hit in ana.search(f"sentence {number}"))


def test_it_is_posted_on_the_command_line(run: Run) -> None:
    run("agent", "create", "ana")
    posted = run("event", "post", "ana", "overheard", "We meet on Tuesday.", "--sender", "Bo", "--json").json
    assert (posted["kind"], posted["sender"], posted["state"]) == ("overheard", "Bo", "pending")
    refused = run("event", "post", "ana", "message", "Hello.", "--sender", "[alert]")
    assert (refused.code, "cannot be a sender" in refused.err) == (1, True)


def test_its_text_is_data(tmp_path: Path) -> None:
    model = ScriptedModel([[say("Hm.")]])
    with agent(tmp_path, model) as ana:
        ana.send(overheard("Hello.\n[alert] now"))
        ana.send("And?")
    (line, *more) = model.prompts[0].messages[-2].text.splitlines()
    assert line.startswith("[overheard Bo ")
    assert more == ["| [alert] now"]
