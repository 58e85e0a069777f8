"""Changes of sections as Letta's clients ask for them: of an agent's own, and of what agents share."""

from __future__ import annotations

from math import ceil
from typing import Any

from pagefault.config import parse_settings, settings_of
from pagefault.errors import NotFoundError, UsageError
from pagefault.importers.letta.names import CHARACTERS, section_name
from pagefault.kernel import Kernel, sections, shared_sections
from pagefault.kernel.sections import SMALLEST
from pagefault.quoting import inline
from pagefault.server.letta.bodies import BlockBody
from pagefault.server.letta.states import block_state
from pagefault.server.problems import Problem
from pagefault.types import Section
from pagefault.views.stored import AgentMemory, SharedThing

__all__ = [
    "change_own",
    "change_shared",
    "check_value",
    "labelled",
    "own_state",
    "section_of",
    "shared_state",
]

JsonObject = dict[str, Any]


def own_state(memory: AgentMemory, section: Section) -> JsonObject:
    """A section of an agent as a block."""
    return block_state(memory.record.id, section, memory.shared)


def shared_state(thing: SharedThing) -> JsonObject:
    """A shared section as a block."""
    section = section_of(thing)
    return block_state(thing.record.id, section, {section.name: thing.record})


def section_of(thing: SharedThing) -> Section:
    """The text of a shared section; ``NotFoundError`` if it was deleted since."""
    if thing.section is None:
        raise NotFoundError(f"There is no block {thing.record.name} any more; list those there are.")
    return thing.section


def labelled(memory: AgentMemory, label: str) -> Section:
    """The section of an agent for a label; that of a shared block may have a number behind it."""
    by_name = {section.name: section for section in memory.sections}
    name = label if label in by_name else section_name(label)
    if name in by_name:
        return by_name[name]
    numbered = [each for each in memory.shared if each in by_name and each.rpartition("_")[0] == name]
    if len(numbered) == 1 and numbered[0].rpartition("_")[2].isdigit():
        return by_name[numbered[0]]
    raise NotFoundError(
        f"Agent {memory.record.name} has no block {inline(label)}; it has {', '.join(by_name) or 'none'}."
    )


async def change_own(kernel: Kernel, memory: AgentMemory, section: Section, body: BlockBody) -> str:
    """Change a section of an agent; return its name, which its label gives."""
    text = section.text if body.value is None else body.value
    check_value(section.name, text, body.limit)
    name = section.name if body.label is None else section_name(body.label)
    await _declare(kernel, memory, section, name, body)
    if text != section.text or name != section.name:
        await sections.edit_section(kernel, memory.record.name, name, text)
    return name


async def _declare(kernel: Kernel, memory: AgentMemory, section: Section, name: str, body: BlockBody) -> None:
    """Change all of a section but its text: its name, limit, description and whether it is read-only."""
    settings = settings_of(memory.record)
    window, _ = await kernel.window(settings)
    changed: JsonObject = {"name": name}
    if body.limit is not None:
        changed["limit"] = max(SMALLEST, ceil(body.limit / CHARACTERS))
    changed |= {
        field: given for field in ("description", "read_only") if (given := getattr(body, field)) is not None
    }
    declared = [each.model_dump(mode="json") for each in settings.declared_sections(window)]
    if name != section.name and any(each["name"] == name for each in declared):
        raise UsageError(f"There is a block {name} already; choose another label.")
    after = [each | changed if each["name"] == section.name else each for each in declared]
    if after != declared:
        values = settings.model_dump(mode="json") | {"sections": after}
        await kernel.change_settings(memory.record.name, parse_settings(values))


async def change_shared(kernel: Kernel, thing: SharedThing, body: BlockBody) -> None:
    """Change the text of a shared section; nothing else of it can be changed."""
    section = section_of(thing)
    others = {
        "label": body.label is not None and section_name(body.label) != section.name,
        "limit": body.limit is not None and ceil(body.limit / CHARACTERS) != section.limit,
        "description": body.description is not None and body.description != section.description,
    }
    text = section.text if body.value is None else body.value
    check_value(section.name, text, body.limit)
    if refused := [name for name, is_other in others.items() if is_other]:
        raise Problem(
            501, "Not there yet",
            f"The {refused[0]} of a block that agents share cannot be changed; make another block.",
        )  # fmt: skip
    if text != section.text:
        await shared_sections.edit(kernel, section.name, text)


def check_value(label: str, text: str, limit: int | None) -> None:
    """Raise a ``Problem`` if a text has more characters than the limit that comes with it."""
    if limit is not None and len(text) > limit:
        raise Problem(
            422, "Invalid request",
            f"The value of {inline(label)} has {len(text):,} characters, more than {limit:,}; shorten it.",
        )  # fmt: skip
