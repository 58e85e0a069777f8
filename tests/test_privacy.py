"""Permissions: what others could read in a home is closed and named; what is new is closed from the start."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from conftest import Run
from pagefault import privacy
from pagefault.models.directory.findings import Findings
from pagefault.models.directory.server_keys import ServerKeys
from pagefault.models.endpoint import ModelFinding
from pagefault.privacy import OWN_NAMES, keep_private

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
FOLDERS = {"locks", "cache"}


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def filled(folder: Path, *names: str, mode: int = 0o755, files: int = 0o644) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        path = folder / name
        path.mkdir() if name in FOLDERS else path.write_text("x", "utf-8")
        path.chmod(0o755 if name in FOLDERS else files)
    folder.chmod(mode)
    return folder


def test_all_that_others_could_read_is_closed_and_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = filled(tmp_path / "home", *OWN_NAMES)
    keep_private(home)
    assert mode_of(home) == 0o700
    assert {name: mode_of(home / name) for name in OWN_NAMES} == {
        name: 0o700 if name in FOLDERS else 0o600 for name in OWN_NAMES
    }
    (said,) = caplog.messages
    assert "is private now" in said
    assert all(f"{home / name}" in said for name in OWN_NAMES)
    caplog.clear()
    keep_private(home)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("names", "mode", "closed"),
    [
        (["pagefault.db"], 0o755, True),
        (["pagefault.db"], 0o770, True),
        (["pagefault.db"], 0o701, True),
        ([], 0o755, True),
        (["pagefault.db", "photo.jpg"], 0o755, False),  # somebody's folder
        (["pagefault.db", "pagefault.db.bak"], 0o755, False),
        (["pagefault.db"], 0o1777, False),  # like /tmp
        ([], 0o1777, False),
        (["pagefault.db"], 0o2750, True),
    ],
)
def test_a_folder_is_closed_only_if_it_is_pagefaults_alone(
    tmp_path: Path, names: list[str], mode: int, closed: bool
) -> None:
    home = filled(tmp_path / "home", *names, mode=mode)
    keep_private(home)
    assert mode_of(home) == (mode & ~0o077 if closed else mode)
    if "pagefault.db" in names:
        assert mode_of(home / "pagefault.db") == 0o600
    for name in set(names) - OWN_NAMES:
        assert mode_of(home / name) == 0o644


def test_a_persons_home_folder_is_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(filled(tmp_path / "user", "history")))
    keep_private(tmp_path / "user")
    assert mode_of(tmp_path / "user") == 0o755
    assert mode_of(filled(tmp_path / "user" / ".pagefault", "notes.md")) == 0o755
    keep_private(tmp_path / "user" / ".pagefault")
    assert mode_of(tmp_path / "user" / ".pagefault") == 0o700


def test_what_nobody_could_reach_is_closed_in_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = filled(tmp_path / "home", "config.toml", mode=0o700)
    keep_private(home)
    assert mode_of(home / "config.toml") == 0o600
    assert caplog.messages == []


def test_links_are_not_followed(tmp_path: Path) -> None:
    elsewhere = filled(tmp_path / "elsewhere", "dotfile")
    home = filled(tmp_path / "home", "pagefault.db")
    (home / "config.toml").symlink_to(elsewhere / "dotfile")
    (home / "cache").symlink_to(elsewhere)
    (tmp_path / "link").symlink_to(home)
    keep_private(tmp_path / "link")
    assert (mode_of(elsewhere), mode_of(elsewhere / "dotfile")) == (0o755, 0o644)
    assert (mode_of(home), mode_of(home / "pagefault.db")) == (0o700, 0o600)


@pytest.mark.parametrize("error", [PermissionError(1, "Operation not permitted"), OSError(30, "Read-only")])
def test_what_cannot_be_changed_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: OSError
) -> None:
    home = filled(tmp_path / "home", "pagefault.db")

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(privacy.os, "chmod", refuse)
    keep_private(home)
    (said,) = caplog.messages
    assert f"{home / 'pagefault.db'} ({error.strerror})" in said
    assert "chmod go=" in said


@pytest.mark.parametrize("home", ["absent", "file", "loop"])
def test_what_is_no_folder_is_left_to_others(tmp_path: Path, home: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    keep_private(tmp_path / home)


@pytest.mark.parametrize("command", ["agent list", "db check", "db migrate", "db backup"])
def test_every_command_closes_a_home(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, command: str
) -> None:
    home = tmp_path / "home"
    run("agent", "create", "ana")
    home.chmod(0o755)
    (home / "pagefault.db").chmod(0o644)
    given = command.split() + [str(tmp_path / "copy.db")] * command.endswith("backup")
    run(*given)
    assert (mode_of(home), mode_of(home / "pagefault.db")) == (0o700, 0o600)
    assert [said for said in caplog.messages if "is private now" in said and "pagefault.db" in said]


def test_new_files_are_private_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = list[int]()
    replace = Path.replace

    def watched(path: Path, target: Path) -> Path:
        opened.append(mode_of(path))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", watched)
    before = os.umask(0)
    try:
        (tmp_path / "models.new").write_text("left by a process that was killed", "utf-8")
        Findings(tmp_path / "models.json").remember("x", ModelFinding("text"))
        ServerKeys("", tmp_path / "home" / "trusted_servers.json").add("http://127.0.0.1:1/v1#m")
    finally:
        os.umask(before)
    assert opened == [0o600, 0o600]
    assert mode_of(tmp_path / "home") == 0o700


def test_results_of_benchmarks_are_private(run: Run, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        run("bench", "dmr", "--out", str(tmp_path / "out"), "--strategy", "truncate", "--limit", "1")
        run("bench", "report", str(tmp_path / "out"))
    finally:
        os.umask(before)
    found = [tmp_path / "out", *(tmp_path / "out").rglob("*")]
    assert len(found) > 3
    assert [str(path) for path in found if mode_of(path) & 0o077] == []
