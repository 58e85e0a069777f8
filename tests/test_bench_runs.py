"""Runs of `pagefault bench`: what an item is scored by, a run that is broken off and goes on, budgets, and a
conversation that is lived through."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from rouge_score.rouge_scorer import RougeScorer  # pyright: ignore[reportMissingTypeStubs]

from pagefault.assembly import Parts
from pagefault.bench import TASKS, scoring
from pagefault.bench.command import SHIPPED
from pagefault.bench.rehearsal import SILENCE, Rehearsed, live
from pagefault.bench.tasks import Options, Text, task_named
from pagefault.build import open_kernel
from pagefault.cli import main
from pagefault.config import Installation, parse_settings
from pagefault.embedders.null import NullEmbedder
from pagefault.errors import UsageError
from pagefault.models import Completion, Prompt, Usage
from pagefault.testing.clock import FixedClock
from pagefault.testing.models import Item as Scripted
from pagefault.testing.models import ScriptedModel, call, say
from pagefault.testing.providers import ProviderRequest, ProviderServer, Turn, refuse
from pagefault.types import Role

DMR = SHIPPED / "dmr"


def bench(task: str, *arguments: str) -> object:
    with pytest.raises(SystemExit) as exit:
        main(["bench", task, *arguments])
    return exit.value.code


def results(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text("utf-8"))


# measures


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("I said that I live in a small town by the sea", "I live by the sea."),
        ("the sea by", "by the sea"),
        ("Taylor Swift!", "It's Taylor-Swift, I can get into her"),
        ("Röntgen, in 1901", "Wilhelm Conrad Röntgen"),
        ("", "something"),
        ("a b c d a b c", "a c b d c a"),
    ],
)
def test_rouge_l_recall_is_that_of_the_package(answer: str, gold: str) -> None:
    score = cast("Any", RougeScorer(["rougeL"])).score(gold, answer)["rougeL"]
    expected: float = score.recall
    assert scoring.rouge_l_recall(answer, gold) == pytest.approx(expected)


def test_answers_are_compared_as_words_without_case_punctuation_and_articles() -> None:
    assert scoring.matches("It was on 4 May, 1932.", "4 may 1932")
    assert not scoring.matches("14 May 1932", "4 May 1932")
    assert not scoring.matches("anything", "the")
    assert scoring.token_recall("a red car and a bike", "the red bike") == 1.0
    assert scoring.token_f1("red car", "the red bike") == 0.5
    assert scoring.words("我住在 Porto") == ["我", "住", "在", "porto"]


@pytest.mark.parametrize("text", ["NO ANSWER", "I don’t know.", "", "That is not mentioned.", "我不知道"])
def test_a_refusal_is_no_wrong_answer(text: str) -> None:
    assert scoring.answer_scores(text, ()) == {"wrongly_answered": 0.0}
    assert scoring.answer_scores("She loved it.", ()) == {"wrongly_answered": 1.0}
    assert scoring.answer_scores(f'"{text}"', ()) == {"wrongly_answered": 0.0}


def test_what_an_answer_quotes_is_no_refusal_of_its_own() -> None:
    assert scoring.answer_scores('Ana said: "I don\'t know, in May."', ()) == {"wrongly_answered": 1.0}


def test_intervals_hold_the_mean_and_are_the_same_for_the_same_seed() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.5, 0.25]
    found = scoring.interval(values, 3)
    assert found["low"] < found["mean"] < found["high"]
    assert found == scoring.interval(values, 3)
    assert scoring.interval([1.0, 1.0]) == {"mean": 1.0, "low": 1.0, "high": 1.0}


# data


@pytest.mark.parametrize("task", TASKS)
def test_every_task_reads_the_data_that_is_shipped(task: str) -> None:
    data = DMR if task == "opener" else SHIPPED / task
    items = task_named(task).items(data, Options(limit=2))
    assert items
    assert len({item.id for item in items}) == len(items)
    for item in items:
        assert item.texts
        assert item.evidence <= {text.id for text in item.texts} | {"own_desk", "own_plan"}


def test_a_file_that_is_none_of_the_task_s_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "locomo_1.json").write_text('[{"sample_id": "a", "qa": []}]', "utf-8")
    with pytest.raises(UsageError, match=r"locomo_1\.json, record 1: conversation: field required"):
        task_named("locomo").items(tmp_path, Options())
    with pytest.raises(UsageError, match=r"holds no questions \(nq\*\.jsonl"):
        task_named("docqa").items(tmp_path, Options())


# runs over HTTP


class Server:
    """Answers every request by a rule. ``last``: after so many requests the client is killed instead."""

    def __init__(self, last: int | None = None, kill: Callable[[], None] = lambda: None) -> None:
        self.asked: list[str] = []
        self.last = last
        self.kill = kill

    def __call__(self, request: ProviderRequest) -> Turn:
        if self.last is not None and len(self.asked) >= self.last:
            self.kill()
            return refuse(503, "Too late.")
        self.asked.append(json.dumps(request.body, sort_keys=True))
        usage = Usage(input=100, output=10)
        if not request.body.get("tools") or request.body.get("tool_choice") == "none":
            return Completion("I live by the sea.", usage=usage)
        said = say("I know that: by the sea.")
        return Completion(calls=(replace(said, id=f"call_{len(self.asked)}"),), usage=usage)


def arguments(server: ProviderServer, out: Path, *more: str) -> list[str]:
    model = ["--model", f"{server.url}#test", "--window", "8192", "--embedder", "null"]
    strategies = ["--strategy", "memgpt,recursive-summary", "--limit", "2", "--concurrency", "1"]
    return ["--out", str(out), *model, *strategies, *more]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGEFAULT_HOME", str(tmp_path / "home"))


def scores(folder: Path) -> dict[str, Any]:
    """Of all strategies, without what hangs on time and on the server's address."""
    found = results(folder)["strategies"]
    return {name: {k: v for k, v in one.items() if k != "seconds_an_item"} for name, one in found.items()}


