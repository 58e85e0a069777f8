"""Evidence in context: when a piece of evidence counts as being in a prompt, which prompts are looked at, and
what is reported with the demo model and with another one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pagefault.bench import prompts
from pagefault.bench.in_context import measured, share_of
from pagefault.bench.recording import Request
from pagefault.bench.results import FORMAT
from pagefault.bench.tasks import Item, Text
from pagefault.cli import main
from pagefault.models import Call, Completion, FunctionSchema, Prompt, PromptMessage
from pagefault.models.tokens import HeuristicCounter
from pagefault.testing.models import say
from pagefault.testing.providers import ProviderServer

BEES = "I keep forty hives of bees behind the old barn."
TEXTS = (
    Text("a/1", BEES, session=1),
    Text("a/2", "Nice!", session=1),
    Text("b/1", "It rained all day in Split."),
)
COUNTER = HeuristicCounter()


def shown(*texts: str) -> Prompt:
    return Prompt(tuple(PromptMessage("user", text) for text in texts), (), 100)


def item(*evidence: str) -> Item:
    return Item(
        "q", "q", "conversation", TEXTS, "Where are my bees?", prompts.DMR, evidence=frozenset(evidence)
    )


@pytest.mark.parametrize(
    ("text", "share"),
    [
        (f"[2023-01-01 Sun 09:00] user: {BEES}", 1.0),
        ("…keep forty hives of  BEES\nbehind the old barn", 0.9),
        ("I keep forty hives of … behind the old barn", 0.5),
        ("The user keeps bees: forty hives, behind a barn.", 0.0),
        ("", 0.0),
    ],
)
def test_a_word_counts_within_a_run_of_five(text: str, share: float) -> None:
    assert share_of([[BEES]], shown("Answer.", text)) == pytest.approx(share)


def test_a_text_of_few_words_counts_whole_and_chinese_by_characters() -> None:
    assert share_of([["It rained."]], shown("it rained, again")) == 1.0
    assert share_of([["It rained."]], shown("it never rained")) == 0.0
    assert share_of([["我住在上海的老房子里"]], shown("他说我住在上海。")) == 0.5


def test_what_was_noted_by_a_call_is_in_context() -> None:
    call = Call("c1", "working_context_append", json.dumps({"text": f"2023-01-01: {BEES}"}))
    noted = Prompt((PromptMessage("assistant", "", (call,)),), (), 100)
    assert share_of([[BEES]], noted) == 1.0


def test_a_session_counts_by_the_turn_that_is_there_most() -> None:
    requests = [Request(shown("Context:\n" + BEES + "\n\nQuestion: ?"), Completion("behind the barn"))]
    assert measured(item("a"), requests, COUNTER)["evidence_in_context"] == 1.0
    assert measured(item("a", "b/1"), requests, COUNTER)["evidence_in_context"] == 0.5


def test_the_first_prompt_and_the_one_that_answers_are_looked_at() -> None:
    functions = (FunctionSchema("send_message", "", {}), FunctionSchema("memory_search", "", {}))
    asked = PromptMessage("user", "[user 2023-01-02 Mon 09:00] Where are my bees?")
    search = Completion(calls=(Call("c1", "memory_search", '{"query": "bees"}'),))
    found = PromptMessage(
        "tool",
        f"Showing 1 of 1 results.\n[recall m1] {BEES} [archival p1]",
        call_id="c1",
        name="memory_search",
    )
    edited = PromptMessage(
        "tool", "human now takes 9 of 90 tokens.", call_id="c2", name="working_context_append"
    )
    first = Prompt((asked,), functions, 100)
    second = Prompt((asked, PromptMessage("assistant", "", search.calls), found, edited), functions, 100)
    requests = [
        Request(first, search),
        Request(second, Completion(calls=(say("Behind the barn."),))),
        Request(first, Completion("Nothing more to do.")),
    ]
    scores = measured(item("a/1"), requests, COUNTER)
    assert (scores["evidence_at_first"], scores["evidence_in_context"]) == (0.0, 1.0)
    assert scores["evidence_tokens"] == COUNTER.count(found.text)
    assert scores["context_tokens"] > scores["evidence_tokens"]
    assert (scores["completions"], scores["lookups"], scores["recall_lookups"]) == (3, 1, 1)


def test_of_documents_the_share_that_came_into_view_counts_whatever_is_left_of_them() -> None:
    documents = replace(item("a/1", "b/1"), form="passages")
    requests = [Request(shown("Documents:\n[1] I keep forty hives of\n\nQuestion: ?"), Completion("Forty."))]
    scores = measured(documents, requests, COUNTER, seen=("a/2", "a/1"))
    assert scores["evidence_seen"] == 0.5
    assert scores["evidence_in_context"] == pytest.approx(0.25)
    assert "evidence_seen" not in measured(item("a/1"), requests, COUNTER, seen=("a/1",)), "no documents"


def test_without_gold_evidence_there_are_tokens_alone_and_without_requests_nothing() -> None:
    requests = [Request(shown("Context:\nnothing\n\nQuestion: ?"), Completion("No."))]
    assert set(measured(item(), requests, COUNTER)) == {
        "context_tokens", "evidence_tokens", "completions",
    }  # fmt: skip
    assert measured(item("a"), [], COUNTER) == {}


# a whole run


def run(out: Path, *more: str) -> dict[str, Any]:
    with pytest.raises(SystemExit) as exit:
        main(["bench", "dmr", "--out", str(out), "--strategy", "truncate", "--embedder", "null", *more])
    assert exit.value.code == 0
    return json.loads((out / "results.json").read_text("utf-8"))["strategies"]["truncate"]


def test_answers_of_the_demo_are_not_scored_and_the_reader_is_told_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = run(tmp_path, "--limit", "2")
    assert {name for name, value in scores.items() if isinstance(value, dict) and "mean" in value} == {
        "evidence_in_context", "evidence_at_first", "context_tokens", "evidence_tokens", "completions",
    }  # fmt: skip
    assert set(scores["evidence_in_context"]) == {"mean", "low", "high"}
    assert "Its answers are not scored" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit):
        main(["bench", "report", str(tmp_path)])
    report = (tmp_path / "report.md").read_text("utf-8")
    assert "evidence in context" in report
    assert "ROUGE" not in report
    assert "Its answers are not scored" in report


def test_answers_of_a_model_that_is_named_are_scored(tmp_path: Path) -> None:
    with ProviderServer(lambda _: Completion("bees")) as server:
        scores = run(tmp_path, "--limit", "1", "--model", f"{server.url}#m", "--window", "4096")
    assert {"rouge_l_recall", "token_f1", "mean_length", "evidence_in_context"} <= set(scores)


def test_items_of_an_older_run_are_answered_again_from_their_transcripts(tmp_path: Path) -> None:
    with ProviderServer(lambda _: Completion("bees")) as server:
        options = ("--limit", "1", "--model", f"{server.url}#m", "--window", "4096")
        scores = run(tmp_path, *options)
        (file,) = (tmp_path / "items").glob("*.jsonl")
        line = json.loads(file.read_text("utf-8"))
        assert line.pop("format") == FORMAT
        line["scores"] = {"rouge_l_recall": 0.0}
        file.write_text(json.dumps(line) + "\n", "utf-8")
        assert run(tmp_path, *options) == scores | {"seconds_an_item": pytest.approx(0, abs=60)}
        assert len(server.bodies) == 1
