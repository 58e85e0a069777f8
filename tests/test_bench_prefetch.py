"""Prefetch as it is measured: the strategy and its caps, the messages that ask nothing, and the script of the
trade-off."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pagefault.bench.strategies import strategies_named
from pagefault.bench.strategies.memgpt import counted_in, prefetch_settings
from pagefault.cli import main
from pagefault.config import PREFETCH
from pagefault.errors import UsageError
from pagefault.types import Message, Role

AT = datetime(2026, 11, 28, tzinfo=UTC)
SCRIPT = Path(__file__).parents[1] / "benchmarks" / "prefetch.py"


def test_the_strategy_says_how_much_is_prefetched() -> None:
    assert prefetch_settings("memgpt") == {"prefetch": 0.0}
    assert prefetch_settings("memgpt+prefetch") == {"prefetch": PREFETCH}
    assert prefetch_settings("memgpt+prefetch@300") == {"prefetch": 0.25, "prefetch_tokens": 300}
    (strategy,) = strategies_named(["memgpt+prefetch@300"], ())
    assert strategy.name == "memgpt+prefetch@300"
    with pytest.raises(UsageError, match="no strategy"):
        strategies_named(["memgpt+prefetch@30"], ())


def test_messages_without_a_question_mark_that_drew_a_row_are_counted() -> None:
    def row(role: Role, text: str, event: int) -> Message:
        return Message(role, text, AT, event=event)

    rows = [
        row(Role.USER, "I like tea.", 1), row(Role.PREFETCH, "[prefetched]", 1),
        row(Role.USER, "Good night.", 2), row(Role.PREFETCH, "", 2),
        row(Role.USER, "What is it?", 3), row(Role.PREFETCH, "[prefetched]", 3),
        row(Role.SUMMARY, "Tea.", 3), row(Role.USER, "何を飲む？", 4),
    ]  # fmt: skip
    assert counted_in(rows) == {"flushes": 1.0, "idle_prefetched": 0.5}
    assert counted_in(rows[4:]) == {"flushes": 1.0}


def test_what_is_prefetched_is_in_the_first_prompt_and_within_its_cap(tmp_path: Path) -> None:
    names = ["memgpt", "memgpt+prefetch@100", "memgpt+prefetch@400"]
    options = ("--embedder", "null", "--strategy", ",".join(names), "--window", "16384", "--concurrency", "1")
    with pytest.raises(SystemExit) as exit:
        main(["bench", "dmr", "--out", str(tmp_path), *options])
    assert exit.value.code == 0
    found: dict[str, Any] = json.loads((tmp_path / "results.json").read_text("utf-8"))["strategies"]
    without, little, more = (found[name] for name in names)
    assert without["prefetch_tokens"]["mean"] == 0.0
    assert 0 < little["prefetch_tokens"]["mean"] <= 100
    assert little["prefetch_tokens"]["mean"] < more["prefetch_tokens"]["mean"] <= 400
    assert without["evidence_at_first"]["mean"] < more["evidence_at_first"]["mean"]
    assert more["completions"]["mean"] <= without["completions"]["mean"]


@pytest.mark.slow
def test_the_trade_off_is_printed_by_one_command(tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    said = [{"text": "I like tea.", "asks": False}, {"text": "Where do I live?", "asks": True}]
    labels.write_text("".join(json.dumps(one) + "\n" for one in said), "utf-8")
    options = ["--only", "dmr", "--limit", "2", "--dialogues", "1", "--windows", "16384", "--caps", "300"]
    more = ["--lived-caps", "300", "--embedder", "null", "--cache", str(tmp_path), "--labels", str(labels)]
    file = tmp_path / "found.json"
    command = [sys.executable, str(SCRIPT), *options, *more, "--out", str(file)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(file.read_text("utf-8"))
    (packed,) = found["packed"]
    assert (packed["set"], packed["window"], packed["cap"], packed["n"]) == ("dmr", 16384, 300, 2)
    assert 0 < packed["prefetch_tokens"]["mean"] <= 300
    assert [one["cap"] for one in found["lived"]] == [0, 300]
    assert found["gate"]["idle_passed"]["mean"] == 0.0
    assert found["gate"]["asking_passed"]["mean"] == 1.0
    assert "| dmr | 16,384 | 300 | 2 | " in printed