def without_seconds(found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {**one, "spent": {k: v for k, v in one["spent"].items() if k != "seconds"}}
        for name, one in found.items()
    }


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_with_the_same_scores_and_asks_nothing_twice(tmp_path: Path) -> None:
    whole, killed = Server(), Server()
    with ProviderServer(whole) as server:
        assert bench("dmr", *arguments(server, tmp_path / "whole")) == 0
    killed.last = len(whole.asked) // 3  # in the middle of the second conversation that is lived through
    with ProviderServer(killed) as server:
        mine = arguments(server, tmp_path / "killed")
        child = subprocess.Popen(
            [sys.executable, "-m", "pagefault", "bench", "dmr", *mine], stderr=subprocess.DEVNULL
        )
        killed.kill = child.kill
        assert child.wait(timeout=120) == -signal.SIGKILL
        assert not (tmp_path / "killed" / "results.json").exists()
        killed.last = None
        assert bench("dmr", *mine) == 0
        assert len(killed.asked) == len(whole.asked)
        assert bench("dmr", *mine) == 0
        assert len(killed.asked) == len(whole.asked)
    assert without_seconds(scores(tmp_path / "killed")) == without_seconds(scores(tmp_path / "whole"))


@pytest.mark.slow
def test_an_interrupted_run_writes_down_what_is_done(tmp_path: Path) -> None:
    rule = Server()
    with ProviderServer(rule) as server:
        mine = [*arguments(server, tmp_path / "out"), "--preload"]
        child = subprocess.Popen(
            [sys.executable, "-m", "pagefault", "bench", "dmr", *mine],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        rule.last, rule.kill = 2, lambda: child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=120)
    assert child.returncode == 130
    assert "Interrupted. The same command goes on where this run stopped." in said
    found = results(tmp_path / "out")
    assert (found["strategies"]["memgpt"]["n"], found["stopped"]) == (1, "Interrupted.")


