"""`serve`: one process that serves agents over HTTP, or several that share a socket."""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from signal import SIG_IGN, SIGINT, SIGTERM, Signals, signal
from socket import socket
from tempfile import TemporaryDirectory

import anyio

from pagefault.cli.session import Session
from pagefault.errors import UsageError

try:
    from pagefault.server import ServerOptions, create_app, logs
    from pagefault.server.running import bind, check_host, check_names, stop_at_signals
    from pagefault.server.running import serve as serve_app
    from pagefault.server.workers import run_workers
    from pagefault.telemetry import Telemetry, telemetry_of
    from pagefault.telemetry.prometheus import SHARED
except ImportError as error:
    raise UsageError("The server needs more packages; run: pip install 'pagefault[server]'.") from error

__all__ = ["serve"]

_USER_SECRET = "PAGEFAULT_USER_SECRET"
_SESSION_SECRET = "PAGEFAULT_SESSION_SECRET"
_LEAST_SECRET = 32  # bytes: RFC 7518, 3.2


def serve(
    session: Session, host: str, port: int, workers: int, hosts: Sequence[str], grace: float, rate: int,
    mcp_tokens: int,
) -> None:  # fmt: skip
    """Serve until a signal comes; open turns have ``grace`` seconds to end then."""
    installation = session.installation
    check_names(hosts)
    session_secret = _session_secret()
    anyio.run(_look, session, host)  # what is wrong with the database is said before anything is started
    with bind(host, port) as listener:
        port = listener.getsockname()[1]
        options = ServerOptions(
            host, port, installation.agent, tuple(hosts), grace=grace, rate=rate, mcp_tokens=mcp_tokens,
            user_secret=os.environ.get(_USER_SECRET, ""),
            session_secret=session_secret,
        )  # fmt: skip
        _announce(session, options)
        if workers == 1:
            _work(session, options, (SIGINT, SIGTERM), listener)
        else:
            logs.set_up()
            with _shared_metrics():
                run_workers(partial(_work_beside, session, options), listener, workers)


def _session_secret() -> str:
    given = os.environ.get(_SESSION_SECRET)
    if given and len(given.encode()) < _LEAST_SECRET:
        raise UsageError(
            f"{_SESSION_SECRET} is too short to sign with; give at least {_LEAST_SECRET} random characters."
        )
    return given or secrets.token_urlsafe()


@contextmanager
def _shared_metrics() -> Generator[None]:
    """A folder in which the processes share their metrics: any of them may be asked for those of all."""
    with TemporaryDirectory(prefix="pagefault-metrics-") as folder:
        os.environ.setdefault(SHARED, folder)
        yield


async def _look(session: Session, host: str) -> None:
    async with session.serving(session.installation) as kernel:
        await check_host(kernel, host)


def _announce(session: Session, options: ServerOptions) -> None:
    name = f"[{options.host}]" if ":" in options.host else options.host
    url = f"http://{name}:{options.port}"
    text = f"Serving agents at {url}. Open it to talk with them, {url}/docs to see what programs can ask; "
    text += "Ctrl-C stops."
    session.show({"url": url, "docs": f"{url}/docs"}, text)


def _work_beside(session: Session, options: ServerOptions, listener: socket) -> None:
    """Serve in one process of several: Ctrl-C goes to all of them, and reaches this one by its parent."""
    signal(SIGINT, SIG_IGN)
    _work(session, options, (SIGTERM,), listener)


def _work(session: Session, options: ServerOptions, signals: Sequence[Signals], listener: socket) -> None:
    logs.set_up()
    telemetry = telemetry_of(os.environ)
    try:
        with session.naming_damage():
            anyio.run(_serve, session, options, telemetry, signals, listener)
    finally:
        telemetry.close()


async def _serve(
    session: Session,
    options: ServerOptions,
    telemetry: Telemetry,
    signals: Sequence[Signals],
    listener: socket,
) -> None:
    stop, serving = anyio.Event(), session.serving(session.installation, telemetry.observers)
    async with serving as kernel, anyio.create_task_group() as tasks:
        tasks.start_soon(stop_at_signals, signals, stop, tasks.cancel_scope)
        await serve_app(create_app(kernel, options, telemetry), [listener], stop)
        tasks.cancel_scope.cancel()
