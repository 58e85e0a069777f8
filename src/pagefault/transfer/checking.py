"""The checks of a database, row by row, whichever database it is.

Each value can be read (``values``), the log is consecutive, the queue stands on rows that exist, sections
have all their versions, the inbox is in the order of service and its agent ready if something waits in it,
passages, tags, documents and vectors belong together, agents are attached to what is there, the lexical index
has exactly the units of the texts, index blocks are copies of the rows, and the totals of usage are the sums
of the rows. Only what follows from the rows can be repaired; the rest needs a backup.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pagefault.storage.row_transfer import AGENT, OWNED, IndexSize, TransferDatabase, TransferRows, units_of
from pagefault.storage.usage import add_up
from pagefault.transfer.approvals import approval_faults
from pagefault.transfer.archival import document_faults, passage_faults
from pagefault.transfer.known import TABLES, KnownRows
from pagefault.transfer.media import media_faults
from pagefault.transfer.moving import Watch
from pagefault.transfer.repeats import Repeats
from pagefault.transfer.sharing import sharing_faults
from pagefault.transfer.values import agent_faults, is_counted, row_faults, some
from pagefault.types import AgentId, EventKind, Tier

__all__ = ["Finding", "check", "repair"]

_UNOWNED = "No segment has the table"
_TIERS: tuple[Tier, ...] = get_args(Tier)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be. ``agent`` is None for the database as a whole; ``derived``: it
    follows from other rows, and can be repaired."""

    agent: str | None
    what: str
    derived: bool = False


def check(database: TransferDatabase, watch: Watch) -> list[Finding]:
    """Look at everything; nothing is changed."""
    with database.reading() as rows:
        found = _of_database(rows)
        for key, agent in (agents := rows.agents()).items():
            name = str(key)
            watch.begin(f"checking {name}", 1 + len(_TIERS))
            found += [Finding(name, what) for what in rows.parked(agent)]
            if damaged := [Finding(name, what) for what in _damaged(rows, key.name, agent)]:
                found += damaged  # the other checks would stumble over it
                continue
            found += [Finding(name, what) for what in _of_agent(rows, agent)]
            found += [Finding(name, what) for what in sharing_faults(rows, key, agent, agents)]
            found += [Finding(name, fault.what, derived=True) for fault in rows.index_faults(agent)]
            watch.advance(1)
            for tier in _TIERS:
                found += [Finding(name, what, derived=True) for what in _of_index(rows, agent, tier)]
                watch.advance(1)
            found += [Finding(name, what, derived=True) for what in _of_counts(rows, agent)]
    return found


def _of_database(rows: TransferRows) -> list[Finding]:
    found = [Finding(None, what) for what in rows.faults()]
    return found + [Finding(None, f"{_UNOWNED} {table}.", derived=True) for table in rows.unowned_tables()]


def _of_counts(rows: TransferRows, agent: AgentId) -> Iterator[str]:
    if not rows.is_settled(agent):
        yield "It is not ready for a turn as its inbox is."
    if add_up(rows.spent(agent)) != rows.totals(agent):
        yield "The totals of its usage are not the sums of its rows."


def repair(database: TransferDatabase, findings: Iterable[Finding]) -> None:
    """Make anew what follows from the rows, for the agents of whom something derived is wrong."""
    with database.writing() as rows:
        agents = {str(key): agent for key, agent in rows.agents().items()}
        for name in sorted({finding.agent for finding in findings if finding.derived and finding.agent}):
            if name in agents:
                rows.reindex(agents[name])
        rows.drop_unowned_tables()


def _damaged(rows: TransferRows, name: str, agent: AgentId) -> Iterator[str]:
    """The values that cannot be read, a sentence for each."""
    yield from agent_faults(name)
    yield from row_faults(name, AGENT, rows.agent(agent))
    for table in OWNED:
        for batch in rows.rows(agent, table):
            for row in batch:
                yield from row_faults(name, table, row)


def _of_agent(rows: TransferRows, agent: AgentId) -> Iterator[str]:
    known = KnownRows(rows, agent, dict(zip(AGENT.columns, rows.agent(agent), strict=True)))
    yield from _log(known)
    yield from _sections(known)
    yield from _inbox(known)
    yield from passage_faults(known)
    yield from document_faults(known)
    yield from _vectors(known)
    yield from (*approval_faults(rows, agent), *media_faults(rows, agent))


def _log(known: KnownRows) -> Iterator[str]:
    own, expected, astray = known.own, 1, list[int]()
    speakers, repeats = {row["name"] for row in known.table("speakers")}, Repeats()
    for row in known.table("messages"):
        known.note(row)
        if row["withdrawn"] is None:
            repeats.add(row)
        if row["seq"] != expected:
            yield f"The log has message {row['seq']} where {expected} should stand."
        expected = row["seq"] + 1
        if row["speaker"] and row["speaker"] not in speakers:
            yield f"The speaker of message {row['seq']} is not known by name."
        if _is_astray(row, own):
            astray.append(row["seq"])
    if expected != own["last_seq"] + 1:
        yield f"The log ends at message {expected - 1}, but {own['last_seq']} were counted."
    if astray:
        yield f"{some('message', astray)} name an event or a completion, or an undoing, that never was."
    yield from _queue(own, known.summaries)
    yield from _repeated(repeats)


