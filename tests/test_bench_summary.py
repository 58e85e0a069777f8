"""The summary tables of the benchmarks' page: made from the results of runs by one command, nothing asked
again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pagefault.cli import main

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "summary.py"


def bench(task: str, out: Path, *more: str) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["bench", task, "--out", str(out), "--embedder", "null", "--limit", "1", *more])
    assert exit.value.code == 0


def summary(*arguments: str | Path) -> list[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def test_evidence_and_callers_are_rows_of_tables(tmp_path: Path) -> None:
    bench("docqa", tmp_path / "docqa", "--strategy", "memgpt,retriever-reader@1")
    bench("nested-kv", tmp_path / "pairs", "--strategy", "memgpt", "--caller", "weak", "--window", "8192")
    lines = summary("--evidence", tmp_path)
    assert any(line.startswith("### docqa, window 8,192, 1 items, ") for line in lines)
    head = lines.index("|  | evidence in context | at first | tokens of the prompt | retrieved |")
    assert lines[head + 1] == "|---|---:|---:|---:|---:|"
    assert [line.split("|")[1] for line in lines[head + 2 : head + 4]] == [
        " `memgpt` ", " `retriever-reader@1` ",
    ]  # fmt: skip
    levels = lines.index("| caller |  | by level | 0 | 1 | 2 | 3 | 4 |")
    assert lines[levels + 2].startswith("| weak | `memgpt` | accuracy | ")
    assert "### Prefetch" not in lines


def test_nothing_to_show_is_an_error(tmp_path: Path) -> None:
    for arguments, said in (
        ([], "nothing to show; give --evidence"),
        (["--evidence", tmp_path], "no results.json"),
    ):
        with pytest.raises(subprocess.CalledProcessError) as failure:
            summary(*arguments)
        assert said in failure.value.stderr


def test_retrieval_is_shown_in_percent(tmp_path: Path) -> None:
    scores = {"recall@5": 0.5, "recall@10": 0.75, "ndcg@10": 0.25, "mrr": 1.0}
    file = tmp_path / "sets.json"
    file.write_text(json.dumps({"sets": {"locomo_turns": {"pagefault": scores}}}), "utf-8")
    assert summary("--retrieval", file)[-1] == "| locomo_turns | `pagefault` | 50.0 | 75.0 | 25.0 | 100.0 |"
