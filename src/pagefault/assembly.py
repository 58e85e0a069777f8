"""Assembly: a stored agent becomes a process that can run turns, and a new one is checked and stored.

Names no adapter: models come from a ``ModelSource``, store and embedder from ``build``. Left out: when
a process is made and how long it stays, which is the scheduler's business.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import partial
from typing import Any

from pagefault.accounting.budget import Budgets, DailyLimit, SharedUsage
from pagefault.accounting.prices import Price, Prices
from pagefault.agent import Process
from pagefault.agent.approval import Permissions, SessionGrants
from pagefault.agent.parsing import EventParser
from pagefault.agent.prefetch import Prefetcher
from pagefault.agent.program import Program
from pagefault.agent.rows import Rows
from pagefault.agent.tool_contexts import ToolContexts
from pagefault.agent.turn import OpenTurn
from pagefault.clock import Clock, SystemClock
from pagefault.config import SMALLEST_WINDOW, AgentSettings, parse_settings, settings_of, zone_of
from pagefault.context import Queue, render_sections
from pagefault.context.calibration import Calibration, start_from_log
from pagefault.context.policy import Policy
from pagefault.context.queue_log import read_queue
from pagefault.context.queue_manager import QueueManager
from pagefault.embedders import Embedder
from pagefault.errors import UsageError
from pagefault.functions.archives import ArchivalStorages, archival_storages
from pagefault.functions.correspondence import Correspondence
from pagefault.functions.documents import DocumentCalls
from pagefault.functions.registry import ToolRegistry, lacking
from pagefault.functions.results import Results
from pagefault.functions.section_changes import SectionChanges, changed_sections, check_limits
from pagefault.functions.syscalls import Syscalls
from pagefault.functions.tool_source import OfferedTools, ToolSource
from pagefault.functions.working_context import WorkingContext
from pagefault.models import Model
from pagefault.models.bounds import BoundedModel
from pagefault.models.endpoint import ModelSource
from pagefault.models.tokens import Counter, counter_for
from pagefault.names import check_agent_name, check_look_alike
from pagefault.observing import ObservedModel, Observer, Observers
from pagefault.planning import check_approval, plan_of
from pagefault.rerankers import Reranker
from pagefault.retrieval import Remembered, Retriever
from pagefault.retrieval.reranking import Reranking
from pagefault.storage import Store, Transaction
from pagefault.storage.within import TenantStore
from pagefault.types import AgentRecord, Event, EventKind, Output, QueueState, Section


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts given instead of being chosen by settings, for tests and embedding programs. Counters are
    hashable. ``deps``: a value of the program's own, for its tools. ``observers`` are told of what agents do
    (``observing``)."""

    model: Model | None = None
    embedder: Embedder | None = None
    store: Store | None = None
    clock: Clock = field(default_factory=SystemClock)
    counter: Counter | None = None
    policy: Policy | None = None
    tools: tuple[Callable[..., Any], ...] = ()
    parsers: Mapping[str, EventParser] = field(default_factory=dict[str, EventParser])
    reranker: Reranker | None = None
    deps: object = None
    observers: tuple[Observer, ...] = ()

    @property
    def shared_counter(self) -> Counter:
        """The counter of what agents of different models share."""
        return self.counter or counter_for("cl100k")


