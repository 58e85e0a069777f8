"""One process of the operating system: an agent that turns an event into steps until it yields.

It does what ``turn.next_action`` says comes next and commits it; each commit appends rows to the log and
moves queue and inbox with them. Who may run a turn, and when, is the kernel's business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio

from pagefault.accounting.usage import usage_of
from pagefault.agent.output import Stream, output_of
from pagefault.agent.rows import Rows
from pagefault.agent.turn import Action, OpenTurn, Run, Stop, next_action
from pagefault.context import MainContext, Queue, compile
from pagefault.context.queue_manager import QueueManager
from pagefault.errors import ContextLengthExceeded, FunctionError, ModelError
from pagefault.functions import FunctionExecutor, Outcome, Prepared
from pagefault.message_meta import RequestUsage
from pagefault.models import Completion, Model, Prompt
from pagefault.storage import Store, Transaction, TurnHold
from pagefault.types import AgentRecord, Event, EventKind, Message, Output, Role, Style

_TRIES = 5  # requests that one step may take when the provider says that the prompt is too long


@dataclass(frozen=True, slots=True)
class Program:
    """What an agent runs on and with, put together by ``pagefault.assembly``."""

    store: Store
    model: Model
    executor: FunctionExecutor
    instructions: str
    style: Style = "memgpt"
    max_steps: int = 12
    warning_steps: int = 3
    fold_at_once: bool = False
    served_window: Callable[[], Awaitable[int | None]] | None = None  # the window the server says it serves


@dataclass(slots=True)
class Process:
    """A loaded agent. Only the holder of its turn lock may use it. ``emit`` is given each output."""

    record: AgentRecord
    program: Program
    memory: QueueManager
    rows: Rows
    emit: Callable[[Output], None]
    turn: OpenTurn = field(default_factory=OpenTurn)
    spent: list[RequestUsage] = field(default_factory=list[RequestUsage])  # for the next row committed
    deferred: int | None = None  # the event that has let a warning go first, as each may once

    async def load(self, record: AgentRecord | None = None) -> None:
        """Read the agent as it stands in the store, if another process has moved it since; ``record``
        if that was just read."""
        record = record or await self.program.store.read(lambda tx: tx.agent_by_id(self.record.id))
        if record and (record.last_seq != self.memory.last_seq or record.queue != self.memory.queue.state):
            self.record = record
            await self.memory.load(record)

    def begin(self, hold: TurnHold) -> None:
        """Write under this turn lock from now on."""
        self.memory.hold = hold

    async def handle(self, event: Event) -> Output | None:
        """Run an event's turn to its end, from wherever the log says it stands; returns ``done``, which is
        not emitted here.

        An event that would cross the warning and the flush line at once is left pending: the warning,
        posted here, has its turn first. Once only: where the room is small, the row may cross both again.
        """
        if event.state == "pending":
            row = self.rows.opening(event, self.memory.sizes())
            may_wait = event.kind != EventKind.PRESSURE and event.id != self.deferred
            if may_wait and self.memory.crosses_both(row):
                self.deferred = event.id
                await self.memory.warn()
                return None
            self.turn.begin(event)
            await self._commit(lambda tx: self._open(tx, event, row))
        else:
            rows = await self.program.store.read(lambda tx: tx.messages(self.record.id, event=event.id))
            self.turn.begin(event, rows)
        while not isinstance(action := self._next(self.turn.rows), Stop):
            await (self._run(action.call) if isinstance(action, Run) else self._ask())
        return self._finish()

    async def stop(self, why: str) -> Output | None:
        """End the open turn here: calls without a result get one, the log says why, the event is done.
        Returns ``done``, None if no turn is open."""
        if self.event is None:
            return None
        while isinstance(action := self._next(self.turn.rows), Run):
            await self._return(action.call, Outcome(f"Not run to its end: {why}", failed=True))
        if not isinstance(self._next(self.turn.rows), Stop):
            await self._commit(lambda _: [self.rows.alert("stopped", why)])
        return self._finish()

    async def flush(self, keep: int | None = None) -> bool:
        """Flush now, between turns; ``keep``: calibrated tokens to keep. False: nothing to evict."""
        return self._flushed(await self.memory.flush(None, keep))

    def prompt(self) -> Prompt:
        """The prompt as it would be sent now."""
        p, sizes = self.program, self.memory.sizes()
        room = max(sizes.reserve // 2, sizes.window - sizes.margin - sizes.prompt)
        context = MainContext(p.instructions, p.executor.schemas, self.memory.queue)
        return compile(context, min(sizes.reserve, room))

    @property
    def _warning(self) -> bool:
        return self.event is not None and self.event.kind == EventKind.PRESSURE

    @property
    def event(self) -> Event | None:
        """The event whose turn is open."""
        return self.turn.event

    def _next(self, rows: Sequence[Message]) -> Action:
        limit = self.program.warning_steps if self._warning else self.program.max_steps
        return next_action(rows, self.program.style, limit)

    def _finish(self) -> Output:
        event = self.turn.end()
        return Output("done", "", event.id if event else None, self.memory.last_seq)

    def _flushed(self, row: Message | None) -> bool:
        if row and (output := output_of(row)):
            self.emit(output)
        return row is not None

    # admission and commit

    def _open(self, tx: Transaction, event: Event, row: Message) -> list[Message]:
        tx.set_event(self.record.id, event.id, "active")
        return [row]

    async def _commit(
        self, build: Callable[[Transaction], Sequence[Message]], ratio: float | None = None
    ) -> None:
        """Append what ``build`` makes, with all that follows from it, in one transaction: the step-limit
        alert, the memory-pressure warning, the end of the turn."""
        event, memory = self.event, self.memory

        def work(tx: Transaction) -> tuple[list[Message], Queue]:
            rows = memory.number(self._charge(build(tx)), event.id if event else None)
            action = self._next([*self.turn.rows, *rows])
            if isinstance(action, Stop) and action.alert:
                alert = self.rows.alert("stopped", action.alert)
                rows += memory.number([alert], event.id if event else None, len(rows))
            queue = memory.append(tx, rows, ratio=ratio or memory.queue.state.ratio, quiet=self._warning)
            if event is not None and isinstance(action, Stop):
                tx.set_event(self.record.id, event.id, "done")
            return rows, queue

        with anyio.CancelScope(shield=True):
            rows, queue = await self.program.store.write(work, memory.hold)
            memory.committed(queue, rows)
            self.spent.clear()
            memory.warning_waits &= not self._warning
            self.turn.rows += rows
            for output in map(output_of, rows):
                if output:
                    self.emit(output)

    def _charge(self, rows: Sequence[Message]) -> Sequence[Message]:
        """The rows, the first with what was spent until now."""
        if not self.spent or not rows:
            return rows
        return [replace(rows[0], usage=tuple(self.spent)), *rows[1:]]

    # a step: ask the model

    async def _ask(self) -> None:
        """Get one completion and commit it. A provider that says "too long" is believed and asked again
        after a flush; a completion that is empty where an answer is owed is asked for once more."""
        memory, empty = self.memory, 0
        for attempt in range(_TRIES):
            fold = self.program.fold_at_once
            self._flushed(await memory.make_room(self.turn.opened(), warning=self._warning, fold=fold))
            try:
                completion = await self._stream(self.prompt(), attempt)
            except ContextLengthExceeded as error:
                if attempt == _TRIES - 1:
                    return await self._give_up(str(error))
                self._flushed(await memory.distrust(self.turn.opened()))
            except ModelError as error:
                return await self._give_up(str(error))
            else:
                request = self._request(completion)
                self.spent.append(request)
                if request.cut and await self._is_cut_off(request.usage.input):
                    if self.turn.rows[-1].meta.stop:
                        return None
                    continue
                if completion.text.strip() or completion.calls or not self._owes_answer():
                    ratio = memory.calibration.moved(memory.queue.state.ratio, request)
                    step = self._step(completion)
                    return await self._commit(lambda _, step=step: step, ratio)
                empty += 1
                if empty == 2:
                    return await self._give_up(f"{self.program.model.name} returned nothing, twice.")
        return None

    def _request(self, completion: Completion) -> RequestUsage:
        memory, reported = self.memory, completion.usage.input if completion.usage else 0
        cut = memory.falls_short(reported)
        return usage_of(completion, self.program.model.name, memory.counted, memory.counter, cut=cut)

    async def _give_up(self, why: str) -> None:
        await self._commit(lambda _: [self.rows.alert("model_failed", why)])

    def _owes_answer(self) -> bool:
        said = any(row.role is Role.ASSISTANT for row in self.turn.rows)
        return self.event is not None and self.event.kind == EventKind.MESSAGE and not said

    async def _stream(self, prompt: Prompt, attempt: int) -> Completion:
        event = self.event.id if self.event else None
        steps = len({row.completion for row in self.turn.rows if row.completion is not None})
        step = f"{event}.{steps + 1}.{attempt + 1}"
        stream = Stream(self.program.style, step, event, self.memory.last_seq, self.emit)
        return await stream.completion(self.program.model, prompt)

    async def _is_cut_off(self, reported: int) -> bool:
        """Whether the server silently cut a prompt that fell short. Then the window is what it serves, here
        and in the settings, and the log says so."""
        memory, record = self.memory, self.record
        served = await self.program.served_window() if self.program.served_window else None
        window = memory.truncation.window(memory.sizes().prompt, memory.counted, reported, served)
        if window is None:
            return False
        budget = memory.budget
        told = self.rows.truncated(self.program.model.name, budget.window, window, budget.least)
        usable = not told.meta.stop
        settings: dict[str, object] = {**record.settings, "served": window}

        def narrow(tx: Transaction) -> list[Message]:
            if usable:
                tx.save_settings(record.id, settings)
            return [told]

        if usable:
            memory.narrow(window)
        await self._commit(narrow)
        return True

    def _step(self, completion: Completion) -> list[Message]:
        native = self.program.style == "native"
        speaks = not self._warning and (native or (not completion.calls and self._owes_answer()))
        return self.rows.step(completion, speaks=speaks, saw=self.memory.view())

    # a step: run a call

    async def _run(self, call: Message) -> None:
        if call.meta.cut and call.name != "send_message":
            cut = "The call was cut short at the limit of tokens of one reply; call it again with less text."
            return await self._return(call, Outcome(cut, failed=True))
        try:
            prepared = self.program.executor.prepare(call.name or "", call.text)
        except FunctionError as error:
            return await self._return(call, Outcome(str(error), failed=True, invalid=True))
        if prepared.function.kind == "memory":
            try:
                return await self._commit(partial(self._effect, call, prepared))
            except FunctionError as error:
                return await self._return(call, prepared.told(Outcome(str(error), failed=True)))
        if prepared.function.kind == "tool" and not await self._start(call, prepared):
            gone = f"{call.name} was interrupted, outcome unknown; find out before you call it again."
            return await self._return(call, Outcome(gone, failed=True))
        return await self._return(call, prepared.told(await self.program.executor.run(prepared)))

    def _effect(self, call: Message, prepared: Prepared, tx: Transaction) -> list[Message]:
        """A memory function's effect and its result: one transaction."""
        value = prepared.function.call(tx=tx, **prepared.arguments)
        outcome = value if isinstance(value, Outcome) else Outcome(str(value))
        return self.rows.result(call, prepared.told(outcome))

    async def _start(self, call: Message, prepared: Prepared) -> bool:
        """Mark an outside call as started; False if it already was and must not be run twice."""
        event = self.event
        if event is None or prepared.function.idempotent:
            return True
        if event.started == call.seq:
            return False
        await self.program.store.write(
            lambda tx: tx.set_event(self.record.id, event.id, "active", call.seq), self.memory.hold
        )
        self.turn.event = replace(event, started=call.seq)
        return True

    async def _return(self, call: Message, outcome: Outcome) -> None:
        await self._commit(lambda _: self.rows.result(call, outcome))
