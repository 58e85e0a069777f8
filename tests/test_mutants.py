"""The faults of ``scripts/mutants.py`` can all be made, and the tests that must notice them are there."""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_every_fault_can_be_made_and_its_tests_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "scripts"), *sys.path])
    mutants = import_module("mutants")
    tests = {
        node.name
        for folder in ("tests", "src/pagefault/testing")
        for path in (ROOT / folder).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for mutant in mutants.MUTANTS:
        made: dict[str, str] = {}
        for change in mutant.changes:
            text = made.get(change.file) or (ROOT / "src" / "pagefault" / change.file).read_text("utf-8")
            made[change.file] = change.made_in(text)
        for file, text in made.items():
            ast.parse(text, file)
        for test in mutant.tests:
            assert (ROOT / "tests" / test.partition("::")[0]).exists(), test
            assert test.rpartition("::")[2] in tests, test
