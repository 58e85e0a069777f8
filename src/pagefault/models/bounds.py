"""The bounds of one completion, for any model: its time, its size, the number of its calls, and its types.

They stand around whatever model an agent runs with, so that no adapter has to keep them. What is too large is
cut, with a note; what is of a wrong type comes no further, for nothing that is stored can be taken back. Left
out: retries, and code that blocks the event loop.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import astuple, dataclass, field, replace
from types import NoneType

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from pagefault.containment import Contained
from pagefault.errors import ModelError, ModelUnavailable, PagefaultError
from pagefault.models import (
    Call,
    Completion,
    Delta,
    Model,
    ModelWrapper,
    Notice,
    Prompt,
    StreamItem,
    Usage,
    own_id,
)

__all__ = ["MOST_CALLS", "BoundedModel"]

MOST_CALLS = 16
"""The calls of one completion that are run."""

_KEPT_CALLS = 4 * MOST_CALLS  # calls that get a result, if only that they were not run
_LEAST_SIZE = 200_000  # characters that a completion may always have
_SIZE_OF_TOKEN = 8  # characters, generously
_SIZE_OF_PIECE = 4  # characters that each piece counts as, at least
_SIZE_OF_CALL = 100  # characters that each call counts as, besides its arguments
_SIZE_OF_NOTICE = 200  # characters that each notice counts as, at least
_SLACK = 0.5  # seconds in which a model that keeps the same time may report better what went wrong
_AHEAD = 16  # pieces that the model may be ahead: those that come together take one switch of tasks
_CLOSING = 5.0  # seconds that a model may take to close its stream behind the completion
_MOST_TOKENS = 1 << 40  # that a usage is believed
_TEXT, _MAYBE_TEXT, _LIST = (str,), (str, NoneType), (tuple, list)
_TYPES: Mapping[type, Mapping[str, tuple[type, ...]]] = {
    Delta: {"text": _TEXT, "call": (int, NoneType), "name": _MAYBE_TEXT, "thinking": (bool,)},
    Notice: {"text": _TEXT, "restart": (bool,)},
    Completion: {
        "text": _TEXT, "calls": _LIST, "thinking": _TEXT, "cut": (bool,), "model": _TEXT, "notes": _LIST,
        "target": _TEXT,
    },
    Call: {"id": _TEXT, "name": _TEXT, "arguments": _TEXT, "from_text": (bool,)},
    str: {},
}  # fmt: skip


@dataclass(slots=True)
class BoundedModel(ModelWrapper):
    """A model with ``seconds`` for each completion; then ``ModelUnavailable`` is raised, even if the model
    ignores being cancelled. ``fix`` is the advice that the error gives."""

    seconds: float
    fix: str = "increase the setting patience"

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the model's items, and a completion of bounded size."""
        end = anyio.current_time() + self.seconds + _SLACK
        kept = _Kept(max(_LEAST_SIZE, _SIZE_OF_TOKEN * prompt.max_tokens))
        send, receive = anyio.create_memory_object_stream[StreamItem](_AHEAD)
        source = Contained(self.name, _forward(self.model, prompt, send))
        closing = 0.0
        try:
            while not kept.is_full:
                item: StreamItem | None = None
                with anyio.CancelScope(deadline=end) as scope:  # spans no ``yield``
                    try:
                        item = await receive.receive()
                    except anyio.EndOfStream:
                        await source.wait(self.seconds)
                if scope.cancelled_caught:
                    raise self._late()
                if item is None:
                    self._raise(source)
                    return
                if isinstance(item, Completion):
                    closing = _CLOSING
                    yield kept.bounded(item)
                    return
                kept.add(item)
                yield item
            yield kept.completion()
        finally:
            receive.close()
            await source.end(after=closing)

    def _raise(self, source: Contained[None]) -> None:
        """Raise the reason why the stream ended without a completion, if there was one, as a
        ``ModelError``."""
        try:
            source.result()
        except ModelError:
            raise
        except PagefaultError as error:
            raise ModelUnavailable(f"{self.name} failed: {error}") from error

    def _late(self) -> ModelError:
        return ModelUnavailable(f"{self.name} gave no whole answer within {self.seconds:g} s; {self.fix}.")


