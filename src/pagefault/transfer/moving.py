"""Copies, exports and imports: all of an agent or nothing of it, compared with what it was before it counts.

A transaction of the database that receives is open for as long as an agent takes; what fails leaves nothing
behind, and nobody sees half an agent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, BinaryIO, Protocol

from pagefault.config import AgentSettings
from pagefault.errors import StorageError, UsageError
from pagefault.storage import EmbedderRecord
from pagefault.storage.row_transfer import (
    AGENT,
    OWNED,
    Row,
    TransferDatabase,
    TransferRows,
    TransferTable,
)
from pagefault.tenancy import AgentKey
from pagefault.transfer.choosing import by_tenant, chosen, refuse_taken, wanted_keys, with_shared
from pagefault.transfer.lines import FORMAT, blocks, dump, encode, rows_of
from pagefault.transfer.sums import Batches, Sums, TableSum, outgoing
from pagefault.transfer.trust import Taken
from pagefault.transfer.values import called, refuse_damaged, whole
from pagefault.types import AgentId

__all__ = ["Moved", "Watch", "copy_agents", "export_agents", "import_agents"]


@dataclass(frozen=True, slots=True)
class Moved:
    """An agent that was exported, imported or copied, and the sums of its tables. ``known``: it was there
    already, the same in every row. ``left_out``: settings that an import did not take."""

    name: str
    tables: dict[str, TableSum]
    known: bool = False
    left_out: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tenant: str = ""


class Watch(Protocol):
    """Hears how it goes."""

    def begin(self, what: str, total: int) -> None:
        """Something that takes so many rows begins."""
        ...

    def advance(self, rows: int) -> None: ...


def export_agents(
    database: TransferDatabase,
    names: Sequence[str],
    file: BinaryIO,
    version: str,
    watch: Watch,
    tenant: str | None = None,
) -> list[Moved]:
    """Write agents, as they are at one moment, to a file. ``version`` is pagefault's. Without names, all of
    the ``tenant``, or with None of every tenant; names are with None those of the default one.

    ``NotFoundError``, before anything is written, if there is no agent of a name.
    """
    with database.reading() as rows:
        agents = chosen(rows, names, tenant, database.place)
        return [
            _export(rows, key, agent, (number, len(agents)), file, version, watch)
            for number, (key, agent) in enumerate(agents.items(), 1)
        ]


def import_agents(
    database: TransferDatabase,
    file: BinaryIO,
    place: str,
    name: str | None,
    watch: Watch,
    *,
    trust: bool = False,
    defaults: AgentSettings | None = None,
    tenant: str | None = None,
) -> list[Moved]:
    """Store the agents of a file, under their own names or, if it is a single one, under ``name``; in the
    ``tenant``, or with None each in its own if that is trusted, else in the default one.

    The file is read twice, so it must be one that can be. ``UsageError``, and nothing is changed, if it is
    cut off or not as it was written, or if an agent of a name exists. ``place`` is what to call the file.
    Without ``trust``, model, instructions, the agents it may write to and ``text_tools`` are those of
    ``defaults``, the installation's, and it is attached only to what the file brings; ``Moved.left_out`` has
    the rest. Archives and shared sections of a file are stored as agents are.
    """
    found = blocks(file, place)
    refuse_damaged(found, file, place, name)
    if name is not None and len(found) != 1:
        raise UsageError(f"{place} has {len(found)} agents; leave out the name, and each keeps its own.")
    wanted = wanted_keys(found, name, tenant, trust=trust)
    file.seek(0)
    with database.writing() as rows:
        here = rows.agents()
        refuse_taken(wanted, here, place)
        own = None if trust else defaults or AgentSettings()
        brings, there = by_tenant((block.agent, block.tenant) for block in found), by_tenant(here)
        moved = list[Moved]()
        for block, key in zip(found, wanted, strict=True):
            foreign = {"tenant": block.tenant} if tenant is None and key.tenant != block.tenant else {}
            taken = Taken(block, key.tenant, own, brings[block.tenant], there[key.tenant], foreign)
            moved.append(_import(rows, key, taken, file, place, watch))
        return moved


def copy_agents(
    source: TransferDatabase,
    target: TransferDatabase,
    names: Sequence[str],
    watch: Watch,
    tenant: str | None = None,
) -> list[Moved]:
    """Copy agents, chosen as ``export_agents`` does, as they are at one moment. Each is there when it is
    whole, in the tenant that it is of.

    One that is there already, the same in every row, is left as it is: a copy that was broken off can be
    started again. ``UsageError``, before anything is copied, if one of a name is another. An agent is copied
    with the archives and shared sections that it is attached to, or has sent to.
    """
    with source.reading() as rows:
        agents = with_shared(rows, chosen(rows, names, tenant, source.place))
        with target.reading() as theirs:
            there = theirs.agents()
            known = {
                key: _known(rows, theirs, key, agent, there[key], target.place, watch)
                for key, agent in agents.items()
                if key in there
            }
        return [known.get(key) or _copy(rows, target, key, agent, watch) for key, agent in agents.items()]


def _size(rows: TransferRows, agent: AgentId) -> int:
    return 1 + sum(rows.count(agent, table) for table in OWNED)


def _watched(batches: Batches, watch: Watch) -> Batches:
    for table, rows in batches:
        yield table, rows
        watch.advance(len(rows))


def _sums(rows: TransferRows, agent: AgentId, what: str, watch: Watch) -> dict[str, TableSum]:
    watch.begin(what, _size(rows, agent))
    sums = Sums()
    for _ in sums.added(_watched(outgoing(rows, agent), watch)):
        pass
    return sums.tables()


def _export(
    rows: TransferRows,
    key: AgentKey,
    agent: AgentId,
    number: tuple[int, int],
    file: BinaryIO,
    version: str,
    watch: Watch,
) -> Moved:
    total = _size(rows, agent)
    watch.begin(f"exporting {key}", total)
    header = {"pagefault": version, "format": FORMAT, "agent": key.name, "number": number[0], "of": number[1]}
    line = dump(header | {"rows": total})
    file.write(line)
    digest, sums, seen = sha256(line), Sums(), set[str]()
    for table, batch in _watched(outgoing(rows, agent), watch):
        seen.update(_fingerprints(table, batch))
        for row in batch:
            line = encode(table, row)
            file.write(line)
            digest.update(line)
            sums.add(table, line)
    tables = {table: (sum.rows, sum.checksum) for table, sum in sums.tables().items()}
    embedders = [(e.fingerprint, e.name, e.dimensions) for e in rows.embedders() if e.fingerprint in seen]
    file.write(dump({"end": {"tables": tables, "embedders": embedders, "sha256": digest.hexdigest()}}))
    return Moved(key.name, sums.tables(), tenant=key.tenant)


def _import(
    rows: TransferRows, key: AgentKey, taken: Taken, file: BinaryIO, place: str, watch: Watch
) -> Moved:
    block = taken.block
    watch.begin(f"importing {key}", block.rows)
    _adopt(rows, [EmbedderRecord(*embedder) for embedder in block.embedders])
    sums = Sums()
    agent = _restore(rows, key.name, _watched(taken.rows(sums.added(rows_of(file, block, place))), watch))
    rows.finish(agent)
    # The rows of a file of an earlier format have other sums than the file says; its SHA-256 holds for those.
    told = {table: TableSum(*sum) for table, sum in block.tables.items()}
    told = taken.sums(told if block.format == FORMAT else sums.tables())
    return replace(_compared(rows, key, agent, told, watch), left_out=taken.left_out)


def _copy(
    source: TransferRows, target: TransferDatabase, key: AgentKey, agent: AgentId, watch: Watch
) -> Moved:
    watch.begin(f"copying {key}", _size(source, agent))
    sums, seen = Sums(), set[str]()
    with target.writing() as rows:
        batches = sums.added(_watched(whole(outgoing(source, agent), key.name), watch))
        new = _restore(rows, key.name, _noting(batches, seen))
        _adopt(rows, [record for record in source.embedders() if record.fingerprint in seen])
        rows.finish(new)
        return _compared(rows, key, new, sums.tables(), watch)


def _restore(rows: TransferRows, name: str, batches: Batches) -> AgentId:
    agent: AgentId | None = None
    for table, batch in batches:
        if agent is None:
            if table is not AGENT:
                break
            agent = rows.create(name, batch[0])
        else:
            rows.restore(agent, table, batch)
    if agent is None:
        raise UsageError(f"What there is of agent {name!r} does not begin with the agent itself.")
    return agent


def _compared(
    rows: TransferRows, key: AgentKey, agent: AgentId, wanted: dict[str, TableSum], watch: Watch
) -> Moved:
    """Read what was stored again; ``StorageError``, so that nothing is stored, if the sums differ."""
    found = _sums(rows, agent, f"comparing {key}", watch)
    for table in wanted.keys() | found.keys():
        if wanted.get(table) != found.get(table):
            raise StorageError(f"The rows of {table} of {called(*key)} did not arrive as they were sent.")
    return Moved(key.name, found, tenant=key.tenant)


def _known(
    ours: TransferRows,
    theirs: TransferRows,
    key: AgentKey,
    agent: AgentId,
    there: AgentId,
    place: str,
    watch: Watch,
) -> Moved:
    mine = _sums(ours, agent, f"comparing {key}", watch)
    if mine != _sums(theirs, there, f"comparing {key}", watch):
        raise UsageError(f"{place} has another {called(*key)} already; nothing is copied.")
    return Moved(key.name, mine, known=True, tenant=key.tenant)


def _noting(batches: Batches, seen: set[str]) -> Batches:
    for table, rows in batches:
        seen.update(_fingerprints(table, rows))
        yield table, rows


def _fingerprints(table: TransferTable, rows: Sequence[Row]) -> set[str]:
    """The embedders whose vectors are among the rows."""
    if "fingerprint" not in table.columns:
        return set()
    place = table.column("fingerprint")
    return {str(row[place]) for row in rows}


def _adopt(rows: TransferRows, records: Sequence[EmbedderRecord]) -> None:
    """Make embedders known whose vectors come in; which one is wanted here stays as it is."""
    known = {record.fingerprint: record for record in rows.embedders()}
    for record in records:
        here = known.get(record.fingerprint) or replace(record, dimensions=0, wanted=False, in_service=False)
        if here.dimensions not in (0, record.dimensions):
            raise StorageError(
                f"Vectors of {record.fingerprint} have {here.dimensions} dimensions here and "
                f"{record.dimensions} there; one of the two databases must embed anew under another name."
            )
        rows.put_embedder(replace(here, dimensions=record.dimensions))
