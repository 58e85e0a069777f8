"""The working context as an agent's functions change it: sections of its own, and those that it shares.

Left out: changes from outside (``kernel.sections``, ``kernel.shared_sections``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pagefault.clock import Clock
from pagefault.errors import FunctionError
from pagefault.functions.section_edits import SectionEdit
from pagefault.functions.sharing import edit_shared, held_section, send, shared_texts, update_copy
from pagefault.models.tokens import Counter
from pagefault.shared import SharedRecord
from pagefault.storage import Transaction
from pagefault.types import AgentId, EventKind, Section

__all__ = ["WorkingContext"]


@dataclass(frozen=True, slots=True)
class WorkingContext:
    """The working context of one agent. ``shared_counter`` measures what is shared, for all alike; ``hops``
    gives the messages between agents that the open event follows from, at most ``most_hops``; ``sent`` is
    called when something was put into an outbox, before the transaction is committed."""

    agent: AgentId
    clock: Clock
    counter: Counter
    shared_counter: Counter
    most_hops: int
    hops: Callable[[], int]
    sent: Callable[[], None]

    def section(self, tx: Transaction, name: str) -> Section:
        """The section of this name; ``FunctionError`` if there is none that can be changed."""
        sections = {section.name: section for section in tx.sections(self.agent)}
        if name not in sections:
            raise FunctionError(f"There is no section {name}; sections: {', '.join(sections)}.")
        if sections[name].read_only:
            raise FunctionError(f"Section {name} is read-only; use another one.")
        return sections[name]

    def edit(self, tx: Transaction, name: str, edit: SectionEdit) -> str:
        """Edit a section; return a sentence on what was done, for the model."""
        section = self.section(tx, name)
        if held_section(tx, self.agent, name):
            return self._edit_shared(tx, section, edit)
        edited = edit.applied(section, self.counter)
        tx.put_section(self.agent, edited, self.clock.now())
        return f"{name} now takes {self.counter.count(edited.text)} of {edited.limit} tokens."

    def _edit_shared(self, tx: Transaction, copy: Section, edit: SectionEdit) -> str:
        now, name = self.clock.now(), copy.name
        agent = tx.agent_by_id(self.agent)
        shared = tx.within(agent.tenant).shared("section", name) if agent else None
        if agent is None or shared is None:
            raise FunctionError(f"The shared section {name} was deleted; use another one.")
        if tx.reaches_others:
            tx.delivered(shared.id, agent.id)  # locked, before it is seen what edits there were
        hops = self._next_hops(tx, shared)
        self.sent()
        if not tx.reaches_others:
            edit.applied(copy, self.shared_counter)  # refused at once, if it can be
            send(tx, self.agent, shared.stored_name, edit.kind, now, **edit.payload, hops=hops)
            return f"Sent to {name}; it will show there soon, as others share it."
        edited = edit_shared(tx, shared, agent, edit, self.shared_counter, hops, now)
        update_copy(tx, shared, edited, agent, shared_texts(tx.outgoing(shared.id)), now)
        size = self.shared_counter.count(edited.text)
        return f"{name}, which others share, now takes {size} of {edited.limit} tokens."

    def _next_hops(self, tx: Transaction, shared: SharedRecord) -> int:
        """The hops of an edit; ``FunctionError`` if they are too many.

        An answer to another agent follows from all edits that there were, those included that wait to be
        served: if a thousand agents answer each other's edits, all answers together come to an end soon.
        """
        hops = self.hops()
        if hops:
            waiting = (e.hops for e in tx.events(self.agent, state="pending") if e.kind == EventKind.EDITED)
            coming = (text.hops for text in shared_texts(tx.outgoing(shared.id)))
            hops = max((hops, *waiting, *coming))
        if hops >= self.most_hops:
            raise FunctionError(
                f"Not edited: {self.most_hops} edits and messages between agents followed from one another, "
                "the most that may; finish without a further one."
            )
        return hops + 1
