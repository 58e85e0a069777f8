"""The owners of archival storage by name, agents and archives, and what an id in their storages names."""

from __future__ import annotations

from datetime import datetime

from pagefault.errors import FunctionError, NotFoundError, UsageError
from pagefault.functions.archives import (
    ArchivalStorages,
    AttachedArchive,
    archival_storages,
    refuse_held,
)
from pagefault.names import system_key
from pagefault.quoting import inline
from pagefault.shared import Archive, StorageOwner, archive_of, is_shared
from pagefault.storage import Transaction
from pagefault.types import AgentId, AgentRecord, Event, EventKind, Place

__all__ = [
    "delete_agent",
    "find_edited",
    "find_stored",
    "no_agent",
    "no_archive",
    "no_section",
    "not_stored",
    "note_edited",
    "part_of_document",
    "record_of",
    "storage_to_write",
    "storages_to_search",
]

_NAMED = 8  # archives in an error
_MOST_EDITS = 1_000  # of one passage, by which an id is followed


def record_of(tx: Transaction, name: StorageOwner) -> AgentRecord:
    """The agent of this name, or an archive as a row of the same form; ``NotFoundError`` if there is none."""
    if not isinstance(name, Archive):
        if agent := tx.agent(name):
            return agent
        raise no_agent(name)
    if found := tx.shared("archive", name.name):
        return found.row
    raise no_archive(tx, name.name)


def delete_agent(tx: Transaction, agent: AgentId) -> None:
    """Delete an agent with all it owns; ``HeldError`` if it is held."""
    refuse_held(tx, agent, "deleted")
    tx.delete_agent(agent)


def find_stored(
    tx: Transaction, owner: AgentRecord, id: str, letter: str, *, to_change: bool = False
) -> tuple[AttachedArchive, int]:
    """The storage and the number that an id names (``p7``, ``manuals/p7``); ``UsageError`` for what is no
    such id, or of an archive that is not attached to the agent, or is read-only or held, ``to_change`` it."""
    try:
        storage, number = archival_storages(tx, owner).find(tx, id, letter)
    except FunctionError as error:
        raise UsageError(str(error)) from None
    if to_change:
        _check_writable(storage, owner)
        refuse_held(tx, storage.id, "deleted or replaced")
    return storage, number


def find_edited(tx: Transaction, storage: AgentId, number: int) -> int:
    """The number of the passage that the one of this number was edited into, at last; its own if it was not.
    Each text of a passage is stored under a number of its own, and all of them name the newest."""
    for _ in range(_MOST_EDITS):
        edited = tx.event_of_key(storage, _key_of_edit(number))
        if edited is None or (edited.started or 0) <= number:  # numbers grow, whatever a file has brought
            break
        number = edited.started or 0
    return number


def note_edited(tx: Transaction, storage: AgentId, old: int, new: int, now: datetime) -> None:
    """Note that a passage is stored under another number now, for ``find_edited``."""
    event = tx.post(storage, Event(EventKind.APPENDED, "", _key_of_edit(old), at=now))
    tx.set_event(storage, event.id, "done", new)


def _key_of_edit(number: int) -> str:
    return system_key(f"edited:p{number}")


def storages_to_search(
    tx: Transaction, owner: AgentRecord, archive: str | None
) -> tuple[ArchivalStorages, tuple[AgentId, ...]]:
    """The storages of an agent or archive, and the ids under which to search: of all or, if one is named, of
    this archive; ``UsageError`` if that is not attached."""
    storages = archival_storages(tx, owner)
    if archive is None:
        return storages, (storages.agent, *(each.id for each in storages.archives))
    return storages, (_attached(tx, storages, archive).id,)


def storage_to_write(tx: Transaction, owner: AgentRecord, archive: str | None) -> AttachedArchive:
    """The owner's own storage or, if one is named, the archive of this name; ``UsageError`` if that is not
    attached, or is read-only."""
    storages = archival_storages(tx, owner)
    if archive is None:
        return AttachedArchive(storages.name, storages.agent)
    storage = _attached(tx, storages, archive)
    _check_writable(storage, owner)
    return storage


def _attached(tx: Transaction, storages: ArchivalStorages, name: str) -> AttachedArchive:
    try:
        return storages.archive(tx, name)
    except FunctionError as error:
        raise UsageError(str(error)) from None


def _check_writable(storage: AttachedArchive, owner: AgentRecord) -> None:
    if storage.read_only:
        raise UsageError(
            f"Archive {storage.name} is attached to agent {owner.name} read-only; `pagefault archive` and "
            "pf.archives change it."
        )


def not_stored(owner: AgentRecord, id: str, letter: str) -> NotFoundError:
    """The error for a passage (``p``) or document (``d``) that is not there."""
    archive = archive_of(owner)
    if letter == "d":
        lists = "document list" + (f" --archive {archive}" if archive else "")
    else:
        lists = f"archive search {archive}" if archive else "archival list"
    kind = "document" if letter == "d" else "passage"
    return NotFoundError(f"There is no {kind} {id}; `pagefault {lists}` shows those there are.")


def part_of_document(id: str, place: Place) -> UsageError:
    """The error for a passage that is a part of a document, and no fact."""
    document = f"{id.rpartition('p')[0]}d{place.document}"
    return UsageError(f"{id} is part of document {document}; load the changed document.")


def no_agent(name: str) -> NotFoundError:
    """The error for an agent that is not there."""
    made = "" if is_shared(name) else f", `pagefault agent create {name}` makes it"
    return NotFoundError(f"There is no agent {name}; `pagefault agent list` shows those there are{made}.")


def no_archive(tx: Transaction, name: str) -> NotFoundError:
    """The error for an archive that is not there, which names those that are, if they are few."""
    there = [archive.name for archive in tx.all_shared("archive")]
    known = f"there are {', '.join(there)}" if there else "`pagefault archive create` makes one"
    if len(there) > _NAMED:
        known = "`pagefault archive list` shows those there are"
    return NotFoundError(f"There is no archive {inline(name, 64)}; {known}.")


def no_section(name: str) -> NotFoundError:
    """The error for a shared section that is not there."""
    there = "`pagefault section list` shows those there are."
    return NotFoundError(f"There is no shared section {inline(name, 64)}; {there}")
