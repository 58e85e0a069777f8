"""Three hundred piped lines through ``pagefault chat``: what is still known at the end, from a small window.

Reads ``data/long_chat.txt`` (a line a message) and ``data/long_chat.json`` (line number to what a right
reply holds and a wrong one holds), runs the CLI on an empty home, and prints counts and every miss. It
measures the whole system with the model configured, the offline one by default; it asserts nothing.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
UNKNOWN = ("I don't know", "我不知道")


@dataclass(frozen=True)
class Run:
    outputs: list[dict[str, Any]]
    code: int
    seconds: float
    errors: str


def chat(command: str, window: int, lines: str) -> Run:
    """Pipe the lines through the CLI with a fresh home."""
    with tempfile.TemporaryDirectory() as home:
        started = time.perf_counter()
        done = subprocess.run(
            [*shlex.split(command), "--home", home, "--json", "--window", str(window)],
            input=lines,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
    outputs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return Run(outputs, done.returncode, time.perf_counter() - started, done.stderr)


def replies(outputs: list[dict[str, Any]], count: int) -> list[str]:
    """What was said to each line, in order: the events that end with ``done``, save warnings' own turns."""
    said: dict[int, list[str]] = {}
    order: list[int] = []
    for output in outputs:
        event: int = output.get("event") or 0
        if output["type"] == "said":
            said.setdefault(event, []).append(output["text"])
        elif output["type"] == "done" and event not in order:
            order.append(event)
    answered = [event for event in order if event in said or len(order) == count]
    return [" ".join(said.get(event, [])) for event in answered]


def verdict(check: dict[str, Any], reply: str) -> str:
    """``right``, ``wrong`` or ``don't know``; for what was never said the last is right."""
    unknown = any(phrase in reply for phrase in UNKNOWN)
    if check["kind"] == "unknown":
        return "right" if unknown else "wrong"
    if any(text in reply for text in check["accept"]) and not any(text in reply for text in check["reject"]):
        return "right"
    return "don't know" if unknown else "wrong"


def flushes(outputs: list[dict[str, Any]]) -> tuple[int, int]:
    """The number of flushes, and of those with a warning since the one before."""
    number = warned = 0
    warning = False
    for output in outputs:
        if output["type"] == "warned":
            warning = True
        elif output["type"] == "flushed":
            number, warned, warning = number + 1, warned + warning, False
    return number, warned


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--window", type=int, default=4096)
    parser.add_argument("--command", default=f"{Path(sys.executable).parent / 'pagefault'} chat")
    parser.add_argument("--data", type=Path, default=DATA / "long_chat", help="path without .txt and .json")
    arguments = parser.parse_args()
    text = arguments.data.with_suffix(".txt").read_text("utf-8")
    checks: dict[str, dict[str, Any]] = json.loads(arguments.data.with_suffix(".json").read_text("utf-8"))
    lines = text.splitlines()
    run = chat(arguments.command, arguments.window, text)
    said = replies(run.outputs, len(lines))
    counts: Counter[tuple[str, str]] = Counter()
    for number, check in checks.items():
        reply = said[int(number) - 1] if int(number) <= len(said) else ""
        outcome = verdict(check, reply)
        counts[check["kind"], outcome] += 1
        if outcome != "right":
            print(f"  line {number} ({check['kind']}, {outcome}): {lines[int(number) - 1]}\n    {reply}")
    number, warned = flushes(run.outputs)
    alerts = [output["text"] for output in run.outputs if output["type"] == "alerted"]
    print(
        f"window {arguments.window}: {len(said)} replies to {len(lines)} lines, "
        f"{run.seconds:.1f} s, exit {run.code}"
    )
    for kind in ("recall", "corrected", "unknown"):
        outcomes = {
            name: counts[kind, name] for name in ("right", "wrong", "don't know") if counts[kind, name]
        }
        print(f"{kind}: {outcomes}")
    print(f"flushes: {number}, with a warning before: {warned}; alerts: {len(alerts)} {alerts[:3]}")
    if run.code:
        print(run.errors[-2000:])
    return run.code


if __name__ == "__main__":
    sys.exit(main())
