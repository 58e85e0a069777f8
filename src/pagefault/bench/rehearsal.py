"""A conversation lived through by an agent that says what it said: its own turns are forced, the rest is
free.

The agent gets the other speaker's turns as user messages, and a login where a session begins with a turn of
its own. Its memory functions run as the model calls them, warnings and flushes come as they do; only its
speech is replaced. Leaves out what is asked afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from pagefault.bench.callers import is_lookup
from pagefault.bench.tasks import Text
from pagefault.functions.arguments import wants_heartbeat
from pagefault.kernel import Kernel
from pagefault.models import Call, Completion, ModelWrapper, Prompt, StreamItem, plain_name
from pagefault.testing.clock import FixedClock
from pagefault.testing.models import say
from pagefault.types import Event, EventKind, Role
from pagefault.views.history import rows_after

__all__ = ["SILENCE", "Rehearsed", "live"]

SILENCE = "…"
"""The speech of the agent where the conversation has no turn of its own: an agent owes every message an
answer."""

_SPEECH = "send_message"
_MOST_STEPS = 6  # completions of a turn, after which the forced speech comes whatever else the model wants


@dataclass(slots=True)
class Rehearsed(ModelWrapper):
    """``model``, with ``speech`` in place of what it would say in this turn, and nothing once that is
    said."""

    speech: str | None = None
    asked: int = field(default=0, init=False)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        async with aclosing(self.model.stream(prompt)) as items:
            async for item in items:
                if isinstance(item, Completion):
                    is_turn = prompt.functions and not prompt.plain
                    yield self._forced(prompt, item) if is_turn else item

    def _forced(self, prompt: Prompt, completion: Completion) -> Completion:
        calls = tuple(call for call in completion.calls if plain_name(call.name) != _SPEECH)
        if self.speech is None or _is_warning(prompt):
            return replace(completion, calls=calls, text=completion.text or ("" if calls else SILENCE))
        self.asked += 1
        spoke = len(calls) < len(completion.calls) or not calls
        if not spoke and self.asked < _MOST_STEPS and any(_asks_back(call) for call in calls):
            return completion
        speech, self.speech = say(self.speech), None
        return replace(completion, text="", calls=(*calls, replace(speech, id="forced")))


def _is_warning(prompt: Prompt) -> bool:
    last = next((m.text for m in reversed(prompt.messages) if m.role == "user"), "")
    return last.startswith(f"[{EventKind.PRESSURE} ")


def _asks_back(call: Call) -> bool:
    """Return whether control comes back after the call: as it asks, or as a search or a read always does."""
    return wants_heartbeat(call.arguments) or is_lookup(call.name)


@dataclass(frozen=True, slots=True)
class _Turn:
    """An event (a login if nothing is ``heard``) and what the agent says to it."""

    heard: Text | None
    said: Text | None


async def live(
    kernel: Kernel, agent: str, texts: Sequence[Text], model: Rehearsed, clock: FixedClock
) -> dict[str, str]:
    """Send a conversation, turn by turn; returns which text each row of the log holds."""
    expected: list[str] = []
    for turn in _turns(texts):
        first = turn.heard or turn.said
        assert first is not None
        clock.at = first.at
        model.speech, model.asked = turn.said.text if turn.said else SILENCE, 0
        event = Event(EventKind.LOGIN)
        if turn.heard:
            event = Event(EventKind.MESSAGE, turn.heard.text, sender=turn.heard.speaker or None)
            expected.append(turn.heard.id)
        expected.append(turn.said.id if turn.said else "")
        async for _ in kernel.send(agent, event):
            pass
        await kernel.idle()  # a warning's turn may follow
        await kernel.settled()  # so that what a search finds does not hang on how quick the indexer was
    rows = await rows_after(kernel, agent, roles=(Role.USER, Role.ASSISTANT))
    return {row.id: text for row, text in zip(rows, expected, strict=False) if text}


def _turns(texts: Sequence[Text]) -> Iterator[_Turn]:
    heard: Text | None = None
    session = 0
    for text in texts:
        if heard and (not text.own or text.session != session):
            yield _Turn(heard, None)
            heard = None
        session = text.session
        if text.own:
            yield _Turn(heard, text)
            heard = None
        else:
            heard = text
    if heard:
        yield _Turn(heard, None)