async def _forward(model: Model, prompt: Prompt, send: MemoryObjectSendStream[StreamItem]) -> None:
    with send:
        async with aclosing(model.stream(prompt)) as items:
            async for item in items:
                await send.send(_checked(item))
                if isinstance(item, Completion):
                    return


def _checked(item: StreamItem) -> StreamItem:
    """The item, if all in it has its type; else ``TypeError``. A usage, and values for the provider, are left
    out if they are odd, with a note."""
    _check(item, Delta, Notice, Completion)
    if not isinstance(item, Completion):
        return item
    for call in item.calls:
        _check(call, Call)
    for note in item.notes:
        _check(note, str)
    notes = item.notes
    if item.usage is not None and not _is_usage(item.usage):
        item, notes = replace(item, usage=None), (*notes, "The usage that was reported is none.")
    if item.echo is not None and not _is_json(item.echo):
        item, notes = (
            replace(item, echo=None),
            (*notes, "Values for the provider that are no JSON were lost."),
        )
    return replace(item, notes=notes) if notes is not item.notes else item


def _check(value: object, *kinds: type) -> None:
    if type(value) not in kinds:
        raise TypeError(f"It streamed {type(value).__name__} where {kinds[-1].__name__} belongs.")
    for name, types in _TYPES[type(value)].items():
        if not isinstance(found := getattr(value, name), types):
            raise TypeError(f"{name} of its {type(value).__name__} is of type {type(found).__name__}.")


def _is_usage(usage: object) -> bool:
    counts = astuple(usage) if isinstance(usage, Usage) else ("",)
    return all(isinstance(count, int) and 0 <= count <= _MOST_TOKENS for count in counts)


def _is_json(echo: object) -> bool:
    try:
        return isinstance(json.loads(json.dumps(echo, allow_nan=False)), dict)
    except (TypeError, ValueError, RecursionError):
        return False


@dataclass(slots=True)
class _Kept:
    """A completion as far as it was streamed, at most ``limit`` characters of it."""

    limit: int
    _size: int = 0
    _text: list[str] = field(default_factory=list[str])
    _thinking: list[str] = field(default_factory=list[str])
    _calls: dict[int, tuple[str, list[str]]] = field(default_factory=dict[int, tuple[str, list[str]]])

    @property
    def is_full(self) -> bool:
        return self._size > self.limit

    def add(self, item: Delta | Notice) -> None:
        """Take a piece in; a completion that starts again begins from nothing, but its size counts on."""
        if isinstance(item, Notice):
            self._size += max(_SIZE_OF_NOTICE, len(item.text))
            if item.restart:
                self._text, self._thinking, self._calls = [], [], {}
            return
        self._size += max(_SIZE_OF_PIECE, len(item.text))
        if item.call is not None:
            self._size += 0 if item.call in self._calls else _SIZE_OF_CALL
            self._calls.setdefault(item.call, (item.name or "", []))[1].append(item.text)
        else:
            (self._thinking if item.thinking else self._text).append(item.text)

    def completion(self) -> Completion:
        """The completion as far as it was streamed, cut there."""
        calls = tuple(Call(own_id(), name, "".join(pieces)) for name, pieces in self._calls.values())
        whole = Completion("".join(self._text), calls, thinking="".join(self._thinking), cut=True)
        return self.bounded(replace(whole, notes=(f"It was cut at {self.limit:,} characters.",)))

    def bounded(self, whole: Completion) -> Completion:
        """The completion without what is beyond the bounds, and with a note about that."""
        notes, calls = list(whole.notes), whole.calls[:_KEPT_CALLS]
        if left_out := len(whole.calls) - len(calls):
            notes.append(f"{left_out:,} of {len(whole.calls):,} calls were left out.")
        size = len(whole.text) + len(whole.thinking) + sum(len(call.arguments) for call in calls)
        if size <= self.limit:
            return whole if not left_out else replace(whole, calls=calls, notes=tuple(notes), echo=None)
        notes.append(f"It was cut from {size:,} to {self.limit:,} characters.")
        text = whole.text[: self.limit]
        left = self.limit - len(text)
        within: list[Call] = []
        for call in calls:
            within.append(replace(call, arguments=call.arguments[:left]))
            left -= len(within[-1].arguments)
            if left <= 0:
                break
        thinking = whole.thinking[:left]
        return replace(
            whole, text=text, calls=tuple(within), thinking=thinking, cut=True, notes=tuple(notes), echo=None
        )
