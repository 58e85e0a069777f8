"""Stored messages of MemGPT and Letta as rows of the log, in the order of time.

A stored message is one completion or one event: it may hold a thought, speech and several calls, each of
which is a row here. For agents that speak through a function, the speech is the argument of ``send_message``;
for the others it is the text. Left out: how the formats write a message (``schema``, ``memgpt``). Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import cast

from pagefault.importers.letta.packed import returned, unpacked
from pagefault.models.json_text import read_json, repair_json
from pagefault.types import Role

__all__ = ["SaidRow", "StoredCall", "StoredMessage", "StoredReturn", "in_order", "rows_of"]

_SPEECH = "send_message"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A call as it was stored. ``arguments``: JSON as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class StoredReturn:
    """The return of a call. ``name``: of the function, if the format says it."""

    call: str
    text: str
    failed: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as stored. ``role``: user, assistant, tool or system; ``at``: None: as the one before."""

    role: str
    text: str = ""
    at: datetime | None = None
    speaker: str = ""
    thoughts: tuple[str, ...] = ()
    calls: tuple[StoredCall, ...] = ()
    returns: tuple[StoredReturn, ...] = ()
    images: int = 0


@dataclass(frozen=True, slots=True)
class SaidRow:
    """A row of the log to be. ``name``: of the function of a call or a result."""

    role: Role
    text: str
    at: datetime
    speaker: str = ""
    name: str = ""
    call_id: str = ""
    failed: bool = False


@dataclass(slots=True)
class _Reader:
    """Reads the messages of one agent. ``omitted`` counts what is no row, by what it is."""

    speaks_by_function: bool
    names: dict[str, str]
    omitted: Counter[str] = field(default_factory=Counter[str])

    def rows(self, message: StoredMessage, at: datetime) -> Iterator[SaidRow]:
        if message.images:
            self.omitted["images"] += message.images
        match message.role:
            case "user":
                yield from self._from_user(message, at)
            case "assistant":
                yield from self._from_agent(message, at)
            case "tool":
                yield from self._from_functions(message, at)
            case "system":
                self.omitted["renderings of the system instructions"] += 1
            case _:
                self.omitted[f"messages of the role {message.role[:20]}"] += 1

    def _from_user(self, message: StoredMessage, at: datetime) -> Iterator[SaidRow]:
        packed = unpacked(message.text)
        if packed is None:
            yield SaidRow(Role.USER, message.text, at, message.speaker)
        elif packed.is_control:
            self.omitted["heartbeats"] += 1
        elif packed.is_said:
            yield SaidRow(Role.USER, packed.text, at, packed.speaker or message.speaker)
        else:
            yield SaidRow(Role.EVENT, packed.text, at, packed.speaker)

    def _from_agent(self, message: StoredMessage, at: datetime) -> Iterator[SaidRow]:
        thoughts, said = [*message.thoughts], [message.text]
        if self.speaks_by_function and message.calls:
            thoughts, said = [*thoughts, message.text], []
        yield from (SaidRow(Role.THOUGHT, text, at) for text in thoughts)
        yield from (SaidRow(Role.ASSISTANT, text, at) for text in said)
        for call in message.calls:
            if call.name == _SPEECH and (speech := _spoken(call.arguments)) is not None:
                yield SaidRow(Role.ASSISTANT, speech, at)
            else:
                yield SaidRow(Role.CALL, call.arguments, at, "", call.name, call.id)

    def _from_functions(self, message: StoredMessage, at: datetime) -> Iterator[SaidRow]:
        for each in message.returns:
            name = self.names.get(each.call) or each.name or message.speaker
            text, failed = returned(each.text)
            failed = failed or each.failed
            if name != _SPEECH or failed:
                yield SaidRow(Role.RESULT, text, at, "", name, each.call, failed)


def rows_of(
    messages: Sequence[StoredMessage], *, speaks_by_function: bool, omitted: Counter[str]
) -> Iterator[SaidRow]:
    """The rows of messages that are in their order; ``omitted`` counts what is none. Empty texts are none."""
    names = {call.id: call.name for message in messages for call in message.calls}
    reader = _Reader(speaks_by_function, names, omitted)
    at = next((each.at for each in messages if each.at), _EPOCH)
    for message in messages:
        at = message.at or at
        yield from (row for row in reader.rows(message, at) if row.text.strip())


def in_order(messages: Iterable[StoredMessage]) -> list[StoredMessage]:
    """Messages by their time; those of the same time as they stand, but a result never before its call."""
    dated, last = list[tuple[datetime, StoredMessage]](), _EPOCH
    for message in messages:
        last = message.at or last
        dated.append((last, message))
    pairs = [(at > after) - (at < after) for (at, _), (after, _) in pairwise(dated)]
    if min(pairs, default=0) >= 0 and sum(pairs) > 1:  # newest first
        dated.reverse()
    dated.sort(key=lambda each: each[0])
    return _results_behind([message for _, message in dated])


def _results_behind(messages: Sequence[StoredMessage]) -> list[StoredMessage]:
    """The messages with each result behind its call, if that is there."""
    places = {call.id: place for place, each in enumerate(messages) for call in each.calls}
    early = dict[int, list[StoredMessage]]()
    ordered = list[StoredMessage]()
    for place, message in enumerate(messages):
        behind = max((places.get(each.call, -1) for each in message.returns), default=-1)
        if behind > place:
            early.setdefault(behind, []).append(message)
            continue
        ordered += (message, *early.pop(place, ()))
    return ordered


def _spoken(arguments: str) -> str | None:
    """The speech in the arguments of ``send_message``; None if it cannot be made out."""
    try:
        values: object = read_json(arguments)
    except ValueError:
        values = repair_json(arguments)
    message = cast("dict[str, object]", values).get("message") if isinstance(values, dict) else None
    return message if isinstance(message, str) else None
