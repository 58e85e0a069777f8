"""Several processes on one database, and what a fleet of them outlives: a slice of ``benchmarks/fleet.py``
and ``benchmarks/fleet_faults.py``.

The benchmarks run with thousands of open turns, this with a few; how long a failover takes is theirs. The
checks and figures are shown to find what they are there to find.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
FAULTS = ("kill", "pause", "cut", "restart", "stop", "upgrade")


def run(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, script, *options]
    return subprocess.run(command, cwd=BENCHMARKS, capture_output=True, text=True, check=False)


@pytest.fixture(autouse=True)
def in_benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_several_processes_handle_each_event_once_and_in_order_though_one_is_killed(store: str) -> None:
    chosen = ["--postgres"] if store == "postgres" else []
    done = run("fleet.py", "--processes=3", "--events=30", "--agents=8", *chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["wrong"] == []


@pytest.mark.slow
def test_all_agents_have_a_turn_open_at_once() -> None:
    done = run("fleet.py", "--postgres", "--processes=2", "--agents=120", "--think=6")
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    assert (figures["open at once"], figures["asked again"], figures["wrong"]) == (120, 0, [])


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_no_event_is_lost_or_doubled_by_a_fault(fault: str, tmp_path: Path) -> None:
    if fault == "cut" and not import_module("fleet_server").can_cut():
        pytest.skip("wants root and ip")
    out = tmp_path / "figures.json"
    rounds = 8 if fault == "upgrade" else 2  # the new version is to have its share
    sizes = ("--processes=3", "--agents=30", "--think=3", f"--rounds={rounds}", "--lasting=10")
    done = run("fleet_faults.py", fault, *sizes, f"--json={out}")
    assert out.exists(), done.stdout + done.stderr
    (figures,) = json.loads(out.read_text())
    assert figures["wrong"] == []
    assert (figures["events"], figures["lost"], figures["doubled"]) == (30 * rounds, 0, 0)
    if fault == "upgrade":
        assert {"p0.1", "p1.1", "p2.1"} & figures["answers of"].keys()


def event(number: int, key: str, state: str = "done") -> Any:
    types = import_module("pagefault.types")
    return types.Event(types.EventKind.MESSAGE, f"say {key}", key, id=number, state=state)


def rows(*said: tuple[int, str]) -> list[Any]:
    types = import_module("pagefault.types")
    return [
        types.Message(role, text, None, event=number)
        for number, answer in said
        for role, text in ((types.Role.USER, "say"), (types.Role.ASSISTANT, answer))
    ]


RIGHT = rows((1, "heard p0e1 by p0.0"), (2, "heard p0e2 by p1.0"))
FOUND = {
    "nothing": ([event(1, "p0e1"), event(2, "p0e2")], RIGHT, ""),
    "an event is not done": ([event(1, "p0e1"), event(2, "p0e2", "active")], RIGHT, "p0e2 is active"),
    "an event is stored twice": ([event(1, "p0e1"), event(2, "p0e1")], RIGHT, "stored twice"),
    "events changed places": ([event(1, "p0e2"), event(2, "p0e1")], RIGHT, "in the order of posting"),
    "an answer is missing": ([event(1, "p0e1"), event(2, "p0e2")], RIGHT[:3], "p0e2 has the answers []"),
    "an answer is doubled": ([event(1, "p0e1")], [*RIGHT[:2], RIGHT[1]], "p0e1 has the answers"),
    "a turn was run twice": (
        [event(1, "p0e1"), event(2, "p0e2")],
        [*RIGHT, *RIGHT[:1]],
        "turns are logged twice",
    ),
}


@pytest.mark.parametrize("what", FOUND)
def test_the_checks_find(what: str) -> None:
    checks = import_module("fleet_checks")
    events, messages, sentence = FOUND[what]
    found = list(checks.faults(checks.Log(), events, messages))
    assert any(sentence in fault for fault in found) if sentence else found == []


STEPS = [
    ("s", "p0e0", 1.0, "p0.0"),
    ("b", "p0e0", 1.5, "p0.0"),
    ("s", "p0e1", 1.0, "p0.0"),
    ("b", "p0e1", 2.0, "p0.0"),
    ("b", "p0e1", 9.0, "p1.0"),  # p0.0 was lost at 3.0
    ("e", "p0e1", 10.0, "p1.0"),
    ("e", "p0e0", 2.5, "p0.0"),
    ("b", "p0e2", 2.75, "p0.0"),  # and never continued
]


def test_a_failover_is_from_the_last_sign_to_the_turn_elsewhere() -> None:
    figures = import_module("fleet_figures")
    turns = figures.turns_of(STEPS)
    assert figures.failovers([("p0.0", 3.0)], turns) == ([6.0], 1)


def test_an_answer_of_a_process_that_had_lost_the_turn_is_found() -> None:
    figures = import_module("fleet_figures")
    turns = figures.turns_of(STEPS)
    assert figures.stale_answers(turns, {"p0e0": "p0.0", "p0e1": "p1.0"}) == []
    assert len(figures.stale_answers(turns, {"p0e0": "p0.0", "p0e1": "p0.0"})) == 1
    assert len(figures.stale_answers(turns, {"p0e1": "p0.0"}, returned="p0.0")) == 1
    again = figures.turns_of([*STEPS, ("b", "p0e1", 9.5, "p0.0")])  # it came back, and asked in vain
    assert figures.stale_answers(again, {"p0e1": "p1.0"}, returned="p0.0") == []
    assert len(figures.stale_answers(again, {"p0e1": "p1.0"})) == 1


def test_turns_are_open_at_once_between_begin_and_end() -> None:
    figures, processes = import_module("fleet_figures"), import_module("fleet_processes")
    fleet = processes.Fleet(Path(), import_module("fleet_worker").Plan("", 2, 2, 2))
    for name, end in (("p0.0", 3.0), ("p1.0", None)):
        fleet.members.append(processes.Member(0, name, None, ended_at=end))
    assert figures.most_open(fleet, figures.turns_of(STEPS)) == 2
