"""Fresh databases on a cluster of Citus that is there: for tests and benchmarks.

``PAGEFAULT_TEST_CITUS_URL`` is a database on its coordinator, to which the worker nodes were added; the user
may create databases and extensions on every node. A copy of a distributed database is made node by node.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psycopg

from pagefault.storage.postgres.distributing import Distribution
from pagefault.testing.postgres import Databases

__all__ = ["CitusDatabases", "given_coordinator", "is_coordinator"]

_NODES = """
    SELECT nodename, nodeport, groupid = 0, shouldhaveshards FROM pg_dist_node
    WHERE isactive AND noderole = 'primary' ORDER BY groupid"""
_LOCALLY = "SET citus.enable_create_database_propagation = off"
_SHARDS = 4
"""Of each table: an empty database is some hundred files on every node."""


def given_coordinator() -> str | None:
    """The URL of a database with Citus, to which nodes were added."""
    return os.environ.get("PAGEFAULT_TEST_CITUS_URL") or None


def is_coordinator(url: str) -> bool:
    """Return True if nodes of Citus were added to the database of ``url``."""
    with psycopg.connect(url, autocommit=True) as server:
        if not server.execute("SELECT FROM pg_extension WHERE extname = 'citus'").fetchall():
            return False
        return bool(server.execute(_NODES.encode()).fetchall())


@dataclass(slots=True)
class CitusDatabases(Databases):
    """Makes distributed databases on the cluster of ``url``, and ``empty`` ones with Citus, on every node."""

    nodes: Sequence[tuple[str, int, bool, bool]] = field(init=False)

    def __post_init__(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as server:
            self.nodes = server.execute(_NODES.encode()).fetchall()

    def _create(self, name: str, template: str) -> None:
        for server in self._servers():
            self._copy(server, name, template)
        self._made.add(name)
        if template == "template1":
            self._add_nodes(name)

    def _migrate(self, name: str) -> None:
        with_shards = f"{self._url(name)}?options=-c%20citus.shard_count%3D{_SHARDS}"
        distribution = Distribution.open(with_shards, make=True)
        distribution.move()
        distribution.close()

    def _drop(self, name: str) -> None:
        for server in self._servers():
            with psycopg.connect(server, autocommit=True) as node:
                node.execute(_LOCALLY)
                node.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        self._made.discard(name)

    def _copy(self, server: str, name: str, template: str) -> None:
        """Create a database on one node; the daemon that Citus keeps in the template is ended."""
        create = f"CREATE DATABASE {name} TEMPLATE {template} ENCODING 'UTF8' STRATEGY FILE_COPY"
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        with psycopg.connect(server, autocommit=True) as node:
            node.execute(_LOCALLY)
            for last in (False,) * 20 + (True,):
                try:
                    node.execute(create.encode())
                    return
                except psycopg.errors.ObjectInUse:
                    if last:
                        raise
                    node.execute(ended, (template,))
                    time.sleep(0.05)

    def _add_nodes(self, name: str) -> None:
        for server in self._servers(name):
            with psycopg.connect(server, autocommit=True) as node:
                node.execute("CREATE EXTENSION citus")
                node.execute("CREATE EXTENSION vector")
        with psycopg.connect(self._url(name), autocommit=True) as coordinator:
            for host, port, is_first, has_shards in self.nodes:
                add = "citus_set_coordinator_host" if is_first else "citus_add_node"
                coordinator.execute(f"SELECT {add}(%s, %s)".encode(), (host, port))
                if is_first and has_shards:
                    shards = "SELECT citus_set_node_property(%s, %s, 'shouldhaveshards', true)"
                    coordinator.execute(shards, (host, port))

    def _servers(self, name: str | None = None) -> list[str]:
        """The URL of each node, the coordinator first: of the given database, or of this one."""
        parts = urlsplit(self._url(name) if name else self.url)
        user = parts.netloc.rpartition("@")[0]
        return [
            parts._replace(netloc=f"{user}@{host}:{port}" if user else f"{host}:{port}").geturl()
            for host, port, *_ in self.nodes
        ]
