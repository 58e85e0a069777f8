"""The SQL of both databases stands once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "scripts" / "same_lines.py"
MOST = 88  # six of them the heads of methods that each database has its own way to do


def test_few_lines_are_the_same_in_both_databases() -> None:
    ran = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=True)
    count = int(ran.stdout.splitlines()[-1].split()[0])
    assert 0 < count < MOST, ran.stdout
