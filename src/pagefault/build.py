"""The composition root: the one place that names concrete adapters and puts an agent together.

From settings to a kernel over a store, and from a stored agent to a loaded process. Heavy libraries are
imported where a choice needs them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pagefault import prompts
from pagefault.agent import Process, Program
from pagefault.agent.rows import EventParser, Rows
from pagefault.clock import Clock, SystemClock
from pagefault.config import (
    SMALLEST_WINDOW,
    AgentSettings,
    Installation,
    ProviderSettings,
    load_installation,
    parse_settings,
    zone_of,
)
from pagefault.context import fixed_tokens, render_sections
from pagefault.context.calibration import Calibration, start_from_log
from pagefault.context.policy import Policy
from pagefault.context.queue_manager import Budget, QueueManager
from pagefault.embedders import Embedder
from pagefault.errors import UsageError
from pagefault.functions import Function, FunctionExecutor, describe
from pagefault.functions.documents import DocumentCalls
from pagefault.functions.results import Results
from pagefault.functions.syscalls import PAGED_IN, Syscalls
from pagefault.kernel import Kernel
from pagefault.kernel.indexer import Indexer
from pagefault.kernel.scheduler import Scheduler
from pagefault.models import Model
from pagefault.models.endpoint import SingleModelSource
from pagefault.models.tokens import Counter, HeuristicCounter, family_of
from pagefault.retrieval import Retriever
from pagefault.retrieval.service import EmbedderService
from pagefault.storage import Store, Transaction
from pagefault.storage.raw import RawDatabase
from pagefault.types import AgentRecord, Output, QueueState, Section

if TYPE_CHECKING:
    from pagefault.models.directory.catalogue import Catalogue
    from pagefault.models.directory.providers import Provider

_NAME = re.compile(r"[A-Za-z0-9\u3040-\u30ff\u4e00-\u9fff][\w.-]{0,63}")
_TAGS = 24  # tokens around a section in the prompt
_LEAST_ROOM = 0.20  # share of the window that must be left for the queue when the head is full


@dataclass(frozen=True, slots=True)
class Parts:
    """What may be given instead of chosen by settings: tests and embedding programs use these."""

    model: Model | None = None
    embedder: Embedder | None = None
    store: Store | None = None
    clock: Clock = field(default_factory=SystemClock)
    counter: Counter | None = None
    policy: Policy | None = None
    tools: tuple[Callable[..., Any], ...] = ()
    parsers: Mapping[str, EventParser] = field(default_factory=dict[str, EventParser])


def open_kernel(home: Path, parts: Parts | None = None, installation: Installation | None = None) -> Kernel:
    """A kernel over ``home/pagefault.db`` (made if it is not there); enter it with ``async with``."""
    parts = parts or Parts()
    installation = installation or load_installation(home)
    store = parts.store or open_store(home, installation)
    models = SingleModelSource(parts.model) if parts.model else catalogue_of(home, installation)
    cache = home / "cache"
    embedder = parts.embedder or make_embedder(installation.embedder, cache)
    service = EmbedderService(
        store,
        embedder,
        "" if parts.embedder else installation.embedder,
        lambda name: make_embedder(name, cache),
    )

    async def boot(record: AgentRecord, emit: Callable[[Output], None]) -> Process:
        sections = await store.read(lambda tx: tx.sections(record.id))
        process = await assemble(kernel, record, sections, parts, emit)
        await process.load()
        return process

    indexer = Indexer(store, service)
    scheduler = Scheduler(store, boot, indexer.wake, installation.concurrency)
    kernel = Kernel(store, indexer, models, parts.clock, scheduler)
    return kernel


def open_store(home: Path, installation: Installation) -> Store:
    """The database of an installation: a PostgreSQL server's, if one is set, else the file in ``home``.

    ``UsageError`` for a URL of another kind, or if the extra that PostgreSQL needs is not installed.
    """
    if installation.database:
        with _postgres(installation.database):
            from pagefault.storage.postgres import PostgresStore
        return PostgresStore.open(installation.database)
    from pagefault.storage.sqlite import SQLiteStore

    return SQLiteStore.open(home / DATABASE, synchronous=installation.synchronous)


DATABASE = "pagefault.db"


def open_raw(place: Path | str, *, make: bool = False) -> RawDatabase:
    """A database, a file's path or a URL, for its raw rows; brought up to date, and made if ``make`` says so.

    ``UsageError`` as ``open_store``, and if there is no such file or it is a folder.
    """
    if isinstance(place, str):
        with _postgres(place):
            from pagefault.storage.postgres.raw import PostgresRaw
        return PostgresRaw.open(place)
    from pagefault.storage.sqlite.raw import SQLiteRaw

    if place.is_dir():
        raise UsageError(f"{place} is a folder; name a file in it, e.g. {place / DATABASE}.")
    if not make and not place.exists():
        raise UsageError(f"There is no database {place}; name one that is there.")
    return SQLiteRaw.open(place)


def database_versions(place: Path | str) -> tuple[str | None, str]:
    """At which migration a database stands, None if it has none, and the newest; changes nothing.

    ``StorageError`` if it was written by a newer pagefault.
    """
    if isinstance(place, str):
        with _postgres(place):
            from pagefault.storage.postgres import opening as postgres
        found, newest = postgres.version_of(postgres.conninfo_of(place, 10.0)), postgres.HEAD
    else:
        from pagefault.storage.sqlite import opening as sqlite

        found, newest = sqlite.version_of(place), sqlite.HEAD
    if found != newest:
        from pagefault.storage.migrations import check_known

        check_known(found, "of that URL" if isinstance(place, str) else str(place))
    return found, newest


@contextmanager
def _postgres(url: str) -> Generator[None]:
    """Around the import of what PostgreSQL needs."""
    if not url.startswith(("postgresql://", "postgres://")):
        raise UsageError("That is no database URL; write postgresql://USER@HOST/NAME.")
    try:
        yield
    except ImportError:
        raise UsageError("PostgreSQL needs more packages; run: pip install 'pagefault[postgres]'.") from None


def make_embedder(name: str, cache: Path | None = None, *, threads: int = 1, keep: bool = False) -> Embedder:
    """``minilm`` (the shipped default), ``null`` (no vectors: search is lexical), ``openai:NAME``,
    ``ollama:NAME``, ``URL#NAME`` or ``fastembed:NAME``.

    Vectors of the last four are kept in the folder ``cache``, with ``keep`` those of the first too, whose
    ``threads`` these are. Nothing is sent, loaded or written yet; ``EmbedderSetupError`` if a key or an extra
    is missing.
    """
    if name == "minilm":
        from pagefault.embedders.minilm import MiniLM

        embedder = MiniLM(threads=threads)
        if not keep:
            return embedder
    elif name == "null":
        from pagefault.embedders.null import NullEmbedder

        return NullEmbedder()
    else:
        embedder = _costly_embedder(name, cache)
    if embedder and cache:
        from pagefault.embedders.cached import CachedEmbedder

        return CachedEmbedder(embedder, cache / "embeddings-1.db")
    if embedder:
        return embedder
    raise UsageError(f"There is no embedder {name!r}; `pagefault embedders` lists what there is.")


def _costly_embedder(name: str, cache: Path | None) -> Embedder | None:
    from pagefault.embedders.servers import server_of

    provider, _, model = name.partition(":")
    if provider == "fastembed" and model:
        from pagefault.embedders.fastembed import FastEmbedder

        return FastEmbedder(model, cache and cache / "fastembed")
    if server := server_of(name, os.environ):
        from pagefault.embedders.remote import RemoteEmbedder

        return RemoteEmbedder(server)
    return None


EMBEDDERS = {
    "minilm": "shipped, on this machine; English",
    "null": "none: search by words alone",
    "openai:text-embedding-3-small": "OpenAI; texts leave the machine, and cost money",
    "ollama:nomic-embed-text": "an Ollama server, on this machine unless OLLAMA_HOST says otherwise",
    "http://127.0.0.1:8080/v1#bge-m3": "any server that speaks OpenAI's protocol",
    "fastembed:BAAI/bge-small-en-v1.5": "on this machine; downloaded at the first use",
}
"""An example of each kind of embedder, and what it is."""


def catalogue_of(home: Path, installation: Installation) -> Catalogue:
    """The models that can be named: the known providers, those of ``config.toml``, keys of the environment,
    and what `pagefault models check` found."""
    from pagefault.models.directory.catalogue import Catalogue
    from pagefault.models.directory.findings import Findings

    own = {name: _provider(name, settings) for name, settings in installation.providers.items()}
    return Catalogue(os.environ, own, Findings(home / "models.json"))


def _provider(name: str, settings: ProviderSettings) -> Provider:
    """A provider of ``config.toml``: what it sets, else what is known of the provider of that name."""
    from pagefault.models.directory.providers import PROVIDERS, Provider

    known = PROVIDERS.get(name) or Provider("as set in config.toml", "NAME", local=not settings.key)
    return replace(
        known,
        base_url=settings.base_url or known.base_url,
        key=settings.key or known.key,
        headers=settings.sent_headers(os.environ) or known.headers,
        timeout=settings.timeout,
    )


def check_name(name: str) -> None:
    """``UsageError`` if no agent can be called that."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be an agent's name; use up to 64 letters, digits, dots and dashes."
        )


