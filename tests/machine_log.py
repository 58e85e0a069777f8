"""What must be true of an agent's log and its stores after every step of the state machine.

Pure functions of a dump of the database and of what was done to it from outside.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from machine_witness import ANA, ARCHIVES, Witness
from pagefault.approvals import Approval
from pagefault.errors import FunctionError
from pagefault.functions.describing import describe
from pagefault.functions.executor import FunctionExecutor
from pagefault.functions.syscalls import PAGED_IN
from pagefault.kernel.conversations import APPENDED_ROLES, AppendedMessage
from pagefault.kernel.points import is_marker
from pagefault.storage import Filter, Match, Transaction
from pagefault.storage.terms import terms
from pagefault.text_caches import FORGOTTEN
from pagefault.types import AgentRecord, Event, EventKind, Message, Passage, Role

_SIZE = re.compile(r"(\w+) now takes \d+ of \d+ tokens\.")
_ROLES = {EventKind.MESSAGE: Role.USER, EventKind.ALERT: Role.ALERT, EventKind.PRESSURE: Role.ALERT}


@dataclass(frozen=True)
class Dump:
    """All that the store holds of the agent."""

    record: AgentRecord
    log: list[Message]
    events: list[Event]
    versions: dict[str, int]  # of each section, without those that an undo made
    passages: list[Passage]
    archived: list[Passage]
    approvals: list[Approval]
    unfound: list[int]  # user rows newly evicted that a search for their own words does not bring
    haunting: list[int]  # user rows that were undone, and are found still
    erased: frozenset[int]  # rows that were forgotten
    gone: frozenset[int] = frozenset()  # passages that were forgotten


def dump(tx: Transaction, searched: int = 0) -> Dump:
    """Read all; of the rows behind ``searched`` that are evicted the newest are searched for."""
    record = tx.agent_by_id(ANA)
    assert record is not None
    log = tx.messages(ANA, withdrawn=True)
    undone = [row for row in log if row.role is Role.USER and row.withdrawn is not None and not row.erased]
    found = [archive.id for name in ARCHIVES if (archive := tx.shared("archive", name))]
    evicted = [row for row in log[searched : record.queue.start - 1] if row.role is Role.USER]
    evicted = [row for row in evicted if row.withdrawn is None and not row.erased]
    return Dump(
        record,
        log,
        tx.events(ANA),
        {s.name: _versions(tx, s.name, log) for s in tx.sections(ANA)},
        tx.passages(ANA, range(1, len(log) + 3)),
        [passage for id in found for passage in tx.passages(id, range(1, 1000))],
        tx.approvals(ANA),
        [row.seq for row in evicted[-2:] if not _found(tx, row)],
        [row.seq for row in undone[-2:] if _found(tx, row)],
        frozenset(row.seq for row in log if row.erased),
    )


def _versions(tx: Transaction, section: str, log: Sequence[Message]) -> int:
    """The versions of a section since it was last made, those not counted that an undo put back or a
    forgetting edited: they were stored right before the row that says so, or a summary and that."""
    history = [each for _, each in tx.section_history(ANA, section)]
    removed = [n for n, each in enumerate(history, 1) if not each.limit]
    marked = {row.seq - 1 for row in log if is_marker(row) or row.name == FORGOTTEN}
    marked |= {row.seq - 2 for row in log if row.name == FORGOTTEN and log[row.seq - 2].role is Role.SUMMARY}
    return sum(each.born not in marked for each in history[max(removed, default=0) :])


def live(log: Sequence[Message]) -> list[Message]:
    """The rows that count: those that were not undone."""
    return [row for row in log if row.withdrawn is None]


def _found(tx: Transaction, row: Message) -> bool:
    words = tuple(terms(row.text)[:2])
    found = tx.search(ANA, "recall", Match(exact=(words,)), Filter(), "")
    return row.seq in found.number[found.matched & found.may_show]


def check_append_only(before: Sequence[Message], now: Dump) -> None:
    kept = [now if was.withdrawn else replace(now, withdrawn=None) for was, now in zip(before, now.log)]  # noqa: B905
    assert kept == before, "a row of the log changed"
    assert [row.seq for row in now.log] == list(range(1, len(now.log) + 1))
    assert now.record.last_seq == len(now.log)


def check_queue(now: Dump) -> None:
    """The queue is a view: its summary is the newest one and covers all that lies before its start."""
    state, log = now.record.queue, live(now.log)
    summaries = [row for row in log if row.role is Role.SUMMARY and row.seq not in now.erased]
    assert state.summary == (summaries[-1].seq if summaries else None)
    apart = (Role.SUMMARY, Role.PREFETCH)
    below = [row for row in log if row.seq < state.start and row.role not in apart and not row.is_appended]
    if summaries:
        assert summaries[-1].meta.messages == len(below)
        assert summaries[-1].meta.through == below[-1].seq
        assert summaries[-1].shown
    else:
        assert not below
    if state.pinned is not None:
        assert state.pinned in [row.seq for row in below if row.event is not None]
    assert now.unfound == [], "evicted and not to be found"
    assert now.haunting == [], "undone and found"


def check_turns(now: Dump, *, all_done: bool) -> None:
    """Turns do not overlap; each event was handled once, in order; a warning at most once. One whose turn
    was broken off too often may be parked."""
    turns = [(id, list(rows)) for id, rows in groupby((r for r in now.log if r.event), lambda r: r.event)]
    handled = [id for id, _ in turns]
    assert len(handled) == len(set(handled)), "two turns overlap, or one was run twice"
    events = {event.id: event for event in now.events}
    for id, (opening, *rest) in turns:
        assert {row.withdrawn for row in rest} <= {opening.withdrawn}, "a turn was undone in part"
        event = events[id or 0]
        assert event.state != "pending"
        assert opening.role is _ROLES.get(EventKind(event.kind), Role.EVENT)
        assert opening.text == event.text or event.kind == EventKind.PRESSURE
    inbox = [e for e in now.events if e.kind not in (EventKind.PRESSURE, EventKind.APPENDED)]
    assert [id for id in handled if id in {e.id for e in inbox}] == [
        e.id for e in inbox if e.state != "pending"
    ]
    served = [e for e in now.events if not (e.state == "parked" and "broken off" in e.parked)]
    waits = any(event.state == "waiting" for event in now.events)
    resting = ("done", "waiting", "pending") if waits else ("done",)
    stuck = [(e.id, e.state, e.attempts) for e in served if e.state not in resting]
    assert not all_done or not stuck, f"an agent is stuck: {stuck}"
    assert not [r.text for r in now.log if r.role is Role.ALERT and "internal error" in r.text]


def check_calls(now: Dump) -> None:
    """Results follow their calls in order, one to each; in a turn that is done none is missing."""
    open_turns = {event.id for event in now.events if event.state in ("active", "waiting")}
    steps = [row for row in now.log if row.completion is not None]
    for completion, group in groupby(steps, lambda row: row.completion):
        rows = list(group)
        calls = [row.call_id for row in rows if row.role is Role.CALL]
        results = [row.call_id for row in rows if row.role is Role.RESULT]
        assert results == calls[: len(results)], completion
        assert len(results) == len(calls) or rows[0].event in open_turns
    asked = [row.completion for row in steps if row.meta.saw is not None]
    assert len(asked) == len(set(asked)) == len({row.completion for row in steps})


def send_message(message: str) -> None:
    """As the agent's own takes it."""


