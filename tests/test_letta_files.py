"""Agent files of Letta as items: every version, what an agent said, and what no import may take."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from letta_samples import SECRET, SOURCE, agent, block, call, message, text, v1, v2
from pagefault.errors import UsageError
from pagefault.importers import (
    BadRecord,
    ImportedAgent,
    ImportedDocument,
    ImportedMessage,
    ImportedSection,
    ImportOptions,
    Omission,
)
from pagefault.importers.letta import LettaImporter
from pagefault.importers.letta.agents import items_of
from pagefault.importers.letta.schema import agent_file
from pagefault.importers.reading import fields, items_in
from pagefault.importers.sources import open_source

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TIDES = block(0, "persona", "I am Tern.")
BRUNO = block(1, "human", "Dog: Bruno")


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Read a file of these values, as the importer does."""

    def items(value: Any) -> list[Any]:
        path = tmp_path / "tern.af"
        path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
        source = open_source(path)
        assert LettaImporter().recognises(source)
        return list(LettaImporter().read(source, ImportOptions(NOW)))

    return items


def of(kind: type, items: list[Any]) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]


def said(items: list[Any]) -> list[tuple[str, str]]:
    return [(item.role, item.text) for item in items if isinstance(item, ImportedMessage)]


def user(number: int, said: str, **more: Any) -> Any:
    return message(number, "user", text(said), **more)


TALK = (
    message(0, "system", text("You are a guide. <memory_blocks>")),
    user(1, "My dog is called Bruno."),
    message(
        2,
        "assistant",
        {"type": "reasoning", "reasoning": "Keep it."},
        text("A fine name!"),
        tool_calls=[call("c1", "memory_insert", label="human", new_str="Dog: Bruno")],
    ),
    message(
        3,
        "tool",
        text("edited"),
        tool_call_id="c1",
        tool_returns=[{"tool_call_id": "c1", "status": "success", "func_response": "ok"}],
    ),
)
"""A conversation of an agent that speaks plain text."""

SPOKEN = (
    message(0, "system", text("You are Letta.")),
    user(1, json.dumps({"type": "login", "last_login": "Never", "time": "2025-04-02 10:00:00 AM UTC+0000"})),
    user(
        2, json.dumps({"type": "user_message", "message": "Hi!", "time": "2025-04-02 10:02:00 AM UTC+0000"})
    ),
    message(
        3,
        "assistant",
        text("I should answer."),
        tool_calls=[call("c2", "send_message", message="Hello Ana!")],
    ),
    message(4, "tool", text('{"status": "OK", "message": "None", "time": "x"}'), tool_call_id="c2"),
    user(
        5, '{"type": "heartbeat", "reason": "[This is an automated system message hidden from the user] ..."}'
    ),
)
"""A conversation of an agent that speaks through a function."""


def test_each_agent_has_its_own_sections_documents_and_messages(read: Any) -> None:
    one = agent(block_ids=["block-0", "block-1"], messages=list(TALK), source_ids=["source-0"])
    two = agent(1, "helper", block_ids=["block-2"], agent_type="sleeptime_agent")
    tides = {"id": "file-0", "source_id": "source-0", "file_name": "harbour/tides.md", "content": "At noon."}
    group = {"agent_ids": ["agent-1"], "manager_config": {"manager_type": "sleeptime"}}
    items = read(
        v2(
            two,
            one,
            blocks=(TIDES, BRUNO, block(2, "human", "another human"), block(3, "reference/faq", "Ask Bo.")),
            files=[tides],
            sources=[{"id": "source-0", "name": "harbour"}],
            groups=[group],
        )
    )
    assert [each.name for each in of(ImportedAgent, items)] == ["tern", "helper"]  # who helps comes behind
    sections = [(each.name, each.text, each.limit) for each in of(ImportedSection, items)]
    assert sections == [
        ("persona", "I am Tern.", 5000),
        ("human", "Dog: Bruno", 5000),
        ("human", "another human", 5000),
    ]
    documents = [(each.source, each.data, each.file) for each in of(ImportedDocument, items)]
    assert documents == [
        ("blocks/reference/faq", b"Ask Bo.", "faq.txt"),
        ("harbour/tides.md", b"At noon.", "tides.md"),
    ]
    assert said(items) == [
        ("user", "My dog is called Bruno."),
        ("thought", "Keep it."),
        ("assistant", "A fine name!"),
        ("call", '{"label": "human", "new_str": "Dog: Bruno"}'),
        ("result", "edited"),
    ]
    assert Omission("group", "sleeptime") in items


def test_speech_through_a_function_is_speech_and_the_text_beside_it_a_thought(read: Any) -> None:
    items = read(v2(agent(agent_type="memgpt_agent", messages=list(SPOKEN))))
    assert said(items) == [
        ("event", "The user logged in; the last login was: Never"),
        ("user", "Hi!"),
        ("thought", "I should answer."),
        ("assistant", "Hello Ana!"),
    ]
    assert of(ImportedMessage, items)[0].at == datetime(2025, 4, 2, 10, 1, tzinfo=UTC)
    assert Omission("heartbeats", "", 1) in items
    about = of(ImportedAgent, items)[0]
    assert (about.style, about.model, about.zone) == ("memgpt", "openai:gpt-4o-mini", "Europe/Lisbon")


