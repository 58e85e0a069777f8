"""Faults that the tests must notice: each is made in a copy of the project and must turn a test red.

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
TIMEOUT = 300  # seconds a test run may take; a mutant that hangs is killed too


@dataclass(frozen=True, slots=True)
class Change:
    """Replace ``old``, which must occur exactly once in ``file`` (below src/pagefault), by ``new``."""

    file: str
    old: str
    new: str

    def apply(self, copy: Path) -> None:
        path = copy / "src" / "pagefault" / self.file
        path.write_text(self.made_in(path.read_text("utf-8")), "utf-8")

    def made_in(self, text: str) -> str:
        if (found := text.count(self.old)) != 1:
            raise SystemExit(
                f"{self.file} has {found} times, not once:\n{self.old}\nCorrect it in scripts/mutants.py."
            )
        return text.replace(self.old, self.new)


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
                "head = await self.store.read(lambda tx: render_sections(tx.sections(self.agent)))\n"
                "        room =",
                "head = state.head\n        room =",
            ),
        ),
    ),
    Mutant(
        "a cancellation by asyncio taken for a fault of foreign code",
        ("test_bulkheads.py::test_a_task_of_asyncio_that_is_cancelled_serves_no_longer",),
        (Change("containment.py", "return was_asked or anyio", "return anyio"),),
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
                "agent/turn_writer.py",
                "                    committed = await self.memory.write(work)\n",
                "                    event = self.turn.event.id if self.turn.event else None\n"
                "                    rows = [*self.memory.number(drafts, event)]\n"
                "                    while call_memory:\n"
                "                        action = self.next([*self.turn.rows, *rows])\n"
                "                        if not isinstance(action, Run):\n"
                "                            break\n"
                "                        call = action.call\n"
                "                        outcome = failed.get(self._place(call)) or await self.store.write(\n"
                "                            lambda tx: self.call_memory(tx, call), self.memory.hold\n"
                "                        )\n"
                "                        if outcome is None:\n"
                "                            break\n"
                "                        failed[self._place(call)] = outcome\n"
                "                        result = self.rows.result(call, outcome)\n"
                "                        rows += self.memory.number(result, event, len(rows))\n"
                "                    committed = await self.memory.write(work)\n",
            ),
        ),
    ),
    Mutant(
        "a turn goes on with its numbers though others have appended to the log",
        ("test_appended.py::test_it_comes_between_two_writes_of_a_turn",),
        (Change("context/queue_log.py", "        raise _LogMoved\n", "        pass\n"),),
    ),
    Mutant(
        "a failed call known by a number that moves",
        ("test_appended.py::test_it_comes_between_two_writes_of_a_turn",),
        (
            Change(
                "agent/turn_writer.py",
                "return behind if behind > 0 else -call.seq",
                "return call.seq",
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
                "            posted += 1\n        if schedule.cron is None:",
                "            posted += 1\n    return posted\n\n\n"
                "def move(tx: Transaction, agent: AgentId, now: datetime) -> None:\n"
                "    for _, schedule in tx.due_schedules(now, BATCH, agent=agent):\n"
                "        if schedule.cron is None:",
            ),
            Change(
                "kernel/timers.py",
                "zone_named(schedule.zone)))\n    return posted",
                "zone_named(schedule.zone)))",
            ),
            Change(
                "kernel/timers.py",
                "                changed.append(agent)\n",
                "                changed.append(agent)\n"
                "            await store.write(lambda tx: move(tx, agent, now))\n",
            ),
        ),
    ),
    Mutant(
        "the end of a span of time taken for a part of it",
        ("test_storage.py::TestSQLiteStore::test_the_filter_comes_before_everything",),
        (
            Change(
                "storage/index/search.py",
                "passes &= view.at < (filter.until",
                "passes &= view.at <= (filter.until",
            ),
        ),
    ),
    Mutant(
        "a deleted passage still found",
        ("test_index.py::test_what_is_appended_deleted_and_embedded_later_is_seen_at_the_next_search",),
        (Change("storage/index/columns.py", "self._alive.put(gone, False)", "self._alive.put(gone, True)"),),
    ),
    Mutant(
        "an event stored again though its key is known",
        ("test_storage.py::TestSQLiteStore::test_a_key_is_stored_once_per_agent",),
        (Change("storage/sql/inbox.py", "if event.key is not None:", "if event.key is None:"),),
    ),
    Mutant(
        "the fence of a turn not compared",
        ("test_storage.py::TestSQLiteStore::test_a_turn_that_was_taken_over_cannot_be_written",),
        (
            Change(
                "storage/holding.py",
                "if fence is not None and fence != self.fence:",
                "if fence is None and self.fence < 0:",
            ),
        ),
    ),
    Mutant(
        "the fence of a lease not looked at",
        ("test_lease_races.py::test_a_process_that_was_paused_past_its_lease_writes_no_more",),
        (
            Change(
                "storage/postgres/turn_write.py",
                "            self._hold.check(self._transaction.fence(self._hold.agent))\n",
                "",
            ),
        ),
    ),
    Mutant(
        "the fence not raised when a lease is taken",
        (
            "test_postgres.py::TestPostgresStore::"
            "test_a_turn_goes_on_after_its_inbox_was_empty_if_nobody_had_it",
        ),
        (
            Change(
                "storage/postgres/transaction.py",
                "holder = :worker, lease_fence = {RAISED}",
                "holder = :worker, lease_fence = lease_fence",
            ),
        ),
    ),
    Mutant(
        "a lease taken from its holder",
        ("test_postgres.py::TestPostgresStore::test_a_turn_that_is_held_is_refused_and_nothing_is_written",),
        (
            Change(
                "storage/postgres/transaction.py",
                "(holder IS NULL OR holder = :worker)",
                "(holder IS NULL OR holder <> '')",
            ),
        ),
    ),
    Mutant(
        "a lease taken away without raising the fence",
        ("test_leases.py::test_a_worker_that_was_reaped_cannot_write_though_nobody_has_taken_the_turn",),
        (
            Change(
                "storage/postgres/leases.py",
                "SET lease_fence = {RAISED}, holder = NULL FROM free",
                "SET holder = NULL FROM free",
            ),
        ),
    ),
    Mutant(
        "the leases of a worker that lives taken away",
        ("test_leases.py::test_the_turns_of_a_killed_process_are_all_taken_over",),
        (
            Change("storage/postgres/leases.py", "SELECT id, serves, {_GONE}", "SELECT id, serves, true"),
            Change("storage/postgres/leases.py", "%(worker)s AND {_GONE} FOR", "%(worker)s FOR"),
        ),
    ),
    Mutant(
        "a worker that was renewed just now reaped",
        ("test_leases.py::test_a_worker_that_is_renewed_before_it_is_reaped_keeps_its_leases",),
        (Change("storage/postgres/leases.py", "%(worker)s AND {_GONE} FOR", "%(worker)s FOR"),),
    ),
    Mutant(
        "a lease kept whose commit was not confirmed",
        ("test_leases.py::test_a_lease_whose_first_commit_was_not_confirmed_is_not_kept",),
        (
            Change(
                "storage/postgres/turn_write.py",
                "            leases.free(self._hold.agent, self._worker, self._fence)",
                "            del leases",
            ),
        ),
    ),
    Mutant(
        "the walk of a new embedder ended with its first batch",
        ("test_embedder_walk.py::test_a_new_embedder_walks_through_all_agents_whenever_the_process_ends",),
        (Change("storage/sql/waiting.py", "more = len(window) == _TOGETHER", "more = False"),),
    ),
    Mutant(
        "a lease not freed with the last write of a turn",
        ("test_lease_races.py::test_a_turn_that_is_taken_while_another_ends_begins_when_that_has_ended",),
        (Change("storage/sql/part.py", "ELSE nullif(holder, CAST(:worker AS text)) END", "ELSE holder END"),),
    ),
    Mutant(
        "an inbox settled while somebody posts",
        (
            "test_lease_races.py::"
            "test_an_event_that_is_posted_while_the_inbox_is_emptied_makes_the_agent_ready",
        ),
        (
            Change(
                "storage/sql/part.py",
                "        self.fence(agent)  # locked: nobody can be",
                "        # nobody can be",
            ),
        ),
    ),
    Mutant(
        "an agent not ready though an event was posted",
        ("test_storage.py::TestSQLiteStore::test_events_are_listed_by_state_and_agents_that_wait",),
        (Change("storage/sql/inbox.py", "THEN coalesce(ready, :now) END", "THEN ready END"),),
    ),
    Mutant(
        "an agent not ready any more though something waits",
        ("test_storage.py::TestSQLiteStore::test_events_are_listed_by_state_and_agents_that_wait",),
        (
            Change(
                "storage/sql/part.py",
                ">= 0 THEN CAST(:now AS bigint) END,",
                "= 1 THEN CAST(:now AS bigint) END,",
            ),
        ),
    ),
    Mutant(
        "an agent that had its turn first again",
        (
            "test_storage.py::TestSQLiteStore::"
            "test_an_agent_goes_behind_the_others_with_each_event_that_is_done",
        ),
        (
            Change(
                "storage/sql/part.py",
                ">= 0 THEN CAST(:now AS bigint) END,",
                ">= 0 THEN ready END,",
            ),
        ),
    ),
    Mutant(
        "a repair that leaves an agent as ready as it was",
        ("test_transfer.py::test_an_agent_that_is_not_as_ready_as_its_inbox_says_is_repaired",),
        (
            Change(
                "storage/sql/transfer.py",
                "        self.settle(agent)\n        seal_all(source, agent)",
                "        seal_all(source, agent)",
            ),
        ),
    ),
    Mutant(
        "a signal lost, and nobody looks who waits",
        ("test_following.py::test_lost_signals_cost_time_only",),
        (Change("kernel/following.py", "with anyio.move_on_after(seconds):", "with anyio.CancelScope():"),),
    ),
    Mutant(
        "a signal lost, and nobody looks at the turn that is followed",
        ("test_following.py::test_lost_signals_cost_time_only",),
        (
            Change(
                "kernel/following.py",
                "with anyio.move_on_after(self._pace(agent.is_heard)):",
                "with anyio.CancelScope():",
            ),
        ),
    ),
    Mutant(
        "a signal lost, and nobody looks at the log that is heard",
        ("test_following.py::test_a_listener_hears_a_turn_though_all_signals_are_lost",),
        (
            Change(
                "kernel/following.py", "                    await self._contained(self._look(agent))\n", ""
            ),
        ),
    ),
    Mutant(
        "more turns open than are admitted",
        ("test_admission.py::test_no_more_turns_are_open_than_are_admitted",),
        (Change("kernel/ready.py", "            if not self.has_room:", "            if False:"),),
    ),
    Mutant(
        "a batch of agents admitted whatever room there is",
        ("test_admission.py::test_no_more_turns_are_open_than_are_admitted",),
        (Change("kernel/ready.py", "limit = min(self.admission.room(), _BATCH)", "limit = _BATCH"),),
    ),
    Mutant(
        "memory that bounds nothing",
        ("test_admission.py::test_memory_bounds_the_turns_whatever_one_takes",),
        (
            Change(
                "kernel/admission.py",
                "        self._allowed = min(self.most, allowed)",
                "        self._allowed = self.most",
            ),
        ),
    ),
    Mutant(
        "a page that begins one result late",
        ("test_syscalls.py::test_search_results_say_which_page_they_are",),
        (
            Change(
                "context/paging.py",
                "items[(page - 1) * size : page * size]",
                "items[(page - 1) * size + (page > 1) : page * size]",
            ),
        ),
    ),
    Mutant(
        "a further page of a search made by a new search",
        ("test_syscalls.py::test_a_further_page_is_of_the_same_search_though_the_log_has_grown",),
        (
            Change(
                "retrieval/__init__.py",
                "ranking = self.remembered.get(key) if again else None",
                "ranking = None",
            ),
        ),
    ),
    Mutant(
        "the question itself found by a search for its answer",
        ("test_syscalls.py::test_a_key_that_occurs_once_gives_one_of_one",),
        (
            Change(
                "functions/syscalls.py",
                "hits = await self._found(query, Filter(before=self.turn.opened()), page)",
                "hits = await self._found(query, Filter(), page)",
            ),
        ),
    ),
    Mutant(
        "a section's limit not held",
        ("test_syscalls.py::test_working_context_is_edited_within_its_limits",),
        (
            Change(
                "functions/section_edits.py",
                "if (size := counter.count(section.text)) > section.limit:",
                "if (size := counter.count(section.text)) > 100 * section.limit:",
            ),
        ),
    ),
    Mutant(
        "a call evicted without its result",
        ("test_memory_pressure.py::test_no_cut_lies_within_a_completion_and_its_results",),
        (
            Change(
                "context/policy.py",
                "if queue.rows[i].completion is None or "
                "queue.rows[i].completion != queue.rows[i - 1].completion\n",
                "",
            ),
        ),
    ),
    Mutant(
        "the working context folded into the prefix at every request",
        ("test_memory_pressure.py::test_the_prefix_moves_only_at_a_flush",),
        (Change("agent/__init__.py", "fold = self.program.fold_at_once", "fold = True"),),
    ),
    Mutant(
        "an outside tool run again after a crash",
        ("test_kernel.py::test_an_unfinished_turn_is_carried_on_by_the_next_process",),
        (Change("agent/calls.py", "if event.started == call.seq:", "if event.started == -1:"),),
    ),
    Mutant(
        "a call that needs a decision run unasked",
        ("test_approval.py::test_a_call_waits_until_a_person_approves_it",),
        (
            Change(
                "agent/calls.py",
                "may_ask(prepared.function) else None",
                "may_ask(prepared.function) else prepared",
            ),
        ),
    ),
    Mutant(
        "a decision that can be made anew",
        ("test_approval.py::test_a_decision_is_made_once",),
        (Change("kernel/deciding.py", "if found.decision or event is None", "if event is None"),),
    ),
    Mutant(
        "a turn that goes on while one of its calls is undecided",
        ("test_approval.py::test_all_calls_of_a_completion_are_asked_for_at_once",),
        (
            Change(
                "kernel/deciding.py", "if any(each.event == event.id and", "if all(each.event == event.id and"
            ),
        ),
    ),
    Mutant(
        "events served while a turn waits for a decision",
        (
            "test_storage.py::TestSQLiteStore::"
            "test_an_event_that_waits_for_a_decision_keeps_all_others_waiting",
        ),
        (Change("storage/sql/inbox.py", "THEN -1", "THEN 3"),),
    ),
    Mutant(
        "an agent made ready by a post while its turn waits",
        (
            "test_storage.py::TestSQLiteStore::"
            "test_an_event_that_waits_for_a_decision_keeps_all_others_waiting",
        ),
        (Change("storage/sql/inbox.py", "CASE WHEN undecided IS NULL THEN", "CASE WHEN TRUE THEN"),),
    ),
    Mutant(
        "an import that says what was approved",
        ("test_approval_elsewhere.py::test_an_import_keeps_what_waits_and_allows_nothing_by_itself",),
        (Change("transfer/trust.py", '{"decision": "", "note"', '{"note"'),),
    ),
    Mutant(
        "speech shown before it was approved",
        ("test_approval.py::test_speech_that_needs_a_decision_is_not_shown_before",),
        (Change("agent/output.py", '!= "send_message" or self.held:', '!= "send_message":'),),
    ),
    Mutant(
        "a summary asked for in sight of messages that stay",
        ("test_continued_summary.py::test_it_shows_what_is_evicted_and_nothing_that_stays",),
        (
            Change(
                "context/queue_manager.py",
                "rows = tuple(row for row in self.queue.rows if row.seq < eviction.start)",
                "rows = self.queue.rows",
            ),
        ),
    ),
    Mutant(
        "a call taken for a summary",
        (
            "test_continued_summary.py::test_a_call_instead_of_a_summary_is_asked_for_once_more_in_other_words",
        ),
        (
            Change(
                "context/summary.py",
                "if completion.calls or _CALL.match(completion.text)",
                "if _CALL.match(completion.text)",
            ),
        ),
    ),
    Mutant(
        "a call written as text runs an outside tool",
        ("test_injection.py::test_a_call_written_as_text_runs_no_outside_tool",),
        (
            Change(
                "functions/executor.py",
                'if from_text and function.kind == "tool" and not self.text_tools:',
                "if False:",
            ),
        ),
    ),
    Mutant(
        "a call that the prompt holds is taken for a call",
        ("test_injection.py::test_what_was_given_to_read_is_no_call_when_it_is_repeated",),
        (
            Change(
                "models/wrappers/function_calling/text.py",
                "quoted = self._data.holds(mark.begin)",
                "quoted = False",
            ),
            Change(
                "models/wrappers/function_calling/text.py",
                "if any(data.holds_name(call.name) or data.holds_arguments(",
                "if any(call.name is None or data.holds(",
            ),
        ),
    ),
    Mutant(
        "the limit of completions for one event not held",
        ("test_turn.py::test_steps_are_bounded_with_a_clear_alert",),
        (Change("agent/turn.py", "if len(steps) >= max_steps:", "if len(steps) > max_steps:"),),
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
            cwd=copy, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False,
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
