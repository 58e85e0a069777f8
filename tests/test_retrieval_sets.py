"""The scripts that make retrieval sets, and the set of our own documents that is shipped."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio

from pagefault.bench.command import SHIPPED
from pagefault.bench.retrieval import datasets
from pagefault.bench.retrieval.scores import method_of, score_set
from pagefault.embedders.minilm import MiniLM

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"

# The share of phrases found first, whatever part of the passages has vectors. Measured: all of 60.
FOUND_FIRST = 0.95


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8")]


def run(script: str, *arguments: str | Path) -> str:
    """Run a script; return what it wrote to stderr."""
    command = [sys.executable, BENCHMARKS / script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_chats_become_a_set(tmp_path: Path) -> None:
    chat = tmp_path / "chats" / "500K" / "3"
    (chat / "probing_questions").mkdir(parents=True)
    turns = [
        [{"role": "user", "id": 0, "content": "I keep bees. ->-> 1,N/A", "time_anchor": "March-15-2024"}],
        [{"role": "assistant", "id": 1, "content": "How many?"}],
    ]
    (chat / "chat.json").write_text(json.dumps([{"batch_number": 1, "turns": turns}]), "utf-8")
    probes = {
        "abstention": [{"question": "Who?", "ideal_response": "Nobody said."}],
        "knowledge_update": [
            {"question": "What?", "answer": "Bees", "source_chat_ids": {"original": [0], "updated": [0, 9]}}
        ],
    }
    (chat / "probing_questions" / "probing_questions.json").write_text(json.dumps(probes), "utf-8")
    run(
        "retrieval_sets.py",
        "beam",
        "--checkout",
        tmp_path,
        "--out",
        tmp_path / "sets" / "small",
        "--chats",
        "3",
    )
    (pool,) = datasets.load(tmp_path / "sets", "small").pools
    assert [document.whole for document in pool.documents] == ["user: I keep bees.", "assistant: How many?"]
    assert [(q.category, dict(q.gold)) for q in pool.questions] == [
        ("abstention", {}),
        ("knowledge_update", {"c3:0": 1.0}),
    ]


def test_the_shipped_documents_are_those_of_the_sources(tmp_path: Path) -> None:
    sources = BENCHMARKS / "data"
    questions = ("--questions", sources / "documents.jsonl", "--phrases", "60")
    run("documents_set.py", "--from", sources / "documents", "--out", tmp_path, *questions)
    for name in ("docs", "queries"):
        assert rows(tmp_path, name) == rows(SHIPPED / "documents", name)
    assert (tmp_path / "qrels.tsv").read_bytes() == (SHIPPED / "documents" / "qrels.tsv").read_bytes()


def test_a_quotation_that_no_passage_has_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.txt").write_text("The tide comes in at six.", "utf-8")
    questions = tmp_path / "questions"
    row = {"document": "a.txt", "category": "question", "text": "When?", "holds": "ebb"}
    questions.write_text(json.dumps(row), "utf-8")
    said = run("documents_set.py", "--from", folder, "--out", tmp_path / "set", "--questions", questions)
    assert said.splitlines()[-1] == "No passage of a.txt has 'ebb'; quote words that stand together."


def test_verbatim_phrases_are_found_first_with_all_half_and_none_of_the_vectors() -> None:
    dataset, shares = datasets.load(SHIPPED, "documents"), (1, 0.5, 0)

    async def found_first() -> dict[str, float]:
        scores = await score_set(dataset, MiniLM(threads=1), embedded=shares)
        phrases = scores.categories["phrase"].methods
        return {method_of(share): phrases[method_of(share)]["first"]["mean"] for share in shares}

    found = anyio.run(found_first)
    assert min(found.values()) >= FOUND_FIRST, found


def test_two_runs_stand_side_by_side(tmp_path: Path) -> None:
    def scores(name: str, recall: float) -> Path:
        span = {"recall@10": [0.1, 1]}
        figures = {"first": 0.5, "recall@10": recall, "ndcg@10": 0.25, "queries": 4, "intervals": span}
        methods = dict.fromkeys(("pagefault", "pagefault@50%", "dense", "bm25", "rrf"), figures)
        file = tmp_path / f"{name}.json"
        both = {"sets": {"chat": methods}, "categories": {"chat": {"one_kind": methods}}}
        file.write_text(json.dumps(both), "utf-8")
        return file

    files = ("--before", scores("before", 0.5), "--after", scores("after", 0.75))
    command = [sys.executable, BENCHMARKS / "retrieval_tables.py", *files, "--categories", "chat"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    baselines = "| 75.0 / 25.0 | 75.0 / 25.0 | 75.0 / 25.0 |"
    assert lines[2] == f"| chat | 4 | 50.0 / 25.0 | 75.0 (10-100) / 25.0 | +25.0 / +0.0 {baselines}"
    assert lines[3].startswith("| chat, 50% embedded | 4 |")
    assert lines[5].startswith("| `chat`: first / recall@10 |")
    assert lines[7].startswith("| one kind | 4 | 50.0 / 50.0 | 50.0 / 75.0 (10-100) |")
