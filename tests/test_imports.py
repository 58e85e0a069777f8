"""What `import pagefault` gives, and that it does nothing else: no heavy library, no file, no thread.

How quick it is belongs to the benchmarks; here is what makes it quick.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pagefault

PUBLIC = [
    "Agent",
    "AsyncAgent",
    "Event",
    "Image",
    "Kernel",
    "Output",
    "Pagefault",
    "PagefaultError",
    "Reply",
    "ToolContext",
    "__version__",
    "open",
    "tool",
]

HEAVY = {
    "alembic",
    "numpy",
    "onnxruntime",
    "openai",
    "prompt_toolkit",
    "pydantic",
    "rich",
    "sqlalchemy",
    "tokenizers",
    "typer",
}

REPORT = """
import sys, threading
before = set(sys.modules)
import pagefault
print(threading.active_count())
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - before}))
"""


def test_public_names() -> None:
    assert pagefault.__all__ == PUBLIC
    assert dir(pagefault) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_can_be_loaded(name: str) -> None:
    assert getattr(pagefault, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'Memory'"):
        _ = pagefault.Memory  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


def test_the_version_is_the_package_s() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    assert pagefault.__version__ == project["project"]["version"]


def test_importing_has_no_side_effects(tmp_path: Path) -> None:
    environment = os.environ | {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", REPORT],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    threads, loaded = ran.stdout.splitlines()
    assert ran.stderr == ""
    assert threads == "1"
    assert HEAVY.isdisjoint(loaded.split()), loaded
    assert list(tmp_path.iterdir()) == []
