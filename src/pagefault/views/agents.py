"""The agents of a home, one of them with its settings and timers, and its main context as it stands.

Left out: the log (``history``), memory (``memory``), and how far vectors have come is of the whole database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pagefault.config import AgentSettings, settings_of, zone_for, zone_of
from pagefault.errors import DailyBudgetSpent, DamageError, PagefaultError, UsageError
from pagefault.functions.archives import LONGEST_HOLD
from pagefault.kernel import Kernel
from pagefault.models import PromptMessage
from pagefault.quoting import inline
from pagefault.storage import Transaction
from pagefault.types import AgentRecord, Schedule
from pagefault.views.history import LogRow, log_row
from pagefault.views.memory import SectionView, sections
from pagefault.zones import zone_named

__all__ = [
    "AgentDetail",
    "AgentSummary",
    "ContextCall",
    "ContextMessage",
    "ContextSizes",
    "ContextView",
    "EmbedderProgress",
    "TimerView",
    "agent",
    "agents",
    "check_agents",
    "context",
    "embedders",
    "summaries",
    "summary",
    "timers",
]


@dataclass(frozen=True, slots=True)
class AgentSummary:
    """An agent. ``window``: in tokens, None if the model's name is not valid any more; ``messages``: rows in
    its log; ``parked``: why it is not served, empty if it is; ``spent``: which daily budget is spent, and
    until when its events wait, else empty; ``held``: why nothing of it is forgotten or deleted, else empty.
    One whose settings cannot be read has none."""

    name: str
    model: str
    window: int | None
    style: str
    messages: int
    created: datetime
    parked: str
    spent: str
    held: str


@dataclass(frozen=True, slots=True)
class AgentDetail(AgentSummary):
    """``settings``: as stored; ``waiting``: pending events in the inbox; ``timers``: how many are set."""

    settings: Mapping[str, Any]
    waiting: int
    timers: int
    sections: tuple[SectionView, ...]


@dataclass(frozen=True, slots=True)
class ContextSizes:
    """The main context in calibrated tokens; ``reserve`` and ``margin`` are kept for the reply."""

    window: int
    instructions: int
    working_context: int
    queue: int
    free: int
    reserve: int
    margin: int


@dataclass(frozen=True, slots=True)
class ContextCall:
    """A function call in the prompt; ``arguments`` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ContextMessage:
    """A message of the prompt. ``call_id``: of the result of a call."""

    role: str
    text: str
    calls: tuple[ContextCall, ...] = ()
    call_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ContextView:
    """The main context as the next request would send it. ``model`` is the one in use.

    ``messages`` are the prompt's; ``functions`` name, description and JSON schema of each function offered.
    ``working_context`` is the head as of the last flush; ``summary``, ``pinned`` and ``queue`` are the rows
    of the log that the queue shows.
    """

    model: str
    sizes: ContextSizes
    messages: tuple[ContextMessage, ...]
    functions: tuple[dict[str, Any], ...]
    max_tokens: int
    working_context: str
    summary: LogRow | None
    pinned: LogRow | None
    queue: tuple[LogRow, ...]


@dataclass(frozen=True, slots=True)
class TimerView:
    """A timer. ``due``: in its own zone, an IANA name; ``cron``: None if it fires once; ``catch_up``: what a
    missed time does; ``parked``: why it does not fire any more."""

    id: str
    due: datetime
    cron: str | None
    zone: str
    catch_up: Literal["once", "skip"]
    note: str
    parked: str


@dataclass(frozen=True, slots=True)
class EmbedderProgress:
    """An embedder that has made vectors here: ``rows`` of the ``of`` that are to have one; ``in_service``:
    search uses it."""

    name: str
    rows: int
    of: int
    in_service: bool


async def agents(kernel: Kernel) -> tuple[AgentSummary, ...]:
    """All agents by name."""
    return tuple(await summaries(kernel, await kernel.agents()))


async def summaries(kernel: Kernel, records: Iterable[AgentRecord]) -> list[AgentSummary]:
    """Agents as in the list, in this order."""
    known = _Summaries(kernel)
    return [await known.of(record) for record in records]


async def agent(kernel: Kernel, name: str) -> AgentDetail:
    """One agent; ``NotFoundError`` if there is none of this name."""
    record = await kernel.record(name)
    settings_of(record)
    set_, waiting = await kernel.store.read(
        lambda tx: (tx.schedules(record.id), tx.events(record.id, state="pending"))
    )
    about = await _Summaries(kernel).of(record)
    return AgentDetail(
        about.name, about.model, about.window, about.style, about.messages, about.created, about.parked,
        about.spent, about.held, dict(record.settings), len(waiting), len(set_), await sections(kernel, name),
    )  # fmt: skip