async def create_agent(
    kernel: Kernel, name: str, settings: AgentSettings, parts: Parts | None = None
) -> AgentRecord:
    """Store a new agent with its declared sections; ``UsageError`` if it could not work as set."""
    check_name(name)
    parts = parts or Parts()
    now = parts.clock.now()
    record = AgentRecord(name, settings.model_dump(mode="json"), now)
    window, _ = await kernel.models.window(settings.model, settings.window)
    declared = [s.section() for s in settings.declared_sections(window)]
    made = await assemble(kernel, record, declared, parts)
    for section in declared:
        if made.memory.counter.count(section.text) > section.limit:
            raise UsageError(f"The text of section {section.name} is over its limit; shorten it.")

    def work(tx: Transaction) -> AgentRecord:
        stored = tx.create_agent(replace(record, queue=QueueState(head=render_sections(declared))))
        for section in declared:
            tx.put_section(stored.id, section, now)
        return stored

    return await kernel.store.write(work)


async def change_settings(
    kernel: Kernel, name: str, settings: AgentSettings, parts: Parts | None = None
) -> None:
    """Store an agent's new settings; ``UsageError``, and nothing is stored, if it could not work so.

    What a server was found to serve goes with the model and the window that were asked for.
    """
    stored = await kernel.record(name)
    old = parse_settings(dict(stored.settings))
    if (old.model, old.window) != (settings.model, settings.window):
        settings = settings.model_copy(update={"served": None})
    record = replace(stored, settings=settings.model_dump(mode="json"))
    sections = await kernel.store.read(lambda tx: tx.sections(record.id))
    await assemble(kernel, record, sections, parts or Parts())
    wanted = settings.models[0]

    def work(tx: Transaction) -> None:
        tx.save_settings(record.id, dict(record.settings))
        if wanted != old.models[0]:
            start_from_log(tx, record.id, wanted)

    await kernel.store.write(work)
    kernel.forget(name)


