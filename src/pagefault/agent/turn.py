"""The open turn, and its next action: a pure function of the turn's rows in the log.

Running and recovering are the same: a process that was killed is followed by one that reads the rows and
goes on. Carrying an action out is the agent's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pagefault.types import Event, Message, Role, Style

_MOST_IN_VAIN = 3  # completions in a row of which no call could be run, until the turn ends


@dataclass(slots=True)
class OpenTurn:
    """The turn that is open, empty between turns: its event and its rows so far. The process that runs the
    turn and the functions that it calls hold the same one."""

    event: Event | None = None
    rows: list[Message] = field(default_factory=list[Message])

    def begin(self, event: Event, rows: Sequence[Message] = ()) -> None:
        """Open an event's turn; ``rows`` if it was interrupted."""
        self.event, self.rows = event, list(rows)

    def end(self) -> Event | None:
        """Close the turn and return its event."""
        event, self.event, self.rows = self.event, None, []
        return event

    def call(self) -> Message | None:
        """The call that comes next in the completion that was made last."""
        return _unanswered([row for row in self.rows if row.completion == self.rows[-1].completion])

    def hops(self) -> int:
        """The messages between agents that the open event follows from."""
        return self.event.hops if self.event else 0

    def opened(self) -> int | None:
        """The log number of the open event, None between turns."""
        return self.rows[0].seq if self.rows else None


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the model for a completion."""


@dataclass(frozen=True, slots=True)
class Run:
    """Run a call that has no result yet."""

    call: Message


@dataclass(frozen=True, slots=True)
class Stop:
    """The turn is over; ``alert`` says why if it was cut short."""

    alert: str = ""


Action = Ask | Run | Stop


def next_action(rows: Sequence[Message], style: Style, max_steps: int) -> Action:
    """The next action of a turn whose rows (the admitted event first) are given.

    ``memgpt``: control comes back after a call that asked for a heartbeat and after any failure.
    ``native``: after any call. At most ``max_steps`` completions per event.
    """
    if rows and rows[-1].meta.stop:
        return Stop()
    steps = list(dict.fromkeys(row.completion for row in rows if row.completion is not None))
    if not steps:
        return Ask()
    step = [row for row in rows if row.completion == steps[-1]]
    if waiting := _unanswered(step):
        return Run(waiting)
    results = [row for row in step if row.role is Role.RESULT]
    if not (results if style == "native" else any(map(_asks_back, results))):
        return Stop()
    return Stop(why) if (why := _exhausted(rows, steps, max_steps)) else Ask()


def _unanswered(step: Sequence[Message]) -> Message | None:
    """The first call of a completion that has no result yet."""
    answered = {row.call_id for row in step if row.role is Role.RESULT}
    return next((row for row in step if row.role is Role.CALL and row.call_id not in answered), None)


def _exhausted(rows: Sequence[Message], steps: Sequence[int | None], max_steps: int) -> str:
    """The reason why the model is not asked again, empty if it is."""
    if failures := _in_vain(rows, steps[-_MOST_IN_VAIN:]):
        return f"{_MOST_IN_VAIN} completions in a row called nothing that could be run: {failures[-1].text}"
    if len(steps) >= max_steps:
        return f"The limit of {max_steps} steps for one event is reached; the turn ends here."
    return ""


def _in_vain(rows: Sequence[Message], steps: Sequence[int | None]) -> list[Message]:
    """The results of the last completions if every call of theirs failed by what the model wrote."""
    results = [row for row in rows if row.completion in steps and row.role is Role.RESULT]
    in_vain = len(steps) == _MOST_IN_VAIN and all(row.meta.invalid for row in results)
    return results if in_vain else []


def _asks_back(result: Message) -> bool:
    return result.meta.heartbeat or result.meta.failed
