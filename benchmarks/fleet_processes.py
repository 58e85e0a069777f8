"""The processes of a fleet from outside: started, looked at, signalled, ended; and what they use.

``Fleet`` reads the steps that its processes write, not the database, to know how far they are. Left out: what
a process does (``fleet_worker``) and the figures (``fleet_figures``).
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from fleet_worker import Plan, steps_of

WORKER = Path(__file__).with_name("fleet_worker.py")
PATIENCE = 900.0  # seconds after which a run counts as stuck
_REAPED = 12.0  # seconds after which nothing of a killed process is left: a lease, and renewals of others
_TICK = 0.25  # seconds between looks
_OPEN = "SELECT count(*) FROM inbox WHERE rank IS NOT NULL"  # by an index of what is open
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Sample:
    """What is used at a moment: turns open at the model, CPU in seconds since the start, RSS in bytes."""

    at: float
    open: int
    cpu: float
    rss: int
    server_cpu: float


@dataclass
class Member:
    """One process; ``name`` tells apart those that have the same number, one after the other."""

    number: int
    name: str
    popen: subprocess.Popen[bytes]
    ready: float = 0.0
    begun: set[str] = field(default_factory=set)
    ended_at: float | None = None  # it was killed or has ended; what it had open is open no more
    cpu: float = 0.0
    _read: int = 0


@dataclass
class Fleet:
    """The processes of one run. ``steps`` are all steps so far, as (kind, key, time, process's name)."""

    home: Path
    plan: Plan
    source: Path | None = None  # the ``src`` of the version started last, if it is another
    server: Sequence[int] = ()  # postmasters on this machine whose CPU counts
    members: list[Member] = field(default_factory=list)
    steps: list[tuple[str, str, float, str]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    stored: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    back: tuple[float, str] | None = None  # when a process, or with "" the server, was there again
    lost: list[tuple[str, float]] = field(default_factory=list)  # whose turns others take, and since when
    _generations: Counter[int] = field(default_factory=Counter)

    def start(self, number: int, *, command: Sequence[str] = (), source: Path | None = None) -> Member:
        """Start process ``number``; ``command`` goes before it, ``source`` is another version's ``src``."""
        name = f"p{number}.{self._generations[number]}"
        self._generations[number] += 1
        environment = os.environ | ({"PYTHONPATH": str(source)} if source else {})
        self.source = source
        arguments = [*command, sys.executable, WORKER, self.home, number, name]
        popen = subprocess.Popen([*map(str, arguments)], env=environment)
        member = Member(number, name, popen)
        self.members.append(member)
        return member

    def go(self) -> None:
        """Let them post when all are ready; returns with the first sample taken."""
        self.until(lambda: all(member.ready for member in self.living), "the processes are not ready")
        self.samples.clear()
        self.sample()
        (self.home / "go").touch()

    @property
    def living(self) -> list[Member]:
        return [member for member in self.members if member.ended_at is None]

    def member(self, number: int) -> Member:
        """The living process of this number."""
        return next(member for member in self.living if member.number == number)

    @property
    def open(self) -> int:
        return sum(len(member.begun) for member in self.members)

    @property
    def unreaped(self) -> list[int]:
        """The pids of killed processes whose leases the others may not have ended yet."""
        late = {name for name, at in self.lost if time.monotonic() < at + _REAPED}
        killed = [member.popen for member in self.members if member.name in late]
        return [each.pid for each in killed if each.returncode == -signal.SIGKILL]

    def until(self, reached: Callable[[], bool], fault: str, seconds: float = PATIENCE) -> None:
        """Look again and again until something is reached; ``RuntimeError`` with ``fault`` if it is not."""
        end = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > end:
                raise RuntimeError(f"After {seconds:.0f} s {fault}.")
            self.rest(_TICK)

    def rest(self, seconds: float) -> None:
        """Let the fleet work for so long; what it does is noted."""
        end = time.monotonic() + seconds
        while True:
            self.look()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(_TICK, left))

    def look(self) -> None:
        """Note the new steps; an unexpected end of a process is a ``RuntimeError``."""
        for member in self.members:
            self._read(member)
        for member in self.living:
            if (code := member.popen.poll()) is not None:
                log = (self.home / f"{member.name}.log").read_text()[-2000:]
                raise RuntimeError(f"Process {member.name} ended with {code}: {log}")
        if self.samples and time.monotonic() > self.samples[-1].at + 4 * _TICK:
            self.sample()

    def all_done(self) -> bool:
        """Return whether every event is stored, answered and no longer open in the database."""
        if len(self.stored) < self.plan.total or len(self.answered) < self.plan.total:
            return False
        return count(self.home, self.plan.database, _OPEN) == 0

    def now(self) -> float:
        """The time of the steps."""
        return time.monotonic()

    def signal(self, member: Member, what: signal.Signals) -> float:
        """Send a signal; the time of it."""
        member.popen.send_signal(what)
        return time.monotonic()

    def kill(self, member: Member) -> None:
        """SIGKILL; others take its turns."""
        self.lost.append((member.name, self.signal(member, signal.SIGKILL)))
        self._over(member)

    def stop(self, member: Member) -> None:
        """SIGTERM; others take its turns."""
        self.lost.append((member.name, self.signal(member, signal.SIGTERM)))
        self._over(member)

    def finish(self) -> None:
        """End all that live; they get half a minute."""
        for member in self.living:
            member.popen.send_signal(signal.SIGCONT)
            member.popen.send_signal(signal.SIGTERM)
        for member in self.living:
            self._over(member)

    def _over(self, member: Member) -> None:
        try:
            member.popen.wait(30)
        except subprocess.TimeoutExpired:
            member.popen.kill()
            member.popen.wait()
            raise RuntimeError(f"Process {member.name} did not end within 30 s.") from None
        finally:
            self._read(member)
            member.ended_at = time.monotonic()
            member.begun.clear()

    def _read(self, member: Member) -> None:
        path = self.home / f"{member.name}.steps"
        if not path.exists():
            return
        with path.open("rb") as file:
            file.seek(member._read)
            whole, _, _ = file.read().rpartition(b"\n")
        if not whole:
            return
        member._read += len(whole) + 1
        for kind, key, at in steps_of(whole.decode()):
            self.steps.append((kind, key, at, member.name))
            if kind == "r":
                member.ready = at
            elif kind == "s":
                self.stored.add(key)
            elif kind == "b":
                member.begun.add(key)
            else:
                self.answered.add(key)
                member.begun.discard(key)

    def sample(self) -> None:
        """Note what is used now."""
        for member in self.living:
            member.cpu = _cpu(member.popen.pid)
        rss = sum(_rss(member.popen.pid) for member in self.living)
        cpu = sum(member.cpu for member in self.members)
        server = sum(_with_children(pid) for pid in self.server)
        self.samples.append(Sample(time.monotonic(), self.open, cpu, rss, server))


def count(home: Path, database: str, statement: str) -> int:
    """The number that a statement gives, on either kind of database."""
    if not database:
        with closing(sqlite3.connect(home / "pagefault.db", timeout=30)) as db:
            return db.execute(statement).fetchone()[0]
    import psycopg

    try:
        with psycopg.connect(database, autocommit=True) as db:
            row = db.execute(statement.encode()).fetchone()
    except psycopg.OperationalError:  # it is being restarted
        return -1
    return row[0] if row else -1


def postmasters(database: str) -> list[int]:
    """The server's postmaster, with those of a Citus cluster's nodes, as far as they run on this machine."""
    import psycopg

    with psycopg.connect(database, autocommit=True) as db:
        own = db.info.backend_pid
        pids = {_parent(own)}
        if db.execute("SELECT 1 FROM pg_extension WHERE extname = 'citus'").fetchone():
            asked = db.execute("SELECT result FROM run_command_on_workers('SELECT pg_backend_pid()')")
            pids |= {_parent(int(pid)) for (pid,) in asked if pid.isdigit()}
    return sorted(pids - {0})


def _stat(pid: int) -> Mapping[str, int]:
    """The parent, and CPU in ticks, of a process and of its children that have ended; all 0 if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        text = "0 () R" + " 0" * 20
    fields = text.rpartition(")")[2].split()
    own, ended = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return {"parent": int(fields[1]), "own": own, "ended": ended}


def _cpu(pid: int) -> float:
    return _stat(pid)["own"] / _TICKS


def _parent(pid: int) -> int:
    return _stat(pid)["parent"]


def _rss(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:
        return 0


def _with_children(pid: int) -> float:
    stat = _stat(pid)
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        children = []
    return (stat["own"] + stat["ended"]) / _TICKS + sum(_cpu(int(child)) for child in children)
