"""`pagefault db`: what each command prints, writes and refuses. What moves and what is found wrong is in
test_transfer."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from conftest import Run
from pagefault.storage import migrations
from pagefault.storage.sqlite.transfer import SQLiteTransfer


@pytest.fixture
def ana(run: Run, tmp_path: Path) -> Path:
    """A home with an agent that remembers something; its database."""
    assert run("agent", "create", "ana").code == 0
    assert run("archival", "insert", "The key is under the mat.", "--agent", "ana").code == 0
    return tmp_path / "home" / "pagefault.db"


# migrate


def _old(path: Path, version: str) -> None:
    """A file as an older pagefault left it."""
    path.parent.mkdir(parents=True)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        connection.commit()
    engine.dispose()


def test_migrate_says_from_where_to_where(run: Run, tmp_path: Path) -> None:
    _old(tmp_path / "home" / "pagefault.db", "0001")
    newest = migrations_head()
    look = run("db", "migrate", "--check")
    assert (look.code, look.out) == (
        1,
        f"The database is at 0001, the newest version is {newest}; run pagefault db migrate.\n",
    )
    assert run("db", "migrate").out == f"The database was at 0001 and is now at {newest}.\n"
    assert run("db", "migrate").out == f"The database is at {newest}, the newest version.\n"
    assert run("db", "migrate", "--check").code == 0
    assert run("db", "migrate", "--json").json == {"from": newest, "to": newest}


def migrations_head() -> str:
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return ScriptDirectory.from_config(config).get_current_head() or ""


def test_migrate_makes_what_is_not_there_but_not_by_looking(run: Run, tmp_path: Path) -> None:
    assert run("db", "migrate", "--check").out.startswith("The database is not there yet, the newest")
    assert not (tmp_path / "home" / "pagefault.db").exists()
    assert run("db", "migrate").out.startswith("The database was not there yet and is now at")


@pytest.mark.parametrize("option", [(), ("--check",)])
def test_a_newer_database_is_refused(option: tuple[str, ...], run: Run, ana: Path) -> None:
    with closing(sqlite3.connect(ana, isolation_level=None)) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
    ran = run("db", "migrate", *option)
    assert ran.code == 1
    assert "was written by a newer pagefault (9999); upgrade pagefault." in ran.err


# check


@pytest.mark.usefixtures("ana")
def test_check_of_what_is_right(run: Run) -> None:
    assert run("db", "check").out == "No error was found.\n"
    assert run("db", "check", "--json").json == {"findings": [], "repaired": []}


def test_check_says_what_is_wrong_and_repairs_what_it_can(run: Run, ana: Path) -> None:
    with closing(sqlite3.connect(ana, isolation_level=None)) as file:
        file.execute("UPDATE agents SET archival_rows = 9, last_schedule = -1")
        file.execute("DELETE FROM lexicon")
    ran = run("db", "check")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "ana: The lexical index of archival is miscounted (9 rows instead of 1).",
        "ana: The lexical index of archival is wrong about 5 units.",
        "Errors of indexes and counts can be repaired: pagefault db check --repair.",
    ]
    repaired = run("db", "check", "--repair")
    assert (repaired.code, repaired.out.splitlines()[-1]) == (0, "No error was found.")
    assert run("db", "check").code == 0
    with closing(sqlite3.connect(ana, isolation_level=None)) as file:
        file.execute("UPDATE agents SET start = 50")
    ran = run("db", "check", "--repair", "--json")
    assert (ran.code, ran.json["repaired"]) == (1, [])
    what = "The queue starts at message 50, which never was."
    assert ran.json["findings"] == [{"agent": "ana", "what": what, "derived": False}]


# backup


def test_a_backup_is_a_database_of_ones_own(run: Run, ana: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    assert run("db", "backup", str(target)).out == f"{target} is written ({ana.stat().st_size:,} bytes).\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert run("db", "copy", str(ana), str(target)).out.splitlines()[1].endswith("already there")
    again = run("db", "backup", str(target))
    assert (again.code, again.err) == (1, f"pagefault: {target} is there already; choose another name.\n")


def test_a_backup_is_of_one_moment_while_others_write(ana: Path, tmp_path: Path) -> None:
    def write() -> None:
        with closing(sqlite3.connect(ana, isolation_level=None, timeout=10)) as file:
            file.execute("UPDATE agents SET head = head || 'more'")

    def progress(done: int, _: int) -> None:
        reached.append(done)
        other = threading.Thread(target=write)
        other.start()
        other.join()

    with closing(sqlite3.connect(ana, isolation_level=None)) as file:
        file.execute("CREATE TABLE ballast AS SELECT randomblob(4000000) AS bytes")
    reached: list[int] = []
    with closing(SQLiteTransfer.open(ana)) as database:
        database.backup(tmp_path / "copy.db", progress)
    assert reached == sorted(set(reached))  # it was not started anew
    assert len(reached) > 2
    with closing(sqlite3.connect(tmp_path / "copy.db")) as file:
        assert file.execute("SELECT count(*) FROM agents WHERE head LIKE '%more%'").fetchone() == (0,)
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.usefixtures("ana")
def test_a_backup_of_a_server_can_be_imported(run: Run, database: str, tmp_path: Path) -> None:
    place, target = str(tmp_path / "home" / "pagefault.db"), str(tmp_path / "all.jsonl")
    assert run("db", "backup", target, "--database", database).err.startswith(
        "pagefault: There are no agents"
    )
    assert not list(tmp_path.glob("all*"))
    run("agent", "create", "bo")
    assert run("db", "copy", place, database).code == 0
    assert run("db", "backup", target, "--database", database).code == 0
    run("db", "import", target, "--home", str(tmp_path / "other"))
    agents = run("agent", "list", "--home", str(tmp_path / "other"), "--json").json
    assert [agent["name"] for agent in agents] == ["ana", "bo"]


# copy


def test_copy_there_and_back(run: Run, ana: Path, database: str, tmp_path: Path) -> None:
    ran = run("db", "copy", str(ana), database, "--agent", "ana", "--json")
    (moved,) = ran.json
    assert (moved["agent"], moved["known"], moved["tables"]["passages"]["rows"]) == ("ana", False, 1)
    back = run("db", "copy", database, str(tmp_path / "back" / "a.db"), "--json").json
    assert back == ran.json
    found = run("archival", "search", "key", "--agent", "ana", "--database", database, "--json").json
    assert found["total"] == 1


def test_copy_refuses_what_is_no_database(run: Run, ana: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "b.db")
    for source, sentence in (
        (str(tmp_path / "nothing.db"), "nothing.db; name one that is there."),
        (str(ana.parent), f"{ana.parent} is a folder; name a file in it, e.g. {ana}."),
        ("mysql://host/db", "That is no database URL"),
    ):
        ran = run("db", "copy", source, target)
        assert ran.code == 1
        assert sentence in ran.err
    assert not Path(target).exists()


# export and import


@pytest.mark.usefixtures("ana")
def test_export_and_import_by_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "ana.jsonl"
    ran = run("db", "export", "ana", str(file))
    assert ran.out.splitlines()[0].split() == ["agent", "table", "rows", "checksum"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("db", "export", "ana", str(file)).err.endswith("is there already; choose another name.\n")
    assert run("db", "import", str(file)).err == (
        "pagefault: The agent 'ana' is there already; give another name with --name.\n"
    )
    assert "cannot be an agent's name" in run("db", "import", str(file), "--name", "a b").err
    assert run("db", "import", str(file), "--name", "bo").code == 0
    assert run("archival", "search", "key", "--agent", "bo", "--json").json["total"] == 1


@pytest.mark.usefixtures("ana")
def test_export_and_import_through_a_pipe(run: Run, tmp_path: Path) -> None:
    ran = run("db", "export", "ana", "-")
    assert json.loads(ran.out.splitlines()[0])["agent"] == "ana"
    assert ran.err.startswith("agent  table")
    other = ("--home", str(tmp_path / "other"))
    assert run("db", "import", "-", *other, stdin=ran.out[:-30]).err == (
        "pagefault: The input is cut off within agent 'ana'; have it exported again.\n"
    )
    assert run("db", "import", "-", *other, stdin=ran.out).code == 0
    assert run("db", "export", "ana", "-", *other).out == ran.out


@pytest.mark.usefixtures("ana")
def test_a_file_that_cannot_be_written_or_read_is_named(run: Run, tmp_path: Path) -> None:
    nowhere = tmp_path / "no" / "f"
    for words in (("export", "ana"), ("backup",)):
        assert run("db", *words, str(nowhere)).err == (
            f"pagefault: There is no folder {nowhere.parent}; make it, or write the file elsewhere.\n"
        )
    for source in (nowhere, tmp_path):
        assert run("db", "import", str(source)).err == (
            f"pagefault: {source} is not a file; give one that `pagefault db export` wrote.\n"
        )


@pytest.mark.usefixtures("ana")
def test_an_export_that_fails_leaves_no_file(run: Run, tmp_path: Path) -> None:
    ran = run("db", "export", "nobody", str(tmp_path / "nobody.jsonl"))
    assert "There is no agent 'nobody' in" in ran.err
    assert not list(tmp_path.glob("nobody*"))


@pytest.mark.slow
def test_an_import_that_is_killed_leaves_nothing(run: Run, ana: Path, tmp_path: Path) -> None:
    file = tmp_path / "ana.jsonl"
    run("db", "export", "ana", str(file))
    program = f"""
