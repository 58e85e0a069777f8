"""Changes of an agent's sections from outside: their text; their set, which is declared in the settings."""

from __future__ import annotations

from dataclasses import replace

from pagefault.config import AgentSettings, parse_settings, settings_of
from pagefault.errors import NotFoundError, StaleEditError, UsageError
from pagefault.functions.sharing import held_section
from pagefault.kernel import Kernel
from pagefault.section_settings import SectionSettings
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event, EventKind, Section

__all__ = [
    "SMALLEST",
    "add_section",
    "check_version",
    "edit_section",
    "edited_notice",
    "remove_section",
    "set_limit",
    "without",
]

SMALLEST = 16
"""The least limit of a section, in tokens."""


async def edit_section(
    kernel: Kernel, name: str, section: str, text: str, *, version: int | None = None
) -> None:
    """Edit an agent's working context. The agent learns of it by an event; the head of its prompt changes
    at the next flush. ``version``: the one that was edited; ``StaleEditError``, and nothing is written, if
    the text is another by now."""
    record = await kernel.record(name)
    counter, now = (await kernel.process(name)).memory.counter, kernel.clock.now()

    def edit(tx: Transaction) -> None:
        found = next((s for s in tx.sections(record.id) if s.name == section), None)
        if found is None:
            raise NotFoundError(f"Agent {name} has no section {section}.")
        _refuse_shared(tx, record.id, section)
        check_version(tx, record.id, found, version)
        if (size := counter.count(text)) > found.limit:
            raise UsageError(f"{section} would take {size} of {found.limit} tokens; shorten the text.")
        tx.put_section(record.id, replace(found, text=text), now)
        tx.post(record.id, Event(EventKind.EDITED, edited_notice(section, text), at=now))

    await kernel.store.write(edit)
    await kernel.wake(name)


def edited_notice(section: str, text: str) -> str:
    """The text of the event by which an agent learns that a section was edited."""
    return f"Section {section} of your working context was edited; it now reads: {text}"


def check_version(tx: Transaction, owner: AgentId, section: Section, version: int | None) -> None:
    """Raise ``StaleEditError`` if the section has another text than it had in this version; None: none was
    read."""
    if version is None or version == section.version:
        return
    texts = {each.version: each.text for _, each in tx.section_history(owner, section.name)}
    if texts.get(version) != section.text:
        raise StaleEditError(section.name, section.text, section.version)


async def add_section(
    kernel: Kernel,
    name: str,
    section: str,
    *,
    description: str = "",
    limit: float = 200,
    text: str = "",
    read_only: bool = False,
) -> None:
    """Add a section at the end of the working context; ``UsageError`` if there is one of this name, or no
    room for it. ``limit``: tokens or, below 1, a share of the window."""
    settings, sections = await _declared(kernel, name)
    if section in sections:
        raise UsageError(f"Agent {name} has a section {section} already; choose another name.")
    sections[section] = {"name": section, "description": description, "limit": limit}
    sections[section] |= {"text": text, "read_only": read_only}
    await _declare(kernel, name, settings, list(sections.values()))


async def remove_section(kernel: Kernel, name: str, section: str) -> None:
    """Remove a section; its versions are kept. ``NotFoundError`` if there is none of this name."""
    await _check_own(kernel, name, section)
    settings, sections = await _declared(kernel, name)
    _existing(name, section, sections)
    await _declare(kernel, name, settings, [s for s in sections.values() if s["name"] != section])


async def set_limit(kernel: Kernel, name: str, section: str, limit: float) -> None:
    """Give a section another limit: tokens or, below 1, a share of the window. ``UsageError`` if its text
    does not fit or there is no room for it."""
    await _check_own(kernel, name, section)
    settings, sections = await _declared(kernel, name)
    _existing(name, section, sections)["limit"] = limit
    await _declare(kernel, name, settings, list(sections.values()))


async def without(kernel: Kernel, name: str, section: str) -> AgentSettings:
    """The settings of an agent that do not declare this section, not stored."""
    settings, sections = await _declared(kernel, name)
    kept = [each for each in sections.values() if each["name"] != section]
    return parse_settings(settings.model_dump(mode="json") | {"sections": kept})


async def _check_own(kernel: Kernel, name: str, section: str) -> None:
    record = await kernel.record(name)
    await kernel.store.read(lambda tx: _refuse_shared(tx, record.id, section))


def _refuse_shared(tx: Transaction, agent: AgentId, section: str) -> None:
    """Raise ``UsageError`` if the section is not the agent's own."""
    if held_section(tx, agent, section):
        raise UsageError(
            f"Section {section} is shared; `pagefault section` and pf.shared_sections change it."
        )


async def _declared(kernel: Kernel, name: str) -> tuple[AgentSettings, dict[str, dict[str, object]]]:
    """The settings and the sections they declare, by name. Default limits become shares of the window, so
    that they go on growing and shrinking with it."""
    settings = settings_of(await kernel.record(name))
    window, _ = await kernel.window(settings)
    sections = settings.declared_sections(window)
    if settings.sections is None:
        sections = tuple(_with_share(each, window) for each in sections)
    return settings, {each.name: each.model_dump(mode="json") for each in sections}


def _with_share(section: SectionSettings, window: int) -> SectionSettings:
    return section.model_copy(update={"limit": round(section.limit / window, 6)})


def _existing(name: str, section: str, sections: dict[str, dict[str, object]]) -> dict[str, object]:
    if section not in sections:
        raise NotFoundError(f"Agent {name} has no section {section}; it has {', '.join(sections) or 'none'}.")
    return sections[section]


async def _declare(
    kernel: Kernel, name: str, settings: AgentSettings, sections: list[dict[str, object]]
) -> None:
    changed = parse_settings(settings.model_dump(mode="json") | {"sections": sections})
    await kernel.change_settings(name, changed)
