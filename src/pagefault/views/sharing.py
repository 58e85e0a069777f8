"""Shared sections with the agents that are attached, and effects that are on their way or parked.

Left out: changes (``kernel.shared_sections``, ``kernel.parked``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pagefault.functions.sharing import held_section, text_of
from pagefault.kernel import Kernel
from pagefault.kernel.owners import no_section, record_of
from pagefault.shared import Attachment, Outgoing, SharedRecord
from pagefault.storage import Transaction

__all__ = ["EffectView", "SectionHolder", "SharedSectionView", "effects", "shared_section", "shared_sections"]


@dataclass(frozen=True, slots=True)
class SectionHolder:
    """An agent that is attached to a shared section. ``is_behind``: an edit has not reached its copy yet."""

    agent: str
    read_only: bool
    is_behind: bool


@dataclass(frozen=True, slots=True)
class SharedSectionView:
    """A shared section. ``tokens`` is what its text takes of ``limit``; ``version`` counts its texts, from
    1."""

    name: str
    description: str
    text: str
    tokens: int
    limit: int
    version: int
    agents: tuple[SectionHolder, ...]


@dataclass(frozen=True, slots=True)
class EffectView:
    """A change on its way to what is shared. ``sender``: an agent or, as ``section:plan``, the shared section
    whose text goes to its copies; ``parked``: why it is not made, empty if it will be."""

    sender: str
    number: int
    kind: str
    target: str
    at: datetime
    parked: str


async def shared_sections(kernel: Kernel, agent: str | None = None) -> tuple[SharedSectionView, ...]:
    """All shared sections by name, or those that are attached to an agent."""

    def read(tx: Transaction) -> tuple[SharedSectionView, ...]:
        attached = [] if agent is None else tx.attachments(record_of(tx, agent).id)
        names = {each.name for each in attached if each.kind == "section"}
        found = tx.all_shared("section")
        return tuple(_view(tx, kernel, each) for each in found if agent is None or each.name in names)

    return await kernel.store.read(read)


async def shared_section(kernel: Kernel, name: str) -> SharedSectionView:
    """One shared section; ``NotFoundError`` if there is none of this name."""

    def read(tx: Transaction) -> SharedSectionView:
        if shared := tx.shared("section", name):
            return _view(tx, kernel, shared)
        raise no_section(name)

    return await kernel.store.read(read)


def _view(tx: Transaction, kernel: Kernel, shared: SharedRecord) -> SharedSectionView:
    section = text_of(tx, shared)
    holders = list[SectionHolder]()
    for id in tx.attached_to("section", shared.name):
        record, held = tx.agent_by_id(id), held_section(tx, id, shared.name)
        if record and held:
            texts = [copy.text for copy in tx.sections(id) if copy.name == shared.name]
            holders.append(SectionHolder(record.name, held.read_only, texts != [section.text]))
    size = kernel.deliverer.counter.count(section.text)
    return SharedSectionView(
        shared.name, section.description, section.text, size, section.limit, section.version, tuple(holders)
    )


async def effects(kernel: Kernel, *, parked: bool = False) -> tuple[EffectView, ...]:
    """The changes that are on their way to what is shared, or those that are parked, by sender and number."""

    def read(tx: Transaction) -> tuple[EffectView, ...]:
        return tuple(
            EffectView(record.name, row.number, row.kind, _shown(row), row.at, row.parked)
            for id in tx.outboxes()
            if (record := tx.agent_by_id(id))
            for row in tx.outgoing(id)
            if row.parked or not parked
        )

    return await kernel.store.read(read)


def _shown(row: Outgoing) -> str:
    held = Attachment.to(row.target, False, row.at)
    return f"{held.kind} {held.name}"