import os, signal
from pathlib import Path
from pagefault.build import open_transfer
from pagefault.transfer import import_agents
class Watch:
    def begin(self, what, total): pass
    def advance(self, rows):
        if rows: os.kill(os.getpid(), signal.SIGKILL)
import_agents(open_transfer(Path({str(ana)!r})), open({str(file)!r}, "rb"), "file", "bo", Watch())
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert [agent["name"] for agent in run("agent", "list", "--json").json] == ["ana"]
    assert run("db", "check").code == 0


# check --deleted


SECRET = "Zebräsecret"
SPELLINGS = (
    SECRET,
    "zebräsecret",
    "ZEBRÄSECRET",
    "Zebra\u0308secret",
    "Ｚｅｂräsecret",
    "Zebräsecret of Acme",
)


@pytest.mark.parametrize("word", SPELLINGS)
def test_a_deleted_word_is_looked_for_in_every_spelling(run: Run, ana: Path, word: str) -> None:
    del ana
    run("archival", "insert", f"The {SECRET} of Acme", "--agent", "ana")
    there = run("db", "check", "--deleted", word)
    assert (there.code, there.out) == (1, f"1 rows of passages (ana) hold {word!r}; they are not deleted.\n")
    assert run("archival", "delete", "p2", "--agent", "ana").code == 0
    gone = run("db", "check", "--deleted", word)
    assert (gone.code, gone.out) == (0, "The database and the other files of the home do not hold it.\n")


