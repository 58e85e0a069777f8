"""The archives of a home: the list, one of them, and those that are attached to an agent.

Left out: what is in one (``memory`` and ``documents``, with ``shared.Archive`` for the name of an agent).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pagefault.kernel import Kernel
from pagefault.kernel.owners import no_archive, record_of
from pagefault.shared import SharedRecord
from pagefault.storage import Transaction

__all__ = ["ArchiveView", "archive", "archives"]


@dataclass(frozen=True, slots=True)
class ArchiveView:
    """An archive. ``passages``: all, those of documents included; ``agents``: the names of those to whom it
    is attached, of whom ``readers`` may only read it."""

    name: str
    description: str
    created: datetime
    passages: int
    documents: int
    agents: tuple[str, ...]
    readers: tuple[str, ...]


async def archives(kernel: Kernel, agent: str | None = None) -> tuple[ArchiveView, ...]:
    """All archives by name, or those that are attached to an agent."""

    def read(tx: Transaction) -> tuple[ArchiveView, ...]:
        attached = [] if agent is None else tx.attachments(record_of(tx, agent).id)
        names = {each.name for each in attached if each.kind == "archive"}
        found = tx.all_shared("archive")
        return tuple(_view(tx, each) for each in found if agent is None or each.name in names)

    return await kernel.store.read(read)


async def archive(kernel: Kernel, name: str) -> ArchiveView:
    """The archive of this name; ``NotFoundError`` if there is none."""

    def read(tx: Transaction) -> ArchiveView:
        if found := tx.shared("archive", name):
            return _view(tx, found)
        raise no_archive(tx, name)

    return await kernel.store.read(read)


def _view(tx: Transaction, archive: SharedRecord) -> ArchiveView:
    passages, documents = tx.holdings(archive.id)
    agents: dict[str, bool] = {}
    for id in tx.attached_to("archive", archive.name):
        if record := tx.agent_by_id(id):
            rights = {each.name: each.read_only for each in tx.attachments(id) if each.kind == "archive"}
            agents[record.name] = rights.get(archive.name, False)
    readers = tuple(name for name, is_reader in sorted(agents.items()) if is_reader)
    of = archive.name, archive.description, archive.created
    return ArchiveView(*of, passages, documents, tuple(sorted(agents)), readers)
