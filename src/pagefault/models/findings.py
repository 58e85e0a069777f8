"""What ``pagefault models check`` found out about models, kept in ``HOME/models.json``: who needs JSON mode.

Left out: anything secret, and windows, which servers are asked for anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

__all__ = ["json_mode", "remember"]

_FILE = "models.json"


def json_mode(home: Path) -> frozenset[str]:
    """The names of the models that do not call functions by their provider's own protocol."""
    return frozenset(name for name, calling in _read(home).items() if calling == "json")


def remember(home: Path, name: str, calling: str) -> None:
    """Keep how a model calls functions: ``native`` or ``json``."""
    found = _read(home) | {name: calling}
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = home / f"{_FILE}.new"
    fresh.write_text(json.dumps(found, indent=2, sort_keys=True), "utf-8")
    fresh.replace(home / _FILE)


def _read(home: Path) -> dict[str, Any]:
    try:
        found: object = json.loads((home / _FILE).read_text("utf-8"))
    except (OSError, ValueError):  # nothing was checked yet, or the file is of no use
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}
