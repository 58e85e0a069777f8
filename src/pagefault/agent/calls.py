"""The calls of an open turn: made ready, decided on by a person where that is needed, run.

Memory functions are run by ``turn_writer``, in the commit of the completion that calls them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import anyio.lowlevel

from pagefault.agent.approval import refusal, waiting_output, with_decision
from pagefault.agent.program import Program
from pagefault.agent.rows import Rows
from pagefault.agent.sleeping import refusal_asleep
from pagefault.agent.turn import OpenTurn, unanswered
from pagefault.agent.turn_writer import TurnWriter, ending_of, observed
from pagefault.approvals import Approval
from pagefault.errors import FunctionError
from pagefault.functions import Outcome, Prepared
from pagefault.models.bounds import MOST_CALLS
from pagefault.types import Message, Output

__all__ = ["CallReader", "TurnCalls"]

_SURPLUS = f"Not run: at most {MOST_CALLS} calls in one completion; make this call in your next one."
_CUT_SHORT = "The call was cut short at the limit of tokens of one reply; call it again with less text."


@dataclass(frozen=True, slots=True)
class CallReader:
    """Reads calls as they stand in the log, with the decisions on them."""

    program: Program
    turn: OpenTurn

    def prepare(self, call: Message) -> Prepared | Outcome | None:
        """The call with its arguments read, or its outcome if it is not to be run. None: a person may have to
        decide on it first."""
        if call.meta.cut and call.name != "send_message":
            return Outcome(_CUT_SHORT, failed=True)
        if call.meta.surplus:
            return Outcome(_SURPLUS, failed=True)
        approval = self.turn.approvals.get(call.seq)
        if approval and approval.decision in ("refused", "expired"):
            return refusal(approval)
        try:
            prepared = self.read(call)
        except FunctionError as error:
            return Outcome(str(error), failed=True, invalid=True)
        if refused := refusal_asleep(self.turn.event, prepared.function):
            return refused
        decided = call.seq in self.turn.unasked or (approval and approval.decision == "approved")
        return prepared if decided or not self.program.permissions.may_ask(prepared.function) else None

    def read(self, call: Message) -> Prepared:
        """The call as it is written or, if it was approved, as that was."""
        prepare, approval = self.program.executor.prepare, self.turn.approvals.get(call.seq)
        if approval is None or approval.decision != "approved":
            return prepare(call.name or "", call.text, from_text=call.meta.from_text)
        agreed = approval.arguments if approval.changed is None else approval.changed
        prepared = prepare(approval.function, agreed, from_text=call.meta.from_text)
        if prepared.function.allowance != approval.name:
            gone = "is not there any more as it was"
            raise FunctionError(f"{approval.function} was approved, and {gone}; nothing was run.")
        return with_decision(prepared, approval)


@dataclass(frozen=True, slots=True)
class TurnCalls:
    """Carries out the calls of the open turn."""

    reader: CallReader
    rows: Rows
    writer: TurnWriter

    async def ask(self, call: Message) -> bool:
        """Ask for a decision if the call needs one, at once with those behind it in its completion that need
        one too. True: the turn waits."""
        turn = self.reader.turn
        if self.reader.prepare(call) is not None or turn.event is None:
            return False
        step = unanswered([row for row in turn.rows if row.completion == call.completion])
        asked = [approval for each in step if (approval := await self._request(each, turn.event.id))]
        if not asked or asked[0].number != call.seq:
            turn.unasked.add(call.seq)
            return False
        await self.writer.wait(asked)
        turn.approvals |= {each.number: each for each in asked}
        await anyio.lowlevel.checkpoint()  # cancelled meanwhile, the turn ends instead of waiting
        return True

    async def _request(self, call: Message, event: int) -> Approval | None:
        if self.reader.prepare(call) is not None:
            return None
        permissions, executor = self.reader.program.permissions, self.reader.program.executor
        prepared = self.reader.read(call)
        if not await permissions.asks(prepared, executor.context(prepared.function), executor.timeout):
            return None
        return permissions.request(call, event, prepared, self.rows.clock.now())

    def waiting(self) -> Output:
        """Close the turn in this process, and return the output that says what it waits for."""
        turn, position = self.reader.turn, self.writer.memory.last_seq
        approvals = list(turn.approvals.values())
        event = turn.end()
        return waiting_output(event.id if event else 0, position, approvals)

    async def run(self, call: Message) -> None:
        """Run a call of a query or a tool; one of a memory function in a commit of its own."""
        prepared = self.reader.read(call)
        if prepared.function.kind == "memory":
            return await self.writer.commit()
        if prepared.function.kind == "tool" and not await self._start(call, prepared):
            gone = f"{call.name} was interrupted, outcome unknown; find out before you call it again."
            return await self._return(call, prepared.noted(Outcome(gone, failed=True)))
        program, agent = self.reader.program, self.writer.record.id
        with program.observers.watching(observed(agent, call, prepared.function.kind)) as watch:
            outcome = await program.executor.run(prepared)
            watch.ending = ending_of(outcome)
        return await self._return(call, prepared.noted(outcome))

    async def _start(self, call: Message, prepared: Prepared) -> bool:
        """Mark an outside call as started; False if it already was and must not be run twice."""
        event = self.reader.turn.event
        if event is None or prepared.function.idempotent:
            return True
        if event.started == call.seq:
            return False
        id, writer = self.writer.record.id, self.writer
        await writer.store.write(
            lambda tx: tx.set_event(id, event.id, "active", call.seq), writer.memory.hold
        )
        self.reader.turn.event = replace(event, started=call.seq)
        return True

    async def _return(self, call: Message, outcome: Outcome) -> None:
        result = self.rows.result(call, outcome, self.reader.turn.approvals.get(call.seq))
        await self.writer.commit(result, media=outcome.media)
