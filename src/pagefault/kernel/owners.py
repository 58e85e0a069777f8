"""The owners of archival storage by name: agents and archives, and the sentence where there is none."""

from __future__ import annotations

from pagefault.errors import NotFoundError
from pagefault.quoting import inline
from pagefault.shared import Archive, StorageOwner
from pagefault.storage import Transaction
from pagefault.types import AgentRecord

__all__ = ["no_agent", "no_archive", "record_of"]


def record_of(tx: Transaction, name: StorageOwner) -> AgentRecord:
    """The agent of this name, or an archive as a row of the same form; ``NotFoundError`` if there is none."""
    if not isinstance(name, Archive):
        if agent := tx.agent(name):
            return agent
        raise no_agent(name)
    if found := tx.shared("archive", name.name):
        return found.row
    raise no_archive(tx, name.name)


def no_agent(name: str) -> NotFoundError:
    """The error for an agent that is not there."""
    made = f"`pagefault agent list` shows those there are, `pagefault agent create {name}` makes it."
    return NotFoundError(f"There is no agent {name}; {made}")


def no_archive(tx: Transaction, name: str) -> NotFoundError:
    """The error for an archive that is not there, which names those that are."""
    there = ", ".join(archive.name for archive in tx.all_shared("archive"))
    known = f"there are {there}" if there else "`pagefault archive create` makes one"
    return NotFoundError(f"There is no archive {inline(name, 64)}; {known}.")
