"""The sections of a plan: their text without what is forgotten, and the versions that had it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pagefault.kernel.forgetting.plan import OwnerPlan, SectionEdits
from pagefault.kernel.forgetting.selection import Selection
from pagefault.kernel.forgetting.texts import section_texts
from pagefault.storage import Transaction
from pagefault.types import Section

__all__ = ["plan_sections"]

_LATER = datetime(9999, 1, 1, tzinfo=UTC)

_Versions = Sequence[tuple[datetime, Section]]


def plan_sections(
    tx: Transaction, plan: OwnerPlan, selection: Selection, ids: Collection[str], copies: Collection[str]
) -> None:
    """Add the sections with something that is forgotten, and those that were removed. ``ids``: of what goes,
    which may be paged in. ``copies``: the names of those that are shared, whose text is edited there."""
    for section in tx.sections_at(plan.id, _LATER):
        name = section[1].name
        history = tx.section_history(plan.id, name)
        versions = [each.version for at, each in history if _goes(selection, at, each, ids)]
        if selection.kinds:  # the newest is not old, however long ago it was written
            versions = [version for version in versions if version != history[-1][1].version]
        if not versions:
            continue
        newest = history[-1][1]
        edited = None
        if newest.version in versions and newest.limit and name not in copies:
            edited = _edited(selection, history, versions, ids)
        plan.sections.append(SectionEdits(name, edited, tuple(versions)))


def _goes(selection: Selection, at: datetime, version: Section, ids: Collection[str]) -> bool:
    """Return whether a version has something that is forgotten."""
    texts = list(section_texts(version))
    if not any(texts):
        return False
    is_selected = not (selection.ids or selection.speaker) and selection.takes(
        iter(texts), at, "", kind="sections"
    )
    return is_selected or any(_names(line, ids) for line in version.text.split("\n"))


def _edited(
    selection: Selection, history: _Versions, versions: Sequence[int], ids: Collection[str]
) -> Section:
    """The section as it is to be: without the lines that have the query or were paged in of what goes; what
    was selected by its time alone, as it was before."""
    newest, query = history[-1][1], selection.query
    text, about = newest.text, newest.description
    if query is not None:
        text, about = query.without(text), query.without(about)
    elif not (selection.ids or selection.speaker):
        kept = [each for _, each in history if each.version not in versions]
        text, about = (kept[-1].text, kept[-1].description) if kept else ("", "")
    text = "\n".join(line for line in text.split("\n") if not _names(line, ids))
    return replace(newest, text=text, description=about)


def _names(line: str, ids: Collection[str]) -> bool:
    """Return whether a line was paged in under one of the ids (``Syscalls.page_in``)."""
    return line.startswith("[") and line[1:].partition(" ")[0] in ids
