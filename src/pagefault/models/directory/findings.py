"""The findings on models, kept in ``HOME/models.json``: how one calls functions, and whether it sees.

Left out: secrets, and windows, which servers report themselves.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from pagefault.kept import keep
from pagefault.models.endpoint import ModelFinding

__all__ = ["Findings"]


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings in the file at ``path``, by the names of models."""

    path: Path

    def of(self, name: str) -> ModelFinding:
        """Return the finding on a model; an empty one if nothing is known, or the entry is damaged."""
        entry = self._read().get(name)
        found = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {"calling": entry}
        calling, images = found.get("calling"), found.get("images")
        if calling not in ("native", "text", "json"):
            calling = ""
        return ModelFinding(
            calling, found.get("late_thinking") is True, images if images in (True, False) else None
        )

    def remember(self, name: str, finding: ModelFinding) -> None:
        """Store the finding on a model."""
        known = {field: value for field, value in asdict(finding).items() if value is not None}
        found = self._read() | {name: known}
        keep(self.path, json.dumps(found, indent=2, sort_keys=True))

    def _read(self) -> dict[str, Any]:
        try:
            found: object = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError):  # nothing was checked yet, or the file is damaged
            return {}
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
