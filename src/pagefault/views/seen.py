"""The main context that a model saw at an earlier step, found again from the log.

The log keeps of each completion which rows its queue showed and two digests: of the working context, and of
instructions and functions (``SeenContext``). Rows are never changed and sections keep their versions, so both
come back as they were, and what does not have its digest is not taken for it. Left out: the working
context (``context.seen``), sizes and how it is shown (``context``).
"""

from __future__ import annotations

from pagefault.context import SECTION_OPENING, Queue, contained
from pagefault.context.seen import queue_rows
from pagefault.message_meta import SeenContext
from pagefault.storage import Transaction
from pagefault.types import AgentId, QueueState

__all__ = ["queue_seen", "rendered_sections"]


def queue_seen(tx: Transaction, agent: AgentId, saw: SeenContext, head: str = "") -> Queue:
    """The queue as it was, of the rows that are still there."""
    rows = tx.messages(agent, first=saw.first, last=saw.last, appended=False) if saw.last else []
    summary = tx.message(agent, saw.summary) if saw.summary else None
    pinned = tx.message(agent, saw.pinned) if saw.pinned else None
    return Queue(QueueState(saw.first, saw.summary, saw.pinned, head), summary, pinned, queue_rows(rows))


def rendered_sections(head: str) -> list[tuple[str, str]]:
    """The sections of a rendered working context: each one's name, and its lines as the prompt shows them.
    Lines that are in no section have an empty name."""
    found, name = list[tuple[str, list[str]]](), ""
    for line in contained(head).split("\n")[1:-1]:  # without those around all of it
        opened = None if name else SECTION_OPENING.fullmatch(line)
        if opened:
            name = opened[1]
            found.append((name, []))
        elif not name and (not found or found[-1][0]):
            found.append(("", []))
        found[-1][1].append(line)
        name = "" if line == f"</{name}>" else name
    return [(name, "\n".join(lines)) for name, lines in found]