@dataclass(frozen=True, slots=True)
class Assembly:
    """Makes processes. ``serving`` gives the embedder in service; ``tools``: the program's;
    ``tool_servers``: what others serve; ``limit``: the daily budget of all agents together; ``prices``: the
    user's own, by model."""

    store: Store
    models: ModelSource
    serving: Callable[[], Awaitable[Embedder]]
    parts: Parts
    tool_servers: ToolSource
    tools: ToolRegistry = field(default_factory=ToolRegistry)
    limit: DailyLimit | None = None
    prices: Mapping[str, Price] = field(default_factory=dict[str, Price])
    reranking: Reranking | None = None
    shared_usage: SharedUsage = field(default_factory=SharedUsage)
    tenant_usage: defaultdict[str, SharedUsage] = field(default_factory=lambda: defaultdict(SharedUsage))
    remembered: Remembered = field(default_factory=Remembered)
    sent: Callable[[], None] = lambda: None
    allowed: SessionGrants = field(default_factory=lambda: SessionGrants(set))
    observers: Observers = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "observers", Observers(self.parts.observers))

    def retriever(self, zone: tzinfo) -> Retriever:
        """Return the search over the store for agents whose dates are in ``zone``."""
        return Retriever(
            self.store,
            self.serving,
            self.parts.clock,
            zone,
            reranking=self.reranking,
            observers=self.observers,
        )

    async def boot(self, record: AgentRecord, emit: Callable[[Output], None]) -> Process:
        """Return the process of a stored agent, loaded as it now stands; ``UsageError`` if it cannot work as
        set, ``DamageError`` if it cannot be read."""

        def read(tx: Transaction) -> tuple[AgentRecord, list[Section], ArchivalStorages, Queue, bool]:
            now = tx.agent_by_id(record.id) or record
            return now, tx.sections(record.id), archival_storages(tx, now), *read_queue(tx, now)

        now, sections, storages, queue, warning_waits = await self.store.read(read)
        settings = settings_of(now)
        served = await self.tool_servers.offered(settings.mcp, self.tools.taken())
        missing = self.tools.missing(settings.tools)
        for why in (*([lacking(now.name, missing)] if missing else []), *served.faults):
            emit(Output("noticed", why, None, now.last_seq))
        process = await self.process(now, sections, emit, storages, served)
        process.writer.outdated = bool(served.faults)  # they are asked again before the next event
        process.take_over(now, queue, warning_waits)
        return process

    async def create(self, store: Store, name: str, settings: AgentSettings) -> AgentRecord:
        """Store a new agent with its declared sections, in its tenant's store; ``UsageError`` if it could not
        work as set."""
        check_agent_name(name)
        now = self.parts.clock.now()
        record = AgentRecord(name, settings.model_dump(mode="json"), now)
        self._check_named(settings)
        self.models.trust(settings.model)
        window, _ = await self.models.window(settings.model, settings.window)
        declared = [s.section(window) for s in settings.declared_sections(window)]
        made = await self.process(record, declared)
        check_approval(settings, made.program.executor, self.tools)
        check_limits(declared, made.memory.counter)

        def work(tx: Transaction) -> AgentRecord:
            check_new_name(tx, name)
            stored = tx.create_agent(replace(record, queue=QueueState(head=render_sections(declared))))
            for section in declared:
                tx.put_section(stored.id, section, now)
            return stored

        return await store.write(work)

    async def change(self, store: Store, stored: AgentRecord, settings: AgentSettings) -> bool:
        """Store an agent's new settings; ``UsageError``, and nothing is stored, if it could not work so.

        The window that a server was found to serve goes with the model and window asked for. The sections
        become those declared, with the text they have; if any was added or removed, the agent finds an event
        about it in its inbox, and True is returned.
        """
        old = settings_of(stored)
        if (old.model, old.window) != (settings.model, settings.window):
            settings = settings.model_copy(update={"served": None})
        if old.model != settings.model:  # named here, by a person; what is stored may come from elsewhere
            self.models.trust(settings.model)
        self._check_named(settings, old)
        record = replace(stored, settings=settings.model_dump(mode="json"))
        window = await self._window(settings)
        declared = [s.section(window) for s in settings.declared_sections(window)]
        counter = self._counter(settings)

        def changed(tx: Transaction) -> SectionChanges:
            shared = {each.name for each in tx.attachments(record.id) if each.kind == "section"}
            return changed_sections(tx.sections(record.id), declared, counter, shared)

        before, storages = await self.store.read(lambda tx: (changed(tx), archival_storages(tx, record)))
        process = await self.process(record, before.after, storages=storages)
        check_approval(settings, process.program.executor, self.tools)
        wanted, now = settings.models[0], self.parts.clock.now()

        def work(tx: Transaction) -> bool:
            changes = changed(tx)
            tx.save_settings(record.id, dict(record.settings))
            for section in changes.put:
                tx.put_section(record.id, section, now)
            if changes.notice:
                tx.post(record.id, Event(EventKind.EDITED, changes.notice, at=now))
            if wanted != old.models[0]:
                start_from_log(tx, record.id, wanted)
            return bool(changes.notice)

        return await store.write(work)

    def _check_named(self, settings: AgentSettings, old: AgentSettings | None = None) -> None:
        """Raise ``UsageError`` for tools and servers of tools that are named now, and are not there."""
        if old is None or old.tools != settings.tools:
            self.tools.check(settings.tools)
        if old is None or old.mcp != settings.mcp:
            self.tool_servers.check(settings.mcp)

    async def process(
        self,
        record: AgentRecord,
        sections: Sequence[Section],
        emit: Callable[[Output], None] = lambda _: None,
        storages: ArchivalStorages | None = None,
        served: OfferedTools | None = None,
    ) -> Process:
        """A record's process, queue not loaded, with ``served`` tools; ``UsageError`` if it cannot work."""
        settings, parts = parse_settings(dict(record.settings)), self.parts
        window, store = await self._window(settings), TenantStore(self.store, record.tenant)
        model, policy = self._model(record, settings, window), parts.policy or settings.policy
        zone, zone_name = zone_of(settings)
        counter, storages = self._counter(settings), storages or ArchivalStorages(record.id)
        names, offered = [each.name for each in storages.archives], served or OfferedTools()
        plan = plan_of(settings, window, sections, counter, names, self.tools, policy, offered.functions)
        retriever = replace(self.retriever(zone), store=store, remembered=self.remembered)
        turn, results = OpenTurn(), Results(storages, zone, counter, plan.budget.page)
        syscalls = Syscalls(
            record.id, record.name, store, retriever, parts.clock, zone, zone_name, counter, results,
            self._context(record, settings, turn), settings.paged_in_limit(window), turn,
        )  # fmt: skip
        letters = self._correspondence(record, settings, turn)
        memory = QueueManager(
            record.id, store, model, policy, counter, parts.clock, plan.budget, turn.hops,
            self.models.image_tokens(settings.model, settings.images), Calibration(settings.models),
        )  # fmt: skip
        contexts = ToolContexts(record, turn, memory, emit, parts.deps)
        executor = plan.executor.bound(contexts, syscalls, DocumentCalls(store, results), letters)
        shares = settings.prefetch_share(window), settings.prefetch_tokens
        prefetcher = Prefetcher(record.id, store, retriever, results, parts.clock, *shares)
        program = Program(
            store, model, executor, prefetcher, self._permissions(record, settings), plan.instructions,
            settings.style, settings.max_steps, settings.warning_steps,
            settings.sleep_limits(Prices(self.models.vendor, self.prices).cost),
            settings.turn_timeout, settings.fold_at_once, self.budgets(record, settings),
            partial(self.models.served_window, settings.model),
            self.observers, lambda: self.tool_servers.version(settings.mcp) != offered.version,
        )  # fmt: skip
        return Process(record, program, memory, Rows(parts.clock, zone, parts.parsers), emit, turn)

    def _model(self, record: AgentRecord, settings: AgentSettings, window: int) -> Model:
        given = self.models.model(settings.model, window, settings.request_settings)
        model = BoundedModel(given, settings.patience)
        is_observed = bool(self.observers.each)
        return ObservedModel(model, record.id, settings.model, self.observers) if is_observed else model

    def _correspondence(self, record: AgentRecord, settings: AgentSettings, turn: OpenTurn) -> Correspondence:
        return Correspondence(
            record.id, record.name, self.parts.clock, settings.agents, settings.max_hops,
            settings.agent_rate, turn.hops, lambda: turn.trace,
        )  # fmt: skip

    def _permissions(self, record: AgentRecord, settings: AgentSettings) -> Permissions:
        names, allowed = frozenset(settings.approval), self.allowed[record.id]
        store = TenantStore(self.store, record.tenant)
        return Permissions(record.id, store, names, allowed, settings.approval_timeout)

    def _context(self, record: AgentRecord, settings: AgentSettings, turn: OpenTurn) -> WorkingContext:
        counters = self._counter(settings), self.parts.shared_counter
        return WorkingContext(record.id, self.parts.clock, *counters, settings.max_hops, turn.hops, self.sent)

    def budgets(self, record: AgentRecord, settings: AgentSettings) -> Budgets | None:
        """The daily budgets that hold for an agent; None if none is set."""
        own = DailyLimit(zone_of(settings)[0], settings.daily_tokens, settings.daily_cost)
        prices = Prices(self.models.vendor, self.prices)
        budgets = Budgets(
            self.store, record.id, record.name, own, self.limit, prices, self.parts.clock.now,
            self.shared_usage, record.tenant, self.tenant_usage[record.tenant],
        )  # fmt: skip
        return budgets if budgets.are_set else None

    def _counter(self, settings: AgentSettings) -> Counter:
        return self.parts.counter or self.models.counter(settings.model)

    async def _window(self, settings: AgentSettings) -> int:
        wanted, _ = await self.models.window(settings.model, settings.window)
        window = settings.bounded(wanted)
        if window < SMALLEST_WINDOW:
            raise UsageError(
                f"A window of {window:,} tokens is too small; pagefault needs {SMALLEST_WINDOW:,}."
            )
        return window


def check_new_name(tx: Transaction, name: str) -> None:
    """Raise ``UsageError`` if no agent can get this name, or if it looks like that of another."""
    check_agent_name(name)
    if not name.isascii():
        check_look_alike(name, (record.name for record in tx.agents()))
