"""The planner: finds every place that has something of what is to be forgotten, before anything is changed.

It looks through all rows, with those that were withdrawn; nothing here depends on an index, which may match
less or more than a text has. What quotes something that goes, by the ids that the log keeps of what a result
shows, goes with it. Left out: one agent's summaries (``summaries``) and what is shared (``reach``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pagefault.kernel.forgetting.plan import OwnerPlan, PageEdit
from pagefault.kernel.forgetting.selection import Selection
from pagefault.kernel.forgetting.texts import (
    document_texts,
    event_texts,
    keys_of,
    message_texts,
    passage_texts,
    timer_texts,
)
from pagefault.kernel.origins import is_origin_note
from pagefault.literal_query import blacked_out
from pagefault.names import is_import_key
from pagefault.shared import archive_of
from pagefault.storage import Transaction
from pagefault.types import AgentRecord, Document, Event, EventKind, Message, Page, Passage, Role

__all__ = [
    "LogFacts",
    "SummaryRow",
    "plan_archival",
    "plan_inbox",
    "plan_log",
    "plan_outgoing",
    "quoting_rows",
]

BATCH = 1000
"""Rows that are in memory at a time."""

_DERIVED = "derived"


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """A summary in the log, by what matters of it here. ``through``: the newest row under it."""

    seq: int
    through: int
    withdrawn: bool


@dataclass(slots=True)
class LogFacts:
    """The rest that the log was found to have: its summaries, and which rows quote what."""

    summaries: list[SummaryRow] = field(default_factory=list[SummaryRow])
    quoting: list[tuple[int, tuple[str, ...]]] = field(default_factory=list[tuple[int, tuple[str, ...]]])


def plan_log(tx: Transaction, plan: OwnerPlan, selection: Selection, *, only: str | None = None) -> LogFacts:
    """Add the rows of the log that are selected; ``only``: of those, the ones of this name."""
    facts = LogFacts()
    for row in _log(tx, plan.record):
        if row.erased:
            continue
        if row.role is Role.SUMMARY:
            facts.summaries.append(SummaryRow(row.seq, row.meta.through, row.withdrawn is not None))
        if row.meta.sources:
            facts.quoting.append((row.seq, row.meta.sources))
        if only is not None and row.name != only:
            continue
        if selection.takes(message_texts(row), row.at, row.id, speaker=row.speaker, kind="messages"):
            plan.rows[row.seq] = "matches"
    return facts


def _log(tx: Transaction, record: AgentRecord) -> Iterator[Message]:
    for first in range(1, record.last_seq + 1, BATCH):
        yield from tx.messages(record.id, first=first, last=first + BATCH - 1, withdrawn=True)


def quoting_rows(facts: LogFacts, plans: Sequence[OwnerPlan], named: Sequence[str]) -> dict[int, str]:
    """The rows of the log that quote something that goes, or a row that does so. ``named``: ids of which
    something may have gone before."""
    gone = {id for plan in plans for id in plan.gone_ids()} | {*named}
    found = dict[int, str]()
    is_done = False
    while not is_done:
        more = [seq for seq, ids in facts.quoting if seq not in found and not gone.isdisjoint(ids)]
        found |= dict.fromkeys(more, _DERIVED)
        gone |= {f"m{seq}" for seq in more}
        is_done = not more
    return found


# archival storage


def plan_archival(tx: Transaction, plan: OwnerPlan, selection: Selection) -> None:
    """Add the passages and documents that are selected, those named after them, and pages to be edited with
    the chunks that are of what is blacked out."""
    archive = archive_of(plan.record)
    selected = [
        document
        for document in tx.documents(plan.id)
        if selection.takes(
            document_texts(document), document.at, f"d{document.number}", archive, kind="documents"
        )
    ]
    plan.whole_documents |= {document.number: "matches" for document in selected}
    spans = _plan_pages(tx, plan, selection)
    for passage in _passages(tx, plan):
        letter = f"p{passage.number}"
        place = passage.place
        if place and place.document in plan.whole_documents:
            plan.passages[passage.number] = _DERIVED
        elif selection.takes(passage_texts(passage), passage.at, letter, archive, kind=_fact(passage)):
            plan.passages[passage.number] = "matches"
        elif place and any(
            place.start < stop and start < place.stop
            for start, stop in spans.get((place.document, place.page), ())
        ):
            plan.passages[passage.number] = _DERIVED
        if passage.number in plan.passages:
            _plan_keys(tx, plan, keys_of(passage))


def _fact(passage: Passage) -> str:
    """The kind of a passage in rules of retention: a chunk goes with its document alone."""
    return "" if passage.place else "passages"


def _passages(tx: Transaction, plan: OwnerPlan) -> Iterator[Passage]:
    after = 0
    while found := tx.stored_passages(plan.id, after, BATCH):
        yield from found
        after = plan.last_passage = found[-1].number


def _plan_keys(tx: Transaction, plan: OwnerPlan, keys: Iterable[str]) -> None:
    """Add the events whose keys are digests or paths of what goes."""
    for key in keys:
        if event := tx.event_of_key(plan.id, key):
            plan.events.setdefault(event.id, _DERIVED)


def _plan_pages(
    tx: Transaction, plan: OwnerPlan, selection: Selection
) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Add the pages that have the query; return the characters of each that are blacked out."""
    spans, query = dict[tuple[int, int], list[tuple[int, int]]](), selection.query
    if query is None or selection.ids or selection.speaker:
        return spans
    for document in tx.documents(plan.id):
        if document.number in plan.whole_documents or not selection.is_in_time(document.at):
            continue
        for page in _pages(tx, plan, document):
            if query.is_in(page.heading, page.text):
                lines = query.spans(page.text)
                spans[document.number, page.number] = _characters(page.text, lines)
                edited = Page(page.number, query.redacted(page.heading), blacked_out(page.text, lines))
                plan.pages.append(PageEdit(document.number, edited))
    return spans


