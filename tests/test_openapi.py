"""The description of the REST: committed as ``docs/openapi.json``, and true: requests made from it find no
server error. ``python tests/test_openapi.py`` writes the file anew."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from pagefault.cli import main
from pagefault.server import api, health
from test_server_process import process

FILE = Path(__file__).parents[1] / "docs" / "openapi.json"


def description() -> dict[str, Any]:
    """The description of our own REST; the protocols of others are described by them."""
    app = FastAPI(title="pagefault", version="1", description="Agents with memory, over HTTP.")
    app.include_router(health.router())
    app.include_router(api.router())
    return app.openapi()


def test_the_committed_description_is_that_of_the_code() -> None:
    refresh = "run python tests/test_openapi.py, and name the change in CHANGELOG.md"
    assert json.loads(FILE.read_text("utf-8")) == description(), refresh


def test_every_operation_is_described() -> None:
    for path, methods in description()["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description") or operation.get("summary"), f"{method} {path}"
            assert operation["tags"], f"{method} {path}"


CONFIG = """
[parameters]
"path.name" = "ana"
"path.section" = ["human", "persona", "none"]
"path.event" = [1, 2, 3, 99]
"path.id" = ["p1", "d1", "t1", "m1", "none"]
"""
"""Values by which requests reach what is there."""


@pytest.mark.slow
def test_requests_made_from_the_description_find_no_server_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, config = tmp_path / "home", tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    monkeypatch.setenv("PAGEFAULT_EMBEDDER", "null")
    monkeypatch.setenv("PAGEFAULT_MODEL", "offline")
    with pytest.raises(SystemExit):
        main(["--home", str(home), "agent", "create", "ana"])
    with process(home, {}) as (_, url):
        agent = f"{url}/api/v1/agents/ana"
        httpx2.post(f"{agent}/messages", json={"text": "I am Ann."}, timeout=60)
        httpx2.post(f"{agent}/passages", json={"text": "Ann sails."}, timeout=60)
        httpx2.post(f"{agent}/schedules", json={"note": "sail", "when": "+2h"}, timeout=60)
        checks = (
            "not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance"
        )
        command = [
            str(Path(sys.executable).with_name("st")), "--config-file", str(config), "run",
            f"{url}/openapi.json", "--checks", checks, "--phases", "coverage,fuzzing", "--max-examples", "5",
            "--seed", "1",
            "--include-path-regex", "^/(api/v1|healthz|readyz)", "--exclude-path", "/api/v1/agents/{name}",
            "--no-color", "--request-timeout", "20", "--continue-on-failure",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


if __name__ == "__main__":
    FILE.write_text(json.dumps(description(), indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