def test_a_file_within_a_string_is_the_same_file(read: Any) -> None:
    value = v2(agent(block_ids=["block-0"], messages=list(TALK)), blocks=(TIDES,))
    assert read(json.dumps(json.dumps(value))) == read(value)


def test_the_messages_of_v1_are_put_in_the_order_of_time_and_a_result_behind_its_call(read: Any) -> None:
    at = "2025-04-02T10:00:00"  # no zone: UTC; to the second
    asked = user(1, "Is it high water?", at=at)
    looked = message(
        2, "assistant", text("Look."), at=at, tool_calls=[call("c", "look_at_tides", port="Faro")]
    )
    found = message(
        3, "tool", text('{"status": "Failed", "message": "no port", "time": "x"}'), at=at, tool_call_id="c"
    )
    later = user(4, "Thanks.", at="2025-04-02T10:00:05")
    items = read(v1(later, asked, found, looked, blocks=(TIDES,)))
    assert said(items) == [
        ("user", "Is it high water?"),
        ("thought", "Look."),
        ("call", '{"port": "Faro"}'),
        ("result", "no port"),
        ("user", "Thanks."),
    ]
    assert [each.name for each in of(ImportedSection, items)] == ["persona"]
    assert of(ImportedAgent, items)[0].kept == {"metadata": {"team": 7}}
    assert of(ImportedMessage, items)[0].at == datetime(2025, 4, 2, 10, tzinfo=UTC)


@pytest.mark.parametrize("value", [v2(agent(messages=list(TALK))), v1(*TALK, blocks=(TIDES,))])
def test_no_secret_no_source_code_and_no_address_is_in_any_item(read: Any, value: Any) -> None:
    items = read(value)
    shown = repr(items)
    assert SECRET not in shown
    assert SOURCE not in shown
    assert "steal" not in shown
    assert "example.org" not in shown
    assert Omission("secret", "", 1) in items
    if "agents" in value:
        assert Omission("tool", "look_at_tides") in items


def test_calls_that_wait_for_an_approval_are_calls_and_their_answers_results(read: Any) -> None:
    asked = message(
        1, "approval", tool_calls=[call("c1", "Bash", command="ls"), call("c2", "Read", path="x")]
    )
    decided = message(2, "approval", approvals=[{"tool_call_id": "c1", "approve": False, "reason": "stop"}])
    returned = message(
        3,
        "tool",
        tool_call_id="c1",
        tool_returns=[
            {"tool_call_id": "c1", "status": "error", "func_response": "request denied"},
            {"tool_call_id": "c2", "status": "success", "func_response": [{"type": "text", "text": "page"}]},
        ],
    )
    items = read(v2(agent(messages=[asked, decided, returned])))
    assert [(item.role, item.name, item.text) for item in of(ImportedMessage, items)] == [
        ("call", "Bash", '{"command": "ls"}'),
        ("call", "Read", '{"path": "x"}'),
        ("result", "Bash", "request denied"),
        ("result", "Read", "page"),
    ]


def test_a_damaged_message_costs_that_one_alone(read: Any) -> None:
    broken: list[Any] = [7, {"content": []}, user(2, "x", at="yesterday"), user(3, "whole")]
    items = read(v2(agent(messages=broken, block_ids=["block-9"])))
    assert said(items) == [("user", "whole")]
    assert [(each.where, each.why) for each in of(BadRecord, items)] == [
        ("block block-9 of tern", "it is not in the file"),
        ("message 1 of tern", "it is no object"),
        ("message 2 of tern", "it has no role"),
        ("message 3 of tern", "its time 'yesterday' is none"),
    ]


def test_a_damaged_part_costs_itself_alone(read: Any) -> None:
    damaged: list[Any] = [
        {"id": "block-8", "value": "no label"},
        {"id": "block-9", "label": "x", "value": 7},
        "x",
    ]
    file = v2(
        agent(messages=[user(1, "whole")], block_ids=["block-0", "block-8", "block-9"]),
        blocks=(block(0, "human", "Ana"), *damaged),
        files=[{"id": "file-0", "content": 7}],
        groups=7,
    )
    file["agents"].append({"id": "agent-1", "name": ["tern"]})
    items = read(file)
    assert said(items) == [("user", "whole")]
    assert [each.name for each in of(ImportedSection, items)] == ["human"]
    assert [each.where for each in of(BadRecord, items)] == [
        "agents.1.name", "blocks.1.label", "blocks.2.value", "blocks.3", "files.0.content", "groups",
    ]  # fmt: skip


def test_calls_and_returns_among_the_parts_of_a_message_are_read(read: Any) -> None:
    called = {"type": "tool_call", "id": "c1", "name": "look", "input": {"at": "海"}}
    returned = {"type": "tool_return", "tool_call_id": "c1", "content": "waves", "is_error": False}
    items = read(
        v2(
            agent(
                messages=[
                    message(1, "assistant", called),
                    message(2, "tool", returned),
                ]
            )
        )
    )
    assert [(each.role, each.name, each.text) for each in of(ImportedMessage, items)] == [
        ("call", "look", '{"at": "海"}'),
        ("result", "look", "waves"),
    ]


