"""The speech of one event's turn as a client is shown it: texts that grow, and are fixed when they are
committed.

Speech that streams comes ahead of its row and can be taken back; no client of OpenAI's protocols knows that.
So a text that is taken back stands still until the new attempt has caught up with it or its row is
committed, and the row has the last word. Left out: the events of a protocol (``chunks``,
``response_events``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pagefault.types import Output

__all__ = ["SpeechDelta", "SpeechDone", "SpeechReader"]


@dataclass(frozen=True, slots=True)
class SpeechDelta:
    """More of a text: of the one with this number in the turn, from 0."""

    item: int
    text: str


@dataclass(frozen=True, slots=True)
class SpeechDone:
    """A text as it was committed. ``rest``: the end of it that no delta had; None if the deltas were of
    another text. ``position``: of its row in the log."""

    item: int
    text: str
    rest: str | None
    position: int


@dataclass(slots=True)
class SpeechReader:
    """Reads the outputs of one event, in order; of a completion all deltas or none (``kernel.streams``)."""

    item: int = 0
    shown: str = ""  # of the text that is streaming
    _attempt: object = None
    _calls: dict[object, str] = field(default_factory=dict[object, str])  # text by call, the first call first

    def read(self, output: Output) -> Iterator[SpeechDelta | SpeechDone]:
        """The steps that an output makes; none for outputs that are no speech."""
        if output.type == "said":
            yield self._done(output)
        elif output.type == "delta" and output.data.get("of") == "said":
            yield from self._delta(output)

    def _delta(self, output: Output) -> Iterator[SpeechDelta]:
        """Only the first text that is not committed is shown: each is whole before the next begins."""
        if output.data.get("attempt") != self._attempt:
            self._attempt = output.data.get("attempt")
            self._calls.clear()
        call = output.data.get("call")
        self._calls[call] = self._calls.get(call, "") + output.text
        first, text = next(iter(self._calls.items()))
        text = (
            text.strip() if first is None else text
        )  # plain text is committed without the white space around it
        if text.startswith(self.shown) and text != self.shown:
            fresh, self.shown = text[len(self.shown) :], text
            yield SpeechDelta(self.item, fresh)

    def _done(self, output: Output) -> SpeechDone:
        rest = output.text[len(self.shown) :] if output.text.startswith(self.shown) else None
        done = SpeechDone(self.item, output.text, rest, output.position)
        self.item, self.shown = self.item + 1, ""
        if self._calls:
            del self._calls[next(iter(self._calls))]
        return done
