"""Scripted callers: at which steps they may look something up, and the evidence that a weak one gets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pagefault.bench.callers import CALLERS, ScriptedCaller, is_lookup, opened_at
from pagefault.bench.reference import ReferencePolicy
from pagefault.cli import main
from pagefault.models import Completion, FunctionSchema, Prompt, PromptMessage
from pagefault.testing.models import call

FUNCTIONS = tuple(
    FunctionSchema(name, "", {})
    for name in ("send_message", "memory_search", "archival_read", "archival_insert", "document_find")
)
LOOKUPS = {"memory_search", "archival_read", "document_find"}


def after(event: str, searches: int) -> Prompt:
    """The prompt of a step: an earlier search, the event, and the searches made for it."""
    made = tuple(PromptMessage("assistant", "", (call("memory_search", query="x"),)) for _ in range(searches))
    earlier = (made[:1] or (PromptMessage("assistant", "Hello."),))[0]
    return Prompt((earlier, PromptMessage("user", event), *made), FUNCTIONS, 100)


def test_lookups_are_searches_and_reads_however_they_are_called() -> None:
    assert {function.name for function in FUNCTIONS if is_lookup(function.name)} == LOOKUPS
    assert is_lookup("functions.Recall-Search:0")


def test_the_strong_caller_may_always_look_up() -> None:
    steps = [after(f"[user] {n}", n % 5) for n in range(50)]
    assert all(not CALLERS["strong"].hidden(step, 0) for step in steps)


def test_the_weak_caller_looks_up_at_its_rates_and_never_again_once_it_stopped() -> None:
    weak = ScriptedCaller("weak", skips=0.3, stops=0.7)
    events = [f"[user 2023-01-01 Sun 09:00] question {n}" for n in range(2000)]
    steps = {event: [bool(weak.hidden(after(event, n), 0)) for n in range(4)] for event in events}
    assert all(hidden == sorted(hidden) for hidden in steps.values())
    assert {frozenset(weak.hidden(after(event, 3), 0)) for event in events} == {
        frozenset(LOOKUPS),
        frozenset(),
    }
    starts = [hidden for hidden in steps.values() if not hidden[0]]
    goes_on = [hidden for hidden in starts if not hidden[1]]
    assert len(starts) / len(events) == pytest.approx(0.7, abs=0.03)
    assert len(goes_on) / len(starts) == pytest.approx(0.3, abs=0.03)


def test_the_draws_hang_on_the_seed_and_the_event_alone() -> None:
    def drawn(seed: int) -> list[bool]:
        return [bool(CALLERS["weak"].hidden(after(f"[user] {n}", 0), seed)) for n in range(40)]

    assert drawn(0) == drawn(0) != drawn(1)


def test_what_was_prefetched_opens_no_turn() -> None:
    rows = (
        PromptMessage("user", "[user] a"),
        PromptMessage("user", "[prefetched from memory]\n[recall m1] b"),
    )
    prompt = Prompt((*rows, PromptMessage("assistant", "", (call("memory_search", query="a"),))), (), 100)
    assert opened_at(prompt) == 0


def test_the_reference_policy_needs_no_search_for_a_pair_that_was_prefetched() -> None:
    first, second, third = (f"{n}0000000-0000-0000-0000-000000000000" for n in "abc")
    functions = (FunctionSchema("archival_search", "", {}), FunctionSchema("send_message", "", {}))
    asked = PromptMessage("user", f"[user] What is the final value of the key {first}?")
    pairs = PromptMessage("user", f'[prefetched from memory]\n{{"{first}": "{second}"}}')

    def made(*messages: PromptMessage) -> tuple[str, str]:
        (one,) = answered(Prompt(messages, functions, 100)).calls
        return one.name, one.arguments

    assert made(asked, pairs) == ("archival_search", json.dumps({"query": second}))
    more = PromptMessage("user", f'{pairs.text}\n{{"{second}": "{third}"}}')
    assert json.loads(made(asked, more)[1])["query"] == third
    weak = Prompt((asked, more), functions[1:], 100)
    assert json.loads(answered(weak).calls[0].arguments)["message"] == third


def answered(prompt: Prompt) -> Completion:
    async def last() -> Completion:
        *_, completion = [item async for item in ReferencePolicy(8192).stream(prompt)]
        assert isinstance(completion, Completion)
        return completion

    return asyncio.run(last())


# whole runs


def run(task: str, out: Path, *more: str) -> dict[str, Any]:
    with pytest.raises(SystemExit) as exit:
        main(["bench", task, "--out", str(out), "--embedder", "null", *more])
    assert exit.value.code == 0
    return json.loads((out / "results.json").read_text("utf-8"))


def test_chains_break_where_the_weak_caller_stops(tmp_path: Path) -> None:
    options = ("--window", "8192", "--limit", "4", "--strategy", "memgpt")
    strong = run("nested-kv", tmp_path / "strong", "--caller", "strong", *options)
    weak = run("nested-kv", tmp_path / "weak", "--caller", "weak", *options)
    assert strong["caller"] == {"name": "strong", "skips": 0.0, "stops": 0.0}
    assert weak["caller"] == {"name": "weak", "skips": 0.3, "stops": 0.7}
    whole, broken = (found["strategies"]["memgpt"] for found in (strong, weak))
    assert whole["accuracy"]["mean"] == 1.0
    by_level = [broken["parts"][str(level)]["accuracy"]["mean"] for level in range(5)]
    assert by_level[0] > by_level[4] == 0.0
    assert broken["lookups"]["mean"] < whole["lookups"]["mean"] / 2
    assert broken["evidence_in_context"]["mean"] < whole["evidence_in_context"]["mean"]
    assert broken["recall_lookups"]["mean"] == 0.0


def test_a_caller_is_for_the_demo_and_part_of_what_a_run_is(tmp_path: Path) -> None:
    def refused(*more: str) -> str:
        with pytest.raises(SystemExit) as exit:
            main(["bench", "docqa", "--out", str(tmp_path), "--embedder", "null", "--limit", "1", *more])
        return str(exit.value.code)

    assert "leave out --model" in refused("--caller", "weak", "--model", "openai:gpt-4o-mini")
    assert "There is no caller 'tired'; choose from strong, weak" in refused("--caller", "tired")
    run("docqa", tmp_path, "--limit", "1", "--strategy", "memgpt")
    file = tmp_path / "settings.json"
    older = {name: value for name, value in json.loads(file.read_text("utf-8")).items() if name != "caller"}
    file.write_text(json.dumps(older), "utf-8")
    run("docqa", tmp_path, "--limit", "1", "--strategy", "memgpt")
    assert "a run whose caller is '', not 'weak'" in refused("--caller", "weak")
