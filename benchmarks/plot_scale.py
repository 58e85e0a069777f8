"""Draws what search_scale.py measured. Needs matplotlib, which nothing else does.

pip install matplotlib
python benchmarks/plot_scale.py --sqlite sqlite.json [--postgres postgres.json] docs/figures/search_scale.svg
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

AIMS = {10_000: 2.0, 100_000: 8.0, 1_000_000: 40.0}  # ms


def points(file: Path, name: str) -> tuple[list[int], list[float]]:
    """Sizes and one figure of each."""
    results: dict[str, dict[str, float]] = json.loads(file.read_text())
    sizes = sorted(int(size) for size in results if size.isdecimal())
    return sizes, [results[str(size)][name] for size in sizes]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sqlite", type=Path, required=True)
    parser.add_argument("--postgres", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    try:
        plot: Any = import_module("matplotlib.pyplot")
    except ImportError:
        print("This needs matplotlib: pip install matplotlib", file=sys.stderr)
        return 1
    figure, (left, right) = plot.subplots(1, 2, figsize=(9, 3.6))
    left.plot(*points(options.sqlite, "p50_ms"), "o-", label="SQLite, p50")
    left.plot(*points(options.sqlite, "p95_ms"), "o:", color="C0", label="SQLite, p95")
    if options.postgres:
        left.plot(*points(options.postgres, "p50_ms"), "s-", color="C1", label="PostgreSQL, p50")
    left.plot(list(AIMS), list(AIMS.values()), "kx", label="aim")
    right.plot(*points(options.sqlite, "signs_ms"), "o-", label="nearest by signs")
    right.plot(*points(options.sqlite, "read_codes_ms"), "k--", label="reading the signs once")
    for axes, title in ((left, "a search"), (right, "its vector part, above 50,000")):
        axes.set(xscale="log", yscale="log", xlabel="memories of one agent", ylabel="ms", title=title)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(fontsize=8)
    figure.tight_layout()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