def archival_insert(text: str, tags: list[str] = [], archive: str = "") -> None:  # noqa: B006
    """As the agent's own takes it."""


_MENDING = FunctionExecutor.of(
    [describe(send_message, "memory"), describe(archival_insert, "memory")], "memgpt", 1.0
)


def _meant(call: Message, result: Message) -> tuple[str, str, str]:
    """Which function a call meant, the text that it gave it, its result without notes of what was mended."""
    text = result.text.partition(" (")[0]
    try:
        prepared = _MENDING.prepare(call.name or "", call.text)
    except FunctionError:  # another function
        return call.name or "", "", text
    given = prepared.arguments
    return prepared.function.name, str(given.get("text", given.get("message"))), text


def effects(now: Dump) -> list[tuple[str, str, str]]:
    """Of each call that did not fail: the function, the text given to it, what it says."""
    calls = {row.call_id: row for row in now.log if row.role is Role.CALL}
    return [
        _meant(calls[row.call_id], row)
        for row in now.log
        if row.role is Role.RESULT and not row.meta.failed and row.meta.decision in ("", "approved")
    ]


def check_appended(now: Dump, given: Sequence[AppendedMessage]) -> None:
    """What was said elsewhere is in the log once, in its order, with its dates and speakers, and is not
    shown; all events that keep its keys are over."""
    rows = [row for row in now.log if row.is_appended]
    assert [(row.text, row.speaker, row.role, row.at) for row in rows] == [
        (each.text, each.speaker, APPENDED_ROLES[each.role], each.at) for each in given
    ]
    assert not [row.seq for row in rows if row.tokens or row.event or row.completion or row.withdrawn]
    kept = [event for event in now.events if event.kind == EventKind.APPENDED]
    assert {event.state for event in kept} <= {"done"}


