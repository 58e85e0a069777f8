"""The settings of an agent that comes from elsewhere: those that no import takes without being told to.

A model may name a server, which reads all that the agent remembers; instructions say what it does; it may
write to other agents, and run tools by calls written as text. Left out: memory, which is data, and keys,
which go to no server that an import names.

Nor does an import allow anything: without being told to, it leaves out which functions an agent may call
unasked, and that a call was approved, which is asked for again.

Nor does it give access to what is here: without being told to, it attaches an agent to those archives
and shared sections only that the file brings. Effects on their way go with these alone, which are of the same
moment: applied to another, they might be applied twice. Nor does it choose its tenant.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, cast

from pagefault.addresses import clean_url
from pagefault.config import AgentSettings
from pagefault.errors import UsageError
from pagefault.redaction import redacted
from pagefault.shared import is_shared
from pagefault.storage.row_transfer import (
    AGENT,
    APPROVALS,
    DELIVERIES,
    GRANTS,
    OUTBOX,
    OWNED,
    Row,
    TransferTable,
)
from pagefault.transfer.choosing import by_tenant
from pagefault.transfer.lines import Block, blocks, decode
from pagefault.transfer.sums import Batches, Sums, TableSum

__all__ = ["GuardedSettings", "Taken", "guarded_settings"]

_GUARDED = ("model", "instructions", "agents", "text_tools", "tags")
_SILENT = ("served",)  # follows from the model
_ATTACHMENTS = next(table for table in OWNED if table.name == "attachments")
_CHANGED = (AGENT, _ATTACHMENTS, OUTBOX, DELIVERIES, APPROVALS, GRANTS)
"""The tables whose rows an import may take otherwise than they are in the file."""


@dataclass(frozen=True, slots=True)
class GuardedSettings:
    """The settings of an agent, by name, that need to be trusted: those that are not the installation's; and
    under ``attachments`` and ``outbox`` what it is attached to, and what it has sent there, under ``tenant``
    whose it is."""

    agent: str
    settings: Mapping[str, Any]

    def sentences(self) -> list[str]:
        """Return a line for each setting: name and value, and how long it is or which servers it names."""
        return [f"{name}: {_shown(name, value)}" for name, value in self.settings.items()]


def guarded_settings(
    file: BinaryIO, place: str, defaults: AgentSettings, tenant: str | None = None
) -> list[GuardedSettings]:
    """Return what each agent of an export brings; the file is as it was then. Raises as ``import_agents``.
    ``tenant``: the one that was chosen for it."""
    start, found = file.tell(), blocks(file, place)
    file.seek(start)
    rows = [decode(block.first, place, block.format)[1] for block in found]
    settings = [str(row[AGENT.column("settings")]) for row in rows]
    brought = by_tenant((block.agent, block.tenant) for block in found)
    return [
        GuardedSettings(
            block.agent,
            _untrusted(block, each, defaults)[1]
            | _foreign(block, brought[block.tenant], place)
            | ({"tenant": block.tenant} if block.tenant and tenant is None else {}),
        )
        for block, each in zip(found, settings, strict=True)
    ]


def _foreign(block: Block, brought: Collection[str], place: str) -> dict[str, Any]:
    """The attachments of an agent to what its file does not bring."""
    rows = [decode(line, place, block.format)[1] for line in block.attachments]
    found = [_attachment(row) for row in rows if row[0] not in brought]
    return {"attachments": found} if found else {}


@dataclass(slots=True)
class Taken:
    """The rows of an imported agent that are taken: all, or with the settings of ``own`` that need no trust,
    and attachments to what the file ``brings`` or, with trust, to an archive that is ``here``; a section that
    is here has another text than the agent's copy. ``tenant``: whose it becomes. ``left_out``: the others."""

    block: Block
    tenant: str
    own: AgentSettings | None
    brings: Collection[str]
    here: Collection[str]
    left_out: dict[str, Any] = field(default_factory=dict[str, Any])
    _sums: Sums = field(default_factory=Sums)

    def rows(self, batches: Batches) -> Batches:
        """The rows that are taken of all those of the file."""
        for table, rows in batches:
            if table not in _CHANGED:
                yield table, rows
            else:
                yield from self._sums.added(iter([(table, self._chosen(table, rows))]))

    def sums(self, told: Mapping[str, TableSum]) -> dict[str, TableSum]:
        """The sums of the tables as they must be where they arrived, of those that the file has."""
        changed = {table.name for table in _CHANGED}
        return {name: sum for name, sum in told.items() if name not in changed} | self._sums.tables()

    def _chosen(self, table: TransferTable, rows: Sequence[Row]) -> Sequence[Row]:
        if table is AGENT:
            return [self._settled(rows[0])]
        if table in (APPROVALS, GRANTS):
            return rows if self.own is None else self._unallowed(table, rows)
        return self._within_reach(table, rows)

    def _within_reach(self, table: TransferTable, rows: Sequence[Row]) -> Sequence[Row]:
        place = table.column("target")
        targets = {*self.brings}
        if table is _ATTACHMENTS and self.own is None:
            targets.update(name for name in self.here if name.startswith("archive:"))
        others = [row for row in rows if row[place] not in targets]
        if others and table is OUTBOX:
            sent = Counter(str(row[place]) for row in others)
            self.left_out.setdefault("outbox", Counter()).update(sent)
        elif others and table is _ATTACHMENTS:
            self.left_out.setdefault("attachments", []).extend(map(_attachment, others))
        return [row for row in rows if row[place] in targets]

    def _unallowed(self, table: TransferTable, rows: Sequence[Row]) -> Sequence[Row]:
        """Approvals as nobody has decided on them yet, and no grant."""
        place, decision = table.column("name"), table.columns.keys() & {"decision"}
        if decision:
            unmade = {"decision": "", "note": "", "changed": None, "decided": None, "person": ""}
            return [
                tuple(unmade.get(column, value) for column, value in zip(table.columns, row, strict=True))
                for row in rows
            ]
        self.left_out.setdefault("grants", []).extend(str(row[place]) for row in rows)
        return []

    def _settled(self, row: Row) -> Row:
        values = dict(zip(AGENT.columns, row, strict=True)) | {"tenant": self.tenant}
        if self.own is not None:
            values["settings"], guarded = _untrusted(self.block, str(values["settings"]), self.own)
            self.left_out |= guarded
        return tuple(values.values())


