"""The making of an agent that a file has: its settings, as far as they are trusted, and its sections.

Left out: what fills it (``target``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pagefault.config import AgentSettings, parse_settings
from pagefault.errors import UsageError
from pagefault.importers.items import ImportedAgent, ImportedSection
from pagefault.importers.texts import plain_text, section_name
from pagefault.kernel import Kernel
from pagefault.models.tokens import HeuristicCounter, family_of
from pagefault.types import AgentRecord

__all__ = ["AgentMaker", "suggested_settings"]

_LEAST_LIMIT = 16  # tokens
_MOST_LIMIT = 1 << 20
_LONGEST_DESCRIPTION = 2000  # characters


@dataclass(slots=True)
class AgentMaker:
    """Makes one agent. ``left_out``: the settings of the file that were not taken; ``sections``: the names of
    those that it has; ``too_large``: those that its window has no room for."""

    kernel: Kernel
    name: str
    about: ImportedAgent | None
    defaults: AgentSettings
    trust: bool
    left_out: dict[str, Any] = field(default_factory=dict[str, Any])
    sections: list[str] = field(default_factory=list[str])
    too_large: list[ImportedSection] = field(default_factory=list[ImportedSection])

    async def make(self, sections: Sequence[ImportedSection], *, dry: bool) -> AgentRecord | None:
        """Make it; None if it is only looked. Sections that its window has no room for are left, the largest
        first. ``UsageError`` if it could not work without them either."""
        settings, wanted = self._settings(), list(sections)
        while True:
            declared = _declared(wanted, settings["model"])
            self.sections = [each["name"] for each in declared]
            if dry:
                return None
            try:
                chosen = parse_settings(settings | ({"sections": declared} if declared else {}))
                return await self.kernel.create_agent(self.name, chosen)
            except UsageError:
                if not wanted:
                    raise
                wanted.remove(largest := max(wanted, key=lambda section: len(section.text)))
                self.too_large.append(largest)

    def _settings(self) -> dict[str, Any]:
        settings = self.defaults.model_dump(mode="json")
        if self.about is None:
            return settings
        suggested = suggested_settings(self.about)
        if self.about.zone:
            try:
                parse_settings(settings | {"zone": self.about.zone})
                settings["zone"] = self.about.zone
            except UsageError:
                self.left_out["zone"] = plain_text(self.about.zone)
        if self.trust:
            return settings | suggested
        self.left_out.update(suggested)
        return settings


def suggested_settings(about: ImportedAgent) -> dict[str, Any]:
    """The settings of a file that have to be trusted."""
    found = {"model": plain_text(about.model), "instructions": plain_text(about.instructions)}
    return {name: value for name, value in found.items() if value}


def _declared(sections: Sequence[ImportedSection], model: str) -> list[dict[str, Any]]:
    """Sections as settings declare them; names that are alike get numbers."""
    count, declared = HeuristicCounter(family_of(model)).count, dict[str, dict[str, Any]]()
    for section in sections:
        name, number = section_name(section.name), 2
        while name in declared:
            name, number = f"{section_name(section.name)[:28]}_{number}", number + 1
        text = plain_text(section.text)
        limit = max(_LEAST_LIMIT, min(section.limit or 0, _MOST_LIMIT), count(text) * 11 // 10)
        declared[name] = {
            "name": name,
            "description": plain_text(section.description)[:_LONGEST_DESCRIPTION],
            "limit": limit,
            "text": text,
            "read_only": section.read_only,
        }
    return list(declared.values())
