"""The findings of ``pagefault models check``, kept in ``HOME/models.json``: how a model calls functions.

Left out: secrets, and windows, which servers report themselves.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from pagefault.models.directory.kept import keep
from pagefault.models.endpoint import ModelFinding

__all__ = ["Findings"]


@dataclass(frozen=True, slots=True)
class Findings:
    """The findings in the file at ``path``, by the names of models."""

    path: Path

    def of(self, name: str) -> ModelFinding:
        """Return the finding on a model; an empty one if it was not checked, or the entry is damaged."""
        entry = self._read().get(name)
        found = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {"calling": entry}
        calling = found.get("calling")
        if calling not in ("native", "text", "json"):
            return ModelFinding()
        return ModelFinding(calling, found.get("late_thinking") is True)

    def remember(self, name: str, finding: ModelFinding) -> None:
        """Store the finding on a model."""
        found = self._read() | {name: asdict(finding)}
        keep(self.path, json.dumps(found, indent=2, sort_keys=True))

    def _read(self) -> dict[str, Any]:
        try:
            found: object = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError):  # nothing was checked yet, or the file is damaged
            return {}
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
