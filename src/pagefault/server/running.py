"""A process that serves: it listens, serves inboxes and timers, and drains when it is told to stop.

At SIGTERM no more turns begin here. Open ones have the time of ``ServerOptions.grace`` to end; what is left
is carried on by another server of the database, or at the next start. Left out: the application
(``create_app``)."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import anyio
import uvicorn
from fastapi import FastAPI

from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.streams import drain
from pagefault.kernel.tenancy import has_keys
from pagefault.quoting import inline
from pagefault.server import inspector
from pagefault.server.auth import is_loopback

__all__ = ["bind", "check_host", "check_names", "serve", "stop_at_signals"]

_LEAVING = 5  # seconds that responses have when their turns are over
_KEPT_ALIVE = 65  # seconds that an idle connection is kept: longer than usual proxies keep theirs


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0: any free one. ``UsageError`` if it cannot be had."""
    try:
        family, *_, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(address[:2], family=family, backlog=2048)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections take it over
        return listener
    except (OSError, UnicodeError, OverflowError) as error:
        why = str(getattr(error, "strerror", None) or error).partition(" (while ")[0]
        raise UsageError(
            f"The server cannot listen on {host}, port {port} ({why}); choose another with --host and --port."
        ) from None


async def check_host(kernel: Kernel, host: str) -> None:
    """``UsageError`` for another address than the loopback's if there is no key: whoever reaches it could do
    everything."""
    if not is_loopback(host) and not await has_keys(kernel):
        raise UsageError(
            f"The server has no key, and {host} is not the loopback; make one with `pagefault key "
            "create NAME`, or leave --host out."
        )


def check_names(hosts: Sequence[str]) -> None:
    """``UsageError`` for what no request could name as its host."""
    for host in hosts:
        if not re.fullmatch(r"[\w.-]+|[\da-fA-F:.]+", host):
            raise UsageError(
                f"{inline(host, 64)!r} is no name of a host; write it without scheme, port and path, as in "
                "--allow-host agents.example."
            )


async def serve(app: FastAPI, sockets: Sequence[socket.socket], stop: anyio.Event) -> None:
    """Serve the application on these sockets until ``stop`` is set and the server has drained."""
    grace = app.state.options.grace
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="off", server_header=False, workers=1, ws="none",
        timeout_keep_alive=_KEPT_ALIVE, timeout_graceful_shutdown=int(grace) + _LEAVING,
    )  # fmt: skip
    server = _Server(config)
    inspector.prepare()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app.state.kernel.serve)
        tasks.start_soon(_stop, app, server, stop)
        await server.serve(list(sockets))
        tasks.cancel_scope.cancel()


async def _stop(app: FastAPI, server: uvicorn.Server, stop: anyio.Event) -> None:
    await stop.wait()
    app.state.stopping = server.should_exit = True
    await drain(app.state.kernel, app.state.options.grace)


async def stop_at_signals(
    numbers: Sequence[signal.Signals], stop: anyio.Event, at_once: anyio.CancelScope
) -> None:
    """Set ``stop`` at one of these signals; at a second one cancel what runs: turns stay open in the log."""
    with anyio.open_signal_receiver(*numbers) as signals:
        async for _ in signals:
            if stop.is_set():
                at_once.cancel()
            stop.set()


class _Server(uvicorn.Server):
    """Leaves signals to ``stop_at_signals``."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield
