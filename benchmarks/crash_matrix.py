"""The crash matrix: a process killed by SIGKILL at every write boundary, then 200 times at random under load.

Matrix: one run from an empty home counts the boundaries: before each statement on a writing connection
(making the tables, BEGIN and COMMIT included), after each commit before its caller hears of it, before and
after each outside effect. Then, for each number k, a child runs from an empty home until it kills itself at
boundary k, another one finishes, and the home is checked (``crash_child``, ``crash_checks``). Agents take
turns, so that every run writes in the same order; ``grouped`` is a part of the same with all agents at once,
where writes of several share a commit. At the end of a run one more agent is forked, its last turn is undone,
and a secret is forgotten in both.

With ``--postgres`` the same on a PostgreSQL server: before each statement that is sent but those of reads,
before each COMMIT, while it is under way, and when it is answered. (The tables are there already.) A process
that goes on where another was killed in a turn waits until that one's lease, of ``--lease`` seconds, is over.

Storm: two server processes over one home while a third posts; at random times one server is killed and
started anew. When there were enough kills the rest is served and the home is checked.

    python benchmarks/crash_matrix.py [--every 1] [--kills 200] [--postgres] [--json OUT] [--keep DIR]
    python benchmarks/crash_matrix.py --check HOME    # a home of the matrix, with the same --turns
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import crash_child
from crash_checks import check, interrupted, open_turns
from crash_script import AGENTS, messages
from pagefault.testing import postgres
from pagefault.testing.postgres import Databases

PATIENCE = 60  # seconds after which a child counts as stuck
KILLS_A_STORM = 25
GROUPED_EVERY = 6  # of the boundaries of the grouped matrix, one in so many


@dataclass(frozen=True)
class Options:
    """``turns``: messages posted to each agent. ``keep``: where homes with violations go. ``databases``: on
    PostgreSQL. ``pause``: the most seconds between kills in a storm."""

    turns: int
    concurrency: int
    keep: Path | None
    databases: Databases | None = None
    pause: float = 0.4

    def new_home(self, name: str) -> Path:
        """An empty home; with ``databases``, of one that keeps its agents on their server."""
        home = Path(tempfile.mkdtemp(prefix=f"pagefault-{name}-"))
        if self.databases is not None:
            own = f"{self.databases.prefix}_{home.name.rpartition('-')[2].lower()}_{os.getpid()}"
            (home / "database").write_text(self.databases.copy(own))
        return home


@dataclass(frozen=True)
class Trial:
    """One kill of the matrix, or one storm of kills."""

    name: str
    kills: int
    violations: list[str]
    number: int = 0
    at: str = ""
    unknown: int = 0
    open_turns: int = 0
    events: int = 0


@dataclass
class Tally:
    """Trials added up."""

    title: str
    trials: list[Trial] = field(default_factory=list[Trial])
    seconds: float = 0.0
    labels: list[str] = field(default_factory=list[str])

    def row(self) -> dict[str, float]:
        return {
            "kills": sum(t.kills for t in self.trials),
            "in an open turn": sum(t.open_turns for t in self.trials),
            "events": sum(t.events for t in self.trials),
            "outcome unknown": sum(t.unknown for t in self.trials),
            "violations": sum(len(t.violations) for t in self.trials),
            "seconds": round(self.seconds, 1),
        }


# Children


def start(run: Callable[[], None], log: Path) -> int:
    """Fork a child that does ``run`` and exits 0; what it prints goes to ``log``. It dies of SIGALRM when it
    takes too long. This process has one thread, so that forking is sound."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        signal.alarm(PATIENCE)
        descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        run()
        code = 0
    except BaseException:  # noqa: BLE001  a forked child must not return into its parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int) -> int:
    """Wait for a child; its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def finished(run: Callable[[], None], home: Path) -> list[str]:
    """Run a child to its end: what went wrong."""
    code = ended(start(run, home / "log"))
    if code == 0:
        return []
    if code == -signal.SIGALRM:
        return [f"stuck: not done after {PATIENCE} s"]
    return [_ended_with(code, home)]


def _ended_with(code: int, home: Path) -> str:
    return f"a child ended with {code}: {(home / 'log').read_text()[-800:]}"


def put_away(home: Path, name: str, violations: list[str], options: Options) -> None:
    if violations and options.keep:
        shutil.copytree(home, options.keep / name, dirs_exist_ok=True)
    elif options.databases is not None:
        options.databases.drop((home / "database").read_text())
    shutil.rmtree(home)


# The matrix


def scripted(home: Path, kill_at: int, options: Options) -> Callable[[], None]:
    return partial(crash_child.scripted, home, kill_at, options.turns, options.concurrency)


def keys(turns: int) -> dict[str, list[str]]:
    """What a scripted run posts: keys by agent."""
    return {name: [key for key, _ in posts] for name, posts in messages(turns).items()}


def reference(options: Options) -> tuple[Trial, list[str]]:
    """A run without a kill: it must be right, and it tells the boundaries."""
    home = options.new_home("crash")
    wrong = finished(scripted(home, 0, options), home)
    labels = [] if wrong else (home / "boundaries").read_text().splitlines()
    wrong = wrong or check(home, keys(options.turns), crash_child.HOURS)
    put_away(home, "reference", wrong, options)
    return Trial("reference", 0, wrong), labels


def killed_at(k: int, options: Options) -> Trial:
    """Kill at boundary ``k``, finish, check."""
    home = options.new_home("crash")
    code = ended(start(scripted(home, k, options), home / "log"))
    killed = code == -signal.SIGKILL
    at = (home / "killed_at").read_text() if killed else ""
    wrong = [] if killed or code == 0 else [_ended_with(code, home)]
    turns = int(killed and open_turns(home) > 0)
    wrong += finished(scripted(home, 0, options), home)
    wrong = wrong or check(home, keys(options.turns), crash_child.HOURS)
    unknown = interrupted(home) if not wrong else 0
    put_away(home, f"boundary-{k}", wrong, options)
    events = len(AGENTS) * options.turns
    return Trial(f"boundary {k}", int(killed), wrong, k, at, unknown, turns, events)


# Storms


def storm(seed: int, kills: int, options: Options) -> Trial:
    """Two servers and a poster over one home. A server is killed ``kills`` times, at least twice: the last
    two kills leave none."""
    chance = random.Random(seed)
    home = options.new_home("storm")
    wrong = finished(partial(crash_child.finish, home), home)  # makes the agents
    log, turns = home / "log", 0
    serve = partial(crash_child.serve, home)
    poster = start(partial(crash_child.post, home, 0.02), log)
    servers = [start(serve, log) for _ in range(2)]
    for _ in range(kills - 2):
        time.sleep(chance.uniform(0.02, options.pause))
        victim = chance.randrange(2)
        os.kill(servers[victim], signal.SIGKILL)
        if (code := ended(servers[victim])) != -signal.SIGKILL:
            wrong.append(_ended_with(code, home))
        turns += open_turns(home) > 0
        servers[victim] = start(serve, log)
    (home / "enough").touch()
    if code := ended(poster):
        wrong.append(_ended_with(code, home))
    for server in servers:
        os.kill(server, signal.SIGKILL)
        ended(server)
    wrong += finished(partial(crash_child.finish, home), home)
    posted: dict[str, list[str]] = {name: [] for name in AGENTS}
    for line in (home / "posted").read_text().splitlines():
        name, key = line.split()
        posted[name].append(key)
    wrong = wrong or check(home, posted)
    unknown, events = interrupted(home), sum(map(len, posted.values()))
    put_away(home, f"storm-{seed}", wrong, options)
    return Trial(f"storm {seed}", max(2, kills), wrong, 0, "", unknown, turns, events)


# The report


def run_all(title: str, trials: Iterable[Trial], total: int) -> Tally:
    tally, began = Tally(title), time.monotonic()
    for done, trial in enumerate(trials, 1):
        tally.trials.append(trial)
        tally.seconds = time.monotonic() - began
        for text in trial.violations:
            print(f"\n{trial.name} {trial.at}: {text}", file=sys.stderr)
        if sys.stderr.isatty() or done % 100 == 0 or done == total:
            print(f"\r{title}: {done}/{total}, {tally.seconds:.0f} s", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return tally


def table(tallies: list[Tally]) -> str:
    lines = [f"{'':<12}" + "".join(f"{name:>18}" for name in tallies[0].row())]
    lines += [f"{t.title:<12}" + "".join(f"{value:>18}" for value in t.row().values()) for t in tallies]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=1, help="kill at every n-th boundary only")
    parser.add_argument("--offset", type=int, default=1, help="the first boundary to kill at")
    parser.add_argument("--turns", type=int, default=4, help="messages to each agent in the matrix")
    parser.add_argument("--kills", type=int, default=200, help="random kills under load")
    parser.add_argument(
        "--pause", type=float, default=0.4,
        help="most seconds between them: raise it where a process takes longer to start a turn, for an event "
        "whose turn is broken off three times is parked",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=2, help="trials at once")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="where to keep homes with violations")
    parser.add_argument("--postgres", action="store_true", help="on a PostgreSQL server instead of SQLite")
    parser.add_argument("--lease", type=float, default=crash_child.LEASE, help="seconds, on PostgreSQL")
    parser.add_argument("--check", type=Path, help="check a home of the matrix and do nothing else")
    given = parser.parse_args()
    if given.check:
        wrong = check(given.check, keys(given.turns), crash_child.HOURS)
        print("\n".join(wrong) or "nothing is wrong")
        return bool(wrong)
    crash_child.LEASE = given.lease
    with postgres.server() if given.postgres else nullcontext() as databases:
        if databases is not None:
            databases.drop(databases.new())  # so that the tables are made once, here
        return run(given, databases)


def run(given: argparse.Namespace, databases: Databases | None) -> int:
    # Forked while this process has one thread, as they have: what is imported is there, and they can fork.
    with multiprocessing.get_context("fork").Pool(given.lanes) as lanes:
        serial = Options(given.turns, 1, given.keep, databases, given.pause)
        matrix = run_matrix("matrix", lanes, serial, given.offset, given.every)
        at_once = Options(given.turns, len(AGENTS), given.keep, databases, given.pause)
        grouped = run_matrix("grouped", lanes, at_once, given.offset, given.every * GROUPED_EVERY)
        shares = [min(KILLS_A_STORM, given.kills - n) for n in range(0, given.kills, KILLS_A_STORM)]
        chosen = [(given.seed + n, share) for n, share in enumerate(shares)]
        stormy = (lanes.apply(storm, (*one, at_once)) for one in chosen)
        tallies = [matrix, grouped, run_all("storm", stormy, len(shares))]
    print(table(tallies))
    print(coverage(matrix))
    if given.json:
        given.json.write_text(json.dumps(figures(tallies), indent=1))
    return any(trial.violations for tally in tallies for trial in tally.trials)


def run_matrix(title: str, lanes: Pool, options: Options, first: int, every: int) -> Tally:
    whole, labels = lanes.apply(reference, (options,))
    numbers = range(first, len(labels) + 1, every)
    print(f"{title}: {len(labels)} boundaries of {len(set(labels))} kinds", file=sys.stderr)
    killed = lanes.imap_unordered(partial(killed_at, options=options), numbers)
    tally = run_all(title, chain([whole], killed), len(numbers) + 1)
    tally.labels = labels
    return tally


def coverage(matrix: Tally) -> str:
    """What the serial matrix reached of what the whole run writes."""
    labels, killed = matrix.labels, [t for t in matrix.trials if t.kills]
    alike = sum(t.at == labels[t.number - 1] for t in killed)
    kinds = set(labels)
    return (
        f"{len(labels)} write boundaries of {len(kinds)} kinds in a whole run; {len(killed)} killed at, "
        f"{alike} of them the same as in the whole run, of {len(kinds & {t.at for t in killed})} kinds."
    )


def figures(tallies: list[Tally]) -> dict[str, Any]:
    """All there is to tell, as JSON values."""
    return {
        "rows": {t.title: {"boundaries": len(t.labels), **t.row()} for t in tallies},
        "kinds": {t.title: Counter(t.labels) for t in tallies},
        "wrong": [
            f"{t.name} {t.at}: {text}" for tally in tallies for t in tally.trials for text in t.violations
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
