"""The passages that a turn had as results, noted in its commits: no search writes for it.

Leaves out those of archives, which many agents would write to, and searches from outside of turns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pagefault.storage import Transaction
from pagefault.types import AgentId, Message

__all__ = ["note_found"]

_OWN = re.compile(r"p(\d{1,15})", re.ASCII)


def note_found(tx: Transaction, agent: AgentId, rows: Sequence[Message]) -> None:
    """Note of the agent's own passages that these rows cite when they were found."""
    for row in rows:
        if numbers := {int(own[1]) for id in row.meta.sources if (own := _OWN.fullmatch(id))}:
            tx.note_found(agent, numbers, row.at)
