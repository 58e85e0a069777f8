"""The rows of a turn as drafts: the event that opens it, completions, results, alerts.

Pure but for the clock. Numbers, sizes and the form shown are given at admission.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo

from pagefault import prompts
from pagefault.agent.parsing import EventParser
from pagefault.approvals import Approval
from pagefault.clock import Clock
from pagefault.context import Sizes, label
from pagefault.context.admission import FRAMED
from pagefault.functions import Outcome
from pagefault.functions.arguments import wants_heartbeat
from pagefault.message_meta import PLAIN, MessageMeta, SeenContext, StopName
from pagefault.models import Completion
from pagefault.models.bounds import MOST_CALLS
from pagefault.names import shown_kind, shown_sender
from pagefault.types import Event, EventKind, Message, Role

THINKING = "thinking"
"""The name of a thought that the provider showed apart from the completion's text."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Makes the rows of one agent. ``parsers`` are by kind of event (``parsing`` runs them)."""

    clock: Clock
    zone: tzinfo
    parsers: Mapping[str, EventParser] = field(default_factory=dict[str, EventParser])

    def opening(self, event: Event, sizes: Sizes) -> Message:
        """The row by which an event, its text as the model is to read it, enters the log; its label carries
        the local time."""
        role, text = Role.EVENT, event.text
        if event.kind == EventKind.MESSAGE:
            role = Role.USER
        elif event.kind == EventKind.ALERT:
            role = Role.ALERT
        elif event.kind == EventKind.PRESSURE:
            role = Role.ALERT
            percent = round(100 * sizes.queue / max(1, sizes.room))
            text = text or prompts.text("pressure").format(percent=percent)
        elif event.kind == EventKind.SLEEP:
            role = Role.ALERT
        kind = "user" if role is Role.USER else shown_kind(event.kind)
        label = f"{kind} {shown_sender(event.sender)}" if event.sender else kind
        meta = MessageMeta(stop=event.kind == EventKind.OVERHEARD, media=event.media)
        return replace(self._labelled(role, label, text, event.kind), speaker=event.sender or "", meta=meta)

    def alert(self, name: StopName, text: str) -> Message:
        """An alert that ends the turn."""
        return replace(self._labelled(Role.ALERT, "alert", text, name), meta=MessageMeta(stop=True))

    def truncated(self, model: str, wanted: int, served: int, least: int) -> Message:
        """An alert that the server cut prompts silently; it ends the turn if what it serves is less than the
        ``least`` that would do."""
        cuts = f"The server of {model} silently cuts prompts to about {served:,} tokens"
        if served < least:
            fix = f"have it serve {least:,} or more (Ollama: OLLAMA_CONTEXT_LENGTH)"
            return self.alert(StopName.TRUNCATED, f"{cuts}, too few for this agent; {fix}.")
        text = f"{cuts}; the window, set to {wanted:,}, is {served:,} from now on, and nothing is lost."
        return Message(Role.ALERT, text, self.clock.now(), name="truncated")

    def plainly(self) -> Message:
        """An alert that asks for an answer in plain text."""
        return self._labelled(Role.ALERT, "alert", prompts.text("plain"), PLAIN)

    def _labelled(self, role: Role, kind: str, text: str, name: str) -> Message:
        at = self.clock.now()
        return Message(role, text, at, label(kind, at, self.zone, "{}"), name=name)

    def step(self, completion: Completion, *, speaks: bool, saw: SeenContext) -> list[Message]:
        """One completion: its thinking (not shown in later prompts), its text (speech if it ``speaks``, else
        thought), then its calls. The first row's ``meta`` has what the model saw, what was repaired and what
        the provider wants back; the last call's, whether it was cut."""
        now, text = self.clock.now(), completion.text.strip()
        rows = [
            Message(
                Role.CALL, call.arguments, now, completion=0, name=call.name,
                meta=MessageMeta(surplus=number >= MOST_CALLS, from_text=call.from_text),
            )
            for number, call in enumerate(completion.calls)
        ]  # fmt: skip
        if text:
            role = Role.ASSISTANT if speaks else Role.THOUGHT
            rows.insert(0, Message(role, text, now, "{}", completion=0))
        rows = rows or [Message(Role.THOUGHT, "", now, completion=0)]
        echo = completion.echo if completion.echo and (text or completion.calls) else None
        if thinking := completion.thinking.strip():
            rows.insert(0, Message(Role.THOUGHT, thinking, now, completion=0, name=THINKING))
        meta = replace(rows[0].meta, saw=saw, notes=tuple(completion.notes), echo=echo)
        rows[0] = replace(rows[0], meta=meta)
        if completion.cut and completion.calls:
            rows[-1] = replace(rows[-1], meta=replace(rows[-1].meta, cut=True))
        return rows

    def interrupted(self, said: str) -> Message:
        """The part of a reply that was shown before its turn was cancelled."""
        return Message(Role.ASSISTANT, said, self.clock.now(), "{}", completion=0, meta=MessageMeta(cut=True))

    def result(self, call: Message, outcome: Outcome, approval: Approval | None = None) -> list[Message]:
        """A call's result, after the rows its function made; ``approval``: what was decided on it."""
        meta = MessageMeta(
            failed=outcome.failed,
            invalid=outcome.invalid,
            heartbeat=outcome.heartbeat or wants_heartbeat(call.text),
            sources=tuple(outcome.sources),
            decision=approval.decision if approval else "",
            decided_by=approval.by if approval else "",
            media=tuple(each.media for each in outcome.media),
        )
        text = f"Error: {outcome.text}" if outcome.failed else outcome.text
        shown = FRAMED if outcome.framed and not outcome.failed else "{}"
        result = Message(
            Role.RESULT, text, self.clock.now(), shown, completion=call.completion, call_id=call.call_id,
            name=call.name, meta=meta,
        )  # fmt: skip
        return [*(replace(row, completion=call.completion) for row in outcome.rows), result]