def _attachment(row: Row) -> str:
    target, read_only, _ = row
    return f"{target} (read-only)" if read_only else str(target)


def _untrusted(block: Block, settings: str, defaults: AgentSettings) -> tuple[str, dict[str, Any]]:
    """Return an agent's stored settings with the installation's own in place of what must be trusted, and
    what was replaced."""
    if is_shared(block.agent):  # they are but a description
        return settings, {}
    try:
        value: object = json.loads(settings)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UsageError(f"The settings of agent {block.agent!r} cannot be read; have it exported again.")
    brought, own = cast("dict[str, Any]", value), defaults.model_dump(mode="json")
    guarded = {name: brought[name] for name in _GUARDED if name in brought and brought[name] != own.get(name)}
    replaced = {name: own.get(name) for name in (*guarded, *(_SILENT if "model" in guarded else ()))}
    if own["approval"] and isinstance(asked := brought.get("approval", []), list):
        replaced["approval"] = [*dict.fromkeys([*cast("list[str]", asked), *own["approval"]])]
    taken = json.dumps(brought | replaced, ensure_ascii=False) if replaced else settings
    return taken, guarded


def _shown(name: str, value: Any) -> str:
    if name in ("attachments", "grants"):
        return ", ".join(value)
    if name == "outbox":
        return ", ".join(
            f"{count:,} changes to {target} that are on their way" for target, count in value.items()
        )
    text = str(value)
    if name == "model":
        servers = [clean_url(part.strip()) for part in text.split(",") if "://" in part]
        return redacted(text) + (f" (asks {', '.join(servers)})" if servers else "")
    if name == "instructions":
        return f"{len(text):,} characters, which begin: {' '.join(text.split())[:200]}"
    return text