def check_effects(now: Dump, edits: Counter[str], poked: Counter[int]) -> None:
    """Each memory function had its effect exactly as often as its result says so, each tool at most once."""
    results = effects(now)
    saved = [(told, text) for name, text, told in results if name == "archival_insert" and "/" not in told]
    deleted = {told.split()[0] for name, _, told in results if name == "archival_delete"}
    assert [text for text, _ in saved] == [f"Saved as p{n}." for n in range(1, len(saved) + 1)]
    deleted |= {row.text.split()[2].rstrip(".") for row in now.log if row.withdrawn and _has_saved(row)}
    kept = [(n, text) for n, (_, text) in enumerate(saved, 1) if f"p{n}" not in deleted and n not in now.gone]
    assert [(p.number, p.text) for p in now.passages] == kept
    sizes = [found.group(1) for *_, told in results if (found := _SIZE.fullmatch(told))]
    sizes = [name for name in sizes if name != PAGED_IN or PAGED_IN in now.versions]
    assert Counter(now.versions) == Counter(now.versions.keys()) + Counter(sizes) + edits
    said = [text for name, text, _ in results if name == "send_message"]
    spoken = [
        row.text for row in now.log if row.role is Role.ASSISTANT and not row.shown and not row.is_appended
    ]
    assert spoken == said
    assert max(poked.values(), default=0) <= 1, "an outside tool ran twice"
    done = [told for name, _, told in results if name == "poke"]
    assert set(done) <= {f"poked {number}" for number in poked}


def _has_saved(row: Message) -> bool:
    return row.role is Role.RESULT and not row.meta.failed and row.text.startswith("Saved as p")


def check_decisions(now: Dump, names: Sequence[str], witness: Witness) -> None:
    """A call that needs a decision has no effect before it was approved, and then at most one; a turn waits
    as long as one of its calls is undecided, and no longer."""
    waiting = [event.id for event in now.events if event.state == "waiting"]
    assert len(waiting) <= 1
    assert {each.event for each in now.approvals if not each.decision} == set(waiting)
    open_turns = {event.id for event in now.events if event.state in ("active", "waiting")}
    assert {each.event for each in now.approvals} <= open_turns, "approvals of a turn that is over"
    calls = {row.seq for row in now.log if row.role is Role.CALL}
    assert {each.number for each in now.approvals} <= calls
    assert max(witness.struck.values(), default=0) <= 1, "an approved call ran twice"
    assert set(witness.struck) <= witness.allowed, "a call ran unasked"
    assert not set(witness.struck) & witness.forbidden, "a call ran though it was refused"
    for row in now.log:
        if row.role is Role.RESULT and row.name in {"strike", *names} and not row.meta.failed:
            assert row.meta.decision in ("approved", "refused", "expired"), row
            assert row.text.startswith("Not run") == (row.meta.decision != "approved"), row
    struck = [row.text for row in now.log if row.role is Role.RESULT and row.text.startswith("struck ")]
    assert {int(text.split()[1]) for text in struck} <= set(witness.struck)
