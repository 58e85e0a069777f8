"""The change of an agent's sections when others are declared: what is stored, and the notice to the agent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from pagefault.errors import UsageError
from pagefault.functions.syscalls import PAGED_IN
from pagefault.models.tokens import Counter
from pagefault.types import Section

__all__ = ["SectionChanges", "changed_sections", "check_limits"]


@dataclass(frozen=True, slots=True)
class SectionChanges:
    """A change of the set of sections. ``put``: the versions to store, with a limit of 0 for a section that
    goes; ``after``: the sections there are then; ``notice``: for the agent, empty if none came or went."""

    put: tuple[Section, ...]
    after: tuple[Section, ...]
    notice: str


def changed_sections(
    stored: Sequence[Section], declared: Sequence[Section], counter: Counter, shared: Collection[str] = ()
) -> SectionChanges:
    """The change from stored sections to declared ones, which keep their texts; ``UsageError`` if a text does
    not fit, or a ``shared`` one is declared. These and the section of ``page_in`` are kept."""
    old = {section.name: replace(section, version=0) for section in stored}
    names = {section.name for section in declared}
    if both := names.intersection(shared):
        raise UsageError(f"Section {min(both)} is shared; leave it out, or detach the agent from it first.")
    after = [replace(s, text=old[s.name].text) if s.name in old else s for s in declared]
    check_limits(after, counter)
    others = {PAGED_IN, *shared}
    kept = [section for section in stored if section.name in others - names]
    gone = [section for section in stored if section.name not in names | others]
    news = [*(_added(s) for s in after if s.name not in old), *map(_removed, gone)]
    put = [section for section in after if old.get(section.name) != section]
    put += [replace(section, limit=0, text="", version=0) for section in gone]
    notice = " ".join(["Your working context was changed.", *news]) if news else ""
    return SectionChanges(tuple(put), (*after, *kept), notice)


def check_limits(sections: Iterable[Section], counter: Counter) -> None:
    """Raise ``UsageError`` if the text of a section is larger than its limit."""
    for section in sections:
        if (size := counter.count(section.text)) > section.limit:
            raise UsageError(
                f"The text of section {section.name} takes {size:,} of {section.limit:,} tokens; shorten it, "
                "or give the section a larger limit."
            )


def _added(section: Section) -> str:
    about = f" ({section.description})" if section.description else ""
    reads = f" It reads: {section.text}" if section.text else ""
    return f"Section {section.name}{about} was added, with room for {section.limit} tokens.{reads}"


def _removed(section: Section) -> str:
    return f"Section {section.name} was removed; it read: {section.text or '(empty)'}"
