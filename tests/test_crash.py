"""A process that is killed is carried on by the next one: a slice of ``benchmarks/crash_matrix.py``.

The benchmark kills at every write boundary, this at some of them; and the checks are shown to find what they
are there to find, by damaging a home that is right.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
RUN = "import crash_child, pathlib, sys; crash_child.scripted(pathlib.Path(sys.argv[1]), 0, 2, 1)"
KEYS = {name: [f"{name}-0", f"{name}-1"] for name in ("ana", "bo", "cy", "di")}

Check = Callable[[Path, dict[str, list[str]], int], list[str]]


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_nothing_is_lost_doubled_or_stuck_after_a_kill(store: str, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    chosen = ["--postgres"] if store == "postgres" else []
    options = ["--turns=2", "--every=150", "--kills=3", f"--json={out}", *chosen]
    done = subprocess.run(
        [sys.executable, "crash_matrix.py", *options],
        cwd=BENCHMARKS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    assert figures["wrong"] == []
    rows = figures["rows"]
    assert rows["matrix"]["boundaries"] > 500
    assert all(row["kills"] for row in rows.values())
    assert rows["matrix"]["in an open turn"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a scripted run leaves behind when nobody kills it."""
    made = Path()
    for _ in range(20):  # on a machine that is busy nothing may be prefetched in time, which is no fault
        made = tmp_path_factory.mktemp("crash") / "home"
        made.mkdir()
        subprocess.run([sys.executable, "-c", RUN, str(made)], cwd=BENCHMARKS, check=True)
        if prefetched_in(made):
            break
    return made


def prefetched_in(home: Path) -> int:
    with closing(sqlite3.connect(home / "pagefault.db")) as db:
        return db.execute("SELECT count(*) FROM messages WHERE role = 'prefetch'").fetchone()[0]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Check:
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    return import_module("crash_checks").check


def test_a_run_that_nobody_killed_is_right(home: Path, check: Check) -> None:
    assert check(home, KEYS, 2) == []
    assert prefetched_in(home), "a kill may lose or double it"


