"""The check of approvals: each is of a turn that is open, and a turn that waits does so for a decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pagefault.storage.row_transfer import AGENT, APPROVALS, OWNED, TransferRows, TransferTable
from pagefault.types import AgentId

__all__ = ["approval_faults"]

_INBOX = next(table for table in OWNED if table.name == "inbox")


def approval_faults(rows: TransferRows, agent: AgentId) -> Iterator[str]:
    """A sentence for each thing that is wrong with what an agent waits for."""
    last = rows.agent(agent)[AGENT.column("last_seq")]
    states = {row["number"]: row["state"] for row in _rows(rows, agent, _INBOX)}
    undecided = set[int]()
    for row in _rows(rows, agent, APPROVALS):
        if states.get(row["event"]) not in ("active", "waiting"):
            yield f"The approval of its call m{row['number']} is of a turn that is not open."
        if row["number"] > last:
            yield f"The approval of its call m{row['number']} is of a call that never was."
        if not row["decision"]:
            undecided.add(row["event"])
    for event, state in states.items():
        if state == "waiting" and event not in undecided:
            yield f"Its event {event} waits for a decision, but on no call; cancel it."


def _rows(rows: TransferRows, agent: AgentId, table: TransferTable) -> Iterator[dict[str, Any]]:
    for batch in rows.rows(agent, table):
        for row in batch:
            yield dict(zip(table.columns, row, strict=True))
