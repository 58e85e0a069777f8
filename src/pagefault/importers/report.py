"""The report of an import: what was stored of each agent, what was left out, and what could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pagefault.importers.items import BadRecord, Omission
from pagefault.importers.texts import record_name
from pagefault.kernel.importing import ImportFate

__all__ = ["AgentImport", "AgentTally", "ImportReport", "ImportTally", "ImportedCounts"]

_MOST_BAD = 20  # that are named
_MOST_NAMES = 50  # of each kind of omission
_MOST_SPEAKERS = 20
_MOST_REMARKS = 20


@dataclass(frozen=True, slots=True)
class ImportedCounts:
    """Counts of items: stored now; there before; stored before, and forgotten or deleted since."""

    added: int = 0
    known: int = 0
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class AgentImport:
    """The import into one agent. ``made``: it was made for it. ``sections``: that it was made with;
    ``speakers``: the messages of those who spoke most, by name; ``first`` and ``last``: the dates of what was
    read; ``of_user``: the messages of the user; ``undated``:
    those without a date that can be read; ``earlier``: those before ``since``, not taken; ``left_out``:
    settings that need to be trusted."""

    agent: str
    made: bool
    messages: ImportedCounts
    passages: ImportedCounts
    documents: ImportedCounts
    sections: tuple[str, ...]
    speakers: Mapping[str, int]
    of_user: int
    first: datetime | None
    last: datetime | None
    undated: int
    earlier: int
    left_out: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """An import. ``dry``: nothing was stored, and the counts say what would be. ``bad``: the first records
    that could not be read, ``bad_count`` of how many; ``omitted``: what is not imported, by kind and name;
    ``remarks``: how something was read that could be read otherwise."""

    kind: str
    source: str
    dry: bool
    agents: tuple[AgentImport, ...]
    omitted: tuple[Omission, ...]
    bad: tuple[BadRecord, ...]
    bad_count: int
    remarks: tuple[str, ...] = ()


@dataclass(slots=True)
class AgentTally:
    """Counts for one agent while it is imported."""

    agent: str
    made: bool = False
    messages: Counter[ImportFate] = field(default_factory=Counter[ImportFate])
    passages: Counter[ImportFate] = field(default_factory=Counter[ImportFate])
    documents: Counter[ImportFate] = field(default_factory=Counter[ImportFate])
    sections: list[str] = field(default_factory=list[str])
    speakers: Counter[str] = field(default_factory=Counter[str])
    of_user: int = 0
    first: datetime | None = None
    last: datetime | None = None
    undated: int = 0
    earlier: int = 0
    left_out: dict[str, Any] = field(default_factory=dict[str, Any])

    def dated(self, at: datetime) -> None:
        self.first = min(self.first or at, at)
        self.last = max(self.last or at, at)

    def report(self) -> AgentImport:
        return AgentImport(
            self.agent, self.made, _counts(self.messages), _counts(self.passages), _counts(self.documents),
            tuple(self.sections), dict(self.speakers.most_common(_MOST_SPEAKERS)), self.of_user,
            self.first, self.last, self.undated, self.earlier, self.left_out,
        )  # fmt: skip


@dataclass(slots=True)
class ImportTally:
    """Counts for a file while it is imported."""

    omitted: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    bad: list[BadRecord] = field(default_factory=list[BadRecord])
    bad_count: int = 0
    remarks: list[str] = field(default_factory=list[str])

    def omit(self, omission: Omission) -> None:
        named = sum(1 for kind, _ in self.omitted if kind == omission.kind)
        name = record_name(omission.name) if omission.name else ""
        known = (omission.kind, name) in self.omitted
        self.omitted[omission.kind, name if known or named < _MOST_NAMES else ""] += omission.count

    def remark(self, text: str) -> None:
        if text not in self.remarks and len(self.remarks) < _MOST_REMARKS:
            self.remarks.append(text)

    def refuse(self, record: BadRecord) -> None:
        self.bad_count += 1
        if len(self.bad) < _MOST_BAD:
            self.bad.append(BadRecord(record.where, record.why))

    def omissions(self) -> tuple[Omission, ...]:
        return tuple(Omission(kind, name, count) for (kind, name), count in sorted(self.omitted.items()))


def _counts(found: Counter[ImportFate]) -> ImportedCounts:
    return ImportedCounts(found["added"], found["known"], found["forgotten"])
