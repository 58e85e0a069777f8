"""Admission: how many turns a process opens, and who is next."""

from __future__ import annotations

from pathlib import Path

import pytest

from pagefault.config import load_installation
from pagefault.errors import UsageError


@pytest.mark.parametrize("by", ["file", "environment"])
def test_the_earlier_name_of_the_setting_is_refused_with_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "file":
        (tmp_path / "config.toml").write_text("concurrency = 16\n", "utf-8")
    else:
        monkeypatch.setenv("PAGEFAULT_CONCURRENCY", "16")
    with pytest.raises(UsageError, match=r"no setting concurrency, read .*; it is called open_turns now"):
        load_installation(tmp_path)
    monkeypatch.delenv("PAGEFAULT_CONCURRENCY", raising=False)
    (tmp_path / "config.toml").write_text("open_turns = 16\n", "utf-8")
    assert load_installation(tmp_path).open_turns == 16
