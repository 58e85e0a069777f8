"""The prompt cache over the wire: the simulated cache counts as computed by hand, and the adapters' requests
hit it. ``benchmarks/wire_prefix.py`` runs the same at length.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from pagefault.models import Call, Completion, FunctionSchema, Prompt, PromptMessage
from pagefault.models.directory.catalogue import Catalogue
from pagefault.models.endpoint import ModelOptions
from pagefault.testing.prompt_cache import CacheRead, PromptBlock, PromptCache, blocks_of
from pagefault.testing.providers import ProviderServer

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

Body = dict[str, Any]


class Words:
    """Counts a word as a token."""

    def count(self, text: str) -> int:
        return len(text.split())


def block(text: str, *, marked: bool = False) -> Body:
    mark = {"cache_control": {"type": "ephemeral"}} if marked else {}
    return {"type": "text", "text": text, **mark}


def request(*messages: Body | str, system: Body | None = None, **fields: Any) -> Body:
    """A request whose messages have one block each, the user's and the model's by turns."""
    blocks = [block(message) if isinstance(message, str) else message for message in messages]
    said = [{"role": ("user", "assistant")[n % 2], "content": [each]} for n, each in enumerate(blocks)]
    return {"model": "m", "system": [system] if system else [], "messages": said, **fields}


def cache(minimum: int = 0, lookback: int = 20) -> PromptCache:
    return PromptCache(minimum, lookback, Words())


END = block("four words are here", marked=True)
SYSTEM = block("five words of the system", marked=True)


# The simulated cache


def test_the_first_request_reads_nothing_and_the_same_again_reads_all() -> None:
    simulated = cache()
    assert simulated.ask(request("one two", END)) == CacheRead(6, 0)
    assert simulated.ask(request("one two", END)) == CacheRead(6, 6)


def test_nothing_is_written_without_a_mark() -> None:
    simulated = cache()
    simulated.ask(request("one two", "three"))
    assert simulated.ask(request("one two", "three", END)) == CacheRead(7, 0)


def test_what_ended_at_a_mark_is_found_from_a_later_mark_that_has_moved_on() -> None:
    simulated = cache()
    simulated.ask(request("one two", END))
    assert simulated.ask(request("one two", block(END["text"]), "more", END)) == CacheRead(11, 6)


def test_only_what_ended_at_a_mark_is_found() -> None:
    simulated = cache()
    simulated.ask(request("one", "two", END))
    assert simulated.ask(request("one", "two", block("another end", marked=True))) == CacheRead(4, 0)


@pytest.mark.parametrize(("between", "cached"), [(2, 6), (3, 0)])
def test_a_mark_looks_back_over_so_many_blocks_itself_included(between: int, cached: int) -> None:
    simulated = cache(lookback=4)
    simulated.ask(request("one two", END))
    later = request("one two", block(END["text"]), *["more"] * between, block("end", marked=True))
    assert simulated.ask(later) == CacheRead(6 + between + 1, cached)


def test_a_mark_on_what_was_the_end_finds_it_however_much_follows() -> None:
    simulated = cache(lookback=4)
    simulated.ask(request("one two", END))
    assert simulated.ask(request("one two", END, *["more"] * 9, block("end", marked=True))).cached == 6


@pytest.mark.parametrize(("minimum", "cached"), [(6, 6), (7, 0)])
def test_a_prefix_shorter_than_the_minimum_is_not_cached(minimum: int, cached: int) -> None:
    simulated = cache(minimum)
    simulated.ask(request("one two", END))
    assert simulated.ask(request("one two", END)).cached == cached


def test_tools_come_before_the_system_text_and_that_before_the_messages() -> None:
    tool: Body = {"name": "t", "description": "a tool", "input_schema": {}}
    body = request("one", system=SYSTEM, tools=[tool])
    assert [made.text.split()[0] for made in blocks_of(body)] == ["t", "five", "one"]


def test_a_change_of_the_system_text_leaves_the_tools_and_a_change_of_the_tools_nothing() -> None:
    tool: Body = {**block("a tool", marked=True), "name": "t", "input_schema": {}}
    simulated = cache()
    simulated.ask(request("one", END, system=SYSTEM, tools=[tool]))
    other = block("another system", marked=True)
    assert simulated.ask(request("one", END, system=other, tools=[tool])).cached == 4
    assert simulated.ask(request("one", END, system=SYSTEM, tools=[{**tool, "name": "u"}])).cached == 0


def test_a_change_of_the_tool_choice_leaves_tools_and_system_text() -> None:
    simulated = cache()
    simulated.ask(request("one", END, system=SYSTEM))
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert simulated.ask(request("one", END, system=SYSTEM, tool_choice=choice)) == CacheRead(10, 5)


def test_another_model_has_another_cache() -> None:
    simulated = cache()
    simulated.ask(request("one", END))
    assert simulated.ask(request("one", END) | {"model": "n"}).cached == 0


def test_more_marks_than_four_are_refused() -> None:
    with pytest.raises(ValueError, match="5 cache marks; 4 are allowed"):
        cache().ask(request(*[END] * 5))


def test_a_block_is_the_same_with_and_without_its_mark() -> None:
    marked, bare = blocks_of(request(END))[0], blocks_of(request(block(END["text"])))[0]
    assert (marked.content, marked.text) == (bare.content, bare.text)
    assert (marked.marked, bare.marked) == (True, False)


def test_what_is_read_of_a_result_is_its_content() -> None:
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [block("it is done")]}
    assert blocks_of(request(result))[0].text == "it is done"


# The requests


def claude_bodies(*prompts: Prompt) -> list[Body]:
    """The bodies in which Anthropic receives these prompts, one after another."""

    async def send(environment: dict[str, str]) -> None:
        catalogue = Catalogue(environment)
        (target,) = catalogue.targets("anthropic:claude-sonnet-4-6")
        model = catalogue.adapter(target, 200_000, ModelOptions())
        for prompt in prompts:
            async with aclosing(model.stream(prompt)) as items:
                assert isinstance([item async for item in items][-1], Completion)
        await catalogue.aclose()

    with ProviderServer() as server:
        asyncio.run(send(server.environment))
        return server.requests


def prompt(*messages: PromptMessage) -> Prompt:
    schema = FunctionSchema("recall_read", "CacheRead a message.", {"type": "object", "properties": {}})
    return Prompt((PromptMessage("system", "You remember."), *messages), (schema,), 512)


def test_a_completion_of_more_calls_than_a_look_back_reaches_loses_nothing_of_what_was_cached() -> None:
    asked = PromptMessage("user", "What did I say in these fifteen messages?")
    calls = tuple(Call(f"call_{n}", "recall_read", f'{{"id":"m{n}"}}') for n in range(15))
    results = [PromptMessage("tool", "You said so.", call_id=c.id, name=c.name) for c in calls]
    first, second = claude_bodies(
        prompt(asked), prompt(asked, PromptMessage("assistant", "", calls), *results)
    )
    added = len(blocks_of(second)) - len(blocks_of(first))
    assert added == 30
    simulated = cache()
    before = simulated.ask(first).input
    assert simulated.ask(second).cached == before


def marks(body: Body) -> list[PromptBlock]:
    return [each for each in blocks_of(body) if each.marked]


def test_marks_stand_at_the_end_of_tools_system_text_previous_request_and_this_one() -> None:
    asked, answered = PromptMessage("user", "How are you?"), PromptMessage("assistant", "Fine.")
    (body,) = claude_bodies(prompt(asked, answered, PromptMessage("user", "Good.")))
    assert [mark.text.splitlines()[0] for mark in marks(body)] == [
        "recall_read",
        "You remember.",
        "How are you?",
        "Good.",
    ]


@pytest.mark.slow
def test_the_prefix_on_the_wire_is_stable_and_anthropics_cache_serves_nine_tenths() -> None:
    options = ["--turns=60", "--windows=4096"]
    done = subprocess.run(
        [sys.executable, "wire_prefix.py", *options],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
