"""A home that can only be read: looked at, searched, exported, checked; whatever would write says so.

Each command runs in a process of its own to which permissions apply: root gives up its right to pass them by.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from conftest import Ran, Run
from pagefault.storage.sqlite import connection

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")

Close = Callable[..., Path]


def obey_permissions() -> None:
    """Give up, in a child that is root, the capabilities that pass permissions by."""
    if os.geteuid() == 0:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


def child(*arguments: str, home: Path, stdin: str = "", embedder: str = "null") -> Ran:
    done = subprocess.run(
        [sys.executable, "-m", "pagefault", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=obey_permissions,
        env=os.environ | {"PAGEFAULT_HOME": str(home), "PAGEFAULT_EMBEDDER": embedder},
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a home with a conversation, a document, a timer and an event that waits."""
    folder = tmp_path_factory.mktemp("made")
    home, document = folder / "home", folder / "notes.txt"
    document.write_text("Quails roost on the ground.", "utf-8")
    for given in (
        ("chat", "--agent", "ana"),
        ("schedule", "add", "ana", "water the plants", "--when", "+3days"),
        ("load", "--agent", "ana", str(document)),
    ):
        assert child(*given, home=home, stdin="My name is Ada.\n").code == 0
    return home


@pytest.fixture
def close(made: Path, tmp_path: Path) -> Iterator[Close]:
    """Copy that home; close it with modes."""
    home = tmp_path / "home"
    shutil.copytree(made, home)

    def closed(folders: int = 0o500, files: int = 0o400) -> Path:
        for path in (*home.rglob("*"), home):
            path.chmod(folders if path.is_dir() else files)
        probe = [sys.executable, "-c", f"open({str(home / 'probe')!r}, 'w')"]
        if not folders & 0o200 and not subprocess.run(probe, preexec_fn=obey_permissions).returncode:
            pytest.skip("permissions do not apply here")
        return home

    yield closed
    for path in (home, *home.rglob("*")):
        path.chmod(0o700)


def contents(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}


READING = {
    "agent list": "ana",
    "agent show ana": "offline",
    "agent context ana": "working context",
    "recall search --agent ana Ada": "My name is Ada.",
    "archival search --agent ana quails": "roost on the ground",
    "trace ana": "My name is Ada.",
    "usage": "ana",
    "event list": "upload_finished",
    "schedule list ana": "water the plants",
    "document list --agent ana": "notes",
    "embedders": "null",
    "db migrate": "the newest version",
    "db check": "No error was found.",
    "db check --repair": "No error was found.",
    "db check --deleted xyzzyx": "do not hold it",
}


def test_it_can_be_looked_at(close: Close) -> None:
    home = close()
    before = contents(home)
    for command, said in READING.items():
        ran = child(*command.split(), home=home)
        assert (ran.code, ran.err) == (0, ""), command
        assert said in ran.out, command
    assert contents(home) == before


WRITING = (
    "chat --agent ana",
    "chat --agent new",
    "run",
    "agent create new",
    "agent delete ana --yes",
    "agent set ana window=9000",
    "event post ana hello",
    "schedule add ana tea --when +1day",
    "schedule remove ana t1",
    "document delete --agent ana d1",
)


def test_what_would_write_is_one_sentence(close: Close) -> None:
    home = close()
    before = contents(home)
    for command in WRITING:
        ran = child(*command.split(), home=home, stdin="hello\n")
        assert (ran.code, ran.out) == (1, ""), command
        assert ran.err.count("\n") == 1, ran.err
        assert "make" in ran.err, ran.err
        assert "writable" in ran.err, ran.err
    assert contents(home) == before


def test_it_can_be_exported_and_copied(close: Close, tmp_path: Path, run: Run) -> None:
    home = close()
    export, copy = tmp_path / "ana.jsonl", tmp_path / "copy.db"
    assert child("db", "export", "ana", str(export), home=home).code == 0
    assert child("db", "backup", str(copy), home=home).code == 0
    assert run("db", "import", str(export), "--name", "bea", "--home", str(tmp_path / "other")).code == 0
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("SELECT count(*) FROM messages").fetchone()[0] > 1
    ran = child("db", "import", str(export), "--name", "bea", home=home)
    assert (ran.code, ran.err.count("\n")) == (1, 1)
    assert "can only be read" in ran.err


