"""`serve`: one process that serves agents over HTTP, or several that share a socket."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from os import environ
from signal import SIG_IGN, SIGINT, SIGTERM, Signals, signal
from socket import socket

import anyio

from pagefault.cli.session import Session
from pagefault.errors import UsageError

try:
    from pagefault.server import ServerOptions, create_app, logs
    from pagefault.server.running import bind, check_host, stop_at_signals
    from pagefault.server.running import serve as serve_app
    from pagefault.server.workers import run_workers
except ImportError as error:
    raise UsageError("The server needs more packages; run: pip install 'pagefault[server]'.") from error

__all__ = ["serve"]

_SECRET = "PAGEFAULT_USER_SECRET"


def serve(session: Session, host: str, port: int, workers: int, hosts: Sequence[str], grace: float) -> None:
    """Serve until a signal comes; open turns have ``grace`` seconds to end then."""
    installation = session.installation
    check_host(host)
    with bind(host, port) as listener:
        port = listener.getsockname()[1]
        options = ServerOptions(
            host, port, installation.agent, tuple(hosts), grace=grace, user_secret=environ.get(_SECRET, "")
        )
        anyio.run(_look, session)  # what is wrong with the database is said before anything is started
        _announce(session, options)
        if workers == 1:
            _work(session, options, (SIGINT, SIGTERM), listener)
        else:
            logs.set_up()
            run_workers(partial(_work_beside, session, options), listener, workers)


async def _look(session: Session) -> None:
    async with session.serving(session.installation):
        pass


def _announce(session: Session, options: ServerOptions) -> None:
    name = f"[{options.host}]" if ":" in options.host else options.host
    url = f"http://{name}:{options.port}"
    text = f"Serving agents at {url}. Open {url}/docs to see and try what can be asked; Ctrl-C stops."
    session.show({"url": url, "docs": f"{url}/docs"}, text)


def _work_beside(session: Session, options: ServerOptions, listener: socket) -> None:
    """Serve in one process of several: Ctrl-C goes to all of them, and reaches this one by its parent."""
    signal(SIGINT, SIG_IGN)
    _work(session, options, (SIGTERM,), listener)


def _work(session: Session, options: ServerOptions, signals: Sequence[Signals], listener: socket) -> None:
    logs.set_up()
    with session.naming_damage():
        anyio.run(_serve, session, options, signals, listener)


async def _serve(
    session: Session, options: ServerOptions, signals: Sequence[Signals], listener: socket
) -> None:
    stop = anyio.Event()
    async with session.serving(session.installation) as kernel, anyio.create_task_group() as tasks:
        tasks.start_soon(stop_at_signals, signals, stop, tasks.cancel_scope)
        await serve_app(create_app(kernel, options), [listener], stop)
        tasks.cancel_scope.cancel()
