"""An archive beside the agent of the state machine in ``test_machine``: what is done to it from outside, and
what must hold of it: each passage is stored once, and what an agent reads is of archives attached to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from machine_log import Dump, effects
from machine_witness import ARCHIVES
from pagefault.errors import NotFoundError
from pagefault.kernel import Kernel, archives, edits, facts
from pagefault.shared import Archive
from pagefault.types import Message, Role

Change = Literal["attach", "attach read-only", "detach", "rename", "put", "take"]

_SAVED = re.compile(rf"Saved as (?:{'|'.join(ARCHIVES)})/p(\d+)\.")
_DELETED = re.compile(rf"(?:{'|'.join(ARCHIVES)})/p(\d+) is deleted\.")
_EVIDENCE = re.compile(r"kept\d+|sealed away")


@dataclass
class Shelf:
    """The archive that is attached now and then, as it should be; beside it lies one that never is."""

    name: str = ARCHIVES[0]
    rights: Literal["", "read", "write"] = ""  # empty: it is not attached
    put: dict[int, str] = field(default_factory=dict[int, str])  # from outside, by number
    taken: set[int] = field(default_factory=set[int])  # by whomever
    notices: int = 0  # events by which the agent learns of changes
    readable: bool = False  # it was attached since the last check, at some time

    async def make(self, kernel: Kernel) -> None:
        await archives.create(kernel, self.name, "What they keep.")
        await archives.create(kernel, "vault")
        await facts.remember(kernel, Archive("vault"), "The quick brown fox, no1x and zq1z: sealed away.")

    async def change(self, kernel: Kernel, what: Change, text: str) -> None:
        """Change the archive from outside. One that died in it may be done again, but for ``put``."""
        if what == "put":
            serial = len(self.put) + 1
            told = f"zq{serial}z kept{serial} {text}"
            made = await facts.remember(kernel, Archive(self.name), told)
            self.put[made.passage.number] = told
        elif what == "take":
            await self._take(kernel)
        elif what == "rename":
            new = next(name for name in ARCHIVES if name != self.name)
            with suppress(NotFoundError):  # it was renamed before the process died
                await archives.rename(kernel, self.name, new)
            self.name = new
            self.notices += bool(self.rights)
        else:
            await self._attach(kernel, what)
        self.readable |= bool(self.rights)

    async def _take(self, kernel: Kernel) -> None:
        if left := self.put.keys() - self.taken:
            number = max(left)
            with suppress(NotFoundError):  # the agent was first
                await edits.delete_passage(kernel, Archive(self.name), f"p{number}")
            self.taken.add(number)

    async def _attach(self, kernel: Kernel, what: Change) -> None:
        rights = self.rights
        if what == "detach":
            with suppress(NotFoundError):
                await archives.detach(kernel, self.name, "ana")
            self.rights = ""
        else:
            read_only = what == "attach read-only"
            await archives.attach(kernel, self.name, "ana", read_only=read_only)
            self.rights = "read" if read_only else "write"
        self.notices += rights != self.rights

    def check(self, before: Sequence[Message], now: Dump) -> None:
        """Hold the archive and the rows that are new in the agent's log against what was done."""
        self._check_passages(now)
        for row in now.log[len(before) :]:
            found = _EVIDENCE.search(row.text) if row.role in (Role.RESULT, Role.PREFETCH) else None
            readable = self.readable and (found is None or found[0] != "sealed away")
            assert not found or readable, "an archive was read that is not attached"
        self.readable = bool(self.rights)

    def _check_passages(self, now: Dump) -> None:
        inserted = list(self.put.items())
        for name, text, told in effects(now):
            if name == "archival_insert" and (saved := _SAVED.fullmatch(told)):
                inserted.append((int(saved[1]), text))
            elif name == "archival_delete" and (deleted := _DELETED.fullmatch(told)):
                self.taken.add(int(deleted[1]))
        inserted.sort()
        assert [number for number, _ in inserted] == list(range(1, len(inserted) + 1)), "not stored once"
        kept = [(number, text) for number, text in inserted if number not in self.taken]
        assert [(passage.number, passage.text) for passage in now.archived] == kept

    def check_consulted(self, rows: Sequence[Message], serial: int, now: Dump) -> None:
        """What was asked for by its number comes from the attached archive, if it is there still."""
        there = any(f"kept{serial} " in passage.text for passage in now.archived)
        for row in rows:
            if row.name == "archival_search" and row.role is Role.RESULT:
                assert row.meta.failed == (not self.rights), row.text
                shown = f"kept{serial} " in row.text and f"{self.name}/p" in row.text
                assert shown == (there and bool(self.rights)), "not found, or read from elsewhere"
