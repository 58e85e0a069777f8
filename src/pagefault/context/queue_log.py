"""The queue as it stands in the log: read from there, and appended to where the log ends.

Rows of the queue are numbered before they are written, for they name each other. Others append what was said
elsewhere without taking the turn; where that has moved the end of the log, the rows are numbered anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pagefault.context import Queue
from pagefault.context.seen import queue_rows
from pagefault.storage import Store, Transaction, TurnHold
from pagefault.text_caches import FORGOTTEN, note_forgotten
from pagefault.types import AgentId, AgentRecord, EventKind, Message, QueueState, Role

__all__ = ["append_numbered", "read_queue", "write_numbered"]

T = TypeVar("T")


class _LogMoved(Exception):
    """The log ends elsewhere than the numbers of rows say."""


def append_numbered(
    tx: Transaction, agent: AgentId, rows: Sequence[Message], queue: QueueState | None
) -> None:
    """Append rows that are numbered; with a ``queue`` save that too."""
    stored = tx.append(agent, rows, queue)
    if stored and stored[0].seq != rows[0].seq:
        raise _LogMoved


async def write_numbered(
    store: Store,
    hold: TurnHold | None,
    agent: AgentId,
    work: Callable[[Transaction], T],
    moved: Callable[[int], None],
) -> T:
    """Do ``work`` in a transaction under the turn lock; if others have moved the end of the log, undo it and
    do it again, after ``moved`` was given the number of the last row."""

    def at_end(tx: Transaction) -> T:
        if record := tx.agent_by_id(agent):  # the check of the turn lock keeps this row until the end
            moved(record.last_seq)
        return work(tx)

    attempt = work
    while True:
        try:
            return await store.write(attempt, hold)
        except _LogMoved:
            attempt = at_end


def read_queue(tx: Transaction, record: AgentRecord) -> tuple[Queue, bool]:
    """Read an agent's queue as it stands in the log, and whether a warning waits in its inbox."""
    agent, state = record.id, record.queue
    rows = tx.messages(agent, first=state.start, appended=False)
    for row in rows:
        if row.name == FORGOTTEN and row.role is Role.ALERT:  # perhaps in another process
            note_forgotten((agent, record.created), row.seq)
    queue = Queue(
        state,
        tx.message(agent, state.summary) if state.summary else None,
        tx.message(agent, state.pinned) if state.pinned else None,
        queue_rows(rows),
    )
    return queue, any(event.kind == EventKind.PRESSURE for event in tx.events(agent, state="pending"))