def test_words_are_read_from_standard_input(run: Run, ana: Path) -> None:
    del ana
    found = run("db", "check", "--deleted", "-", "--json", stdin="under the mat\n\nnowhere\n")
    assert [finding["what"] for finding in found.json["findings"]] == [
        "1 rows of passages (ana) hold 'under the mat'; they are not deleted."
    ]
    assert found.code == 1


@pytest.mark.parametrize("word", ["", "  ", "abc", "上"])
def test_a_word_that_chance_finds_is_refused(run: Run, ana: Path, word: str) -> None:
    del ana
    refused = run("db", "check", "--deleted", word)
    assert refused.code == 1
    assert "to look for" in refused.err


def test_what_an_earlier_version_left_is_found_and_written_over(run: Run, ana: Path) -> None:
    with closing(sqlite3.connect(ana)) as file:  # without secure_delete
        file.execute("PRAGMA secure_delete = OFF")
        file.execute("CREATE TABLE old (text)")
        file.executemany("INSERT INTO old VALUES (?)", [(SECRET * 500,)] * 9)
        file.commit()
        file.execute("DROP TABLE old")
        file.commit()
    (ana.parent / "notes").write_text(f"a {SECRET}")
    found = run("db", "check", "--deleted", SECRET)
    assert found.code == 1
    assert "pagefault.db holds 'Zebräsecret' outside of rows" in found.out
    assert "unused pages hold what was deleted by an earlier version" in found.out
    assert "The file notes holds 'Zebräsecret' (places: 1).\n" in found.out
    (ana.parent / "notes").unlink()
    assert run("db", "check", "--deleted", SECRET, "--repair").code == 0
    assert run("db", "check").code == 0


def test_a_word_of_the_index_without_a_row_is_found(run: Run, ana: Path) -> None:
    with closing(sqlite3.connect(ana)) as file:
        file.execute("INSERT INTO lexicon (rowid, units) VALUES (99, 'r9·zebrasecret')")
        file.commit()
    found = run("db", "check", "--deleted", "ZEBRASECRET")
    assert "The lexical index has 'ZEBRASECRET' for 1 rows that are not there." in found.out
    assert found.code == 1


def test_what_cannot_be_looked_at_on_a_server_is_said(run: Run, ana: Path, database: str) -> None:
    assert run("db", "copy", str(ana), database).code == 0
    found = run("db", "check", "--deleted", "nowhere told", "--database", database)
    assert (found.code, found.out.splitlines()[0]) == (
        0,
        "No row, no index and no file of the home holds it.",
    )
    assert "Not looked at: The server's write-ahead log" in found.out
    there = run("db", "check", "--deleted", "under the mat", "--database", database, "--json")
    assert there.code == 1
    assert [finding["what"] for finding in there.json["findings"]] == [
        "1 rows of passages (ana) hold 'under the mat'; they are not deleted."
    ]
    assert any("write-ahead log" in what for what in there.json["unseen"])


# distribute


def test_a_file_is_not_distributed(run: Run, ana: Path) -> None:
    before = ana.read_bytes()
    for option in ((), ("--dry-run",)):
        refused = run("db", "distribute", *option)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err.startswith(
            "pagefault: A file of SQLite cannot be distributed; bring its agents to"
        )
    assert ana.read_bytes() == before
