"""The settings of a connection, and the beginning of its transactions: to a server, or through a pooler.

A pooler like pgbouncer may give each transaction another session of the server. It is recognised by the pid
of the backend: a pooler's protocol gives one that is not the server's. Behind it nothing is prepared, a
setting is set for its transaction alone, and each statement is waited for: pgbouncer 1.18 loses messages of
a pipeline. Leaves out what is sent in a transaction (``connection``).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import psycopg

from pagefault.storage.postgres.connection import Driver

__all__ = [
    "ONE_BY_ONE",
    "ONE_PLAN",
    "READ",
    "WITHOUT_LIMIT",
    "WRITE",
    "begin",
    "configure",
    "connect",
    "is_pooled",
    "limits_of",
    "pipeline",
    "set_local",
]

WRITE = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
ONE_BY_ONE = "citus.multi_shard_modify_mode"
"""The setting of Citus (where there is none, nobody's) that gives a transaction, if it is ``sequential``, one
connection to each node, which sees all that was done there."""
ONE_PLAN = {"plan_cache_mode": "force_generic_plan"}
"""Our keys all begin with the agent, so a plan suits every agent; a plan for each execution, which PostgreSQL
prefers for tables in partitions, costs more than the statement. Citus needs the values."""
WITHOUT_LIMIT = """
    SELECT set_config(name, '0', true) FROM pg_settings
    WHERE name IN ('transaction_timeout', 'statement_timeout')"""
"""The statement after which a write may take as long as it does."""
_LOCAL = {
    "lock_timeout": "60s",
    "jit": "off",  # costs more than it gives to statements as small as ours
}
_NODES = {"citus.propagate_set_commands": "local"}
"""So that what is set for a transaction from then on holds on the nodes of Citus too: rows are locked there.
Where there is no Citus, nobody's setting."""
_OF_SESSION = _LOCAL | {
    "client_connection_check_interval": "2s",  # a statement whose client has died is given up,
    "tcp_keepalives_idle": "3",  # as is a connection whose machine has,
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",  # about when its leases end, that the rows it has locked do not wait longer,
    "tcp_user_timeout": "6s",  # and the same while something that was sent is not acknowledged
}
"""The settings of a session of our own; the clients of a pooler are the pooler's to look after."""
_CONFIGURE = """
    SELECT count(set_config(name, setting, false)) FROM unnest(%s::text[], %s::text[]) s (name, setting)
    WHERE pg_backend_pid() = %s"""
_LIMITS_TRANSACTIONS = 170_000  # the first version of PostgreSQL that can


def connect(conninfo: str, longest_write: float | None = None) -> Driver:
    """A connection in autocommit mode (transactions are begun by hand), whose transactions the server gives
    up after so many seconds. Raises ``psycopg.Error``."""
    driver = psycopg.connect(conninfo, autocommit=True)
    try:
        configure(driver, {} if longest_write is None else limits_of(driver, longest_write))
    except BaseException:
        driver.close()
        raise
    return driver


def configure(driver: Driver, limits: Mapping[str, str]) -> None:
    """Set what holds for the session, ``limits`` included, unless a pooler gives it to others too."""
    settings = {**_OF_SESSION, **limits, **_NODES}
    values = list(settings), list(settings.values()), driver.info.backend_pid
    row = driver.execute(_CONFIGURE, values).fetchone()
    # There are few kinds of statement, and they are sent again and again.
    driver.prepare_threshold = 1 if row and row[0] else None


def is_pooled(driver: Driver) -> bool:
    """Return True for a configured connection behind which a pooler stands."""
    return driver.prepare_threshold is None


def limits_of(driver: Driver, longest_write: float) -> dict[str, str]:
    """The settings by which the server gives up a write after so many seconds; 0: never."""
    limit = f"{longest_write * 1000:.0f}"
    names = ["idle_in_transaction_session_timeout", *["transaction_timeout"] * _limits(driver)]
    return dict.fromkeys(names, limit)


def begin(driver: Driver, kind: str, longest_write: float) -> None:
    """Begin a transaction, ``READ`` or ``WRITE``; a read may be longer."""
    settings = {"transaction_timeout": "0"} if kind == READ and _limits(driver) else {}
    if is_pooled(driver):  # all in one round trip
        settings = _LOCAL | limits_of(driver, longest_write) | settings | _NODES
        driver.execute("; ".join([kind, *_statements(settings)]).encode())
    else:
        driver.execute(kind.encode())
        set_local(driver, settings)


def pipeline(driver: Driver) -> AbstractContextManager[object]:
    """Statements are sent without waiting where they may be: to the server a transaction that waits for more
    of a pipeline is not idle, so only a limit on transactions frees what a paused process holds."""
    return driver.pipeline() if _limits(driver) and not is_pooled(driver) else nullcontext()


def set_local(driver: Driver, settings: Mapping[str, str]) -> None:
    """Set what holds for the transaction, without a snapshot: its isolation can still be chosen."""
    for statement in _statements(settings):
        driver.execute(statement.encode())


def _limits(driver: Driver) -> bool:
    return driver.info.server_version >= _LIMITS_TRANSACTIONS


def _statements(settings: Mapping[str, str]) -> list[str]:
    return [f"SET LOCAL {name} = '{setting}'" for name, setting in settings.items()]
