"""Count the lines that stand in both database folders, ``storage/sqlite`` and ``storage/postgres``.

Lines are compared without indentation, with placeholders written alike (``:name``, ``%(name)s``); a line of
fewer than 6 characters does not count, nor does an import. Code that is the same on both sides belongs in
``storage/sql``.

    python scripts/same_lines.py [SOURCE]     SOURCE: a folder `src/pagefault` (default: this checkout's)
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "pagefault"
SHORTEST = 6  # characters

_PLACEHOLDER = re.compile(r"%\((\w+)\)[sb]|(?<![:\w]):(\w+)")
_IMPORT = re.compile(r"(from \S+ )?import ")


def lines_of(folder: Path) -> Counter[str]:
    """The lines of a folder's modules as they are compared, and how often each stands there."""
    lines: Counter[str] = Counter()
    for path in sorted(folder.glob("*.py")):
        for line in path.read_text().splitlines():
            text = _PLACEHOLDER.sub(r":\1\2", line.strip())
            if len(text) >= SHORTEST and not _IMPORT.match(text):
                lines[text] += 1
    return lines


def same_lines(source: Path = SOURCE) -> Counter[str]:
    """The lines that both databases have."""
    storage = source / "storage"
    return lines_of(storage / "sqlite") & lines_of(storage / "postgres")


if __name__ == "__main__":
    found = same_lines(Path(sys.argv[1]) if len(sys.argv) > 1 else SOURCE)
    for line, count in found.items():
        print(f"{count:3} {line}")
    print(f"{found.total()} lines are the same")
