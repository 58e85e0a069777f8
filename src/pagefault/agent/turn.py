"""The open turn, and its next action: a pure function of the turn's rows in the log.

Running and recovering are the same: a process that was killed is followed by one that reads the rows and
goes on. Carrying an action out is the agent's business.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from pagefault.approvals import Approval
from pagefault.message_meta import PLAIN, StopName
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event, Message, Role, Style

_MOST_IN_VAIN = 3  # completions in a row without a call that could be run, or with the same outcome


@dataclass(slots=True)
class OpenTurn:
    """The turn that is open, empty between turns: its event and its rows so far. The process that runs the
    turn and the functions that it calls hold the same one. ``approvals``: of its calls that a person was
    asked about, by number; ``unasked``: calls that need no decision. ``trace``: as observers know it."""

    event: Event | None = None
    rows: list[Message] = field(default_factory=list[Message])
    approvals: dict[int, Approval] = field(default_factory=dict[int, Approval])
    unasked: set[int] = field(default_factory=set[int])
    trace: str = ""

    def begin(self, event: Event, rows: Sequence[Message] = (), approvals: Sequence[Approval] = ()) -> None:
        """Open an event's turn; ``rows`` and ``approvals`` if it was interrupted."""
        self.event, self.rows, self.unasked = event, list(rows), set()
        self.approvals = {each.number: each for each in approvals if each.event == event.id}

    def end(self) -> Event | None:
        """Close the turn and return its event."""
        event, self.event, self.rows, self.approvals, self.unasked = self.event, None, [], {}, set()
        return event

    def call(self) -> Message | None:
        """The call that comes next in the completion that was made last."""
        waiting = unanswered([row for row in self.rows if row.completion == self.rows[-1].completion])
        return waiting[0] if waiting else None

    @property
    def is_plain(self) -> bool:
        """Return whether the next completion is to be plain text."""
        return _asked_plainly(self.rows)

    @property
    def is_cancelled(self) -> bool:
        """Return whether somebody cancelled the turn instead of deciding on its calls."""
        return any(each.decision == "cancelled" for each in self.approvals.values())

    def hops(self) -> int:
        """The messages between agents that the open event follows from."""
        return self.event.hops if self.event else 0

    def served(self) -> int | None:
        """The id of the open event."""
        return self.event.id if self.event else None

    def opened(self) -> int | None:
        """The log number of the open event, None between turns."""
        return self.rows[0].seq if self.rows else None


