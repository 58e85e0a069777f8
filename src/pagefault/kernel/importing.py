"""Storing what is imported from elsewhere, once: rows of recall storage, and passages.

Rows are appended behind the log with their own dates, as ``conversations`` does: no turn is taken, no model
is asked, and the queue does not show them. A batch is one transaction with the keys of its items
(``imported``): what was stored is not stored again, nor what was forgotten since. Left out: reading files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pagefault.kernel import Kernel
from pagefault.kernel.conversations import store_appended
from pagefault.kernel.imported import ImportedKeys, KeysMovedError
from pagefault.storage import Transaction
from pagefault.types import AgentId, Message, Passage

__all__ = ["ImportFate", "ImportRun", "ImportedValue", "make_vectors", "note_imported", "was_imported"]

ImportFate = Literal["added", "known", "forgotten"]

_MOST_MET = 100_000
_NEAR = 16  # rows between two that are read as well

_Said = tuple[str, str]  # speaker and text


@dataclass(frozen=True, slots=True)
class ImportedValue:
    """A row or passage to store. ``key`` is of what names it; if that is not ``exact``, it is the same as one
    that is known only if it says the same."""

    value: Message | Passage
    key: int
    exact: bool = True


@dataclass(slots=True)
class ImportRun:
    """Stores rows, or passages, of one kind of file for one agent, batch by batch. ``group``: one word for
    that kind; ``dry``: only look. One at a time uses it."""

    kernel: Kernel
    agent: AgentId
    group: str
    dry: bool = False
    _known: ImportedKeys | None = None
    _met: set[int] = field(default_factory=set[int])  # numbers of what items of this run were found to be

    async def store(self, items: Sequence[ImportedValue]) -> Mapping[ImportFate, int]:
        """Store a batch and return how many were added, known, or forgotten before. ``QuotaError`` if the
        tenant may have no more; ``NotFoundError`` if the agent is gone."""
        run = self.kernel.store.read if self.dry else self.kernel.store.write
        try:
            known, fates, met = await run(lambda tx: self._batch(tx, items))
        except KeysMovedError:
            self._known = None
            known, fates, met = await run(lambda tx: self._batch(tx, items))
        known.committed()
        self._known, self._met = known, met if len(self._met) > _MOST_MET else self._met | met
        return fates

    def _batch(
        self, tx: Transaction, items: Sequence[ImportedValue]
    ) -> tuple[ImportedKeys, Counter[ImportFate], set[int]]:
        known = self._known or ImportedKeys.read(tx, self.agent, self.group)
        known.rolled_back()  # of the same batch, begun before
        stored, seen = self._stored(tx, known, items), set[int]()
        fates, met, fresh = Counter[ImportFate](), set[int](), list[ImportedValue]()
        for item in items:
            fate = "known" if item.exact and item.key in seen else self._fate(known, item, stored, met)
            seen.add(item.key)
            fates[fate] += 1
            if fate == "added":
                fresh.append(item)
        if self.dry:
            known.note([item.key for item in fresh if item.exact])
        elif fresh:
            first, keys = self._store(tx, [item.value for item in fresh]), [item.key for item in fresh]
            known.add(tx, self.agent, keys, first, self.kernel.clock.now())
            met.update(number for number, item in enumerate(fresh, first) if not item.exact)
        return known, fates, met

    def _stored(
        self, tx: Transaction, known: ImportedKeys, items: Sequence[ImportedValue]
    ) -> dict[int, _Said]:
        """The rows or passages that items may be the same as, by number; those that are gone are missing."""
        numbers = {number for item in items if not item.exact for number in known.numbers(item.key)}
        if items and isinstance(items[0].value, Passage):
            return {each.number: _said(each) for each in tx.passages(self.agent, sorted(numbers))}
        return {
            row.seq: _said(row)
            for first, last in _runs(numbers)
            for row in tx.messages(self.agent, first=first, last=last, withdrawn=True)
            if not row.erased
        }

    def _fate(
        self, known: ImportedKeys, item: ImportedValue, stored: Mapping[int, _Said], met: set[int]
    ) -> ImportFate:
        numbers = known.numbers(item.key)
        if not numbers or item.exact:
            return "known" if numbers else "added"
        for number in numbers:
            if stored.get(number) == _said(item.value) and number not in self._met and number not in met:
                met.add(number)
                return "known"
        return "added" if stored.keys() >= set(numbers) else "forgotten"

    def _store(self, tx: Transaction, values: Sequence[Message | Passage]) -> int:
        """Store values and return the number of the first."""
        rows = [value for value in values if isinstance(value, Message)]
        if rows:
            return store_appended(tx, self.agent, rows)[0].seq
        return tx.insert_passages(self.agent, [v for v in values if isinstance(v, Passage)])[0].number


def make_vectors(kernel: Kernel) -> None:
    """Have the vectors of what was imported made in the background, if somebody serves agents here."""
    kernel.indexer.wake()


def _said(value: Message | Passage) -> _Said:
    return (value.speaker if isinstance(value, Message) else ""), value.text


def _runs(numbers: Collection[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each run of numbers that are near to each other."""
    first = last = 0
    for number in sorted(numbers):
        if last and number - last > _NEAR:
            yield first, last
            last = 0
        first, last = first if last else number, number
    if last:
        yield first, last


async def was_imported(kernel: Kernel, agent: AgentId, group: str, key: int) -> bool:
    """Return whether something of this key was noted."""
    return await kernel.store.read(lambda tx: bool(ImportedKeys.read(tx, agent, group).numbers(key)))


async def note_imported(kernel: Kernel, agent: AgentId, group: str, *keys: int) -> None:
    """Note that what these keys name was stored, otherwise than in a run."""

    def work(tx: Transaction) -> None:
        known = ImportedKeys.read(tx, agent, group)
        if fresh := [key for key in dict.fromkeys(keys) if not known.numbers(key)]:
            known.add(tx, agent, fresh, 0, kernel.clock.now())

    await kernel.store.write(work)
