"""The composition root: the one place that names concrete adapters, from settings to a kernel over a store.

Heavy libraries are imported where a choice needs them. Left out: making processes of agents (``assembly``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pagefault.assembly import Assembly, Parts
from pagefault.config import Installation, ProviderSettings, load_installation
from pagefault.embedders import Embedder
from pagefault.errors import UsageError
from pagefault.functions.registry import ToolRegistry
from pagefault.kernel import Kernel
from pagefault.kernel.admission import Admission
from pagefault.kernel.forgetting.retention import with_retention
from pagefault.kernel.indexer import Indexer
from pagefault.kernel.outbox import Deliverer
from pagefault.kernel.scheduler import Scheduler
from pagefault.kernel.sealer import Sealer
from pagefault.models.directory.single import SingleModelSource
from pagefault.plugins import Plugins
from pagefault.privacy import keep_private
from pagefault.process_limits import MB, memory_limit, memory_used, most_turns
from pagefault.rerankers import Reranker
from pagefault.retrieval.reranking import Reranking
from pagefault.retrieval.service import EmbedderService
from pagefault.storage import Store
from pagefault.storage.row_transfer import TransferDatabase
from pagefault.storage.within import TenantStore
from pagefault.tool_servers.source import ToolServerSource

if TYPE_CHECKING:
    from pagefault.models.directory.catalogue import Catalogue
    from pagefault.models.directory.providers import Provider
    from pagefault.models.endpoint import AdapterFactory
    from pagefault.storage.postgres.distributing import Distribution
    from pagefault.storage.postgres.protection import Protection


def open_kernel(home: Path, parts: Parts | None = None, installation: Installation | None = None) -> Kernel:
    """A kernel over ``home/pagefault.db`` (made if it is not there); enter it with ``async with``."""
    parts = parts or Parts()
    keep_private(home)
    installation = installation or load_installation(home)
    tools = ToolRegistry(parts.tools)
    tool_servers = ToolServerSource(installation.mcp, home / "tool_servers.json")
    models = SingleModelSource(parts.model) if parts.model else catalogue_of(home, installation)
    cache = home / "cache"
    embedder = parts.embedder or make_embedder(installation.embedder, cache)
    reranker = parts.reranker or make_reranker(installation.reranker, cache)
    store = parts.store or open_store(home, installation)  # last: nothing would close it
    service = EmbedderService(
        store, embedder, "" if parts.embedder else installation.embedder,
        lambda name: make_embedder(name, cache, named=installation.embedder),
    )  # fmt: skip

    prices = installation.own_prices
    reranking = Reranking(reranker) if reranker else None
    sealer = Sealer(store)
    indexer = Indexer(store, service, sealer.wake)
    deliverer = Deliverer(store, parts.clock, parts.shared_counter, indexer.wake)
    assembly = Assembly(
        store, models, service.serving, parts, tool_servers, tools, installation.daily_limit, prices,
        reranking, sent=deliverer.sent,
    )  # fmt: skip
    bound = installation.memory * MB if installation.memory else memory_limit()
    admission = Admission(most_turns(installation.open_turns), bound, memory_used)
    scheduler = Scheduler(store, assembly.boot, indexer.wake, parts.clock, admission)
    tool_servers.attach(scheduler.slots.reload, lambda: scheduler.is_running)
    return with_retention(Kernel(
        TenantStore(store, ""), indexer, sealer, models, parts.clock, scheduler, assembly, deliverer, prices,
        installation.loading,
    ))  # fmt: skip


def open_store(home: Path, installation: Installation) -> Store:
    """The database of an installation: a PostgreSQL server's, if one is set, else the file in ``home``.

    A URL of another kind is for the plug-in of that name. ``UsageError`` if there is none, or if the extra
    that PostgreSQL needs is not installed.
    """
    if installation.database:
        scheme, colon, _ = installation.database.partition("://")
        if colon and scheme not in _POSTGRES and scheme in (stores := Plugins("stores")):
            return stores[scheme]()(installation.database)
        with _postgres(installation.database):
            from pagefault.storage.postgres import PostgresStore
        return PostgresStore.open(installation.database, wake_url=installation.wake_url)
    from pagefault.storage.sqlite import SQLiteStore

    return SQLiteStore.open(home / DATABASE, synchronous=installation.synchronous)


DATABASE = "pagefault.db"
_POSTGRES = ("postgresql", "postgres")


def open_transfer(place: Path | str, *, make: bool = False) -> TransferDatabase:
    """A database, a file's path or a URL, for its raw rows; brought up to date, and made if ``make`` says so.

    ``UsageError`` as ``open_store``, and if there is no such file or it is a folder.
    """
    if isinstance(place, str):
        with _postgres(place):
            from pagefault.storage.postgres.transfer import PostgresTransfer
        return PostgresTransfer.open(place)
    from pagefault.storage.sqlite.transfer import SQLiteTransfer

    if place.is_dir():
        raise UsageError(f"{place} is a folder; name a file in it, e.g. {place / DATABASE}.")
    if not make and not place.exists():
        raise UsageError(f"There is no database {place}; name one that is there.")
    return SQLiteTransfer.open(place)


def open_distribution(place: Path | str, *, make: bool) -> Distribution:
    """A PostgreSQL database to be spread over nodes of Citus; with ``make`` brought up to date first.

    ``UsageError`` for a file of SQLite.
    """
    if isinstance(place, Path):
        raise UsageError(
            "A file of SQLite cannot be distributed; bring its agents to a PostgreSQL database with "
            "`pagefault db copy`, and give the URL of that with --database."
        )
    with _postgres(place):
        from pagefault.storage.postgres.distributing import Distribution
    return Distribution.open(place, make=make)


def open_protection(place: Path | str) -> Protection:
    """A PostgreSQL database whose row-level security is to be changed, brought up to date first.

    ``UsageError`` for a file of SQLite.
    """
    if isinstance(place, Path):
        raise UsageError(
            "SQLite has no row-level security; give each tenant a home of its own, or use PostgreSQL."
        )
    with _postgres(place):
        from pagefault.storage.postgres.protection import Protection
    return Protection.open(place)


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
    if not url.startswith(tuple(f"{scheme}://" for scheme in _POSTGRES)):
        raise UsageError("That is no database URL; write postgresql://USER@HOST/NAME.")
    try:
        yield
    except ImportError:
        raise UsageError("PostgreSQL needs more packages; run: pip install 'pagefault[postgres]'.") from None


def make_embedder(
    name: str, cache: Path | None = None, *, threads: int = 1, keep: bool = False, named: str | None = None
) -> Embedder:
    """``minilm`` (the shipped default), ``multilingual``, ``null`` (no vectors: search is lexical),
    ``openai:NAME``, ``ollama:NAME``, ``URL#NAME``, ``fastembed:NAME``, or a plug-in's ``NAME``, ``NAME:...``.

    Vectors of all but the first three are kept in the folder ``cache``, with ``keep`` those of the first two
    too; ``threads`` are the first two's. ``named``: the embedder that the person set, if ``name`` comes from
    elsewhere; only its server is given the key. Nothing is sent, loaded or written yet;
    ``EmbedderSetupError`` if a key or an extra is missing.
    """
    if name == "multilingual":
        from pagefault.embedders.multilingual import MultilingualUSE
        from pagefault.embedders.pair import EmbedderPair

        first = make_embedder("minilm", cache, threads=threads, keep=keep)
        return EmbedderPair(first, _kept(MultilingualUSE(threads=threads), cache if keep else None))
    if name == "minilm":
        from pagefault.embedders.minilm import MiniLM

        return _kept(MiniLM(threads=threads), cache if keep else None)
    if name == "null":
        from pagefault.embedders.null import NullEmbedder

        return NullEmbedder()
    if embedder := _costly_embedder(name, cache, name if named is None else named):
        return _kept(embedder, cache)
    raise UsageError(f"There is no embedder {name!r}; `pagefault embedders` lists what there is.")


def _kept(embedder: Embedder, cache: Path | None) -> Embedder:
    """The embedder with its vectors kept in that folder, if any."""
    if cache is None:
        return embedder
    from pagefault.embedders.cached import CachedEmbedder

    return CachedEmbedder(embedder, cache / "embeddings-1.db")


def _costly_embedder(name: str, cache: Path | None, named: str) -> Embedder | None:
    from pagefault.embedders.servers import server_of

    provider, _, model = name.partition(":")
    if provider == "fastembed" and model:
        from pagefault.embedders.fastembed import FastEmbedder

        return FastEmbedder(model, cache and cache / "fastembed")
    if server := server_of(name, os.environ, named):
        from pagefault.embedders.remote import RemoteEmbedder

        return RemoteEmbedder(server)
    plugins = Plugins("embedders")
    return plugins[provider]()(model) if provider in plugins else None


def make_reranker(name: str, cache: Path | None = None) -> Reranker | None:
    """``URL#MODEL``, ``fastembed:MODEL``, or None for the empty name. Nothing is sent or loaded yet."""
    provider, _, model = name.partition(":")
    if provider in ("http", "https"):
        from pagefault.rerankers.remote import RemoteReranker

        return RemoteReranker(name, os.environ)
    if provider == "fastembed" and model:
        from pagefault.rerankers.fastembed import FastReranker

        return FastReranker(model, cache and cache / "fastembed")
    if name:
        raise UsageError(f"There is no reranker {name!r}; write URL#MODEL or fastembed:MODEL.")
    return None