def test_a_model_that_cannot_work_ends_the_run_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with ProviderServer(lambda _: refuse(401, "No such key.")) as server:
        assert bench("dmr", *arguments(server, tmp_path / "out")) == 0
    assert "does not accept the key" in capsys.readouterr().out
    assert results(tmp_path / "out")["strategies"]["memgpt"]["n"] == 0


def test_a_judge_is_asked_with_the_known_answer(tmp_path: Path) -> None:
    def rule(request: ProviderRequest) -> Turn:
        text = request.body["messages"][-1]["content"]
        return Completion("CORRECT" if "Known answer: She taught me" in text else "WRONG")

    with ProviderServer(rule) as server:
        models = ["--model", f"{server.url}#model", "--judge", f"{server.url}#judge", "--window", "4096"]
        options = ["--strategy", "truncate", "--embedder", "null", "--limit", "2"]
        assert bench("dmr", "--out", str(tmp_path / "out"), *models, *options) == 0
        assert len(server.bodies) == 4
    scores = results(tmp_path / "out")["strategies"]["truncate"]
    assert (scores["judged"]["mean"], scores["mean_length"]["mean"]) == (0.5, 1.0)


def test_questions_are_made_from_a_log_of_ones_own_once_and_then_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGEFAULT_EMBEDDER", "null")
    clock = FixedClock()

    async def lived() -> None:
        parts = Parts(model=ScriptedModel([]), clock=clock)
        async with open_kernel(tmp_path / "home", parts) as kernel:
            await kernel.create_agent("ana", parse_settings({"zone": "UTC"}))
            for session in ("The boat is called Wilma.", "It rained."):
                _ = [output async for output in kernel.send("ana", session)]
                clock.advance(86_400)

    anyio.run(lived)

    def rule(request: ProviderRequest) -> Turn:
        asked = request.body["messages"]
        if "later session" in asked[0]["content"]:
            assert asked[1]["content"] == "B: The boat is called Wilma.\nA: ok"
            return Completion('{"B": "What is the boat called?", "A": "Wilma"}')
        return Completion("It is called Wilma.")

    with ProviderServer(rule) as server:
        mine = ["--model", f"{server.url}#test", "--generate", "ana", "--limit", "2", "--embedder", "null"]
        for _ in range(2):
            assert bench("dmr", "--out", str(tmp_path / "out"), "--strategy", "truncate", *mine) == 0
        assert len(server.requests) == 4, "two pairs, two answers"
    found = results(tmp_path / "out")["strategies"]["truncate"]
    assert (found["n"], found["rouge_l_recall"]["mean"]) == (2, 1.0)


@pytest.mark.parametrize(
    ("task", "more", "said"),
    [
        ("locomo", ["--generate", "ana"], "--generate makes the data of the task dmr"),
        ("dmr", ["--generate", "nobody"], "There is no agent nobody"),
        ("dmr", ["--data", "nowhere"], "There is no nowhere; give a file"),
        ("dmr", ["--strategy", "memory"], "There is no strategy 'memory'; choose from memgpt,"),
        ("dmr", ["--strategy", "retriever-reader@0"], "There is no strategy 'retriever-reader@0'"),
        ("dmr", ["--strategy", "memgpt+prefetch@50"], "and memgpt+prefetch@TOKENS (from 100)."),
        ("dmr", ["--set", "hard"], "leave out --set"),
        ("nested-kv", ["--set", "7"], "choose from 0, 1, 2, 3, 4."),
        ("dmr", ["--window", "100"], "The setting window is wrong"),
        (
            "dmr",
            ["--judge", "somebody"],
            "--judge grades answers, and those of the demo model are not scored",
        ),
        ("dmr", ["--model", "x:y", "--judge", "somebody"], "There is no model"),
        ("dmr", ["--embedder", "none"], "There is no embedder 'none'"),
    ],
)
def test_what_cannot_be_run_is_one_sentence_and_leaves_no_run(
    tmp_path: Path, task: str, more: list[str], said: str
) -> None:
    assert said in str(bench(task, "--out", str(tmp_path / "out"), *more))
    assert not (tmp_path / "out" / "settings.json").exists()