def plan(
    settings: AgentSettings,
    window: int,
    full: int,
    parts: Parts,
    counter: Counter,
    functions: Iterable[Function],
) -> tuple[str, FunctionExecutor, Budget]:
    """Divide the window: instructions, executor, budget. User tools are listed by name where their
    schemas would take too much; a head that leaves no room for the queue when the working context is
    full (``full`` tokens) is refused."""
    instructions = settings.instructions or prompts.text(settings.instructions_name(window))
    tools = [describe(t) for t in parts.tools]
    executor = FunctionExecutor.of([*functions, *tools], settings.style, settings.tool_timeout)
    reserve, margin = settings.reply_reserve(window), int(settings.margin * window)

    def fixed() -> int:
        return fixed_tokens(instructions, executor.schemas, counter)

    def room() -> int:
        return max(0, window - reserve - margin - fixed() - full)

    if tools and room() < 2 * _LEAST_ROOM * window:
        executor = executor.with_listed(frozenset(t.name for t in tools))
    if room() < _LEAST_ROOM * window:
        raise UsageError(
            f"Instructions, functions and working context leave {room():,} of the {window:,} tokens of the "
            "window for messages; shorten the instructions or sections, or use a larger window."
        )
    page = (parts.policy or settings.policy).page_limit(room())
    taken = _LEAST_ROOM + settings.margin + (reserve / window if settings.reserve is None else 0.0)
    least = ceil((fixed() + full + (settings.reserve or 0)) / (1.0 - taken))
    budget = Budget(window, reserve, margin, fixed(), page, max(SMALLEST_WINDOW, least))
    return instructions, executor, budget


async def assemble(
    kernel: Kernel,
    record: AgentRecord,
    sections: Sequence[Section],
    parts: Parts,
    emit: Callable[[Output], None] = lambda _: None,
) -> Process:
    """Put an agent together from its record; ``UsageError`` if it could not work as set."""
    settings = parse_settings(dict(record.settings))
    wanted_window, _ = await kernel.models.window(settings.model, settings.window)
    window = settings.bounded(wanted_window)
    if window < SMALLEST_WINDOW:
        raise UsageError(f"A window of {window:,} tokens is too small; pagefault needs {SMALLEST_WINDOW:,}.")
    model = kernel.models.model(settings.model, window, settings.request_settings)
    store = kernel.store
    zone, zone_name = zone_of(settings)
    counter = parts.counter or HeuristicCounter(family_of(settings.model))
    made: list[Process] = []  # what the functions ask of the process they belong to

    def opened() -> int | None:
        return made[0].opened

    def page() -> int:
        return made[0].memory.budget.page

    retriever = Retriever(store, kernel.indexer.service.serving, parts.clock, zone)
    results = Results(record.id, zone, counter, page)
    syscalls = Syscalls(
        record.id, record.name, store, retriever, parts.clock, zone, zone_name, counter,
        results, settings.paged_in_limit(window), opened,
    )  # fmt: skip
    speech = settings.style == "memgpt"
    functions = syscalls.functions(speech=speech, timers=settings.timers, agents=settings.agents)
    if settings.documents:
        functions += DocumentCalls(record.id, store, results).functions()
    paged_in = 0 if any(s.name == PAGED_IN for s in sections) else settings.paged_in_limit(window)
    full = sum(s.limit + _TAGS for s in sections) + paged_in
    instructions, executor, budget = plan(settings, window, full, parts, counter, functions)
    program = Program(
        store, model, executor, instructions, settings.style,
        settings.max_steps, settings.warning_steps, settings.fold_at_once,
        partial(kernel.models.served_window, settings.model),
    )  # fmt: skip
    policy = parts.policy or settings.policy
    wanted, *others = settings.models
    calibration = Calibration(wanted if others else "")
    memory = QueueManager(record.id, store, model, policy, counter, parts.clock, budget, calibration)
    made.append(Process(record, program, memory, Rows(parts.clock, zone, parts.parsers), emit))
    return made[0]
