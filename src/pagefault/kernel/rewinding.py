"""An agent as it was at a point of its log: queue and sections of then, and what was made since withdrawn.

One transaction of whoever has the agent's turn, between turns. The log grows by a row that says so, and loses
none. Left out: which point that is (``points``), and the API for people (``withdrawing``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pagefault.agent.output import WITHDRAWN
from pagefault.agent.turn_writer import post_to
from pagefault.context import render_sections
from pagefault.context.seen import head_seen
from pagefault.functions.executor import FunctionExecutor
from pagefault.functions.sharing import held_section
from pagefault.functions.syscalls import PAGED_IN
from pagefault.kernel.points import RewindPoint, is_marker
from pagefault.kernel.sections import edited_notice
from pagefault.kernel.undoable import beyond_undoing, timers_set
from pagefault.message_meta import MessageMeta
from pagefault.names import system_key
from pagefault.storage import Transaction
from pagefault.text_caches import FORGOTTEN
from pagefault.types import AgentId, AgentRecord, Event, EventKind, Message, QueueState, Role, Section

__all__ = ["Rewound", "UndoReport", "rewind"]


@dataclass(frozen=True, slots=True)
class UndoReport:
    """The effect of an undo.

    ``point``: the id of the row behind which all was withdrawn (``m0``: nothing stays); ``asked``: the id
    that was asked for, if that is in the middle of a turn, which is withdrawn as a whole. ``turns``,
    ``rows``: how many were withdrawn. ``sections``: those whose text is as it was; ``passages``, ``timers``:
    the ids of those that were withdrawn. ``not_undone``: what was done outside, or is shared, and stays.
    """

    point: str
    turns: int
    rows: int
    asked: str = ""
    sections: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()
    timers: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rewound:
    """The work of ``rewind``: the report, the row that says so, and the events that were posted."""

    report: UndoReport
    marker: Message
    posted: tuple[Event, ...]


def rewind(
    tx: Transaction, record: AgentRecord, point: RewindPoint, executor: FunctionExecutor, folds: bool,
    now: datetime,
) -> Rewound:  # fmt: skip
    """Withdraw what lies behind the point, and post the events of it. ``folds``: the agent folds edits of its
    sections at once."""
    agent, by = record.id, record.last_seq + 1
    rows = tx.messages(agent, first=point.seq + 1, appended=False)
    events = dict.fromkeys(row.event for row in rows if row.event is not None)
    beyond = beyond_undoing(tx, record, rows, executor)
    count = tx.withdraw_rows(agent, point.seq + 1, by) - sum(map(is_marker, rows))
    sections, shared, undone = _put_back(tx, record, point.seq, now)
    beyond = (*beyond, *(f"shared section {name}, as others have it too" for name in shared))
    passages = tx.withdraw_passages(agent, by, events=events)
    timers = tx.withdraw_schedules(agent, list(events), by)
    report = UndoReport(
        f"m{point.seq}", len(events), count, f"m{point.asked}" if point.asked is not None else "", sections,
        tuple(f"p{number}" for number in sorted(passages)), tuple(timer.id for timer in timers), beyond,
    )  # fmt: skip
    draft = Message(Role.ALERT, _sentence(report, by), now, name=WITHDRAWN, meta=MessageMeta(point=point.seq))
    state, again = _queue_at(tx, record, point.seq, folds)
    marker, *_ = tx.append(agent, [draft, *again], state)
    _clear_inbox(tx, agent, rows, undone)
    posted = tuple(post_to(tx, agent, record.name, event)[0] for event in point.events)
    return Rewound(report, marker, posted)


def _sentence(report: UndoReport, by: int) -> str:
    """The text of the row that says what was withdrawn."""
    first, last = int(report.point[1:]) + 1, by - 1
    reach = f"m{first}" if first == last else f"m{first} to m{last}"
    rest = f" Not undone: {'; '.join(report.not_undone)}." if report.not_undone else ""
    return f"Withdrawn: {reach}.{rest}"


def _queue_at(
    tx: Transaction, record: AgentRecord, point: int, folds: bool
) -> tuple[QueueState, list[Message]]:
    """The queue as it stood after the row of this number, its sections being those of then again. With the
    summary that is to be appended behind the marker, if that of then was forgotten."""
    agent, old = record.id, record.queue
    summary = next(iter(tx.messages(agent, last=point, roles=[Role.SUMMARY], newest=1)), None)
    number = summary.seq if summary else None
    asked = _asked_since(tx, agent, number, point)
    again = list[Message]()
    if summary and summary.erased:
        summary, again = _without_forgotten(tx, agent, summary, point)
        number = record.last_seq + 2 if again else summary.seq if summary else None
    if number == old.summary:
        start, pinned = min(old.start, point + 1), old.pinned
    else:
        start = summary.meta.through + 1 if summary else 1
        pinned = asked.meta.saw.pinned if asked and asked.meta.saw else None
    alerts = tx.messages(agent, first=max(start, (number or 0) + 1), last=point, roles=[Role.ALERT])
    warned = any(row.name == EventKind.PRESSURE for row in alerts)
    head = _head_at(tx, record, summary, asked, folds)
    return QueueState(start, number, pinned, head, warned, old.ratio), again


def _without_forgotten(
    tx: Transaction, agent: AgentId, erased: Message, point: int
) -> tuple[Message | None, list[Message]]:
    """The summary in the place of one that was blanked. Forgetting writes the live one anew, over the same
    rows: the newest of these, as a draft, for its row is withdrawn with all behind the point. If none is
    left, the newest before the point that stands; the rows behind that are in the queue again."""
    summaries = tx.messages(agent, roles=[Role.SUMMARY], withdrawn=True)
    for row in reversed(summaries):
        if row.seq > point and not row.erased and row.meta.through == erased.meta.through:
            return row, [replace(row, seq=0, event=None, usage=(), withdrawn=None)]
    return next((row for row in reversed(summaries) if _stands(row, point)), None), []


def _stands(row: Message, point: int) -> bool:
    return row.seq <= point and not row.erased and row.withdrawn is None


def _asked_since(tx: Transaction, agent: AgentId, summary: int | None, point: int) -> Message | None:
    """The first row of the last completion up to a point; None if there is none since the flush of that
    summary."""
    asked = tx.completion_row(agent, point)
    saw = asked.meta.saw if asked and asked.seq > (summary or 0) else None
    return asked if saw and saw.summary == summary else None


def _head_at(
    tx: Transaction, record: AgentRecord, summary: Message | None, asked: Message | None, folds: bool
) -> str:
    """The working context as the prompt had it: that which the model saw last (``asked``), if it has been
    asked since the flush of this ``summary``; else that of the flush. If it is not known any more, the
    sections as they are now."""
    if asked and asked.meta.saw:
        head = head_seen(tx, record, asked.meta.saw, asked.at)
        if head is not None:
            return head
    elif not folds and record.queue.summary == (summary.seq if summary else None):
        return record.queue.head
    elif not folds and summary:
        return render_sections([each for _, each in tx.sections_at(record.id, summary.at) if each.limit])
    return render_sections(tx.sections(record.id))


def _put_back(
    tx: Transaction, record: AgentRecord, point: int, now: datetime
) -> tuple[tuple[str, ...], tuple[str, ...], list[Section]]:
    """Give the agent's own sections their texts of then, as new versions; return the names of those that
    changed, of shared ones that were written since, and the versions that are undone."""
    agent, changed, shared, undone = record.id, list[str](), list[str](), list[Section]()
    last = next(iter(tx.messages(agent, last=point, newest=1)), None)
    then_at = last.at if last else record.created
    for section in tx.sections(agent):
        before, behind = _versions_around(tx, agent, section.name, point, then_at)
        if not behind:
            continue
        if held_section(tx, agent, section.name):
            shared.append(section.name)
            continue
        undone += behind
        then = _version_of_then(tx, agent, before or behind[:1], behind)
        if section.name == PAGED_IN and not (before and then.limit):
            tx.put_section(agent, _without_limit(section), now)
        elif then.text != section.text:
            tx.put_section(agent, _with_text(section, then.text), now)
        else:
            continue
        changed.append(section.name)
    return tuple(changed), tuple(shared), undone


def _versions_around(
    tx: Transaction, agent: AgentId, name: str, point: int, then_at: datetime
) -> tuple[list[Section], list[Section]]:
    """The versions of a section up to a point, and those stored since."""
    history = tx.section_history(agent, name)
    behind = [each for at, each in history if (at > then_at if each.born is None else each.born > point)]
    return [each for _, each in history[: len(history) - len(behind)]], behind


def _version_of_then(
    tx: Transaction, agent: AgentId, before: Sequence[Section], behind: Sequence[Section]
) -> Section:
    """The last version before a point, or that which a forgetting made of it: that is not undone."""
    then = before[-1]
    if then.text or then.description:
        return then
    return next((each for each in behind if _is_by_forgetting(tx, agent, each)), then)


def _is_by_forgetting(tx: Transaction, agent: AgentId, version: Section) -> bool:
    """Return whether a version was stored by a forgetting: right before the rows that it appended."""
    born = version.born
    rows = tx.messages(agent, first=born + 1, last=born + 2, withdrawn=True) if born is not None else ()
    return any(row.role is Role.ALERT and row.name == FORGOTTEN for row in rows)


def _without_limit(section: Section) -> Section:
    """The section as it is removed."""
    return Section(section.name, section.description, 0)


def _with_text(section: Section, text: str) -> Section:
    return Section(section.name, section.description, section.limit, text, section.read_only)


def _clear_inbox(tx: Transaction, agent: AgentId, rows: Sequence[Message], undone: Sequence[Section]) -> None:
    """Take events out of the inbox that follow from what was undone: warnings, timers that fired, notices of
    edits."""
    set_since = tuple(system_key(f"{timer}@") for timer in timers_set(rows))
    notices = {edited_notice(section.name, section.text) for section in undone}
    for event in tx.events(agent, state="pending"):
        if (
            event.kind == EventKind.PRESSURE
            or (event.kind == EventKind.TIMER and (event.key or "").startswith(set_since))
            or (event.kind == EventKind.EDITED and event.text in notices)
        ):
            tx.set_event(agent, event.id, "done")
    tx.settle(agent)