@pytest.mark.parametrize(("folders", "files"), [(0o500, 0o600), (0o700, 0o400)])
def test_either_the_folder_or_the_files_can_be_closed(close: Close, folders: int, files: int) -> None:
    home = close(folders, files)
    assert "My name is Ada." in child("recall", "search", "--agent", "ana", "Ada", home=home).out
    ran = child("chat", "--agent", "ana", home=home, stdin="hello\n")
    assert (ran.code, ran.out) == (1, "")
    assert "can only be read" in ran.err


def test_an_embedder_that_was_never_used_is_searched_with(close: Close) -> None:
    ran = child("recall", "search", "--agent", "ana", "Ada", home=close(), embedder="minilm")
    assert (ran.code, ran.err) == (0, "")
    assert "My name is Ada." in ran.out


_KILLED = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("UPDATE schedules SET note = 'only in the log'")
os._exit(0)
"""


@pytest.mark.parametrize("index", [True, False])
def test_a_log_that_was_left_is_read_or_named(close: Close, tmp_path: Path, index: bool) -> None:
    database = tmp_path / "home" / "pagefault.db"
    subprocess.run([sys.executable, "-c", _KILLED, str(database)], check=True)
    assert Path(f"{database}-wal").stat().st_size > 0
    if not index:
        Path(f"{database}-shm").unlink()
    ran = child("schedule", "list", "ana", home=close())
    if index:
        assert "only in the log" in ran.out, ran.err
    else:
        assert (ran.code, ran.err.count("\n")) == (1, 1)
        assert "writable" in ran.err


@pytest.mark.parametrize(
    ("version", "said"), [("0001", "run `pagefault db migrate` where it can be written"), ("9999", "newer")]
)
@pytest.mark.parametrize("command", ["agent list", "db check", "chat"])
def test_another_version_is_one_sentence(
    close: Close, tmp_path: Path, version: str, said: str, command: str
) -> None:
    with closing(sqlite3.connect(tmp_path / "home" / "pagefault.db", isolation_level=None)) as db:
        db.execute("UPDATE alembic_version SET version_num = ?", (version,))
    ran = child(*command.split(), home=close(), stdin="hello\n")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert said in ran.err


@pytest.mark.parametrize(
    ("can_write", "beside", "expected"),
    [
        ({"file", "folder"}, {}, ""),
        ({"file", "folder"}, {"-wal": "x"}, ""),
        ({"file"}, {}, "?mode=ro&immutable=1"),
        ({"folder"}, {}, "?mode=ro&immutable=1"),
        (set[str](), {}, "?mode=ro&immutable=1"),
        (set[str](), {"-wal": ""}, "?mode=ro&immutable=1"),
        (set[str](), {"-shm": "x"}, "?mode=ro&immutable=1"),
        (set[str](), {"-wal": "", "-shm": "x"}, "?mode=ro"),  # somebody has it open
        (set[str](), {"-wal": "x"}, "?mode=ro"),
    ],
)
def test_how_a_file_is_opened(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    can_write: set[str],
    beside: dict[str, str],
    expected: str,
) -> None:
    path = tmp_path / "a b%20?#ü.db"
    path.touch()
    for end, text in beside.items():
        Path(f"{path}{end}").write_text(text, "utf-8")

    def access(asked: Path, _: int) -> bool:
        return ("file" if asked == path else "folder") in can_write

    monkeypatch.setattr(connection.os, "access", access)
    found = connection._address(path)  # pyright: ignore[reportPrivateUsage]
    assert found == (f"{path.as_uri()}{expected}" if expected else str(path))
    if not beside:
        with closing(sqlite3.connect(found, uri=True)) as db:
            assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