async def summary(kernel: Kernel, name: str) -> AgentSummary:
    """One agent as in the list; ``NotFoundError`` if there is none of this name."""
    return await _Summaries(kernel).of(await kernel.record(name))


@dataclass(frozen=True, slots=True)
class _Summaries:
    """Summaries of records. Most agents of a home have the same settings, which are looked at once."""

    kernel: Kernel
    _known: dict[str, tuple[AgentSettings, int | None, ZoneInfo]] = field(
        default_factory=dict[str, tuple[AgentSettings, "int | None", ZoneInfo]]
    )

    async def of(self, record: AgentRecord) -> AgentSummary:
        try:
            settings, window, zone = await self._of_settings(record)
        except DamageError as error:
            return AgentSummary(
                record.name, "", None, "", record.last_seq, record.created, str(error), "", _held(record)
            )
        created, messages = record.created.astimezone(zone), record.last_seq
        return AgentSummary(
            record.name, settings.model, window, settings.style, messages, created, record.parked,
            await self._spent(record, settings), _held(record),
        )  # fmt: skip

    async def _spent(self, record: AgentRecord, settings: AgentSettings) -> str:
        if budgets := self.kernel.assembly.budgets(record, settings):
            try:
                await self.kernel.store.read(budgets.check)
            except DailyBudgetSpent as error:
                return str(error)
        return ""

    async def _of_settings(self, record: AgentRecord) -> tuple[AgentSettings, int | None, ZoneInfo]:
        key = repr(sorted(record.settings.items())) + record.damage
        if key not in self._known:
            self._known[key] = await self._looked_at(settings_of(record))
        return self._known[key]

    async def _looked_at(self, settings: AgentSettings) -> tuple[AgentSettings, int | None, ZoneInfo]:
        zone, _ = zone_of(settings)
        try:
            return settings, (await self.kernel.window(settings))[0], zone
        except UsageError:
            return settings, None, zone


def _held(record: AgentRecord) -> str:
    return inline(record.hold, LONGEST_HOLD)


async def check_agents(kernel: Kernel, names: Iterable[str]) -> None:
    """Raise ``NotFoundError`` if one of them is not there: asked before the first of several is changed."""
    for name in names:
        await kernel.record(name)


async def context(kernel: Kernel, name: str) -> ContextView:
    """The main context of an agent between two turns; the agent is loaded, as for a turn."""
    process = await kernel.process(name)
    sizes, prompt, queue = process.memory.sizes(), process.prompt(), process.memory.queue
    zone = zone_for(process.record)
    return ContextView(
        process.program.model.name,
        ContextSizes(
            sizes.window,
            sizes.instructions,
            sizes.working_context,
            sizes.queue,
            sizes.free,
            sizes.reserve,
            sizes.margin,
        ),
        tuple(map(_message, prompt.messages)),
        tuple(
            {"name": f.name, "description": f.description, "parameters": dict(f.parameters)}
            for f in prompt.functions
        ),
        prompt.max_tokens,
        queue.state.head,
        log_row(queue.summary, zone) if queue.summary else None,
        log_row(queue.pinned, zone) if queue.pinned else None,
        tuple(log_row(row, zone) for row in queue.rows),
    )


def _message(message: PromptMessage) -> ContextMessage:
    calls = tuple(ContextCall(call.id, call.name, call.arguments) for call in message.calls)
    return ContextMessage(message.role, message.text, calls, message.call_id, message.name)


async def timers(kernel: Kernel, name: str) -> tuple[TimerView, ...]:
    """The timers of an agent, the next one first."""
    record = await kernel.record(name)
    found = await kernel.store.read(lambda tx: tx.schedules(record.id))
    return tuple(timer_view(each) for each in sorted(found, key=lambda timer: timer.due))


def timer_view(timer: Schedule) -> TimerView:
    """A stored timer as a view of it; one whose zone is none is shown in UTC."""
    try:
        zone, parked = zone_named(timer.zone), timer.parked
    except PagefaultError as error:
        zone, parked = UTC, timer.parked or str(error)
    due = timer.due.astimezone(zone)
    return TimerView(timer.id, due, timer.cron, timer.zone, timer.catch_up, timer.note, parked)


async def embedders(kernel: Kernel) -> tuple[EmbedderProgress, ...]:
    """The embedders that have made vectors in this database."""

    def read(tx: Transaction) -> list[EmbedderProgress]:
        found: list[EmbedderProgress] = []
        for record in tx.embedders():
            rows, of = tx.embedded(record.fingerprint)
            name = record.name or record.fingerprint
            found.append(EmbedderProgress(name, rows, of, record.in_service))
        return found

    return tuple(await kernel.store.read(read))