def test_what_looks_like_a_secret_is_not_kept_of_metadata(read: Any) -> None:
    key = "sk-proj-0123456789abcdefghij"
    about = agent(
        description=f"Calls it with {key}.",
        metadata={
            "owner": "Ana", "limit": 3, "max_tokens": 9, "api_key": "plain words", "password": 1234,
            "token": None,
            "more": [{"note": f"use {key}"}, {"credentials": {"user": "ana"}}],
        },
    )  # fmt: skip
    items = read(v2(about))
    (made,) = of(ImportedAgent, items)
    assert made.kept == {
        "description": "Calls it with [redacted].",
        "metadata": {
            "owner": "Ana", "limit": 3, "max_tokens": 9, "api_key": "[redacted]", "password": "[redacted]",
            "token": None, "more": [{"note": "use [redacted]"}, {"credentials": "[redacted]"}],
        },
    }  # fmt: skip
    assert Omission("secret in its description or metadata", "", 1) in items


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ('{"agents": [{"id": "agent-0", "block_ids": [', "no whole JSON"),
        ('"{\\"agents\\": [{\\"block_ids\\": [}"', "no whole JSON"),
        (json.dumps(v2(agent(), agents="tern")), "no agent file"),
        (json.dumps(v2(agent(block_ids=7))), "damaged at agents.0.block_ids"),
        (
            json.dumps(v2(agent())).replace('"groups": []', '"groups": ' + "[" * 90 + "]" * 90),
            "nested too deeply",
        ),
    ],
)
def test_a_damaged_file_is_refused_with_a_sentence(tmp_path: Path, value: str, why: str) -> None:
    path = tmp_path / "tern.af"
    path.write_text(value)
    with pytest.raises(UsageError, match=why):
        list(LettaImporter().read(open_source(path), ImportOptions(NOW)))


def test_texts_that_no_database_stores_are_made_storable(read: Any) -> None:
    items = read(
        v2(
            agent(messages=[user(1, "a\0b \ud83d c")], block_ids=["block-0"]),
            blocks=(block(0, "a\0", "\0v"),),
        )
    )
    assert said(items) == [("user", "ab \ufffd c")]
    assert of(ImportedSection, items)[0].text == "v"


def test_a_message_that_is_said_twice_at_once_is_two(read: Any) -> None:
    items = of(ImportedMessage, read(v2(agent(messages=[user(1, "ho"), user(1, "ho")]))))
    assert [(each.text, each.place) for each in items] == [("ho", None), ("ho", None)]


def test_a_text_of_a_user_that_is_json_of_another_kind_is_what_was_said(read: Any) -> None:
    words = [
        '{"type": "invoice", "message": "x"}',
        '{"type": "user_message", "other": 1}',
        "{not json",
        '["a"]',
    ]
    items = read(
        v2(agent(agent_type="memgpt_agent", messages=[user(n, each) for n, each in enumerate(words)]))
    )
    assert said(items) == [("user", each) for each in words]


@pytest.mark.parametrize("value", [{"conversations": []}, [], {"agents": 1}, {"messages": [], "agents": {}}])
def test_what_is_no_agent_file_is_not_recognised(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "x.af"
    path.write_text(json.dumps(value))
    assert not LettaImporter().recognises(open_source(path))


HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.sampled_from([[], {}, [[]], [{}], {"": None}, "\ud800", "\0", 10**400, "2025-99-99"]),
    st.just("9999-12-31T23:59:59-12:00"),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all values within a value."""
    inner = list(fields(value).items()) or list(enumerate(items_in(value)))
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


WHOLE = v2(
    agent(
        block_ids=["block-0"],
        messages=[*TALK, *SPOKEN],
        source_ids=["source-0"],
        files_agents=[{"file_id": "file-0"}],
    ),
    blocks=(TIDES,),
    files=[{"id": "file-0", "source_id": "source-0", "file_name": "a.md", "content": "x"}],
    sources=[{"id": "source-0", "name": "s"}],
    groups=[{"agent_ids": ["agent-0"], "manager_config": {"manager_type": "sleeptime"}}],
    skills=[{"name": "s"}],
    mcp_servers=[{"server_name": "m"}],
)
PLACES = [place for place in places(WHOLE) if place]


@given(place=st.sampled_from(PLACES), value=HOSTILE, version=st.sampled_from(["v2", "v1"]))
def test_any_value_at_any_place_is_an_item_or_a_sentence(place: Any, value: Any, version: str) -> None:
    changed: Any = copy.deepcopy(WHOLE)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    if version == "v1" and place[:2] == ("agents", 0) and len(place) > 2:
        changed = {**changed["agents"][0], "core_memory": changed["blocks"]}
    try:
        items: list[Any] = list(items_of(agent_file(json.dumps(changed), "it")))
    except UsageError as error:
        items = [error]
    assert SECRET not in repr(items)
