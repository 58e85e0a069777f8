"""One process of the operating system: an agent that turns an event into steps until it yields.

It does what ``turn.next_action`` says comes next; ``turn_writer`` commits it. When a turn runs, and in which
process, is the kernel's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import anyio

from pagefault.accounting.usage import usage_of
from pagefault.agent.calls import CallReader, TurnCalls
from pagefault.agent.output import Stream, output_of
from pagefault.agent.parsing import read_event
from pagefault.agent.program import Program
from pagefault.agent.prompting import Prompting
from pagefault.agent.rows import Rows
from pagefault.agent.sleeping import is_sleep, sleep_text
from pagefault.agent.truncation import narrowed
from pagefault.agent.turn import Action, Insist, OpenTurn, Run, Stop, next_action, read_turn
from pagefault.agent.turn_writer import TurnWriter, post_to
from pagefault.context import Queue
from pagefault.context.queue_log import read_queue
from pagefault.context.queue_manager import QueueManager
from pagefault.errors import ContextLengthExceeded, ModelError
from pagefault.functions import Outcome
from pagefault.message_meta import RequestUsage, StopName
from pagefault.models import Completion, Prompt
from pagefault.observing import Ending, ObservedTurn
from pagefault.storage import TurnHold
from pagefault.types import AgentRecord, Event, EventKind, Message, Output, Role

_TRIES = 5  # requests that one step may take when the provider says that the prompt is too long


class Process:
    """A loaded agent. Only the holder of its turn lock may use it. ``emit`` is given each output."""

    def __init__(
        self,
        record: AgentRecord,
        program: Program,
        memory: QueueManager,
        rows: Rows,
        emit: Callable[[Output], None],
        turn: OpenTurn,
    ) -> None:
        self.program = program
        self.memory = memory
        self.rows = rows
        self.emit = emit
        self.turn = turn
        reader = CallReader(program, turn)
        self.writer = TurnWriter(
            record, program.store, memory, rows, turn, emit, self._next, reader.prepare, program.observers,
            rests_for=program.sleep.after,
        )  # fmt: skip
        self.calls = TurnCalls(reader, rows, self.writer)
        self._prompting = Prompting(program, memory)
        self._streaming: Stream | None = None
        self._deferred: int | None = None  # the event that has let a warning go first, as each may once
        memory.shown = self._shown
        self._cut_short = ""  # the name of the alert that ended the last turn, if one did

    @property
    def record(self) -> AgentRecord:
        """The agent as stored, now."""
        memory = self.memory
        return replace(self.writer.record, last_seq=memory.last_seq, queue=memory.queue.state)

    @property
    def event(self) -> Event | None:
        """The event whose turn is open."""
        return self.turn.event

    async def load(self, record: AgentRecord | None = None) -> None:
        """Read the agent as it stands in the store, if another process has moved it since; ``record``
        if that was just read."""
        if record is None or not self._is_at(record):
            id, store = self.writer.record.id, self.program.store
            if found := await store.read(lambda tx: (r := tx.agent_by_id(id)) and (r, *read_queue(tx, r))):
                self.take_over(*found)

    def take_over(self, record: AgentRecord, queue: Queue, warning_waits: bool) -> None:
        """Go on from the agent as it was read from the store, in one snapshot."""
        if not self._is_at(record):
            loaded_with = self.writer.record.attachment_changes
            self.writer.record = replace(record, attachment_changes=loaded_with)
            self.memory.load(record, queue, warning_waits=warning_waits)

    def _is_at(self, record: AgentRecord) -> bool:
        return (record.last_seq, record.queue) == (self.memory.last_seq, self.memory.queue.state)

    def begin(self, hold: TurnHold) -> None:
        """Write under this turn lock from now on."""
        self.memory.hold = hold

    async def post(self, event: Event) -> Event:
        """Store a new event in the inbox and return it as stored. If it can be handled at once, its turn is
        opened too (``self.event`` is set then) and waits for ``handle``."""
        if event.kind not in self.rows.parsers and not is_sleep(
            event
        ):  # what takes its time is stored before
            row = self.rows.opening(event, self.memory.pressure())
            if not row.meta.stop and not self.memory.crosses_both(row):
                rows = await self.program.prefetcher.rows(event, row, self.memory)
                return await self.writer.post(event, rows)
        to = self.writer.record
        return (await self.program.store.write(lambda tx: post_to(tx, to.id, to.name, event)))[0]

    async def handle(self, event: Event) -> Output | None:
        """Run an event's turn to its end, or until a person has to decide, from wherever it stands; return
        its ``done``, or ``waiting``, not emitted here.

        An event that would cross the warning and the flush line at once is left pending: the warning,
        posted here, has its turn first. Once only: where the room is small, the row may cross both again.
        """
        record = self.writer.record
        seen = ObservedTurn(record.id, record.name, str(record.settings.get("model", "")), event)
        with self.program.observers.watching(seen) as watch:
            self.turn.trace = self.program.observers.trace()
            done = await self._handle(event)
            state = "deferred" if done is None else "waiting" if done.type == "waiting" else "done"
            watch.ending = Ending(self._cut_short if state == "done" else "", state)
        return done

    async def _handle(self, event: Event) -> Output | None:
        self.writer.inbox_empty = False
        if self.event is None and not await self._begin(event):
            return None
        if self.turn.is_cancelled:
            return await self.cancel()
        with anyio.move_on_after(self.program.turn_timeout):
            while not isinstance(action := self._next(self.turn.rows), Stop):
                if isinstance(action, Insist):
                    await self.writer.commit([self.rows.plainly()])
                elif not isinstance(action, Run):
                    if not is_sleep(self.event) or not await self._has_slept():
                        await self._ask()
                elif await self.calls.ask(action.call):
                    self._prompting.drop_images()
                    return self.calls.waiting()
                else:
                    await self.calls.run(action.call)
            return self._finish()
        return await self.stop(
            f"The turn took more than {self.program.turn_timeout:g} s (the setting turn_timeout); it is over."
        )

    async def _begin(self, event: Event) -> bool:
        """Open the event's turn, or take up the one that was interrupted; False if a warning goes first."""
        if event.state == "pending":
            read = await read_event(event, self.rows.parsers, self.program.executor.timeout)
            if is_sleep(event):
                memory = self.memory
                about = self.writer.record.id, self.rows.zone, memory.counter, memory.budget.page
                read = replace(read, text=await self.program.store.read(lambda tx: sleep_text(tx, *about)))
            row = self.rows.opening(read, self.memory.pressure())
            may_wait = event.kind != EventKind.PRESSURE and event.id != self._deferred
            if may_wait and self.memory.crosses_both(row):
                self._deferred = event.id
                await self.memory.warn()
                return False
            if row.meta.stop:  # no completion is asked for, before which there would be a flush
                await self.program.check_budgets()
                self._flushed(await self.memory.make_room(None, warning=False, fold=False))
            await self.writer.open(event, await self.program.prefetcher.rows(read, row, self.memory))
        else:
            id = self.writer.record.id
            self.turn.begin(event, *await self.program.store.read(lambda tx: read_turn(tx, id, event)))
            if not self.turn.is_cancelled:
                await self.writer.commit()  # calls of memory functions without a result, a turn that is over
        return True

    async def cancel(self) -> Output | None:
        """End the open turn, as somebody wishes."""
        return await self.stop("The turn was cancelled.", StopName.CANCELLED)

    async def stop(self, why: str, name: StopName = StopName.STOPPED) -> Output | None:
        """End the open turn here: speech that was shown in part is kept, calls without a result get one, an
        alert of this name says why, the event is done. Returns ``done``, None if no turn is open."""
        if self.event is None:
            return None
        if self._streaming and (said := self._streaming.speech.said.strip()):
            why = f"{why} The reply above ends where it was interrupted."
            await self.writer.commit([self.rows.interrupted(said), self.rows.alert(name, why)])
            return self._finish()
        while isinstance(action := self._next(self.turn.rows), Run):
            outcome = Outcome(f"Not run to its end: {why}", failed=True)
            await self.writer.commit(self.rows.result(action.call, outcome), call_memory=False)
        if not isinstance(self._next(self.turn.rows), Stop):
            await self.writer.commit([self.rows.alert(name, why)])
        return self._finish()

    async def flush(self, keep: int | None = None) -> bool:
        """Flush now, between turns; ``keep``: calibrated tokens to keep. False: nothing to evict."""
        return self._flushed(await self.memory.flush(None, keep))

    def prompt(self) -> Prompt:
        """The prompt as it would be sent now."""
        return self._prompting.prompt(plain=self.turn.is_plain)

    async def _shown(self, queue: Queue) -> Prompt:
        """The prompt of a part of the queue, as it was sent in the last request."""
        if self.event is not None:
            await self._prompting.load_images()
        return self._prompting.part(queue)

    @property
    def _warning(self) -> bool:
        return self.event is not None and self.event.kind == EventKind.PRESSURE

    def _next(self, rows: Sequence[Message]) -> Action:
        p, speak = self.program, not self.program.permissions.hold_speech
        return next_action(rows, p.style, p.most_steps(self.event), may_speak=speak, reads=p.executor.reads)

    def _finish(self) -> Output:
        self._prompting.drop_images()
        last = self.turn.rows[-1] if self.turn.rows else None
        self._cut_short = (last.name or "") if last and last.meta.stop else ""
        event, self._streaming = self.turn.end(), None
        return Output("done", "", event.id if event else None, self.memory.last_seq)

    def _flushed(self, row: Message | None) -> bool:
        if row and (output := output_of(row)):
            self.emit(output)
        self.writer.outdated |= row is not None and self.program.has_new_functions()
        return row is not None

    async def _ask(self) -> None:
        """Get one completion and commit it. A provider that says "too long" is believed and asked again
        after a flush; a completion that is empty where an answer is owed is asked for once more."""
        await self.program.check_budgets()
        memory, empty = self.memory, 0
        for attempt in range(_TRIES):
            fold = self.program.fold_at_once
            self._flushed(await memory.make_room(self.turn.opened(), warning=self._warning, fold=fold))
            try:
                await self._prompting.load_images()
                self._streaming = self._stream(attempt)
                completion = await self._streaming.completion(self.program.model, self.prompt())
                self._streaming = None
            except ContextLengthExceeded as error:
                if attempt == _TRIES - 1:
                    return await self._give_up(str(error))
                self._flushed(await memory.distrust(self.turn.opened()))
            except ModelError as error:
                return await self._give_up(str(error))
            else:
                request = self._request(completion)
                self.writer.spent.append(request)
                if request.cut and await narrowed(self.program, self.writer, request.usage.input):
                    if self.turn.rows[-1].meta.stop:
                        return None
                    continue
                if completion.text.strip() or completion.calls or not self._owes_answer():
                    ratio = memory.calibration.moved(memory.queue.state.ratio, request)
                    return await self.writer.commit(self._step(completion), ratio=ratio)
                empty += 1
                if empty == 2:
                    return await self._give_up(f"{self.program.model.name} returned nothing, twice.")
        return None

    async def _has_slept(self) -> bool:
        """Return whether the sleep has used up what it may; then it ends."""
        spent = [*(each for row in self.turn.rows for each in row.usage), *self.writer.spent]
        sizes, now = self.memory.sizes(), self.rows.clock.now()
        if why := self.program.sleep.excess(spent, sizes.prompt + sizes.reserve, now):
            await self.writer.commit([self.rows.alert(StopName.SLEPT, why)])
        return bool(why)

    def _request(self, completion: Completion) -> RequestUsage:
        m, name = self.memory, self.program.model.name
        cut = m.falls_short(completion.usage.input if completion.usage else 0)
        return usage_of(completion, name, m.counted, m.counter, cut=cut, images=m.shows_images)

    async def _give_up(self, why: str) -> None:
        await self.writer.commit([self.rows.alert(StopName.MODEL_FAILED, why)])

    def _owes_answer(self) -> bool:
        said = any(row.role is Role.ASSISTANT for row in self.turn.rows)
        return self.event is not None and self.event.kind == EventKind.MESSAGE and not said

    def _stream(self, attempt: int) -> Stream:
        event, done = self.event.id if self.event else None, {row.completion for row in self.turn.rows}
        step = f"{event}.{len(done - {None}) + 1}.{attempt + 1}"
        asleep, plain = is_sleep(self.event), self.turn.is_plain
        style = (
            "memgpt" if asleep else "native" if plain else self.program.style
        )  # its text: thought, or said
        held = asleep or self.program.permissions.hold_speech
        return Stream(style, step, event, self.memory.last_seq, self.emit, held, plain)

    def _step(self, completion: Completion) -> list[Message]:
        plain = not (completion.calls or self.program.permissions.hold_speech) and self._owes_answer()
        speaks = not self._warning and not is_sleep(self.event) and (plain or self.program.style == "native")
        return self.rows.step(completion, speaks=speaks, saw=self.memory.view())