def _repeated(repeats: Repeats) -> Iterator[str]:
    repeats.end()
    if repeats.openings:
        yield f"{some('event', repeats.openings)} were opened more than once."
    if repeats.results:
        yield f"{some('message', repeats.results)} are further results of calls that have theirs."
    if repeats.answers:
        yield f"{some('event', repeats.answers)} were answered more than once."


def _is_astray(row: dict[str, Any], own: dict[str, Any]) -> bool:
    """Return True if a message names an event, a completion or an undoing that was never counted."""
    named = max(row["completion"] or 0, row["withdrawn"] or 0)
    return (row["event"] or 0) > own["last_event"] or named > own["last_seq"]


def _queue(own: dict[str, Any], summaries: set[int]) -> Iterator[str]:
    if not 1 <= own["start"] <= own["last_seq"] + 1:
        yield f"The queue starts at message {own['start']}, which never was."
    if own["summary"] is not None and own["summary"] not in summaries:
        yield f"The queue's summary is message {own['summary']}, which is no summary."
    if own["pinned"] is not None and not 1 <= own["pinned"] <= own["last_seq"]:
        yield f"The queue's open event is message {own['pinned']}, which never was."


def _sections(known: KnownRows) -> Iterator[str]:
    versions = defaultdict[str, set[int]](set)
    for row in known.table("section_versions"):
        versions[row["name"]].add(row["version"])
    for row in known.table("sections"):
        if not is_counted(versions.pop(row["name"], set()), row["version"]):
            yield f"The section {row['name']} lacks some of its {row['version']} versions."
    yield from (f"The section {name} has a history, but is not there." for name in versions)


def _inbox(known: KnownRows) -> Iterator[str]:
    numbers, active, astray = set[int](), list[int](), list[int]()
    for row in known.table("inbox"):
        numbers.add(row["number"])
        waiting = 1 if row["kind"] == EventKind.PRESSURE else 2
        ranks = {"active": 0, "waiting": -1, "pending": waiting, "done": None, "parked": None}
        if row["rank"] != ranks.get(row["state"], -9):
            astray.append(row["number"])
        if row["state"] in ("active", "waiting"):
            active.append(row["number"])
    if not is_counted(numbers, known.own["last_event"]):
        yield f"The inbox has {len(numbers):,} events, but {known.own['last_event']:,} were counted."
    if astray:
        yield f"{some('event', astray)} are not in the order of service."
    if len(active) > 1:
        yield f"{some('event', active)} are active at once."
    if any(row["number"] > known.own["last_schedule"] for row in known.table("schedules")):
        yield "There are timers that were not counted."


def _vectors(known: KnownRows) -> Iterator[str]:
    lengths = defaultdict[str, set[int]](set)
    first, more = (
        defaultdict[tuple[str, str], set[int]](set),
        defaultdict[tuple[str, str, int], set[int]](set),
    )
    for row in known.table("vectors"):
        key = (row["tier"], row["fingerprint"])
        if row["part"] >= 0:
            lengths[row["fingerprint"]].add(len(row["vector"]) // 2)
        if row["part"] <= 0:  # -1: done with, without a vector
            first[key].add(row["number"])
        else:
            more[*key, row["number"]].add(row["part"])
    for (tier, fingerprint), numbers in sorted(first.items()):
        if astray := sorted(numbers - known.embedded.get(tier, set())):
            yield f"{fingerprint} has vectors of {some('row', astray)} of {tier}, which are to have none."
    for (tier, fingerprint, number), parts in sorted(more.items()):
        if number not in first[tier, fingerprint] or parts != set(range(1, len(parts) + 1)):
            yield f"{fingerprint} lacks some windows of row {number} of {tier}."
    yield from _lengths(known, lengths)


def _lengths(known: KnownRows, lengths: Mapping[str, set[int]]) -> Iterator[str]:
    dimensions = {record.fingerprint: record.dimensions for record in known.rows.embedders()}
    for fingerprint, found in sorted(lengths.items()):
        # A database of an early version has no record until the embedder is used again.
        if len(found) > 1 or dimensions.get(fingerprint) not in (None, 0, *found):
            yield f"{fingerprint} has vectors of other lengths than the one that is recorded."


def _of_index(rows: TransferRows, agent: AgentId, tier: Tier) -> Iterator[str]:
    table = TABLES["messages" if tier == "recall" else "passages"]
    counted, stored = rows.index_sizes(agent, tier)
    expected, often, indexed, total = Counter[str](), Counter[str](), 0, 0
    for batch in rows.rows(agent, table):
        for row in batch:
            units = units_of(tier, dict(zip(table.columns, row, strict=True)))
            expected.update(set(units))
            often.update(units)
            indexed, total = indexed + bool(units), total + len(units)
    true = IndexSize(indexed, total)
    if counted != true or stored != true:
        yield f"The lexical index of {tier} is miscounted ({counted.rows} rows instead of {indexed:,})."
    wrong = 0
    for unit, in_rows, times in rows.frequencies(agent, tier):
        wrong += (expected.pop(unit, 0), often[unit]) != (in_rows, times)
    if wrong or expected:
        yield f"The lexical index of {tier} is wrong about {wrong + len(expected):,} units."
    if stale := rows.stale_blocks(agent, tier):
        yield f"{some('block', stale)} of {tier}, which searches read, differ from their rows."