def test_a_file_in_the_place_of_the_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    assert "out cannot be made (File exists); give another --out." in str(
        bench("dmr", "--out", str(tmp_path / "out"))
    )


def test_the_home_and_json_may_stand_before_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, out = ["--home", str(tmp_path / "other")], ["--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit):
        main([*other, "agent", "create", "ana"])
    with pytest.raises(SystemExit, match="Agent ana has had fewer than two sessions"):
        main([*other, "bench", "dmr", *out, "--generate", "ana"])
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["--json", "bench", "dmr", *out, "--strategy", "human"])
    assert json.loads(capsys.readouterr().out) == results(tmp_path / "out")


def test_a_budget_of_tokens_stops_the_run_cleanly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = Server()
    with ProviderServer(rule) as server:
        assert bench("dmr", *arguments(server, tmp_path / "out", "--max-tokens", "500")) == 0
    assert len(rule.asked) == 5  # 110 tokens each
    assert "The budget of 500 tokens is spent." in results(tmp_path / "out")["stopped"]
    assert "goes on where this run stopped" in capsys.readouterr().out


def test_strategies_of_an_earlier_command_stay_in_the_results(tmp_path: Path) -> None:
    with ProviderServer(Server()) as server:
        one = arguments(server, tmp_path / "out")
        assert bench("dmr", *one) == 0
        first = results(tmp_path / "out")["strategies"]
        assert bench("dmr", *one, "--strategy", "truncate") == 0
    both = results(tmp_path / "out")["strategies"]
    assert list(both) == ["memgpt", "recursive-summary", "truncate"]
    assert {name: both[name] for name in first} == first


def test_other_settings_are_refused_in_the_same_folder(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "out"), "--strategy", "full", "--limit", "1"]
    assert bench("nested-kv", *out, "--window", "8192") == 0
    assert "holds a run whose window is 8192, not 16384" in str(bench("nested-kv", *out, "--window", "16384"))


# a conversation that is lived through


@pytest.mark.anyio
async def test_the_agent_says_what_it_said_and_keeps_what_it_wants(tmp_path: Path) -> None:
    """The model wants to say things of its own and to keep a fact; only the second happens."""

    def script(prompt: Prompt) -> Scripted:
        last = prompt.messages[-1]
        if last.role == "user" and "greyhound" in last.text:
            return [call("working_context_append", heartbeat=True, section="human", text="has a greyhound")]
        return [say("Something that was never said.")]

    texts = [
        Text("1", "Hello again!", session=1, own=True),
        Text("2", "I have a greyhound.", session=1),
        Text("3", "Is she fast?", session=1, own=True),
        Text("4", "She sleeps.", session=1),
        Text("5", "How is the dog?", session=2, own=True),
    ]
    model, clock = Rehearsed(ScriptedModel(script)), FixedClock()
    parts = Parts(model=model, embedder=NullEmbedder(), clock=clock)
    async with open_kernel(tmp_path, parts, Installation()) as kernel:
        agent = await kernel.create_agent("ana", parse_settings({"zone": "UTC"}))
        names = await live(kernel, "ana", texts, model, clock)
        rows = await kernel.store.read(lambda tx: tx.messages(agent.id))
        sections = await kernel.store.read(lambda tx: tx.sections(agent.id))
    spoken = [(row.role, row.text) for row in rows if row.role in (Role.USER, Role.ASSISTANT)]
    assert spoken == [
        (Role.ASSISTANT, "Hello again!"),
        (Role.USER, "I have a greyhound."),
        (Role.ASSISTANT, "Is she fast?"),
        (Role.USER, "She sleeps."),
        (Role.ASSISTANT, SILENCE),
        (Role.ASSISTANT, "How is the dog?"),
    ]
    assert [names[row.id] for row in rows if row.id in names] == ["1", "2", "3", "4", "5"]
    assert "has a greyhound" in [section.text for section in sections]
