"""The application of a plan, within a transaction: what it names is erased, and what is left fits together.

The log gets a row that says how many items of each kind went and not what they were; it stands behind the
queue's new state, so that every process that holds the agent reads it anew. Left out: the order of agents and
their turn locks (``kernel.forgetting``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pagefault.agent import Process
from pagefault.context import render_sections
from pagefault.context.queue_log import append_numbered
from pagefault.functions.archives import refuse_held
from pagefault.functions.sharing import held_section, text_of, write_shared
from pagefault.kernel.forgetting.plan import OwnerPlan, count_places
from pagefault.kernel.forgetting.summaries import NewSummary
from pagefault.kernel.origins import note_origins, origins_of
from pagefault.shared import SharedRecord
from pagefault.storage import Transaction
from pagefault.storage.withdrawing import Tombstone
from pagefault.text_caches import FORGOTTEN
from pagefault.types import Message, QueueState, Role

__all__ = ["PlanMovedError", "apply_plan", "apply_shared", "refuse_if_held"]


class PlanMovedError(Exception):
    """The plan, made anew in the transaction, is not the one that the summary was written by."""


def refuse_if_held(tx: Transaction, plans: Sequence[OwnerPlan]) -> None:
    """Raise ``HeldError`` if something of a plan is under a legal hold."""
    for plan in plans:
        refuse_held(tx, plan.id, "forgotten")


def apply_shared(tx: Transaction, plan: OwnerPlan, now: datetime, by: str) -> None:
    """Apply the plan of an archive or a shared section; its new text goes to the copies."""
    shared, counts = SharedRecord.of(plan.record), count_places(list(plan.places()))
    _erase_stored(tx, plan)
    for each in plan.sections:
        if each.edited is not None:
            tx.delivered(shared.id, shared.id)  # locked
            write_shared(tx, shared, each.edited, now)
        tx.erase_versions(plan.id, each.name, each.versions)
    tx.put_tombstone(plan.id, Tombstone(now, by, counts))


def apply_plan(
    tx: Transaction, process: Process, plan: OwnerPlan, made: NewSummary | None, now: datetime, by: str
) -> list[Message]:
    """Apply the plan of an agent whose turn lock is held; return the rows that were added to its log."""
    if (made is None and plan.covering) or (made and frozenset(plan.rows) != made.without):
        raise PlanMovedError
    if plan.is_empty:
        return []
    counts, origins = count_places(list(plan.places())), origins_of(tx, plan.id)
    _erase_stored(tx, plan)
    if origins and not origins_of(tx, plan.id):  # the note had words as well
        note_origins(tx, plan.id, origins, now)
    _put_sections(tx, plan, now)
    if plan.settings is not None:
        tx.save_settings(plan.id, dict(plan.settings))
    tx.erase_rows(plan.id, plan.rows)
    rows = process.memory.number([*([made.row] if made else []), _marker(counts, now)], None)
    append_numbered(tx, plan.id, rows, _queue(tx, plan, rows[0].seq if made else None))
    tx.put_tombstone(plan.id, Tombstone(now, by, counts))
    return rows


def _erase_stored(tx: Transaction, plan: OwnerPlan) -> None:
    """Erase all but rows of the log, sections and settings."""
    tx.erase_passages(plan.id, plan.passages)
    for number in plan.whole_documents:
        tx.delete_document(plan.id, number)
    for edit in plan.pages:
        tx.erase_page(plan.id, edit.document, edit.page)
    tx.erase_events(plan.id, plan.events)
    tx.erase_schedules(plan.id, plan.timers)
    for number in plan.outgoing:
        tx.remove_outgoing(plan.id, number)
    for name in plan.grants:
        tx.revoke(plan.id, name)


def _put_sections(tx: Transaction, plan: OwnerPlan, now: datetime) -> None:
    """Store the sections as they are to be, then erase the versions that had it. A copy of a shared section
    gets the text as it is shared by now."""
    newest = {each.name: each.version for each in tx.sections(plan.id)}
    for each in plan.sections:
        held = held_section(tx, plan.id, each.name)
        shared = tx.within(plan.record.tenant).shared("section", each.name) if held else None
        if shared and held and newest.get(each.name) in each.versions:
            text = text_of(tx, shared)
            tx.put_section(plan.id, replace(text, read_only=held.read_only), now)
            tx.set_delivered(plan.id, shared.id, text.version)
        elif each.edited is not None:
            tx.put_section(plan.id, each.edited, now)
        tx.erase_versions(plan.id, each.name, each.versions)


def _queue(tx: Transaction, plan: OwnerPlan, summary: int | None) -> QueueState:
    state = plan.record.queue
    if plan.head:
        state = replace(state, head=render_sections(tx.sections(plan.id)))
    if state.pinned in plan.rows:
        state = replace(state, pinned=None)
    return replace(state, summary=summary) if summary is not None else state


def _marker(counts: dict[str, int], now: datetime) -> Message:
    """The row that stands for what was forgotten."""
    named = ", ".join(f"{kind}: {count:,}" for kind, count in counts.items())
    return Message(Role.ALERT, f"Forgotten ({named}).", now, name=FORGOTTEN)
