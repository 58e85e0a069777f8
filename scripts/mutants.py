"""Five faults that the tests must notice: each is made in a copy of the project and must turn a test red.

Run it by ``make mutants``. The work tree is never touched. A mutant is an exact replacement of text; one
whose text is not found any more is an error, so that this list cannot go stale. Prints a table; the exit
code is 0 if the unchanged copy is green and every mutant is killed. Leaves out mutants made by a machine:
these are the faults that would hurt most.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
COPIED = ("src", "tests", "pyproject.toml", "README.md")
PATIENCE = 300  # seconds a test run may take; a mutant that hangs is killed too


@dataclass(frozen=True, slots=True)
class Change:
    """Replace ``old``, which must occur exactly once in ``file`` (below src/pagefault), by ``new``."""

    file: str
    old: str
    new: str

    def apply(self, copy: Path) -> None:
        path = copy / "src" / "pagefault" / self.file
        text = path.read_text("utf-8")
        if (found := text.count(self.old)) != 1:
            raise SystemExit(
                f"{self.file} has {found} times, not once:\n{self.old}\nMend scripts/mutants.py."
            )
        path.write_text(text.replace(self.old, self.new), "utf-8")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault, and the tests of which one at least must notice it."""

    fault: str
    tests: tuple[str, ...]
    changes: tuple[Change, ...]


MUTANTS = (
    Mutant(
        "the fold at flush left out",
        ("test_memory_pressure.py::test_edits_show_as_calls_and_are_folded_at_the_flush",),
        (
            Change(
                "context/queue_manager.py",
                "state = self.queue.state\n"
                "        head = await self.store.read(lambda tx: render_sections(tx.sections(self.agent)))",
                "state = self.queue.state\n        head = state.head",
            ),
        ),
    ),
    Mutant(
        "the pin of the open event dropped",
        ("test_memory_pressure.py::test_the_open_event_stays_in_view_through_a_flush",),
        (
            Change(
                "context/policy.py",
                "return Eviction(evicted, evicted[-1].seq + 1, pinned)",
                "return Eviction(evicted, evicted[-1].seq + 1, None)",
            ),
        ),
    ),
    Mutant(
        "a memory function's effect committed before its result",
        ("test_mutant_gaps.py::test_a_turn_has_its_effects_once_whichever_write_the_process_dies_at",),
        (
            Change(
                "agent/__init__.py",
                "return await self._commit(partial(self._effect, call, prepared))",
                "rows = await self.program.store.write(partial(self._effect, call, prepared))\n"
                "                return await self._commit(lambda _: rows)",
            ),
        ),
    ),
    Mutant(
        "a filter applied after the limit",
        ("test_storage.py::TestSQLiteStore::test_the_filter_comes_before_everything",),
        (
            Change(
                "storage/index/search.py",
                "    may_show = _passing(view, source, agent, tier, filter)\n",
                "    may_show = _passing(view, source, agent, tier, filter)\n    may_show[:-5] = False\n",
            ),
        ),
    ),
    Mutant(
        "a timer fired twice: stored without a key, moved in another transaction",
        ("test_mutant_gaps.py::test_a_timer_fires_once_whichever_write_the_process_dies_at",),
        (
            Change("kernel/timers.py", "schedule.note, key=key, at=now", "schedule.note, at=now"),
            Change(
                "kernel/timers.py",
                "            fired.append(agent)\n        if schedule.cron is None:",
                "            fired.append(agent)\n    return fired\n\n\n"
                "def move(tx: Transaction, now: datetime) -> None:\n"
                "    for agent, schedule in tx.due_schedules(now):\n"
                "        if schedule.cron is None:",
            ),
            Change(
                "kernel/timers.py", "ZoneInfo(schedule.zone)))\n    return fired", "ZoneInfo(schedule.zone)))"
            ),
            Change(
                "kernel/__init__.py",
                "            await self.scheduler.wake_waiting()\n\n    async def wake_waiting",
                "            await self.store.write(lambda tx: timers.move(tx, now))\n"
                "            await self.scheduler.wake_waiting()\n\n    async def wake_waiting",
            ),
        ),
    ),
)


def copy_project(to: Path) -> None:
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, to / name)


def red(copy: Path, tests: tuple[str, ...]) -> str:
    """The first test that fails in the copy, empty if all pass."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            [*command, *(f"tests/{test}" for test in tests)],
            cwd=copy, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "(ran out of time)"
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    if done.returncode not in (0, 1) or (done.returncode == 1 and not failed):
        raise SystemExit(f"pytest could not run:\n{done.stdout}\n{done.stderr}")
    return failed[0].split(" - ")[0].removeprefix("FAILED tests/") if failed else ""


def run(mutant: Mutant | None, tests: tuple[str, ...]) -> tuple[str, float]:
    """The test that turned red, and the seconds it took."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pagefault-mutant-") as folder:
        copy_project(Path(folder))
        for change in mutant.changes if mutant else ():
            change.apply(Path(folder))
        return red(Path(folder), tests), time.monotonic() - started


def main() -> int:
    every = tuple(sorted({test for mutant in MUTANTS for test in mutant.tests}))
    failed, seconds = run(None, every)
    print(f"{'red: ' + failed if failed else 'green':<9} {seconds:5.1f} s  (unchanged)")
    survived = 0
    for mutant in MUTANTS:
        killer, seconds = run(mutant, mutant.tests)
        survived += not killer
        print(f"{'killed' if killer else 'SURVIVED':<9} {seconds:5.1f} s  {mutant.fault}: {killer}")
    return 1 if failed or survived else 0


if __name__ == "__main__":
    sys.exit(main())
