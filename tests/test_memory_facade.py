"""Memory without the agent: `pf.memory("ana")`, its synchronous twin, and `pagefault recall append`.

Left out: what appending does in the store (`test_appended`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pagefault
from conftest import Run
from pagefault.assembly import Parts
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import ArgumentTypeError, NotFoundError, UsageError
from pagefault.kernel.conversations import AppendedMessage
from pagefault.views.history import LogRow
from pagefault.views.memory import PassageView

pytestmark = pytest.mark.anyio

TALK = [
    {"role": "user", "content": "My sister moved to Porto.", "name": "Bo", "at": "2021-03-04"},
    {"role": "assistant", "content": [{"type": "text", "text": "I hope she likes it."}]},
]


def home(tmp_path: Path) -> pagefault.Pagefault:
    """An installation as it is without any settings: no model, no key, no network."""
    return pagefault.open(tmp_path / "home", parts=Parts(embedder=NullEmbedder()))


async def test_conversations_and_facts_are_kept_and_found_without_a_model(tmp_path: Path) -> None:
    async with home(tmp_path) as pf:
        memory = pf.memory("ana")
        assert await pf.agents() == []  # made when it is first used
        assert (await memory.append(TALK, key="talk")).ids == ("m1", "m2")
        fact = await memory.add("Bo's sister lives in Porto.", tags=["#family"], at="2021-03-04")
        assert await pf.agents() == ["ana"]
        assert isinstance(fact, PassageView)
        assert (fact.id, fact.tags, fact.at.year) == ("p1", ("family",), 2021)
        assert {hit.id for hit in await memory.search("Porto")} == {"m1", "p1"}
        assert [hit.id for hit in await memory.search("Porto", tier="recall", role="user")] == ["m1"]
        listed = await memory.list(tags="family")
        assert ([hit.id for hit in listed], len(listed), listed[0].id) == (["p1"], 1, "p1")
        assert await memory.get("p1") == fact
        said = await memory.get("m1")
        assert isinstance(said, LogRow)
        assert (said.text, said.speaker, said.at.date().isoformat()) == (
            TALK[0]["content"],
            "Bo",
            "2021-03-04",
        )
        updated = await memory.update("p1", "Bo's sister lives in Lisbon.")
        assert (updated.id, updated.tags, updated.at) == ("p2", fact.tags, fact.at)
        assert await memory.get("p1") == await memory.get("p2") == updated
        await memory.delete("p2")
        assert (await memory.list()).total == 0
        page = await memory.conversation("m1", limit=1)
        assert ([row.id for row in page], page.before, page.after) == (["m1"], None, "m1")
        assert [row.id for row in await memory.conversation(after=page.after)] == ["m2"]


async def test_an_agent_has_the_same_memory(tmp_path: Path) -> None:
    async with home(tmp_path) as pf:
        await pf.memory("ana").append("The boiler is in the cellar.")
        ana = await pf.agent("ana")
        assert [row.text for row in await ana.history()] == ["The boiler is in the cellar."]
        await ana.memory.append({"text": "The key hangs there too."})
        (first, *_) = await pf.memory("ana").search("key")
        assert first.text == "The key hangs there too."
        reply = await ana.send("Where is the boiler?")  # the demo model searches
        assert "cellar" in reply.text


def test_the_synchronous_face_has_the_same(tmp_path: Path) -> None:
    with pagefault.Agent("ana", home=tmp_path / "home", parts=Parts(embedder=NullEmbedder())) as ana:
        memory = ana.memory
        assert memory.append(TALK).added == 2
        fact = memory.add("Bo likes tea.")
        fact = memory.update(fact.id, "Bo likes coffee.")
        assert memory.get(fact.id) == fact
        assert {hit.id for hit in memory.search("Bo")} >= {fact.id}
        assert [hit.id for hit in memory.list()] == [fact.id]
        memory.delete(fact.id)
        assert [row.id for row in memory.conversation()] == ["m1", "m2"]


NO_MESSAGES: list[tuple[Any, str]] = [
        (3, "Messages are a list, and int is none"),
        ([3], "Message 1: int is no message"),
        ([{"role": "user"}], "Message 1 has no content"),
        ([{"content": None}], "Message 1: its text is a text, and NoneType is none."),
        (["x", {"content": "x", "tool_calls": []}], "Message 2: 'tool_calls' is nothing that a message has"),
        ([{"content": "x", "text": "y"}], "Message 1: 'text' is there under another name too"),
        ([{"content": [{"type": "image_url"}]}], "Message 1: only text can be appended"),
        ([{"content": "x", "at": 5}], "Message 1: its at is a time, such as 2026-03-01T14:30, and int "),
        ([{"content": "x", "role": "tool"}], "Message 1: 'tool' is not a role"),
        (AppendedMessage("x", at="soon"), "Message 1: "),
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence"), NO_MESSAGES)
async def test_what_is_no_message_is_refused_in_a_sentence(given: Any, sentence: str, tmp_path: Path) -> None:
    async with home(tmp_path) as pf:
        with pytest.raises(UsageError) as error:
            await pf.memory().append(given)
        assert sentence in str(error.value)
        assert list(await pf.memory().conversation()) == []


async def test_other_mistakes_are_sentences(tmp_path: Path) -> None:
    async with home(tmp_path) as pf:
        memory = pf.memory("ana")
        await memory.append("hi")
        for wrong in (memory.delete("m1"), memory.update("m1", "x")):
            with pytest.raises(UsageError, match="m1 is a message, and messages stay as they were said"):
                await wrong
        with pytest.raises(NotFoundError, match="There is no message m9; the log ends with m1"):
            await memory.get("m9")
        with pytest.raises(UsageError, match="'x' is not the id of a passage"):
            await memory.get("x")
        with pytest.raises(ArgumentTypeError, match="text is a string"):
            await memory.add(3)  # pyright: ignore[reportArgumentType]
        with pytest.raises(UsageError, match="cannot be an agent's name"):
            await pf.memory("a/b").search("x")
    with pytest.raises(UsageError, match="not open"):
        await memory.search("hi")


async def test_memory_of_a_tenant_is_the_tenants(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    async with pagefault.open(folder, parts=Parts(embedder=NullEmbedder()), tenant="mine") as pf:
        await pf.memory("ana").append("Mine alone.")
    async with home(tmp_path) as pf:
        assert (await pf.memory("ana").search("alone")).total == 0


def test_messages_are_appended_from_the_command_line(run: Run) -> None:
    run("agent", "create", "ana")
    lines = "\n".join(json.dumps(each, ensure_ascii=False) for each in [*TALK, "Just a text."])
    done = run("recall", "append", "--agent", "ana", "--key", "talk", stdin=f"{lines}\n\n")
    assert (done.code, done.out) == (0, "Appended 3 messages.\n")
    again = run("recall", "append", "--agent", "ana", "--key", "talk", "--json", stdin=lines)
    assert again.json == {"ids": ["m1", "m2", "m3"], "added": 0}
    found = run("recall", "search", "Porto", "--agent", "ana")
    assert "[m1 2021-03-04 Thu 00:00 user Bo] My sister moved to Porto." in found.out
    for wrong, sentence in (
        ("[1]", "Line 1 is no message; write"),
        ("{}\n", "Message 1 has no content"),
        ('"fine"\n{"content": "x", "at": "soon"}', "Message 2: "),
        ("\x00\xff", "Line 1 is no message"),
    ):
        refused = run("recall", "append", "--agent", "ana", stdin=wrong)
        assert (refused.code, sentence in refused.err, "Traceback" in refused.err) == (1, True, False)
    missing = run("recall", "append", "--agent", "bo", stdin='"hi"')
    assert (missing.code, "There is no agent bo" in missing.err) == (1, True)
