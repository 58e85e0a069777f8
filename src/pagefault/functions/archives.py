"""The archival storages that an agent reaches: its own, and the archives attached to it.

An id of an archive's passage or document has the archive's name before it (``manuals/p7``). Each use looks
up in its own transaction which archives are attached then, so that a detached one is not read any more.
Left out: attaching (``kernel.archives``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime

from pagefault.errors import FunctionError, HeldError
from pagefault.functions.sharing import send
from pagefault.quoting import inline
from pagefault.retrieval import Hit
from pagefault.shared import SharedRecord, is_shared, shared_name
from pagefault.storage import Transaction
from pagefault.types import AgentId, AgentRecord, Document, Message, Passage

__all__ = [
    "LONGEST_HOLD",
    "ArchivalStorages",
    "AttachedArchive",
    "archival_storages",
    "number",
    "refuse_held",
]

LONGEST_HOLD = 500
"""The characters of the reason of a hold."""

_ID = {  # no example: a weak model would call with it
    "m": "a message (m and a number)", "p": "a passage (p and a number)",
    "t": "a timer (t and a number)", "d": "a document (d and a number)",
}  # fmt: skip
_LONGEST = 80  # characters of what is no id, in an error
_OF_ARCHIVE = re.compile(r"(?:([A-Za-z0-9][\w.-]{0,63})/)?(.+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class AttachedArchive:
    """An archive as an agent has it: its name, the id under which it is stored, and whether it may only be
    read."""

    name: str
    id: AgentId
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ArchivalStorages:
    """The archival storages of one agent. ``archives``: those attached when it was loaded, as of ``changes``
    (see ``AgentRecord``); ``name``: of an archive that is looked at by itself, in the place of an agent."""

    agent: AgentId
    archives: tuple[AttachedArchive, ...] = ()
    name: str = ""
    changes: int = 0

    @property
    def _own(self) -> AttachedArchive:
        return AttachedArchive(self.name, self.agent)

    def attached(self, tx: Transaction) -> dict[str, AttachedArchive]:
        """The archives that are attached still, by name, as they are now. One that got the name of another
        since is not what was loaded."""
        record = tx.agent_by_id(self.agent) if self.archives else None
        if record is None:
            return {}
        archives = self.archives
        if record.attachment_changes != self.changes:
            loaded = {(each.name, each.id) for each in archives}
            now = archival_storages(tx, record).archives
            archives = tuple(each for each in now if (each.name, each.id) in loaded)
        return {each.name: each for each in archives}

    def owners(self, tx: Transaction, archive: str = "") -> tuple[AgentId, ...]:
        """The ids under which to search: of all storages or, if one is named, of this archive."""
        if archive:
            return (self.archive(tx, archive).id,)
        return (self.agent, *(each.id for each in self.attached(tx).values()))

    def archive(self, tx: Transaction, name: str) -> AttachedArchive:
        """The attached archive of this name; ``FunctionError`` if there is none."""
        return _of_name(self.attached(tx), name)

    def find(self, tx: Transaction, id: str, letter: str) -> tuple[AttachedArchive, int]:
        """The storage and the number that an id names; the agent's own has no name. ``FunctionError`` for
        what is no such id, or of an archive that is not attached."""
        match = _OF_ARCHIVE.fullmatch(id)
        name, rest = match.groups() if match else ("", id)
        of = number(rest, letter, id)
        if (name or self.name) == self.name:
            return self._own, of
        if self.name:
            raise FunctionError(f"{id!r} is not of archive {self.name}.")
        return self.archive(tx, name), of

    def passage(self, tx: Transaction, id: str) -> Passage:
        """The passage of this id; ``FunctionError`` if there is none."""
        storage, of = self.find(tx, id, "p")
        if passage := tx.passage(storage.id, of):
            return replace(passage, archive=storage.name)
        raise FunctionError(f"There is no passage {id}; ids stand in search results.")

    def item(self, tx: Transaction, hit: Hit) -> Message | Passage | None:
        """The row of a hit; None if it is gone, or its archive is not attached any more."""
        if hit.tier == "recall":
            row = tx.message(self.agent, hit.number)
            return row if row and row.withdrawn is None else None
        storage = self._of(tx, hit.owner)
        passage = tx.passage(storage.id, hit.number) if storage else None
        return replace(passage, archive=storage.name) if passage and storage else None

    def id_of(self, hit: Hit) -> str:
        """The id of a hit, as it is shown."""
        letter = "m" if hit.tier == "recall" else "p"
        names = (each.name for each in (self._own, *self.archives) if each.name and each.id == hit.owner)
        return "/".join((*names, f"{letter}{hit.number}"))

    def writable(self, tx: Transaction, archive: str = "") -> AttachedArchive:
        """The agent's own storage or the archive named, to insert into; ``FunctionError`` if it is
        read-only."""
        return _writable(self.archive(tx, archive) if archive else self._own)

    def sends(self, tx: Transaction, storage: AttachedArchive, passage: Passage) -> bool:
        """Send a passage to its archive, by the outbox, if it cannot be stored there in this transaction;
        return False if it can."""
        if not storage.name or tx.reaches_others:
            return False
        self._send(tx, storage, "insert", passage.at, text=passage.text, tags=passage.tags)
        return True

    def delete(self, tx: Transaction, id: str, now: datetime) -> bool:
        """Delete the passage of this id, or False: that is sent to its archive, by the outbox.
        ``FunctionError`` if there is none, its archive is read-only, or the agent is held."""
        storage, of = self.find(tx, id, "p")
        _writable(storage)
        refuse_held(tx, storage.id, "deleted or replaced")
        if storage.name and not tx.reaches_others:
            self.passage(tx, id)
            self._send(tx, storage, "delete", now, number=of)
            return False
        if not tx.delete_passage(storage.id, of):
            raise FunctionError(f"There is no passage {id}; ids stand in search results.")
        return True

    def _send(
        self, tx: Transaction, storage: AttachedArchive, kind: str, now: datetime, **payload: object
    ) -> None:
        send(tx, self.agent, shared_name("archive", storage.name), kind, now, **payload)

    def documents(self, tx: Transaction, archive: str = "") -> list[Document]:
        """The documents, newest first: the agent's own and then each archive's, or those of the one named."""
        attached = self.attached(tx)
        chosen = [_of_name(attached, archive)] if archive else [self._own, *attached.values()]
        return [
            replace(document, archive=storage.name)
            for storage in chosen
            for document in reversed(tx.documents(storage.id))
        ]

    def document(self, tx: Transaction, id: str) -> tuple[AgentId, Document]:
        """The document of this id, and the id of its owner; ``FunctionError`` if there is none."""
        storage, of = self.find(tx, id, "d")
        if document := tx.document(storage.id, of):
            return storage.id, replace(document, archive=storage.name)
        raise FunctionError(f"There is no document {id}; document_list shows those there are.")

    def _of(self, tx: Transaction, owner: AgentId) -> AttachedArchive | None:
        if owner == self.agent:
            return self._own
        return next((each for each in self.attached(tx).values() if each.id == owner), None)


def archival_storages(tx: Transaction, record: AgentRecord) -> ArchivalStorages:
    """The archival storages of an agent, or the one of an archive, as they are now."""
    if is_shared(record.name):
        return ArchivalStorages(record.id, name=SharedRecord.of(record).name)
    found = list[AttachedArchive]()
    own = tx.within(record.tenant)
    for attachment in tx.attachments(record.id):
        if attachment.kind == "archive" and (of := own.shared("archive", attachment.name)):
            found.append(AttachedArchive(of.name, of.id, attachment.read_only))
    return ArchivalStorages(record.id, tuple(found), changes=record.attachment_changes)


def number(id: str, letter: str, shown: str = "") -> int:
    """The number in an id of that kind; ``FunctionError``, which names it as ``shown``, if it is none."""
    if re.fullmatch(rf"{letter}[0-9]{{1,15}}", id):
        return int(id[1:])
    raise FunctionError(f"{(shown or id)[:_LONGEST]!r} is not the id of {_ID[letter]}.")


def refuse_held(tx: Transaction, agent: AgentId, done: str) -> None:
    """Raise ``HeldError`` if the agent is under a legal hold. ``done``: as it is not."""
    if (record := tx.agent_by_id(agent)) and record.hold:
        raise HeldError(record.name, inline(record.hold, LONGEST_HOLD), done)


def _of_name(attached: dict[str, AttachedArchive], name: str) -> AttachedArchive:
    if name in attached:
        return attached[name]
    names = f"attached are {', '.join(attached)}" if attached else "none is attached"
    raise FunctionError(f"There is no archive {inline(name, 64)} attached; {names}.")


def _writable(storage: AttachedArchive) -> AttachedArchive:
    if storage.read_only:
        raise FunctionError(
            f"Archive {storage.name} is attached read-only; save to your own archival storage instead."
        )
    return storage