DAMAGE = {
    "an event is lost": (
        "DELETE FROM inbox WHERE agent = 1 AND key = 'ana-1'",
        "2 events were posted, 1 are stored",
    ),
    "an event is doubled": (
        "INSERT INTO inbox (agent, number, kind, text, key, sender, at, state, started, rank) "
        "SELECT agent, number + 100, kind, text, 'again', sender, at, state, started, rank "
        "FROM inbox WHERE agent = 1 AND key = 'ana-0'",
        "(message) has 0 opening rows",
    ),
    "an agent is stuck": (
        "UPDATE inbox SET state = 'active', rank = 0 WHERE agent = 2 AND key = 'bo-1'",
        "(message) is active",
    ),
    "a turn was run twice": (
        "UPDATE messages SET event = (SELECT max(number) FROM inbox i WHERE i.agent = messages.agent) "
        "WHERE agent = 3 AND seq = 1",
        "has 2 opening rows",
    ),
    "a result is missing": (
        "UPDATE messages SET role = 'thought' WHERE agent = 1 AND seq = "
        "(SELECT min(seq) FROM messages WHERE agent = 1 AND role = 'result')",
        "results: {",
    ),
    "an effect has no result": (
        "UPDATE agents SET last_passage = last_passage + 1 WHERE id = 1",
        "passages were inserted by the log",
    ),
    "a result has no effect": (
        "DELETE FROM passages WHERE agent = 1 AND number = 1",
        "the log tells of",
    ),
    "an edit was made twice": (
        "UPDATE sections SET version = version + 1 WHERE agent = 1 AND name = 'human'",
        "section human has",
    ),
    "something was said twice": (
        "UPDATE messages SET role = 'assistant' WHERE agent = 1 AND role = 'thought' AND seq < 9",
        "things were said",
    ),
    "a timer fired twice": (
        "UPDATE inbox SET key = 't1@again' WHERE kind = 'timer' AND key LIKE '%t2@%T10%' AND agent = 3",
        "timers fired",
    ),
    "a letter came twice": (
        "UPDATE inbox SET kind = 'agent', sender = 'bo' WHERE kind = 'timer' AND agent = 3",
        "letters between agents",
    ),
    "what was prefetched is there twice": (
        "UPDATE messages SET role = 'prefetch' WHERE role = 'thought' AND seq = "
        "(SELECT seq + 1 FROM messages p WHERE p.agent = messages.agent AND p.role = 'prefetch')",
        "is not behind the message that opened its turn",
    ),
    "a row is missing in the log": (
        "DELETE FROM messages WHERE agent = 4 AND seq = 3",
        "log rows are not numbered",
    ),
    "a row is not indexed": (
        "DELETE FROM lexicon WHERE rowid = (SELECT min(rowid) FROM lexicon)",
        "should be in the lexical index",
    ),
    "a vector is missing": ("DELETE FROM vectors WHERE agent = 1 AND number = 1", "should have a vector"),
    "a call ran unasked": (
        "UPDATE messages SET meta = '{}' WHERE name = 'strike' AND role = 'result' AND agent = 1",
        "was not refused",
    ),
    "an approval is left": (
        "INSERT INTO approvals VALUES (1, 1, 1, 'strike', '{}', 0, NULL, '', '', NULL, NULL, '')",
        "approvals are left",
    ),
    "what was forgotten is there": (
        "UPDATE inbox SET text = 'it is zanzibarite' WHERE kind = 'message' AND number = 1 "
        "AND agent = (SELECT id FROM agents WHERE name = 'ed-fork')",
        "ed-fork: 1 rows have what was forgotten",
    ),
    "an undo was not done": (
        "UPDATE messages SET withdrawn = NULL WHERE withdrawn IS NOT NULL",
        "that were undone in ed alone are not so",
    ),
    "something was taken back twice": (
        "UPDATE messages SET name = 'withdrawn' WHERE name = 'forgotten'",
        "what was taken back is noted as",
    ),
    "a fork was not finished": (
        "UPDATE agents SET name = 'forking:ed-fork' WHERE name = 'ed-fork'",
        "there is no agent ed-fork",
    ),
    "a row belongs to nobody": ("UPDATE passages SET agent = 99 WHERE agent = 1", "foreign_key_check"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_the_checks_find(what: str, home: Path, check: Check, tmp_path: Path) -> None:
    statement, sentence = DAMAGE[what]
    damaged = tmp_path / "home"
    shutil.copytree(home, damaged)
    with closing(sqlite3.connect(damaged / "pagefault.db")) as db, db:
        assert db.execute(statement).rowcount > 0
    assert any(sentence in text for text in check(damaged, KEYS, 2)), check(damaged, KEYS, 2)


def test_the_checks_find_what_an_outside_tool_did_twice(home: Path, check: Check, tmp_path: Path) -> None:
    damaged = tmp_path / "home"
    shutil.copytree(home, damaged)
    lines = damaged / "lines"
    lines.write_text(lines.read_text() * 2)
    assert ["ran more often than it was called" in text for text in check(damaged, KEYS, 2)] == [True]
    lines.write_text("")
    assert ["said it ran and did not" in text for text in check(damaged, KEYS, 2)] == [True]


def test_the_checks_find_what_was_done_unasked(home: Path, check: Check, tmp_path: Path) -> None:
    damaged = tmp_path / "home"
    shutil.copytree(home, damaged)
    struck = damaged / "struck"
    assert "-no" not in struck.read_text()
    struck.write_text(struck.read_text() * 2)
    assert any("were struck more than once" in text for text in check(damaged, KEYS, 2))
    struck.write_text("ana-1-no\n")
    assert any("strike ana-1-no ran 1 times" in text for text in check(damaged, KEYS, 2))
