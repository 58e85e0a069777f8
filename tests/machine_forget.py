"""Forgetting and forks as moves of the state machine in ``test_machine``; what must be true after each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from machine_log import Dump
from machine_witness import ANA
from pagefault.errors import NotFoundError
from pagefault.kernel import Kernel
from pagefault.kernel.forgetting import ForgetPlan, LiteralQuery, Selection, plan
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event, Message, Passage, Role, Section

FORK = "bo"


@dataclass
class Forgotten:
    """The content of the agent's places that were forgotten, as it was: the checks of its log go on with it,
    for calls had effects, and events were answered, whatever is left of their texts."""

    rows: dict[int, Message] = field(default_factory=dict[int, Message])
    events: dict[int, Event] = field(default_factory=dict[int, Event])
    passages: set[int] = field(default_factory=set[int])

    def remembered(self, now: Dump) -> Dump:
        """The dump as if nothing had been forgotten, but for the passages, which are gone."""
        log = [replace(self.rows.get(row.seq, row), withdrawn=row.withdrawn) for row in now.log]
        events = [self._event(event) for event in now.events]
        return replace(now, log=log, events=events, gone=frozenset(self.passages))

    def _event(self, event: Event) -> Event:
        was = self.events.get(event.id)
        return event if was is None else replace(was, state=event.state, parked=event.parked)

    def note(self, before: Dump, planned: ForgetPlan) -> None:
        """Keep what a forgetting takes; ``before``: with what others took."""
        for kind, ids in by_kind(planned, "ana").items():
            if kind == "message":
                self.rows |= {row.seq: row for row in before.log if row.id in ids}
            elif kind == "event":
                self.events |= {event.id: event for event in before.events if str(event.id) in ids}
            elif kind == "passage":
                self.passages |= {int(id[1:]) for id in ids}


def selection_of(which: str) -> Selection:
    """The selection of an id or, else, of a text."""
    return Selection(ids=(which,)) if which[1:].isdecimal() else Selection(query=LiteralQuery(which))


def by_kind(planned: ForgetPlan, owner: str) -> Mapping[str, set[str]]:
    """The ids that a plan names of an owner, by kind."""
    kinds: dict[str, set[str]] = {}
    for place in planned.places:
        if place.owner == owner:
            kinds.setdefault(place.kind, set()).add(place.id)
    return kinds


@dataclass(frozen=True)
class Stored:
    """All texts of an agent, also of what was withdrawn."""

    log: Sequence[Message]
    events: Sequence[Event]
    passages: Sequence[Passage]
    sections: Sequence[Section]

    def has(self, word: str) -> bool:
        texts = [text for row in self.log for text in (row.text, row.shown, row.speaker)]
        texts += [text for event in self.events for text in (event.text, event.key or "", event.sender or "")]
        texts += [passage.text for passage in self.passages]
        texts += [section.text for section in self.sections]
        return any(word in text for text in texts)


def stored(tx: Transaction, agent: AgentId) -> Stored:
    versions = [version for each in tx.sections(agent) for _, version in tx.section_history(agent, each.name)]
    return Stored(tx.messages(agent, withdrawn=True), tx.events(agent), tx.stored_passages(agent), versions)


def check_whole(planned: ForgetPlan, tx: Transaction) -> None:
    """Of each agent all that was planned is gone, or nothing."""
    for owner in planned.owners:
        rows = [tx.message(owner.id, seq) for seq in owner.rows]
        there = {passage.number for passage in tx.stored_passages(owner.id)}
        states = {bool(row and row.erased) for row in rows} | {n not in there for n in owner.passages}
        assert len(states) <= 1, f"{owner.record.name}: {len(owner.rows)} rows were forgotten in part"


async def check_gone(kernel: Kernel, which: str, planned: ForgetPlan) -> None:
    """Nothing is left, and to ask again finds nothing."""

    def look(tx: Transaction) -> None:
        for owner in planned.owners:
            assert all(row.erased for seq in owner.rows if (row := tx.message(owner.id, seq)))
            assert not {p.number for p in tx.stored_passages(owner.id)} & owner.passages.keys()
            assert which[1:].isdecimal() or not stored(tx, owner.id).has(which), owner.record.name

    await kernel.store.read(look)
    assert (await plan(kernel, "ana", selection_of(which))).places == ()


def check_fork(tx: Transaction, at: int | None) -> None:
    """The fork has what the agent has (``at``: had then), nothing waits in it, and no draft is left."""
    fork = tx.agent(FORK)
    assert fork is not None
    assert tx.drafts() == []
    assert {event.state for event in tx.events(fork.id)} <= {"done", "parked"}
    ours, theirs = (_said(tx, agent) for agent in (ANA, fork.id))
    if at is None:
        assert theirs == ours
        assert [p.text for p in stored(tx, fork.id).passages] == [p.text for p in stored(tx, ANA).passages]
        sections = [[(s.name, s.text) for s in tx.sections(agent)] for agent in (ANA, fork.id)]
        assert sections[0] == sections[1]
    summaries = {row.seq for row in tx.messages(fork.id, roles=[Role.SUMMARY])}  # one may be put in anew
    assert {row for row in theirs if row[0] not in summaries} <= {*ours}, (
        "the fork has what the agent has not"
    )


def _said(tx: Transaction, agent: AgentId) -> list[tuple[int, str, str]]:
    return [(row.seq, row.text, row.shown) for row in tx.messages(agent) if row.name != "withdrawn"]


async def drop_fork(kernel: Kernel) -> None:
    with suppress(NotFoundError):
        await kernel.delete(FORK)