def _pages(tx: Transaction, plan: OwnerPlan, document: Document) -> Iterator[Page]:
    for first in range(1, document.pages + 1, 20):
        yield from tx.document_pages(plan.id, document.number, first, first + 19)


def _characters(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The runs of lines as runs of characters."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return [(starts[first], starts[stop]) for first, stop in spans]


# the inbox, timers, effects on their way, grants


def plan_inbox(tx: Transaction, plan: OwnerPlan, selection: Selection, *, only: str | None = None) -> None:
    """Add the events that are selected, or whose rows are; ``only``: those of this kind."""
    opened = {row.event for row in _rows(tx, plan) if _opens(row)}
    for event in tx.events(plan.id):
        if (only is not None and event.kind != only) or is_import_key(event.key) or is_origin_note(event):
            continue
        sender = event.sender or ""
        if selection.takes(event_texts(event), event.at, "", speaker=sender, kind=_said(event)):
            plan.events[event.id] = "matches"
        elif event.id in opened or _has_rows(plan, event):
            plan.events.setdefault(event.id, _DERIVED)


def plan_outgoing(tx: Transaction, plan: OwnerPlan, selection: Selection) -> None:
    """Add timers, effects on their way, and grants."""
    for timer in tx.schedules(plan.id, withdrawn=True):
        if selection.takes(timer_texts(timer), None, timer.id):
            plan.timers[timer.number] = "matches"
    for outgoing in tx.outgoing(plan.id):
        if selection.takes(iter((outgoing.payload, outgoing.parked)), outgoing.at, ""):
            plan.outgoing[outgoing.number] = "matches"
    for grant in tx.grants(plan.id) if selection.query else ():
        if selection.takes(iter((grant.name, grant.by)), grant.at, ""):
            plan.grants[grant.name] = "matches"


def _said(event: Event) -> str:
    """The kind of an event in rules of retention: none, if it was not served yet, was blanked, or is a mark
    of the system, which is known by its key."""
    is_mark = event.key is not None and not event.key.isprintable() and not event.text
    has_content = any((event.text, event.key, event.sender, event.trace, event.media))
    return "messages" if event.state in ("done", "parked") and has_content and not is_mark else ""


def _rows(tx: Transaction, plan: OwnerPlan) -> Iterator[Message]:
    """The rows of the log that go."""
    for seq in plan.rows:
        if row := tx.message(plan.id, seq):
            yield row


def _opens(row: Message) -> bool:
    """Return whether a row shows its event."""
    return row.role in (Role.USER, Role.EVENT) or (row.role is Role.ALERT and row.name in tuple(EventKind))


def _has_rows(plan: OwnerPlan, event: Event) -> bool:
    """Return whether the event keeps the key and the digest of appended rows of which one goes."""
    if event.kind != EventKind.APPENDED or event.started is None:
        return False
    return any(event.started <= seq < event.started + event.attempts for seq in plan.rows)
