"""The reach of a forgetting: the agent, what it shares, the copies that others have, and its forks.

Archives and shared sections that an agent may write to are its memory as its own are. Others that are
attached to such a section have copies of its text, and were told of it; their own logs are theirs otherwise.
A fork is the agent once more, and is gone through as a whole. What stays all the same is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from pagefault.kernel.forgetting.plan import ForgetPlan, OwnerPlan
from pagefault.kernel.forgetting.planning import (
    LogFacts,
    plan_archival,
    plan_inbox,
    plan_log,
    plan_outgoing,
    quoting_rows,
)
from pagefault.kernel.forgetting.sections import plan_sections
from pagefault.kernel.forgetting.selection import NOTHING, Selection
from pagefault.kernel.forgetting.settings import edited_settings, stubborn_settings
from pagefault.kernel.forgetting.summaries import plan_summaries
from pagefault.kernel.origins import common_until, forks_of
from pagefault.shared import SharedRecord, is_shared
from pagefault.storage import Transaction
from pagefault.types import AgentId, AgentRecord, EventKind

__all__ = ["is_as_planned", "plan_again", "plan_archive", "plan_forgetting"]


def plan_forgetting(tx: Transaction, record: AgentRecord, selection: Selection) -> ForgetPlan:
    """Every place that has something of what is selected; nothing is changed."""
    planner = _Planner(tx, selection)
    planner.plan_agent(record)
    if not selection.kinds:
        for fork in forks_of(tx, record):
            planner.plan_agent(fork, in_fork(tx, record, fork, selection))
        planner.plan_copies()
    planner.finish()
    return ForgetPlan(tuple(each for each in planner.plans.values() if not each.is_empty), planner.kept())


def plan_again(
    tx: Transaction, asked: AgentRecord, selection: Selection, known: OwnerPlan
) -> list[OwnerPlan]:
    """The plan of one agent as it stands now, with what it may write to of what it shares, itself first.
    ``asked``: the agent of which all is asked; ``known``: as it was planned before, which may know more of
    what quotes things that are gone by now."""
    record = tx.agent_by_id(known.id)
    if record is None:
        return []
    planner = _Planner(tx, selection)
    if known.copies_only:
        planner.plan_copy(record)
    else:
        planner.plan_agent(record, in_fork(tx, asked, record, selection))
    planner.plans[record.id].rows |= _not_erased(tx, known)
    planner.finish()
    return list(planner.plans.values())


def is_as_planned(tx: Transaction, plan: OwnerPlan) -> bool:
    """Return whether nothing was written since that a plan made now could have besides."""
    has_more = not plan.copies_only and tx.stored_passages(plan.id, plan.last_passage, 1)
    return not has_more and _standing(tx, plan.id) == plan.standing


def _standing(tx: Transaction, id: AgentId) -> tuple[object, ...]:
    return (
        tx.agent_by_id(id), tx.sections(id), tx.documents(id), tx.events(id, state="pending"),
        tx.schedules(id, withdrawn=True), tx.outgoing(id), tx.grants(id), tx.attachments(id),
    )  # fmt: skip


def plan_archive(tx: Transaction, selection: Selection, known: OwnerPlan) -> OwnerPlan | None:
    """The plan of an archive as it stands now; None if it is gone."""
    record = tx.agent_by_id(known.id)
    if record is None:
        return None
    planner = _Planner(tx, selection)
    planner.plan_shared(SharedRecord.of(record), read_only=False)
    return planner.plans[record.id]


def in_fork(tx: Transaction, asked: AgentRecord, fork: AgentRecord, selection: Selection) -> Selection:
    """The selection as it is meant in a fork: an id names there what both have in common, and nothing that
    came to have the same number since."""
    if fork.id == asked.id or not selection.ids:
        return selection
    last = common_until(tx, asked, fork)

    def is_common(id: str) -> bool:
        letter, number = id[0], int(id[1:])
        if letter == "m":
            return number <= last
        if letter == "p" and (passage := tx.passage(fork.id, number)):
            born = passage.born or 0
            return born < last or (born == last and passage.at <= fork.created)
        document = tx.document(fork.id, number) if letter == "d" else None
        return document is not None and document.at <= fork.created

    ids = tuple(id for id in selection.ids if "/" in id or is_common(id))
    return replace(selection, ids=ids or NOTHING)


def _not_erased(tx: Transaction, known: OwnerPlan) -> dict[int, str]:
    """The rows of a plan that no other forgetting has erased meanwhile."""
    rows = ((seq, why, tx.message(known.id, seq)) for seq, why in known.rows.items())
    return {seq: why for seq, why, row in rows if row and not row.erased}


@dataclass(slots=True)
class _Planner:
    tx: Transaction
    selection: Selection
    plans: dict[AgentId, OwnerPlan] = field(default_factory=dict[AgentId, OwnerPlan])
    _meant: dict[AgentId, Selection] = field(default_factory=dict[AgentId, Selection])
    _facts: dict[AgentId, LogFacts] = field(default_factory=dict[AgentId, LogFacts])
    _read_only: dict[AgentId, OwnerPlan] = field(default_factory=dict[AgentId, OwnerPlan])

    def plan_agent(self, record: AgentRecord, meant: Selection | None = None) -> None:
        """Add an agent with what it may write to of what it shares. ``meant``: the selection in a fork."""
        if record.id in self.plans:
            return
        plan, selection = self._new(record), meant or self.selection
        self.plans[record.id], self._meant[record.id] = plan, selection
        plan_archival(self.tx, plan, selection)
        for shared, read_only in () if self.selection.kinds else _attached(self.tx, record):
            self.plan_shared(shared, read_only)
        self._facts[record.id] = plan_log(self.tx, plan, selection)

    def _new(self, record: AgentRecord) -> OwnerPlan:
        return OwnerPlan(record, standing=_standing(self.tx, record.id))

    def plan_shared(self, shared: SharedRecord, read_only: bool) -> None:
        """Add an archive or a shared section."""
        known = self._read_only if read_only else self.plans
        if shared.id in known:
            return
        plan = known[shared.id] = self._new(shared.row)
        plan_archival(self.tx, plan, self.selection)
        plan_sections(self.tx, plan, self.selection, (), ())
        plan_inbox(self.tx, plan, self.selection)
        plan_outgoing(self.tx, plan, self.selection)

    def plan_copies(self) -> None:
        """Add the agents that have a copy of a shared section with something of it."""
        for plan in [each for each in self.plans.values() if each.record.name.startswith("section:")]:
            if plan.is_empty and not self.selection.is_by_text:
                continue
            shared = SharedRecord.of(plan.record)
            for agent in self.tx.attached_to("section", shared.name):
                record = self.tx.agent_by_id(agent)
                if record and agent not in self.plans:
                    self.plan_copy(record)

    def plan_copy(self, record: AgentRecord) -> None:
        """Add an agent for its copies of shared sections, and what it was told of them."""
        plan = self.plans[record.id] = replace(self._new(record), copies_only=True)
        self._facts[record.id] = plan_log(self.tx, plan, self.selection, only=EventKind.EDITED)

    def finish(self) -> None:
        """Add what follows from what was found so far, in the agents' logs, sections and queues."""
        everything = list(self.plans.values())
        for agent, facts in self._facts.items():
            plan, selection = self.plans[agent], self._meant.get(agent, self.selection)
            reached = [plan, *(each for each in everything if is_shared(each.record.name))]
            plan.rows |= quoting_rows(facts, reached, selection.named)
            plan_summaries(self.tx, plan, facts)
            only = EventKind.EDITED if plan.copies_only else None
            self._plan_working_context(plan, reached)
            plan_inbox(self.tx, plan, selection, only=only)
            if only is None:
                plan_outgoing(self.tx, plan, selection)
            if only is None and (query := self.selection.query) and self.selection.is_by_text:
                plan.settings = edited_settings(plan.record.settings, query)

    def _plan_working_context(self, plan: OwnerPlan, reached: Sequence[OwnerPlan]) -> None:
        ids = {id for each in reached for id in each.gone_ids()}
        ids |= {*self._meant.get(plan.id, self.selection).named}
        copies = {each.name for each in self.tx.attachments(plan.id) if each.kind == "section"}
        plan_sections(self.tx, plan, self.selection, ids, copies)
        if plan.copies_only:
            plan.sections = [each for each in plan.sections if each.name in copies]
        head, query = plan.record.queue.head, self.selection.query
        plan.head = bool(plan.sections) or bool(query and query.is_in(head))

    def kept(self) -> tuple[str, ...]:
        """A sentence for each place that has something of it and stays."""
        found = list[str]()
        for plan in self._read_only.values():
            if count := sum(1 for _ in plan.places()):
                shared = SharedRecord.of(plan.record)
                found.append(
                    f"The {shared.kind} {shared.name}, attached read-only, has it in {count:,} places; "
                    "forget it with an agent that may change that."
                )
        query = self.selection.query
        if query is not None and self.selection.is_by_text:
            for plan in self.plans.values():
                found += _stubborn(self.tx, plan, self.selection)
        return tuple(found)


def _attached(tx: Transaction, record: AgentRecord) -> Iterator[tuple[SharedRecord, bool]]:
    """The archives and sections that an agent is attached to, and whether it may only read them."""
    for each in tx.attachments(record.id):
        if shared := tx.within(record.tenant).shared(each.kind, each.name):
            yield shared, each.read_only


def _stubborn(tx: Transaction, plan: OwnerPlan, selection: Selection) -> Iterator[str]:
    """Names that have the query; they can be changed, but not forgotten in silence."""
    query, name = selection.query, plan.record.name
    if query is None:
        return
    if query.is_in(name, plan.record.tenant):
        yield f"The name of {name} has it; rename it."
    for setting in stubborn_settings(plan.settings or plan.record.settings, query):
        yield f"The setting {setting} of {name} has it; change it."
    for section in tx.sections(plan.id):
        if query.is_in(section.name):
            yield f"The name of the section {section.name} of {name} has it; remove that section."
