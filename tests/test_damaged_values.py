"""Values of stored rows that somebody damaged, column by column: a command says in a sentence what is wrong,
the check lists it, the other agent is served. Damaged settings, timers and events: ``test_parking``.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from conftest import Run

RUBBISH = ("'[[[]]]'", "x'ff00fe'", "''")
COLUMNS = (
    "messages.at", "messages.role", "messages.tokens", "messages.units", "messages.shown", "messages.meta",
    "section_versions.token_limit", "section_versions.text", "passages.number", "passages.units",
    "passages.tags", "passage_tags.number", "documents.pages", "agents.recall_rows", "agents.archival_units",
    "agents.start", "agents.head", "agents.ratio", "inbox.rank", "usage_totals.input",
)  # fmt: skip

TEXTS = ("messages.shown", "section_versions.text", "agents.head")
"""Columns that may hold any text."""


def commands_of(name: str) -> tuple[tuple[str, ...], ...]:
    agent = ("--agent", name)
    return (
        ("agent", "context", name), ("recall", "search", "violin", *agent),
        ("archival", "search", "violin", "--tag", "a", *agent), ("archival", "list", *agent),
    )  # fmt: skip


ALL = (("event", "list"), ("agent", "list"), ("usage",), ("agent", "show", "bad"), ("trace", "bad"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder, in which the first test of this process puts a home with two agents."""
    return tmp_path_factory.mktemp("whole") / "home"


def fill(home: Path, folder: Path, run: Run) -> None:
    (folder / "page.md").write_text("# Violins\n\nA violin has four strings.")
    for name in ("bad", "good"):
        to = ("--home", str(home))
        chat = [sys.executable, "-m", "pagefault", "chat", "--agent", name, *to]
        subprocess.run(chat, input=b"I play the violin.\n", capture_output=True, check=True, timeout=60)
        assert run("archival", "insert", "The violin is old.", "--agent", name, "--tag", "a", *to).code == 0
        assert run("load", str(folder / "page.md"), "--agent", name, *to).code == 0


def damage(file: Path, column: str, value: str) -> None:
    table, _, name = column.partition(".")
    whose = "id" if table == "agents" else "agent"
    with closing(sqlite3.connect(file)) as database, database:
        first = f"SELECT {name} FROM {table} WHERE {whose} = 1"
        change = f"UPDATE {table} SET {name} = {value} WHERE {whose} = 1 AND {name} IS ?"
        assert database.execute(change, database.execute(first).fetchone()).rowcount


@pytest.mark.parametrize(
    ("column", "value"),
    [
        pytest.param(column, value, marks=() if at % 3 == n else pytest.mark.slow)
        for at, column in enumerate(COLUMNS)
        for n, value in enumerate(RUBBISH)
        if value.startswith("x") or column not in TEXTS
    ],
)
def test_a_damaged_value_is_named_and_harms_nobody_else(
    column: str, value: str, whole: Path, tmp_path: Path, run: Run
) -> None:
    if not whole.exists():
        fill(whole, tmp_path, run)
    home = shutil.copytree(whole, tmp_path / "home")
    damage(home / "pagefault.db", column, value)
    ran = run("db", "check")
    assert (ran.code, "bad: " in ran.out, "good: " in ran.out) == (1, True, False), ran
    for command in (*commands_of("bad"), *ALL):  # a sentence, of whatever it failed on
        ran = run(*command)
        assert ran.code == 0 or len(ran.err.splitlines()) == 1, (command, ran)
    for command in commands_of("good"):
        assert run(*command).code == 0, command


def test_an_id_behind_which_no_row_can_come_is_found(tmp_path: Path, run: Run) -> None:
    for name in ("ana", "bob"):
        run("agent", "create", name)
        assert run("archival", "insert", "A fact.", "--agent", name).code == 0
    assert run("db", "check").code == 0
    damage(tmp_path / "home" / "pagefault.db", "passages.id", str((1 << 63) - 1))
    ran = run("db", "check")
    assert (ran.code, "passages takes no more rows" in ran.out) == (1, True), ran


@pytest.mark.parametrize("column", ["sections.version", "agents.last_event"])
def test_a_huge_count_does_not_stop_the_check(column: str, tmp_path: Path, run: Run) -> None:
    run("agent", "create", "bad")
    damage(tmp_path / "home" / "pagefault.db", column, str((1 << 63) - 1))
    ran = run("db", "check")
    assert (ran.code, "bad: " in ran.out) == (1, True), ran
