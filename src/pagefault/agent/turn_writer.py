"""The writer of a turn: each commit appends rows to the log and moves queue and inbox with them.

Memory functions run in the commit of the completion that calls them, so that a completion, their effects and
their results are there together or not at all. Left out: asking the model and running what acts outside
(``agent``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from time import monotonic

import anyio

from pagefault.agent.found import note_found
from pagefault.agent.output import output_of
from pagefault.agent.rows import Rows
from pagefault.agent.sleeping import is_sleep, tidy
from pagefault.agent.turn import Action, OpenTurn, Run, Stop
from pagefault.approvals import Approval
from pagefault.context import Queue
from pagefault.context.queue_manager import QueueManager
from pagefault.errors import FunctionError, NotFoundError, StaleAgentError
from pagefault.functions import FunctionKind, Outcome, Prepared
from pagefault.media import MediaContent
from pagefault.message_meta import RequestUsage
from pagefault.observing import Ending, ObservedCall, Observers
from pagefault.storage import Store, Transaction
from pagefault.types import AgentId, AgentRecord, Event, EventKind, Message, Output, Role

_LONG = "The message is long: the model is shown page 1 of about {pages}, and can read on page by page."


def post_to(tx: Transaction, agent: AgentId, name: str, event: Event) -> tuple[Event, AgentRecord]:
    """Store an event for an agent; both as stored. ``StaleAgentError`` if the agent is gone or renamed,
    ``QuotaError`` if its tenant may have no more rows, or no more media."""
    try:
        if event.contents and (record := tx.agent_by_id(agent)):
            tx.within(record.tenant).check_quota("media_bytes")
        posted, stored = tx.post(agent, event), tx.agent_by_id(agent)
    except NotFoundError:
        raise StaleAgentError(name) from None
    if stored is None or stored.name != name:
        raise StaleAgentError(name)
    tx.within(stored.tenant).check_quota("rows")
    return posted, stored


def observed(agent: AgentId, call: Message, kind: FunctionKind, seconds: float = 0.0) -> ObservedCall:
    """The call for observers."""
    return ObservedCall(agent, call.call_id or "", call.name or "", kind, call.text, seconds)


def ending_of(outcome: Outcome) -> Ending:
    """The end of a call for observers."""
    error = "invalid" if outcome.invalid else "failed" if outcome.failed else ""
    return Ending(error, text=outcome.text)


class FailedEffect(Exception):
    """A memory function failed: the transaction is undone, and run again with this outcome for the call."""

    def __init__(self, call: int, outcome: Outcome) -> None:
        super().__init__()
        self.call = call  # as ``TurnWriter._place`` names it
        self.outcome = outcome


@dataclass(slots=True)
class _Committed:
    """The work of a transaction, for the memory of the process once it is committed."""

    rows: list[Message]
    queue: Queue
    inbox_empty: bool = False
    ran: list[tuple[Message, Outcome]] = field(default_factory=list[tuple[Message, Outcome]])


@dataclass(slots=True)
class TurnWriter:
    """Writes the open turn of one agent. ``next`` gives the action after some rows; ``prepare`` a call that
    can be run, the outcome of one that cannot, or None: a person may have to decide on it first. ``emit`` is
    given the output of each committed row."""

    record: AgentRecord
    store: Store
    memory: QueueManager
    rows: Rows
    turn: OpenTurn
    emit: Callable[[Output], None]
    next: Callable[[Sequence[Message]], Action]
    prepare: Callable[[Message], Prepared | Outcome | None]
    observers: Observers = field(default_factory=Observers)
    rests_for: float | None = None  # seconds until it falls asleep; None: it does not
    spent: list[RequestUsage] = field(default_factory=list[RequestUsage])  # for the next row committed
    inbox_empty: bool = False  # at the end of the last turn
    outdated: bool = False  # the process was made for other settings than are stored now

    async def post(self, event: Event, rows: Sequence[Message]) -> Event:
        """Store a new event and return it as stored. If it comes next, and the agent is as it was loaded, the
        same transaction opens its turn, with ``rows``."""
        agent = self.record.id

        def work(tx: Transaction) -> tuple[Event, _Committed | None]:
            posted, record = post_to(tx, agent, self.record.name, event)
            is_new = posted == replace(event, id=posted.id)
            if not is_new or not self._is_loaded(record) or tx.next_event(agent) != posted:
                return posted, None
            return posted, self._open(tx, posted, rows)

        posted = event
        with anyio.CancelScope(shield=True):
            posted, opened = await self.memory.write(work)
            if opened:
                self.turn.begin(posted)
                self._apply(opened)
        return posted

    async def open(self, event: Event, rows: Sequence[Message]) -> None:
        """Open the turn of an event that waits in the inbox."""
        with anyio.CancelScope(shield=True):
            opened = await self.memory.write(lambda tx: self._open(tx, event, rows))
            self.turn.begin(event)
            self._apply(opened)

    async def commit(
        self,
        drafts: Sequence[Message] = (),
        *,
        ratio: float | None = None,
        settings: dict[str, object] | None = None,
        call_memory: bool = True,
        media: Sequence[MediaContent] = (),
    ) -> None:
        """Append rows with all that follows from them: what memory functions do and return, the step-limit
        alert, the memory-pressure warning, the end of the turn. ``settings`` and ``media`` are stored with
        them."""
        failed: dict[int, Outcome] = {}
        begun = monotonic()
        append = partial(self._append, drafts, ratio, settings, failed if call_memory else None)

        def work(tx: Transaction) -> _Committed:
            tx.put_media(self.record.id, media)
            return append(tx)

        with anyio.CancelScope(shield=True):
            while True:
                try:
                    committed = await self.memory.write(work)
                    break
                except FailedEffect as failure:  # once for each call at most
                    failed[failure.call] = failure.outcome
            for call, outcome in committed.ran:
                seen = observed(self.record.id, call, "memory", monotonic() - begun)
                self.observers.note(seen, ending_of(outcome))
            self._apply(committed)
            self.spent.clear()
            if settings is not None:
                self.record, self.outdated = replace(self.record, settings=settings), True

    async def wait(self, approvals: Sequence[Approval]) -> None:
        """Ask for decisions on calls: from here on the turn waits for them in the store alone, and nothing
        of this process is needed to go on with it."""
        agent, event = self.record.id, self.turn.event
        if event is None:
            return

        def work(tx: Transaction) -> None:
            tx.put_approvals(agent, approvals)
            tx.set_event(agent, event.id, "waiting", attempts=0)

        with anyio.CancelScope(shield=True):
            await self.store.write(work, self.memory.hold)
            self.inbox_empty = True

    def _is_loaded(self, record: AgentRecord) -> bool:
        """Return whether the record is the one that this process was loaded from or has made of it."""
        made, of = self.record, (record.last_seq, record.queue)
        return of == (self.memory.last_seq, self.memory.queue.state) and (
            (record.settings, record.attachment_changes) == (made.settings, made.attachment_changes)
        )

    @property
    def _warning(self) -> bool:
        return self.turn.event is not None and self.turn.event.kind == EventKind.PRESSURE

    def _open(self, tx: Transaction, event: Event, drafts: Sequence[Message]) -> _Committed:
        tx.set_event(self.record.id, event.id, "active", attempts=max(1, event.attempts))
        rows = self.memory.number(drafts, event.id)
        quiet = event.kind == EventKind.PRESSURE
        queue = self.memory.append(tx, rows, ratio=self.memory.queue.state.ratio, quiet=quiet)
        note_found(tx, self.record.id, rows)
        if is_sleep(event):
            tidy(tx, self.record.id, event.id, self.rows.zone, self.rows.clock.now())
        is_over = isinstance(self.next(rows), Stop)
        return _Committed(rows, queue, is_over and self._finish(tx, event))

    def _append(
        self,
        drafts: Sequence[Message],
        ratio: float | None,
        settings: dict[str, object] | None,
        failed: dict[int, Outcome] | None,
        tx: Transaction,
    ) -> _Committed:
        if settings is not None:
            tx.save_settings(self.record.id, settings)
        rows, ran = self._number(self._charged(drafts), 0), list[tuple[Message, Outcome]]()
        while isinstance(action := self.next([*self.turn.rows, *rows]), Run) and failed is not None:
            call = action.call
            outcome = failed.get(self._place(call)) or self.prepare(call)
            if outcome is None or (isinstance(outcome, Prepared) and outcome.function.kind != "memory"):
                break
            if isinstance(outcome, Prepared):
                try:
                    value = outcome.function.call(tx=tx, **outcome.arguments)
                except FunctionError as error:
                    failure = outcome.noted(Outcome(str(error), failed=True))
                    raise FailedEffect(self._place(call), failure) from None
                outcome = outcome.noted(value if isinstance(value, Outcome) else Outcome(str(value)))
            ran.append((call, outcome))
            rows += self._number(
                self.rows.result(call, outcome, self.turn.approvals.get(call.seq)), len(rows)
            )
        return replace(self._conclude(tx, rows, action, ratio), ran=ran)

    def _conclude(
        self, tx: Transaction, rows: list[Message], action: Action, ratio: float | None
    ) -> _Committed:
        """Store the rows, and the end of the turn if ``action`` is that."""
        event, memory = self.turn.event, self.memory
        if isinstance(action, Stop) and action.alert:
            rows += self._number([self.rows.alert(action.name, action.alert)], len(rows))
        queue = memory.append(tx, rows, ratio=ratio or memory.queue.state.ratio, quiet=self._warning)
        note_found(tx, self.record.id, rows)
        if event is None or not isinstance(action, Stop):
            if event and rows and event.attempts > 1:  # it gets on
                tx.set_event(self.record.id, event.id, "active", event.started, attempts=1)
            return _Committed(rows, queue)
        if self.turn.approvals:
            tx.remove_approvals(self.record.id, event.id)
        return _Committed(rows, queue, self._finish(tx, event))

    def _finish(self, tx: Transaction, event: Event) -> bool:
        """End the event; return whether the inbox is empty. From now on the agent rests."""
        if self.rests_for is not None and not is_sleep(event):
            tx.add_sleep(self.record.id, self.rows.clock.now() + timedelta(seconds=self.rests_for))
        return tx.finish_event(self.record.id, event.id)

    def _place(self, call: Message) -> int:
        """A number for a call that stays when the transaction is run again: another than that in the log if
        the call is not committed yet, for others may append to the log meanwhile."""
        behind = call.seq - self.memory.last_seq
        return behind if behind > 0 else -call.seq

    def _number(self, drafts: Sequence[Message], after: int) -> list[Message]:
        event = self.turn.event
        return self.memory.number(drafts, event.id if event else None, after)

    def _charged(self, rows: Sequence[Message]) -> Sequence[Message]:
        """The rows, the first with what was spent until now."""
        if not self.spent or not rows:
            return rows
        return [replace(rows[0], usage=tuple(self.spent)), *rows[1:]]

    def _apply(self, committed: _Committed) -> None:
        """Take over what a transaction has committed, and report it."""
        rows, memory = committed.rows, self.memory
        memory.committed(committed.queue, rows)
        memory.warning_waits &= not self._warning
        if rows and self.turn.event and self.turn.event.attempts > 1:
            self.turn.event = replace(self.turn.event, attempts=1)
        self.turn.rows += rows
        self.inbox_empty = committed.inbox_empty
        for row in rows:
            if output := output_of(row):
                self.emit(output)
            elif row.meta.pages and row.role is Role.USER:
                self.emit(Output("noticed", _LONG.format(pages=row.meta.pages), row.event, row.seq))
