"""The output buffer: what the agent said and did, as a view of the log, and a completion while it streams.

An output is made from a committed row, so it can be asked for again from any position. Deltas come
earlier, are marked as such, and are taken back by ``retracted`` if their attempt fails.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from pydantic_core import from_json

from pagefault.errors import ModelError
from pagefault.message_meta import values_of
from pagefault.models import Completion, Delta, Model, Prompt
from pagefault.quoting import HalfJoiner, in_texts, whole
from pagefault.types import EventKind, Message, Output, OutputType, Role, Style

WITHDRAWN = "withdrawn"
"""The name of the alert that rows before it were withdrawn. It is not shown in the prompt."""

_TYPES: dict[Role, OutputType] = {
    Role.ASSISTANT: "said",
    Role.THOUGHT: "thought",
    Role.CALL: "called",
    Role.RESULT: "returned",
    Role.PREFETCH: "prefetched",
    Role.SUMMARY: "flushed",
    Role.ALERT: "alerted",
}


def output_of(row: Message) -> Output | None:
    """The output a row shows; None for inputs, for a thought or prefetch of nothing, and for what was said
    elsewhere."""
    if row.role is Role.ALERT and row.name == WITHDRAWN:
        reach = {"from": row.meta.point + 1, "to": row.seq - 1}
        return Output("withdrawn", row.text, row.event, row.seq, row.name, reach)
    kind = None if row.is_appended else _TYPES.get(row.role)
    if row.role is Role.ALERT and row.name in tuple(EventKind):
        kind = "warned" if row.name == EventKind.PRESSURE else None
    if kind is None or (kind in ("thought", "prefetched") and not row.text):
        return None
    return Output(kind, row.text, row.event, row.seq, row.name, values_of(row.meta))


@dataclass(slots=True)
class Speech:
    """The part of a streaming completion that can already be shown: plain text, and the ``message``
    argument of ``send_message`` calls as far as it has come; not if the calls are ``held``, because somebody
    is to decide on them first."""

    style: Style
    attempt: str
    held: bool = False
    shown: bool = False
    said: str = ""  # the part of what was shown that is speech
    _arguments: dict[int, str] = field(default_factory=dict[int, str])
    _said: dict[int, int] = field(default_factory=dict[int, int])

    def feed(self, delta: Delta, event: int | None, position: int) -> Output | None:
        """The delta to show for a piece of the completion, if it shows anything."""
        of = "thinking" if delta.thinking else "said" if self.style == "native" else "thought"
        text = delta.text
        if delta.call is not None:
            if delta.name != "send_message" or self.held:
                return None
            of, text = "said", self._message(delta.call, delta.text)
        if not text:
            return None
        self.shown = True
        if of == "said":
            self.said += text
        call = {} if delta.call is None else {"call": str(delta.call)}
        return Output("delta", text, event, position, data={"attempt": self.attempt, "of": of, **call})

    def _message(self, call: int, piece: str) -> str:
        self._arguments[call] = self._arguments.get(call, "") + piece
        try:
            value = from_json(self._arguments[call], allow_partial="trailing-strings")
        except ValueError:
            return ""
        message = value.get("message") if isinstance(value, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if not isinstance(message, str):
            return ""
        fresh = message[self._said.get(call, 0) :]
        self._said[call] = len(message)
        return fresh


def _whole(completion: Completion) -> Completion:
    """The completion with texts that every server and store takes: no half of a surrogate pair. What the
    model says enters here."""
    calls = (
        replace(call, id=whole(call.id), name=whole(call.name), arguments=whole(call.arguments))
        for call in completion.calls
    )
    echo = completion.echo and in_texts(whole, completion.echo)
    text, thinking = whole(completion.text), whole(completion.thinking)
    return replace(completion, text=text, thinking=thinking, calls=tuple(calls), echo=echo)


@dataclass(slots=True)
class Stream:
    """One request's completion on its way: what can be shown goes out as deltas of an attempt; an attempt
    that is given up is retracted. ``step`` names the request; ``event`` and ``position`` are the outputs'.
    ``plain``: nothing is a call, whatever the model or its adapter takes for one."""

    style: Style
    step: str
    event: int | None
    position: int
    emit: Callable[[Output], None]
    held: bool = False
    plain: bool = False
    speech: Speech = field(init=False)

    def __post_init__(self) -> None:
        self.speech = self._speech(self.step)

    def _speech(self, attempt: str) -> Speech:
        return Speech(self.style, attempt, self.held or self.plain)

    async def completion(self, model: Model, prompt: Prompt) -> Completion:
        """The model's whole completion; raises ``ModelError``. If it is cancelled, ``speech`` has what was
        shown until then."""
        attempts, halves = 1, HalfJoiner()
        try:
            async with aclosing(model.stream(prompt)) as items:
                async for item in items:
                    if isinstance(item, Completion):
                        return _whole(replace(item, calls=()) if self.plain else item)
                    if isinstance(item, Delta):
                        text = halves.whole((item.call, item.thinking), item.text)
                        item = item if text == item.text else replace(item, text=text)
                        if output := self.speech.feed(item, self.event, self.position):
                            self.emit(output)
                        continue
                    if item.restart:
                        attempts, halves = attempts + 1, HalfJoiner()
                        self._retract(again=True)
                        self.speech = self._speech(f"{self.step}.{attempts}")
                    data = {"unreachable": True} if item.unreachable else {}
                    self.emit(Output("noticed", item.text, self.event, self.position, data=data))
        except Exception:
            self._retract()
            raise
        self._retract()
        raise ModelError(f"{model.name} ended its stream without a completion; try again.")

    def _retract(self, *, again: bool = False) -> None:
        if self.speech.shown:
            data = {"attempt": self.speech.attempt, "again": again}
            self.emit(Output("retracted", "", self.event, self.position, data=data))
            self.speech.said = ""
