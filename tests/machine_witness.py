"""A witness of the agent's requests for the state machine in ``test_machine``: each is held against the log.

Nothing here trusts the queue manager: what a prompt must show is worked out from the rows in the store.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from pagefault.kernel.points import is_marker
from pagefault.models import Prompt
from pagefault.models.tokens import HeuristicCounter
from pagefault.storage import Transaction
from pagefault.text_caches import FORGOTTEN
from pagefault.types import AgentId, AgentRecord, Event, EventKind, Message, Role

ANA = AgentId(1)
ARCHIVES = ("manuals", "guides")  # names that one archive has by turns
count = lru_cache(maxsize=4096)(HeuristicCounter().count)


@dataclass(frozen=True)
class View:
    """What the store says at the moment of a request."""

    record: AgentRecord
    shown: list[str]  # summary, pinned event, rows from the start, as the prompt must show them
    active: list[Event]
    pressed: set[int]  # warnings that wait
    dropped: int  # the row until which what was prefetched is out of view
    opening: str  # how the open event's row is shown
    undone: tuple[int, int]  # the row by which rows were undone last, and the one behind which they were
    forgotten: int  # the row of the last forgetting


def view(tx: Transaction) -> View:
    record = tx.agent_by_id(ANA)
    assert record is not None
    state = record.queue
    front = [tx.message(ANA, seq) for seq in (state.summary, state.pinned) if seq is not None]
    rows = [row for row in tx.messages(ANA, first=state.start) if row.role is not Role.SUMMARY]
    ends = [row.seq for row in tx.messages(ANA) if row.role is Role.PREFETCH and not row.shown]
    dropped = max([state.summary or 0, *ends])
    rows = [row for row in rows if row.role is not Role.PREFETCH or row.seq > dropped]
    active = tx.events(ANA, state="active")
    opened = tx.messages(ANA, event=active[0].id) if active else []
    alerts = tx.messages(ANA, roles=[Role.ALERT])
    markers = [row for row in alerts if is_marker(row)]
    return View(
        record,
        [shown for row in (*front, *rows) if row is not None and (shown := _shown(row))],
        active,
        {e.id for e in tx.events(ANA, state="pending") if e.kind == EventKind.PRESSURE},
        dropped,
        opened[0].shown if opened else "",
        (markers[-1].seq, markers[-1].meta.point) if markers else (0, 0),
        max((row.seq for row in alerts if row.name == FORGOTTEN), default=0),
    )


def _shown(row: Message) -> str:
    """The form of a row in the prompt: of calls and results that were forgotten a stand-in, for they pair."""
    if row.erased and row.role in (Role.CALL, Role.RESULT):
        return "{}" if row.role is Role.CALL else "[forgotten]"
    return row.shown


def prompt_tokens(prompt: Prompt) -> int:
    """What a request takes by an independent count, the reply not included."""
    schemas = (
        count(f.name) + count(f.description) + count(json.dumps(f.parameters, separators=(",", ":"))) + 4
        for f in prompt.functions
    )
    calls = (count(c.name) + count(c.arguments) + 8 for m in prompt.messages for c in m.calls)
    return sum(count(m.text) + 4 for m in prompt.messages) + sum(calls) + sum(schemas)


class Asker(Protocol):
    """A process that asks the model; ``lost``: its turn was taken away, and it has not had one since."""

    lost: bool


@dataclass
class Witness:
    """Sees every request of every process of the agent, and what its tools did outside."""

    window: int
    real: float = 1.0  # tokens the provider sees per token counted
    requests: int = 0
    faults: list[AssertionError] = field(default_factory=list[AssertionError])
    poked: Counter[int] = field(default_factory=Counter[int])
    struck: Counter[int] = field(default_factory=Counter[int])
    allowed: set[int] = field(default_factory=set[int])  # numbers of which somebody tried to approve a strike
    forbidden: set[int] = field(default_factory=set[int])  # those of which a refusal is known to be stored
    _inside: list[Asker] = field(default_factory=list[Asker])
    _sent: list[tuple[int, int | None, bytes]] = field(default_factory=list[tuple[int, int | None, bytes]])
    _undone: tuple[int, int] = (0, 0)
    _forgotten: int = 0
    _offered: str = ""
    _changes: int = 0  # of the functions offered
    _event: int = 0
    _pressed: set[int] = field(default_factory=set[int])

    @contextmanager
    def request(self, prompt: Prompt, now: View, asker: Asker) -> Generator[None]:
        """For as long as the model works on a request. Faults are kept: the kernel would catch them. Whose
        turn was taken away may ask on for a while: what comes of that is not stored."""
        others = [each for each in self._inside if not each.lost]
        self._inside.append(asker)
        self.requests += 1
        try:
            assert asker.lost or not others, "two turns of one agent at once"
            self._fits(prompt)
            if prompt.plain and not asker.lost:
                self._begins_as_the_last(prompt, now)
                self._pairs_calls_and_results(prompt)
            elif prompt.functions and not asker.lost:
                self._shows_the_log(prompt, now)
                self._pairs_calls_and_results(prompt)
                self._goes_on_from_the_last(prompt, now)
                self._serves_warnings_first(now)
        except AssertionError as fault:
            self.faults.append(fault)
        try:
            yield
        finally:
            self._inside.remove(asker)

    def _fits(self, prompt: Prompt) -> None:
        total = prompt_tokens(prompt) + prompt.max_tokens
        assert prompt.max_tokens > 0
        assert self.real > 1 or total <= self.window, f"{total} of {self.window} tokens"

    def _shows_the_log(self, prompt: Prompt, now: View) -> None:
        head, *rest = prompt.messages
        assert head.text.endswith(now.record.queue.head)
        shown = [text for m in rest for text in (m.text, *(c.arguments for c in m.calls)) if text]
        assert shown == now.shown, "the prompt is not the view of the log"
        assert len(now.active) == 1
        assert now.opening in [m.text for m in rest], "the open event is out of view"

    def _pairs_calls_and_results(self, prompt: Prompt) -> None:
        waiting: list[str] = []
        for message in prompt.messages:
            if message.role == "tool":
                assert message.call_id == waiting.pop(0), "a result without its call, or out of order"
            else:
                assert not waiting, "a call without its result"
                waiting = [call.id for call in message.calls]
        assert not waiting, "a call without its result"

    def _goes_on_from_the_last(self, prompt: Prompt, now: View) -> None:
        offered = repr(prompt.functions)
        sent = "\n".join([offered, *(repr(m) for m in prompt.messages)]).encode()
        if self._undone != now.undone:  # it goes on from the last request before that point
            self._undone, point = now.undone, now.undone[1]
            self._sent = [each for each in self._sent if each[0] <= point]
        if self._forgotten != now.forgotten:
            self._forgotten = now.forgotten
            self._sent.clear()
        _, flush, before = self._sent[-1] if self._sent else (0, None, b"")
        if self._offered and offered != self._offered:
            self._changes += 1
            assert self._changes <= now.record.attachment_changes, "other functions, and nothing was attached"
        elif flush == now.dropped and before.startswith(offered.encode()):  # an undo may lead behind a change
            assert sent.startswith(before), "the prefix moved without a flush"
        self._sent.append((now.record.last_seq, now.dropped, sent))
        self._offered = offered

    def _begins_as_the_last(self, prompt: Prompt, now: View) -> None:
        """A request for a summary begins with the agent's own prompt, which a cache holds."""
        offered = repr(prompt.functions)
        part = "\n".join([offered, *(repr(m) for m in prompt.messages[:-1])]).encode()
        _, flush, before = self._sent[-1] if self._sent else (0, None, b"")
        if flush == now.dropped and self._undone == now.undone and before.startswith(offered.encode()):
            assert before.startswith(part) or part.startswith(before), "the summary's prompt is another"

    def _serves_warnings_first(self, now: View) -> None:
        (event,) = now.active
        if event.id != self._event and event.kind != EventKind.PRESSURE:
            assert not self._pressed & now.pressed, "an event went before a warning"
        self._event, self._pressed = event.id, now.pressed