EMBEDDERS = {
    "minilm": "shipped, on this machine; English",
    "multilingual": "on this machine, with an extra; 16 languages; a package of one author",
    "null": "none: search by words alone",
    "openai:text-embedding-3-small": "OpenAI; texts leave the machine, and cost money",
    "ollama:nomic-embed-text": "an Ollama server, on this machine unless OLLAMA_HOST says otherwise",
    "http://127.0.0.1:8080/v1#bge-m3": "any server that speaks OpenAI's protocol",
    "fastembed:BAAI/bge-small-en-v1.5": "on this machine; downloaded at the first use",
}
"""An example of each kind of embedder, and what it is."""


def catalogue_of(
    home: Path, installation: Installation, plugins: Mapping[str, Callable[[], AdapterFactory]] | None = None
) -> Catalogue:
    """The models that can be named: known providers, those of plug-ins and of ``config.toml``, with keys of
    the environment and the findings of `pagefault models check`.

    ``plugins`` gives for each provider's name the function that loads its adapter (None: those installed);
    known names are kept.
    """
    from pagefault.models.directory.catalogue import Catalogue
    from pagefault.models.directory.findings import Findings
    from pagefault.models.directory.providers import ProviderTable
    from pagefault.models.directory.server_keys import ServerKeys

    loaders = Plugins("models") if plugins is None else plugins
    known = ProviderTable({}, loaders)
    own = {name: _provider(known.get(name), settings) for name, settings in installation.providers.items()}
    keys = ServerKeys(installation.agent.model, home / "trusted_servers.json")
    return Catalogue(os.environ, own, Findings(home / "models.json"), plugins=loaders, keys=keys)


def _provider(known: Provider | None, settings: ProviderSettings) -> Provider:
    """A provider of ``config.toml``: its settings, else those of the known provider of that name."""
    from pagefault.models.directory.providers import Provider
    from pagefault.models.wrappers.limiter import RateLimits

    known = known or Provider("as set in config.toml", "NAME", local=not settings.key)
    return replace(
        known,
        base_url=settings.base_url or known.base_url,
        key=settings.key or known.key,
        headers=settings.sent_headers(os.environ) or known.headers,
        timeout=settings.timeout,
        limits=RateLimits(settings.requests_per_minute, settings.max_concurrent),
    )
