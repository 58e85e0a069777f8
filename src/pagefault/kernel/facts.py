"""Facts kept from outside of turns: once, in the place of what they contradict; and marks set and taken by
hand.

Each change is one transaction, and may be called by whoever tidies memory up; ``functions.facts`` has the
same inside a transaction. Leaves out facts that an agent keeps in its turns (``functions.syscalls``), and
texts with their documents (``edits``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pagefault.clock import When, time_of
from pagefault.config import zone_for
from pagefault.errors import NotFoundError, UsageError
from pagefault.functions.facts import (
    FactRules,
    KeptFact,
    keep_fact,
    kept_line,
    superseded_by,
)
from pagefault.kernel import Kernel
from pagefault.kernel.owners import (
    find_edited,
    find_stored,
    no_agent,
    not_stored,
    part_of_document,
    storage_to_write,
)
from pagefault.retrieval.nearness import near_texts
from pagefault.shared import StorageOwner
from pagefault.storage import Transaction
from pagefault.types import AgentRecord, Passage

__all__ = ["RememberedFact", "cleaned_tags", "merge", "remember", "restore", "supersede"]

_SECONDS = 0.25  # for the vectors of a fact and of those with its words in another order


@dataclass(frozen=True, slots=True)
class RememberedFact:
    """A fact as it is stored. ``is_new``: it was not there before; ``said``: a line that says what was done;
    ``replaced``: the ids of those whose place it takes."""

    passage: Passage
    is_new: bool
    said: str
    replaced: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The id of the passage."""
        return self.passage.id


async def remember(
    kernel: Kernel, name: StorageOwner, text: str, *, tags: Sequence[str] = (), at: When = None,
    archive: str | None = None, valid_from: When = None, valid_until: When = None, always: bool = False,
) -> RememberedFact:  # fmt: skip
    """Put a text into archival storage unless it is there already, and mark what it contradicts.

    ``at``: its time, in the agent's zone if it names none; None: now. ``archive``: one attached to the agent,
    into which it goes instead. ``valid_from``, ``valid_until``: when it holds; a date without a time is
    included. ``always``: store it whatever is there. ``UsageError`` for a text or times that will not do.
    """
    if not text.strip():
        raise UsageError("The text is empty; give the text to keep.")
    record, now = await kernel.record(name), kernel.clock.now()
    zone = zone_for(record)
    begins, ends = time_of(valid_from, now, zone), time_of(valid_until, now, zone, end=True)
    if begins and ends and begins >= ends:
        raise UsageError(f"valid_from ({valid_from}) is not before valid_until ({valid_until}).")
    said_at = time_of(at, now, zone)
    fact = Passage(text, said_at or now, cleaned_tags(tags), valid_from=begins, valid_until=ends)
    rules = FactRules(zone, said_at is not None, near=None, always=always)
    kept, where = await _kept(kernel, record, archive, fact, rules)
    if kept.turned:
        near = await _near(kernel, fact, kept.turned)
        kept, where = await _kept(kernel, record, archive, fact, replace(rules, near=near))
    kernel.indexer.wake()
    prefix = f"{where}/" if where else ""
    replaced = tuple(f"{prefix}p{number}" for number in kept.replaced)
    passage = replace(kept.passage, archive=where)
    return RememberedFact(passage, kept.is_new, kept_line(kept, zone, where), replaced)


async def _kept(
    kernel: Kernel, record: AgentRecord, archive: str | None, fact: Passage, rules: FactRules
) -> tuple[KeptFact, str]:
    """Keep a fact in one transaction; also the name of the archive, if it is in one."""

    def work(tx: Transaction) -> tuple[KeptFact, str]:
        storage = storage_to_write(tx, record, archive)
        shared = replace(rules, is_shared=bool(storage.name))
        return keep_fact(tx, storage.id, fact, shared), storage.name

    try:
        return await kernel.store.write(work)
    except NotFoundError:  # it was deleted meanwhile
        if await kernel.store.read(lambda tx: tx.agent_by_id(record.id)):
            raise
        raise no_agent(record.name) from None


async def _near(kernel: Kernel, fact: Passage, turned: Sequence[Passage]) -> tuple[int, ...]:
    """The numbers of those of facts with the same words in another order that say the same, by vectors."""
    embedder = await kernel.assembly.serving()
    are_near = await near_texts(embedder, fact.text, [each.text for each in turned], _SECONDS)
    return tuple(each.number for each, near in zip(turned, are_near, strict=True) if near)


async def supersede(kernel: Kernel, name: StorageOwner, old: str, by: str, *, since: When = None) -> Passage:
    """Mark a passage as superseded by another one of the same storage and return it. ``since``: when; None:
    from when the other one holds. It stays, is found below the other one, and ``restore`` takes the mark
    away.
    """
    record = await kernel.record(name)
    at = time_of(since, kernel.clock.now(), zone_for(record))
    return await kernel.store.write(lambda tx: _superseded(tx, record, old, by, at))


async def merge(kernel: Kernel, name: StorageOwner, keep: str, others: Sequence[str]) -> tuple[Passage, ...]:
    """Mark passages as saying the same as the one to keep, all or none, and return them. They stay, and are
    found below it."""
    record = await kernel.record(name)

    def work(tx: Transaction) -> tuple[Passage, ...]:
        return tuple(_superseded(tx, record, other, keep, None, same=True) for other in others)

    return await kernel.store.write(work)


def _superseded(
    tx: Transaction, record: AgentRecord, old: str, by: str, at: datetime | None, *, same: bool = False
) -> Passage:
    storage, first = find_stored(tx, record, old, "p", to_change=True)
    other, second = find_stored(tx, record, by, "p", to_change=True)
    if storage.id != other.id:
        raise UsageError(f"{old} and {by} are of two storages; a passage has its successor in its own.")
    numbers = [find_edited(tx, storage.id, number) for number in (first, second)]
    for id, number in zip((old, by), numbers, strict=True):
        passage = tx.passage(storage.id, number)
        if passage is None:
            raise not_stored(record, id, "p")
        if passage.place is not None:
            raise part_of_document(id, passage.place)
    marked = superseded_by(tx, storage.id, numbers[0], numbers[1], at, same=same)
    return replace(marked, archive=storage.name)


async def restore(kernel: Kernel, name: StorageOwner, id: str) -> Passage:
    """Take the mark of a passage away, so that it holds again, and return it; ``UsageError`` if it has
    none."""
    record = await kernel.record(name)

    def work(tx: Transaction) -> Passage:
        storage, first = find_stored(tx, record, id, "p", to_change=True)
        number = find_edited(tx, storage.id, first)
        is_marked, passage = tx.restore_passage(storage.id, number), tx.passage(storage.id, number)
        if passage is None:
            raise not_stored(record, id, "p")
        if not is_marked:
            raise UsageError(f"{id} is not superseded.")
        return replace(passage, archive=storage.name)

    return await kernel.store.write(work)


def cleaned_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags as they are stored: without ``#``, each once."""
    return tuple(dict.fromkeys(filter(None, (tag.strip("# ") for tag in tags))))
