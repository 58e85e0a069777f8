"""The imported items that an agent's storage knows, by digests of what names them, never of what they say.

Each batch leaves an event of the inbox, done, whose text are the keys of its items in their order; its
``started`` is the number of the first, so a key leads to a row of the log or a passage. These events outlast
forgetting, so that what was forgotten is recognised when it comes again. Left out: what is to be stored
(``importing``).
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from pagefault.names import import_key
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event, EventKind

__all__ = ["ImportedKeys", "KeysMovedError", "digest_of"]

_MOST_RECENT = 20_000  # keys that are not sorted yet
_BYTES = 8  # of a key


class KeysMovedError(Exception):
    """Somebody else has imported into the same group meanwhile; the keys must be read anew."""


def digest_of(*parts: str) -> int:
    """The key of what these texts name: 64 bits of a SHA-256."""
    joined = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return int.from_bytes(sha256(joined).digest()[:_BYTES], "little")


@dataclass(slots=True)
class ImportedKeys:
    """The keys of one group of items (a conversation, the passages of a file) and the numbers they lead to.

    ``group``: what is named so, one word. Those added in a transaction count once that is ``committed``.
    """

    group: str
    pages: int = 0
    _keys: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    _numbers: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    _recent: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    _added: list[tuple[Sequence[int], int]] = field(default_factory=list[tuple[Sequence[int], int]])

    @classmethod
    def read(cls, tx: Transaction, agent: AgentId, group: str) -> ImportedKeys:
        """The keys that are stored."""
        known = cls(group)
        pages = list(known._stored(tx, agent))
        known.pages = len(pages)
        if pages:
            known._keys = np.concatenate([keys for keys, _ in pages])
            known._numbers = np.concatenate([first + np.arange(len(keys)) for keys, first in pages])
            known._sort()
        return known

    def _stored(self, tx: Transaction, agent: AgentId) -> Iterator[tuple[NDArray[np.uint64], int]]:
        while event := tx.event_of_key(agent, import_key(f"{self.group}:{self.pages}")):
            yield np.frombuffer(b64decode(event.text), "<u8"), event.started or 0
            self.pages += 1

    def _sort(self) -> None:
        order = np.argsort(self._keys, kind="stable")
        self._keys, self._numbers = self._keys[order], self._numbers[order]

    def numbers(self, key: int) -> list[int]:
        """The numbers of the items of this key, in their order."""
        found, at = list[int](), int(self._keys.searchsorted(np.uint64(key)))
        while at < len(self._keys) and int(self._keys[at]) == key:
            found.append(int(self._numbers[at]))
            at += 1
        return [*found, *self._recent.get(key, ())]

    def rolled_back(self) -> None:
        """Take back what was added; the transaction begins anew."""
        self._added.clear()

    def note(self, keys: Sequence[int]) -> None:
        """Count the keys of items that would be stored, until the end."""
        for key in keys:
            self._recent.setdefault(key, []).append(0)

    def add(self, tx: Transaction, agent: AgentId, keys: Sequence[int], first: int, now: datetime) -> None:
        """Store the keys of items with consecutive numbers. ``KeysMovedError`` if others did meanwhile."""
        text = b64encode(np.array(keys, "<u8").tobytes()).decode()
        key = import_key(f"{self.group}:{self.pages + len(self._added)}")
        if tx.event_of_key(agent, key) is not None:
            raise KeysMovedError
        event = tx.post(agent, Event(EventKind.APPENDED, text, key, at=now))
        tx.set_event(agent, event.id, "done", first, attempts=len(keys))
        self._added.append((keys, first))

    def committed(self) -> None:
        """Count what was added, which is stored now."""
        for keys, first in self._added:
            for number, key in enumerate(keys, first):
                self._recent.setdefault(key, []).append(number)
        self.pages += len(self._added)
        self._added.clear()
        if len(self._recent) > _MOST_RECENT:
            fresh = [(key, number) for key, numbers in self._recent.items() for number in numbers]
            self._keys = np.concatenate([self._keys, np.array([key for key, _ in fresh], np.uint64)])
            self._numbers = np.concatenate([self._numbers, np.array([at for _, at in fresh], np.int64)])
            self._recent.clear()
            self._sort()
