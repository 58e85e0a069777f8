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
from pagefault.errors import NotFoundError, StorageError, UsageError
from pagefault.names import check_look_alike, check_stored_name
from pagefault.shared import is_shared
from pagefault.storage import EmbedderRecord
from pagefault.storage.row_transfer import AGENT, OWNED, Row, TransferDatabase, TransferRows, TransferTable
from pagefault.transfer.lines import FORMAT, blocks, dump, encode, rows_of
from pagefault.transfer.sums import Batches, Sums, TableSum, outgoing
from pagefault.transfer.trust import Taken
from pagefault.transfer.values import called, named, refuse_damaged, whole
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


class Watch(Protocol):
    """Hears how it goes."""

    def begin(self, what: str, total: int) -> None:
        """Something that takes so many rows begins."""
        ...

    def advance(self, rows: int) -> None: ...


def export_agents(
    database: TransferDatabase, names: Sequence[str], file: BinaryIO, version: str, watch: Watch
) -> list[Moved]:
    """Write agents, as they are at one moment, to a file. ``version`` is pagefault's.

    ``NotFoundError``, before anything is written, if there is no agent of a name.
    """
    with database.reading() as rows:
        agents = _chosen(rows, names, database.place)
        return [
            _export(rows, name, agent, (number, len(agents)), file, version, watch)
            for number, (name, agent) in enumerate(agents.items(), 1)
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
) -> list[Moved]:
    """Store the agents of a file, under their own names or, if it is a single one, under ``name``.

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
    file.seek(0)
    with database.writing() as rows:
        here = rows.agents()
        for block in found:
            check_stored_name(wanted := named(block, name))
            check_look_alike(wanted, here)
            if wanted in here:
                raise UsageError(f"The {called(wanted)} is there already; give another name with --name.")
        own, brings = None if trust else defaults or AgentSettings(), [block.agent for block in found]
        taken = [Taken(block, own, brings, here) for block in found]
        return [_import(rows, named(each.block, name), each, file, place, watch) for each in taken]


def copy_agents(
    source: TransferDatabase, target: TransferDatabase, names: Sequence[str], watch: Watch
) -> list[Moved]:
    """Copy agents, all if no names are given, as they are at one moment. Each is there when it is whole.

    One that is there already, the same in every row, is left as it is: a copy that was broken off can be
    started again. ``UsageError``, before anything is copied, if one of a name is another. An agent is copied
    with the archives and shared sections that it is attached to, or has sent to.
    """
    with source.reading() as rows:
        agents = _with_shared(rows, _chosen(rows, names, source.place))
        with target.reading() as theirs:
            there = theirs.agents()
            known = {
                name: _known(rows, theirs, name, agent, there[name], target.place, watch)
                for name, agent in agents.items()
                if name in there
            }
        return [known.get(name) or _copy(rows, target, name, agent, watch) for name, agent in agents.items()]


def _chosen(rows: TransferRows, names: Sequence[str], place: str) -> dict[str, AgentId]:
    if rows.is_ambiguous():
        raise UsageError(
            f"Tenants in {place} have agents of the same name, which a copy or export would mix; back the "
            "database up with its own tools (pg_dump) or, on SQLite, with pagefault db backup."
        )
    agents = rows.agents()
    for name in names:
        if name not in agents:
            shared = (f"; {called(each)} is named {each}" for each in agents if each.endswith(f":{name}"))
            raise NotFoundError(f"There is no {called(name)} in {place}{next(shared, '')}.")
    if not agents:
        raise NotFoundError(f"There are no agents in {place}.")
    return {name: agents[name] for name in names or sorted(agents, key=is_shared, reverse=True)}


def _with_shared(rows: TransferRows, chosen: Mapping[str, AgentId]) -> dict[str, AgentId]:
    """The chosen agents after all that they share; nothing is attached to what is not there."""
    agents, shared = rows.agents(), set[str]()
    for agent in chosen.values():
        for table in OWNED:
            if "target" in table.columns:
                place = table.column("target")
                shared |= {str(row[place]) for batch in rows.rows(agent, table) for row in batch}
    along = {name: agents[name] for name in sorted(shared & agents.keys())}
    return along | dict(chosen)


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
    name: str,
    agent: AgentId,
    number: tuple[int, int],
    file: BinaryIO,
    version: str,
    watch: Watch,
) -> Moved:
    total = _size(rows, agent)
    watch.begin(f"exporting {name}", total)
    header = {"pagefault": version, "format": FORMAT, "agent": name, "number": number[0], "of": number[1]}
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
    return Moved(name, sums.tables())


def _import(rows: TransferRows, name: str, taken: Taken, file: BinaryIO, place: str, watch: Watch) -> Moved:
    block = taken.block
    watch.begin(f"importing {name}", block.rows)
    _adopt(rows, [EmbedderRecord(*embedder) for embedder in block.embedders])
    sums = Sums()
    agent = _restore(rows, name, _watched(taken.rows(sums.added(rows_of(file, block, place))), watch))
    rows.finish(agent)
    # The rows of a file of an earlier format have other sums than the file says; its SHA-256 holds for those.
    told = {table: TableSum(*sum) for table, sum in block.tables.items()}
    told = taken.sums(told if block.format == FORMAT else sums.tables())
    return replace(_compared(rows, name, agent, told, watch), left_out=taken.left_out)


def _copy(source: TransferRows, target: TransferDatabase, name: str, agent: AgentId, watch: Watch) -> Moved:
    watch.begin(f"copying {name}", _size(source, agent))
    sums, seen = Sums(), set[str]()
    with target.writing() as rows:
        batches = sums.added(_watched(whole(outgoing(source, agent), name), watch))
        new = _restore(rows, name, _noting(batches, seen))
        _adopt(rows, [record for record in source.embedders() if record.fingerprint in seen])
        rows.finish(new)
        return _compared(rows, name, new, sums.tables(), watch)


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
    rows: TransferRows, name: str, agent: AgentId, wanted: dict[str, TableSum], watch: Watch
) -> Moved:
    """Read what was stored again; ``StorageError``, so that nothing is stored, if the sums differ."""
    found = _sums(rows, agent, f"comparing {name}", watch)
    for table in wanted.keys() | found.keys():
        if wanted.get(table) != found.get(table):
            raise StorageError(f"The rows of {table} of agent {name!r} did not arrive as they were sent.")
    return Moved(name, found)


def _known(
    ours: TransferRows,
    theirs: TransferRows,
    name: str,
    agent: AgentId,
    there: AgentId,
    place: str,
    watch: Watch,
) -> Moved:
    mine = _sums(ours, agent, f"comparing {name}", watch)
    if mine != _sums(theirs, there, f"comparing {name}", watch):
        raise UsageError(f"{place} has another {called(name)} already; nothing is copied.")
    return Moved(name, mine, known=True)


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
