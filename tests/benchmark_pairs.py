"""The pairs of facts of ``benchmarks/tidying.py``, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["Pair", "pairs_of"]

_DATA = Path(__file__).parent.parent / "benchmarks" / "data"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two facts, the older first. ``label``: whether they are what ``kind`` says."""

    kind: str
    language: str
    label: bool
    old: str
    new: str


def pairs_of(name: str) -> list[Pair]:
    """The pairs of a file."""
    lines = (_DATA / name).read_text("utf-8").splitlines()
    split = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return [Pair(kind, language, label == "yes", old, new) for kind, language, label, old, new in split]
