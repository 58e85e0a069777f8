"""The making of an agent that a file has: its settings, as far as they are trusted, and its sections.

Left out: what fills it (``target``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pagefault.config import SMALLEST_WINDOW, AgentSettings, parse_settings
from pagefault.errors import UsageError
from pagefault.importers.items import ImportedAgent, ImportedSection
from pagefault.importers.limits import SHARE, fitted
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
    """Makes one agent. ``kind``: of the file, under which its metadata has what is kept of it; ``left_out``:
    the settings of the file that were not taken; ``sections``: the names of those that it has; ``too_large``:
    those that its window has no room for."""

    kernel: Kernel
    kind: str
    name: str
    about: ImportedAgent | None
    defaults: AgentSettings
    trust: bool
    left_out: dict[str, Any] = field(default_factory=dict[str, Any])
    sections: list[str] = field(default_factory=list[str])
    too_large: list[ImportedSection] = field(default_factory=list[ImportedSection])

    async def make(self, sections: Sequence[ImportedSection], *, dry: bool) -> AgentRecord | None:
        """Make it; None if it is only looked. Sections that its window has no room for are left, the largest
        first, persona and human last. ``UsageError`` if it could not work without them either."""
        settings, wanted = self._settings(), list(sections)
        window, _ = await self.kernel.window(parse_settings(settings))
        while True:
            declared = _declared(wanted, settings["model"], window)
            self.sections = list(declared)
            if dry:
                return None
            chosen = settings | ({"sections": [*declared.values()]} if declared else {})
            try:
                return await self.kernel.create_agent(self.name, self._with_kept(chosen, wanted))
            except UsageError:
                if not wanted:
                    raise
                wanted.remove(largest := max(wanted, key=_expendable))
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
        if self.about.style:
            settings["style"] = self.about.style
        if self.trust:
            return settings | suggested
        self.left_out.update(suggested)
        return settings

    def _with_kept(self, settings: dict[str, Any], sections: Sequence[ImportedSection]) -> AgentSettings:
        """The settings with what is kept of the file in the metadata, and the names that sections had there,
        if that is short enough."""
        names = zip((each["name"] for each in settings["sections"] or ()), sections, strict=False)
        labels = {name: label for name, each in names if (label := plain_text(each.name)) != name}
        kept = dict(self.about.kept) if self.about else {}
        for values in (kept | {"labels": labels}, {"labels": labels}):
            if values != {"labels": {}}:
                found = {name: value for name, value in values.items() if value}
                try:
                    return parse_settings(settings | {"metadata": settings["metadata"] | {self.kind: found}})
                except UsageError:  # they are too long
                    self.left_out["metadata"] = ", ".join(kept)
        return parse_settings(settings)


def _expendable(section: ImportedSection) -> tuple[bool, int]:
    """The order in which sections go: persona and human last, of the others the largest first."""
    return section_name(section.name) not in ("persona", "human"), len(section.text)


def suggested_settings(about: ImportedAgent) -> dict[str, Any]:
    """The settings of a file that have to be trusted."""
    found: dict[str, Any] = {
        "model": plain_text(about.model),
        "window": about.window if about.model and about.window and about.window >= SMALLEST_WINDOW else None,
        "instructions": plain_text(about.instructions),
        "tags": [tag for each in about.tags if (tag := plain_text(each))],
    }
    return {name: value for name, value in found.items() if value}


def _declared(sections: Sequence[ImportedSection], model: str, window: int) -> dict[str, dict[str, Any]]:
    """Sections as settings declare them, by name; names that are alike get numbers, and limits that the
    window has no room for are lowered as far as the texts allow."""
    count, declared = HeuristicCounter(family_of(model)).count, dict[str, dict[str, Any]]()
    needed, wanted = list[int](), list[int]()
    for section in sections:
        name, number = section_name(section.name), 2
        while name in declared:
            name, number = f"{section_name(section.name)[:28]}_{number}", number + 1
        text = plain_text(section.text)
        needed.append(max(_LEAST_LIMIT, count(text) * 11 // 10))
        wanted.append(max(needed[-1], min(section.limit or 0, _MOST_LIMIT)))
        declared[name] = {
            "name": name,
            "description": plain_text(section.description)[:_LONGEST_DESCRIPTION],
            "text": text,
            "read_only": section.read_only,
        }
    for each, limit in zip(declared.values(), fitted(needed, wanted, int(window * SHARE)), strict=True):
        each["limit"] = limit
    return declared