def read_turn(tx: Transaction, agent: AgentId, event: Event) -> tuple[list[Message], list[Approval]]:
    """Read the rows and the approvals of a turn that was interrupted."""
    return tx.messages(agent, event=event.id), tx.approvals(agent)


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the model for a completion."""


@dataclass(frozen=True, slots=True)
class Insist:
    """Tell the model to answer in plain text; then ask it."""


@dataclass(frozen=True, slots=True)
class Run:
    """Run a call that has no result yet."""

    call: Message


@dataclass(frozen=True, slots=True)
class Stop:
    """The turn is over; ``alert`` says why if it was cut short, and ``name`` in one word."""

    alert: str = ""
    name: StopName = StopName.STOPPED


Action = Ask | Insist | Run | Stop


def next_action(
    rows: Sequence[Message],
    style: Style,
    max_steps: int,
    *,
    may_speak: bool = False,
    reads: Container[str | None] = (),
) -> Action:
    """The next action of a turn whose rows (the admitted event first) are given.

    ``memgpt``: control comes back after a call that asked for a heartbeat and after any failure.
    ``native``: after any call. At most ``max_steps`` completions per event. A model that goes on failing
    where the user waits, or on asking the same of ``reads`` with the same results, is asked for plain
    text, if that ``may_speak``: so the user gets an answer.
    """
    if rows and rows[-1].meta.stop:
        return Stop()
    steps = list(dict.fromkeys(row.completion for row in rows if row.completion is not None))
    if not steps or _asked_plainly(rows):
        return Ask()
    step = [row for row in rows if row.completion == steps[-1]]
    if waiting := unanswered(step):
        return Run(waiting[0])
    results = [row for row in step if row.role is Role.RESULT]
    if not (results if style == "native" else any(map(_asks_back, results))):
        return Stop()
    return _asked_again(rows, steps, max_steps, reads if may_speak else None)


def _asked_again(
    rows: Sequence[Message],
    steps: Sequence[int | None],
    max_steps: int,
    reads: Container[str | None] | None,
) -> Action:
    """The action after a completion that gets control back; plain text is not asked for if ``reads`` is
    None."""
    waits = rows[0].role is Role.USER and all(row.role is not Role.ASSISTANT for row in rows)
    if reads is not None and waits and len(steps) < max_steps and _gets_nowhere(rows, steps, reads):
        return Insist()
    return _exhausted(rows, steps, max_steps) or Ask()


def _gets_nowhere(rows: Sequence[Message], steps: Sequence[int | None], reads: Container[str | None]) -> bool:
    """Return whether the last completions brought an answer no nearer."""
    return bool(_in_vain(rows, steps)) or _repeats(rows, steps, reads)


def _asked_plainly(rows: Sequence[Message]) -> bool:
    """Return whether the model was told to answer in plain text, and has not yet."""
    last = next((n for n in range(len(rows), 0, -1) if rows[n - 1].completion is not None), 0)
    return any(row.role is Role.ALERT and row.name == PLAIN for row in rows[last:])


def unanswered(step: Sequence[Message]) -> list[Message]:
    """The calls of a completion that have no result yet, in order."""
    answered = {row.call_id for row in step if row.role is Role.RESULT}
    return [row for row in step if row.role is Role.CALL and row.call_id not in answered]


def _exhausted(rows: Sequence[Message], steps: Sequence[int | None], max_steps: int) -> Stop | None:
    """The end of the turn, with the reason why the model is not asked again; None if it is."""
    if failures := _in_vain(rows, steps):
        why = f"{_MOST_IN_VAIN} completions in a row called nothing that could be run: {failures[-1].text}"
        return Stop(why)
    if len(steps) >= max_steps:
        why = f"The limit of {max_steps} steps for one event is reached; the turn ends here."
        return Stop(why, StopName.MAX_STEPS)
    return None


def _in_vain(rows: Sequence[Message], steps: Sequence[int | None]) -> list[Message]:
    """The results of the last completions if every call of theirs failed by what the model wrote."""
    last = steps[-_MOST_IN_VAIN:]
    results = [row for row in rows if row.completion in last and row.role is Role.RESULT]
    in_vain = len(last) == _MOST_IN_VAIN and all(row.meta.invalid for row in results)
    return results if in_vain else []


def _repeats(rows: Sequence[Message], steps: Sequence[int | None], reads: Container[str | None]) -> bool:
    """Return whether the last completions had the same outcomes each, and nothing else: failures, or reads of
    the same with the same results. Other functions may do more each time."""
    given = {(row.completion, row.call_id): row.text for row in rows if row.role is Role.CALL}
    results = [row for row in rows if row.role is Role.RESULT]
    of_steps = [
        {_outcome(row, given.get((s, row.call_id)), reads) for row in results if row.completion == s}
        for s in steps[-_MOST_IN_VAIN:]
    ]
    alike = all(each == of_steps[0] for each in of_steps)
    return len(of_steps) == _MOST_IN_VAIN and alike and bool(of_steps[0]) and None not in of_steps[0]


def _outcome(
    result: Message, given: str | None, reads: Container[str | None]
) -> tuple[str | None, str | None, str] | None:
    """A result that may be compared; of a failure whatever it was given."""
    if result.meta.failed:
        return result.name, None, result.text
    return (result.name, given, result.text) if result.name in reads else None


def _asks_back(result: Message) -> bool:
    return result.meta.heartbeat or result.meta.failed
