"""The findings of ``pagefault models check``, kept in ``HOME/models.json``: the models that need JSON mode.

Left out: secrets, and windows, which servers report themselves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

__all__ = ["Findings"]


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings in the file at ``path``, by the names of models."""

    path: Path

    def needs_json(self, name: str) -> bool:
        """Return True if this model was found to call functions in JSON mode only."""
        return self._read().get(name) == "json"

    def remember(self, name: str, calling: Literal["native", "json"]) -> None:
        """Store the way in which a model calls functions."""
        found = self._read() | {name: calling}
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(found, indent=2, sort_keys=True), "utf-8")
        fresh.replace(self.path)

    def _read(self) -> dict[str, Any]:
        try:
            found: object = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError):  # nothing was checked yet, or the file is damaged
            return {}
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
