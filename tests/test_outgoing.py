"""Nothing leaves the machine, and nothing is written outside home, but what was asked for.

Commands run as users run them, without the variables by which CI services are recognised: libraries keep
quiet there. The system's own account of the calls (``strace``, where it is) shows libraries in C too; the
audit events of Python are for other systems. A file left in the user's folders by a library shows in both.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pagefault.testing.providers import ProviderServer
from pagefault.testing.providers.replies import spoken

SAID = "My boat is called Wilhelmina.\nWhat is my boat called?\n"
TRACED = (
    "connect,bind,sendto,sendmsg,sendmmsg,socket,open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,"
    "renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,truncate,mknod,mknodat"
)
CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")
INET = re.compile(r"sin6?_port=htons\((\d+)\).*?\"([0-9a-f.:]+)\"")
CHANGES = {"creat", "truncate"} | {
    name for name in TRACED.split(",") if re.match("mk|rename|link|sym|unl|rm", name)
}

# A program that reports what Python itself opens for writing and connects to, then runs the command line.
AUDITED = """
import os, sys
NET = ("socket.connect", "socket.sendto", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname")
def hook(event, args):
    if event in NET:
        os.write(2, f"audit {event} {args!r}\\n".encode())
    elif event == "open" and isinstance(args[0], str) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        os.write(2, f"audit open {os.path.abspath(args[0])}\\n".encode())
sys.addaudithook(hook)
from pagefault.cli import main
main()
"""

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


class Machine:
    """A user with an empty home, and no variable that names a CI service, a proxy or a cache."""

    def __init__(self, folder: Path) -> None:
        self.user, self.home, self.trace = folder / "user", folder / "home", folder / "trace"
        self.work = folder / "work"
        self.user.mkdir()
        self.work.mkdir()

    def run(self, before: Sequence[str], *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.user),
            "PYTHONPATH": path,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        ran = subprocess.run(
            [*before, *arguments, "--home", str(self.home)],
            input=text,
            env=environment,
            cwd=self.work,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stderr
        return ran

    def stracing(self, *arguments: str, text: str = "") -> tuple[set[str], set[str]]:
        """Run a command; return the addresses it connected to, and the files it changed outside home."""
        command = ["strace", "-f", "-s", "400", "-o", str(self.trace), "-e", f"trace={TRACED}"]
        self.run([*command, sys.executable, "-m", "pagefault"], *arguments, text=text)
        return accounted(self.trace.read_text(errors="replace"), self.home)

    def left(self) -> list[Path]:
        """The files in the user's folder and in the one where the command ran."""
        return [path for folder in (self.user, self.work) for path in folder.rglob("*")]


def accounted(trace: str, home: Path) -> tuple[set[str], set[str]]:
    """Return the Internet addresses that a trace names, and the files that it changes outside ``home``."""
    addresses, files = set[str](), set[str]()
    for found in filter(None, map(CALL.match, trace.splitlines())):
        name, arguments, result = found.groups()
        if name in ("connect", "bind", "sendto", "sendmsg", "sendmmsg"):
            addresses |= {f"{host}:{port}" for port, host in INET.findall(arguments)}
            addresses |= {arguments} if name == "connect" and "AF_UNIX" in arguments else set()
        elif int(result) >= 0 and (name in CHANGES or re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC)", arguments)):
            paths = [Path(path) for path in re.findall(r'"([^"]*)"', arguments)]
            files |= {str(path) for path in paths if not path.is_relative_to(home)}
    return addresses, files - {"/dev/null", "/dev/tty"}


@pytest.fixture
def user(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.slow
@needs_strace
def test_a_chat_that_searches_connects_to_nothing_and_writes_only_to_home(user: Machine) -> None:
    assert user.stracing("chat", text=SAID) == (set(), set())
    assert user.stracing("recall", "search", "boat", "--agent", "default") == (set(), set())
    assert user.left() == []


@pytest.mark.slow
@needs_strace
def test_a_chat_with_a_server_connects_to_it_alone(user: Machine) -> None:
    with ProviderServer(lambda request: spoken(request, "Ahoy.")) as server:
        port = server.root.rpartition(":")[2].rstrip("/")
        reached, written = user.stracing("chat", "--model", f"{server.root}/v1#any", text=SAID)
    assert (reached, written) == ({f"127.0.0.1:{port}"}, set())
    assert user.left() == []


@pytest.mark.slow
@needs_strace
def test_a_document_is_loaded_and_found_without_a_connection(user: Machine) -> None:
    (user.work / "tides.html").write_text("<h1>Tides</h1><p>The tide turns at noon.</p>")
    user.run([sys.executable, "-m", "pagefault"], "agent", "create", "ana")
    assert user.stracing("load", "tides.html", "--agent", "ana") == (set(), set())
    assert user.stracing("archival", "search", "noon", "--agent", "ana") == (set(), set())
    assert user.left() == [user.work / "tides.html"]


@pytest.mark.slow
def test_no_library_leaves_a_file_and_python_opens_no_connection(user: Machine) -> None:
    ran = user.run([sys.executable, "-c", AUDITED], "chat", text=SAID)
    assert "Wilhelmina" in ran.stdout
    events = [line.removeprefix("audit ") for line in ran.stderr.splitlines() if line.startswith("audit ")]
    assert any(event.startswith(f"open {user.home}") for event in events), "the account is empty"
    assert [
        event for event in events if not event.startswith((f"open {user.home}", f"open {os.devnull}"))
    ] == []
    assert user.left() == []
