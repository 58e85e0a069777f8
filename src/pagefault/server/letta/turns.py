"""Turns for Letta's clients: inputs are sent, and what comes of them is one answer or a stream of messages.

What is committed is read from the log, so that an answer, a stream and a later list show the same messages
under the same ids. Pieces of speech have ids of their own, for when they come nobody knows their row's; the
whole follows only if it was not shown so.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from pagefault.kernel import Kernel, approvals
from pagefault.server.auth import Caller
from pagefault.server.letta.ids import letta_id
from pagefault.server.letta.inputs import CallDecision, MessageInput, decisions_of
from pagefault.server.letta.messages import (
    LettaMessage,
    approval_request,
    message_fields,
    messages_of,
    run_usage,
    stop_reason,
)
from pagefault.server.letta.records import memory_of
from pagefault.server.posting import checked_event, posted_outputs, sent_images
from pagefault.server.problems import Problem
from pagefault.types import CLOSING, AgentRecord, Event, Message, Output, Role
from pagefault.views.stored import rows_of_event

__all__ = ["LettaTurn", "events_of_inputs", "outputs_of_inputs"]


async def events_of_inputs(caller: Caller, inputs: Sequence[MessageInput | CallDecision]) -> list[Event]:
    """The events among the inputs, with the bytes of their images, if the caller may post them all."""
    messages = [each for each in inputs if isinstance(each, MessageInput)]
    events = [checked_event(caller, each.event) for each in messages]
    return [
        replace(event, contents=await sent_images(caller, each.images))
        for event, each in zip(events, messages, strict=True)
    ]


async def outputs_of_inputs(
    caller: Caller, agent: AgentRecord, inputs: Sequence[MessageInput | CallDecision]
) -> AsyncGenerator[Output]:
    """Send the inputs, each when the turn of the one before is over, and yield the outputs of all.

    ``Problem`` before the first output if a call waits for a decision and there is none among the inputs.
    """
    caller.require("chat")
    events = await events_of_inputs(caller, inputs)
    decisions = [each for each in inputs if isinstance(each, CallDecision)]
    waiting = (await memory_of(caller.kernel, agent)).waiting
    if waiting and not decisions:
        raise Problem(
            409,
            "Decision needed",
            f"Agent {agent.name} waits for a decision on a call; approve or deny it first.",
        )
    decided = decisions_of(decisions, waiting)
    for number, (row, each) in enumerate(decided, 1):
        made = approvals.answer(
            caller.kernel, agent.name, row.id, each.approved, note=each.note, by=caller.key, only=agent.id
        )
        async with aclosing(made):
            async for output in made:
                if output.type != "waiting" or number == len(decided):
                    yield output
    for event in events:
        async with posted_outputs(caller, agent.name, event, agent.id) as (_, stored, outputs):
            yield Output("noticed", "", stored.id, 0)  # the response begins before the model answers
            async for output in outputs:
                yield output


@dataclass(slots=True)
class LettaTurn:
    """The messages that outputs are. ``pieces``: whether speech is shown as it comes; ``wanted``: the types
    of messages to show, None for all; ``asked``: functions whose calls may wait for a decision."""

    kernel: Kernel
    agent: AgentRecord
    asked: frozenset[str]
    pieces: bool = False
    wanted: frozenset[str] | None = None
    rows: list[Message] = field(default_factory=list[Message])
    events: list[int] = field(default_factory=list[int])
    waits: bool = False
    is_over: bool = False
    has_failed: bool = False
    _held: list[Message] = field(default_factory=list[Message])
    _shown: dict[str, str] = field(default_factory=dict[str, str])
    _part: int = 2

    async def messages(self, outputs: AsyncIterator[Output]) -> AsyncGenerator[LettaMessage]:
        """The messages of these outputs, as they come."""
        async for output in outputs:
            self.is_over = output.type in CLOSING
            for message in await self._of(output):
                if self.wanted is None or message["message_type"] in self.wanted:
                    yield message

    async def _of(self, output: Output) -> list[LettaMessage]:
        if output.event is not None and output.event not in self.events:
            self.events.append(output.event)
        match output.type:
            case "delta":
                return self._piece(output) if self.pieces else []
            case "retracted":
                self._shown.clear()
                self._part += 1
                return []
            case "noticed" | "progress":
                return []
            case "waiting":
                return await self._asked(output)
            case "done":
                return self._release()
            case "alerted":
                made = await self._committed(output)
                return made if self._has_row(output) else [*made, self._unserved(output)]
            case _:
                return await self._committed(output)

    async def _committed(self, output: Output) -> list[LettaMessage]:
        """The messages of the rows that were committed since."""
        if output.event is None:
            return []
        first = self.rows[-1].seq + 1 if self.rows else output.position
        fresh = await rows_of_event(self.kernel, self.agent.id, output.event, first)
        made = list[LettaMessage]()
        for row in fresh:
            self.rows.append(row)
            made += self._message(row)
        return made

    def _message(self, row: Message) -> list[LettaMessage]:
        if row.role is Role.CALL and row.name in self.asked:
            self._held.append(row)
            return []
        if row.role in (Role.USER, Role.EVENT, Role.SUMMARY):
            return []
        made = self._release() if row.role is Role.RESULT else []
        if row.role is Role.ALERT:
            return [*made, *self._failure(row)]
        return [*made, *(each for each in messages_of(self.agent.id, row) if not self._was_shown(row))]

    def _release(self) -> list[LettaMessage]:
        """The calls that turned out to need no decision."""
        held, self._held = self._held, []
        return [message for row in held for message in messages_of(self.agent.id, row)]

    async def _asked(self, output: Output) -> list[LettaMessage]:
        """The question for decisions on the calls that wait, behind the calls that do not."""
        ids = {each["id"] for each in output.data.get("approvals", ())}
        self._held = [row for row in self._held if row.id not in ids]
        self.waits = True
        waiting = (await memory_of(self.kernel, self.agent)).waiting
        calls = [row for row in waiting if row.id in ids]
        return [*self._release(), *([approval_request(self.agent.id, calls)] if calls else [])]

    def _failure(self, row: Message) -> list[LettaMessage]:
        """An alert that ends the turn as an error message; others are not shown as they come."""
        if not row.meta.stop:
            return []
        (message,) = messages_of(self.agent.id, row)
        return [
            message
            | {"message_type": "error_message", "error_type": row.name, "message": row.text, "detail": None}
        ]

    def _has_row(self, output: Output) -> bool:
        return any(row.seq == output.position and row.role is Role.ALERT for row in self.rows)

    def _unserved(self, output: Output) -> LettaMessage:
        """An alert that is not in the log, as the agent cannot be served, as an error message."""
        self.has_failed, self._part = True, self._part + 1
        fields = self._fields(output)
        return fields | {
            "message_type": "error_message", "error_type": "alert", "message": output.text, "detail": None
        }  # fmt: skip

    # pieces of what streams

    def _fields(self, output: Output) -> LettaMessage:
        """The fields of a message that is no row."""
        id = letta_id("message", self.agent.id, output.position, self._part % 4096)
        run = letta_id("run", self.agent.id, output.event) if output.event else None
        return message_fields(id, self.kernel.clock.now(), run=run, seq=output.position)

    def _piece(self, output: Output) -> list[LettaMessage]:
        of = "said" if output.data.get("of") == "said" else "thought"
        if of not in self._shown:
            self._part += 1
        self._shown[of] = self._shown.get(of, "") + output.text
        fields = self._fields(output)
        if of == "said":
            return [fields | {"message_type": "assistant_message", "content": output.text}]
        return [fields | {"message_type": "reasoning_message", "reasoning": output.text}]

    def _was_shown(self, row: Message) -> bool:
        """Return whether the whole row was shown in pieces."""
        of = {Role.ASSISTANT: "said", Role.THOUGHT: "thought"}.get(row.role)
        shown = self._shown.get(of, "").lstrip() if of else ""
        if not of or not row.text or not shown.startswith(row.text.strip()):
            return False
        self._shown[of] = shown[len(row.text.strip()) :]
        if not self._shown[of].strip():
            del self._shown[of]
        return True

    # the end

    @property
    def stop_reason(self) -> LettaMessage:
        """The reason why the turn ended, as a message."""
        reason = stop_reason(self.rows, waits=self.waits) if self.is_over and not self.has_failed else "error"
        return {"message_type": "stop_reason", "stop_reason": reason}

    @property
    def usage(self) -> LettaMessage:
        """The usage of the turn, as a message."""
        return run_usage(self.agent.id, self.rows, self.events)
