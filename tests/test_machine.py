"""The whole agent as a state machine: whatever is said to it, however its model behaves and whenever its
process dies, invariants 1, 2, 3, 5 and 6 of the design hold.

The same rules run on the in-memory store, on SQLite and on PostgreSQL. ``make nightly`` runs 10,000 steps on
each, with examples that are new each time.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from machine import Behaviour, Host, Killed, World
from machine_archives import Change, Shelf
from machine_forget import (
    FORK,
    Forgotten,
    by_kind,
    check_fork,
    check_gone,
    check_whole,
    drop_fork,
    selection_of,
)
from machine_log import (
    Dump,
    check_append_only,
    check_appended,
    check_calls,
    check_decisions,
    check_effects,
    check_queue,
    check_turns,
    dump,
)
from machine_moves import (
    WORDS,
    behaviours,
    changes,
    deaths,
    events,
    forgettable,
    said_elsewhere,
    short,
    strikes,
    text_of,
)
from machine_undo import TakeBack, check_taken_back, take_back, undone_since
from machine_witness import ANA, Witness
from pagefault.approvals import Approval
from pagefault.config import parse_settings
from pagefault.errors import ContextLengthExceeded, NameTakenError, NotFoundError, UsageError
from pagefault.kernel.approvals import answer
from pagefault.kernel.conversations import AppendedMessage, append
from pagefault.kernel.deciding import Answer, decide
from pagefault.kernel.forgetting import ForgetPlan, forget, plan
from pagefault.kernel.forking import fork
from pagefault.kernel.sections import edit_section
from pagefault.models import Call, Completion
from pagefault.names import system_key
from pagefault.storage import Transaction
from pagefault.testing.models import call
from pagefault.testing.postgres import Databases
from pagefault.types import Event, EventKind, Message, Schedule, Style

T = TypeVar("T")

NIGHTLY = settings.get_current_profile_name() == "nightly"

pytestmark = pytest.mark.slow


class AgentMachine(RuleBasedStateMachine):
    """Talk, tell, edit, undo, forget, kill, restart; after each the log is held against what was done."""

    def where(self) -> str:
        return "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="pagefault-machine-"))
        self.runner = asyncio.Runner()
        self.posted: list[str] = []
        self.edits: Counter[str] = Counter()
        self.shelf = Shelf()
        self.appended: list[AppendedMessage] = []
        self.log: list[Message] = []
        self.again: set[int] = set()  # events that were posted once more
        self.forgotten = Forgotten()
        self.searched = 0
        self.serial = 0
        self.started = False

    @initialize(
        window=st.sampled_from((4096, 4096, 6000, 8192, 16_384)),
        style=st.sampled_from(("memgpt", "native")),
        reports=st.booleans(),
        real=st.sampled_from((1.0, 1.0, 1.15)),
        prefetch=st.sampled_from((0.0, 0.1, 0.25)),
        approval=st.sampled_from(((), (), ("archival_insert",), ("archival_delete", "memory_search"))),
        timeout=st.sampled_from((None, 600.0)),
    )
    def create(
        self,
        window: int,
        style: Style,
        reports: bool,
        real: float,
        prefetch: float,
        approval: tuple[str, ...],
        timeout: float | None,
    ) -> None:
        self.approval = approval
        self.world = World(self.folder, self.where(), style, Witness(window, real), reports)
        self.started = True

        async def make() -> Host:
            host = await self.world.boot()
            values = {"zone": "UTC", "window": window, "style": style, "max_steps": 6, "prefetch": prefetch}
            values |= {"approval": approval, "approval_timeout": timeout}
            await host.kernel.create_agent("ana", parse_settings(values))
            await self.shelf.make(host.kernel)
            return host

        self.host = self.run(make())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def behave(self, behaviour: Behaviour) -> None:
        """Calls of ``poke`` and ``strike`` get numbers of their own, so that one that ran twice is seen."""
        self.world.behaviour.script[:] = [self._numbered(item) for item in behaviour.script]
        self.world.behaviour.summary = behaviour.summary
        self.world.behaviour.cancel_at = behaviour.cancel_at

    def _numbered(self, item: Completion | Exception) -> Completion | Exception:
        if isinstance(item, Exception):
            return item
        return replace(item, calls=tuple(self._own(made) for made in item.calls))

    def _own(self, made: Call) -> Call:
        if made.name not in ("poke", "strike") or '"number": 0' not in made.arguments:
            return made
        self.serial += 1
        return replace(made, arguments=made.arguments.replace('"number": 0', f'"number": {self.serial}'))

    async def post(self, host: Host, given: list[Event]) -> None:
        """Post with keys, as one does who will post again if he hears nothing."""
        for event in given:
            await host.kernel.post("ana", event)

    def keyed(self, given: list[Event]) -> list[Event]:
        keyed = [
            replace(event, key=f"e{len(self.posted) + n}", text=f"no{len(self.posted) + n}x {event.text}")
            for n, event in enumerate(given)
        ]
        self.posted += [event.key or "" for event in keyed]
        return keyed

    # rules

    @rule(given=events, behaviour=behaviours())
    def talk(self, given: list[Event], behaviour: Behaviour) -> None:
        self.behave(behaviour)

        async def talked() -> None:
            await self.post(self.host, self.keyed(given))
            await self.host.served()

        self.run(talked())

    @rule(given=events, behaviour=behaviours(), at=st.integers(1, 4))
    def cancel(self, given: list[Event], behaviour: Behaviour, at: int) -> None:
        self.talk(given, replace(behaviour, cancel_at=at))

    @rule(summary=behaviours())
    def flush(self, summary: Behaviour) -> None:
        self.behave(replace(summary, script=[]))
        self.run(self.host.kernel.flush("ana"))

    @rule(given=said_elsewhere, deaths=st.one_of(st.just([]), deaths), whole=st.booleans())
    def append(self, given: list[AppendedMessage], deaths: list[tuple[int, bool]], *, whole: bool) -> None:
        """A conversation held elsewhere is appended by a process that may die; who heard nothing gives it
        again, under one key or each message under its own."""
        self.behave(Behaviour())
        key, messages = self.named(given)

        async def life(dies_at: int | None, before: bool) -> None:
            if deaths:
                await self.host.stop()
                self.host = await self.world.boot(dies_at, before=before)
            with suppress(Killed):
                await self.host.kernel.wake_waiting()
                if whole:
                    await append(self.host.kernel, "ana", given, key=key)
                else:
                    await append(self.host.kernel, "ana", messages)
            await self.host.served()

        for dies_at, before in deaths:
            self.run(life(dies_at, before))
        self.run(life(None, True))

    @rule(
        given=said_elsewhere, mail=events, behaviour=behaviours(), at=st.integers(1, 12),
        elsewhere=st.booleans(),
    )  # fmt: skip
    def append_meanwhile(
        self, given: list[AppendedMessage], mail: list[Event], behaviour: Behaviour, at: int, elsewhere: bool
    ) -> None:
        """A conversation is appended in the middle of a turn, by its own process or another."""
        self.behave(behaviour)
        _, messages = self.named(given)

        async def appended() -> None:
            other = await self.world.boot() if elsewhere else self.host
            await append(other.kernel, "ana", messages)
            if elsewhere:
                await other.stop()

        async def run() -> None:
            store = self.host.store
            store.pauses_at, store.meanwhile = at, appended
            await self.post(self.host, self.keyed(mail))
            await self.host.served()
            if store.pauses_at > 0:  # the turn had fewer writes
                await append(self.host.kernel, "ana", messages)
            store.pauses_at = 0

        self.run(run())

    def named(self, given: list[AppendedMessage]) -> tuple[str, list[AppendedMessage]]:
        """A key for what is appended, and the same with a key for each."""
        first = len(self.appended)
        self.appended += given
        return f"a{first}", [replace(each, key=f"a{first + n}") for n, each in enumerate(given)]

    @rule(
        behaviour=behaviours(), how=st.sampled_from(("turns", "to", "edit", "retry")), far=st.integers(1, 12),
        text=short, deaths=st.one_of(st.just([]), deaths),
    )  # fmt: skip
    def take_back(
        self, behaviour: Behaviour, how: TakeBack, far: int, text: str, deaths: list[tuple[int, bool]]
    ) -> None:
        """Turns are undone, or a message is said otherwise, or answered anew, by a process that may die in
        it; who heard nothing looks whether it was done."""
        self.behave(behaviour)
        before = self.dumped()

        async def life(dies_at: int | None, before_write: bool) -> None:
            if deaths:
                await self.host.stop()
                self.host = await self.world.boot(dies_at, before=before_write)
            with suppress(Killed):
                await self.host.kernel.wake_waiting()
                await self.host.served()
                if undone_since(before.log, await self.host.store.read(dump)) == 0:
                    with suppress(UsageError):  # there is nothing, or a turn waits
                        await take_back(self.host.kernel, how, far, text, before)
            await self.host.served()

        for dies_at, before_write in deaths:
            self.run(life(dies_at, before_write))
        self.run(life(None, True))
        self.again |= check_taken_back(before, self.dumped(), how)

    @rule(
        which=st.one_of(st.integers(0, 12).map(lambda n: f"no{n}x"), forgettable), behaviour=behaviours(),
        forks=st.booleans(), at=st.one_of(st.none(), st.integers(0, 60)),
        fork_deaths=st.one_of(st.just([]), deaths), deaths=st.one_of(st.just([]), deaths),
    )  # fmt: skip
    def forget(
        self, which: str, behaviour: Behaviour, forks: bool, at: int | None,
        fork_deaths: list[tuple[int, bool]], deaths: list[tuple[int, bool]],
    ) -> None:  # fmt: skip
        """The agent is forked, and something is forgotten of both, by processes that may die in it: of each
        all is gone or nothing. Who heard nothing asks again."""
        self.behave(replace(behaviour, script=[]))
        if self.run(self.waiting()):
            return
        if forks:
            self.fork(at, fork_deaths)
        before, planned = self.dumped(), self.run(plan(self.host.kernel, "ana", selection_of(which)))
        for dies_at, first in deaths:
            self.run(self.forgets(which, dies_at, first, planned))
        self.run(self.forgets(which, None, True, planned))
        self.run(check_gone(self.host.kernel, which, planned))
        self.forgotten.note(before, planned)
        taken = by_kind(planned, f"archive:{self.shelf.name}").get("passage", ())
        self.shelf.taken |= {int(id[1:]) for id in taken}
        self.run(drop_fork(self.host.kernel))

    async def forgets(self, which: str, dies_at: int | None, before: bool, planned: ForgetPlan) -> None:
        if dies_at is not None:
            await self.host.stop()
            self.host = await self.world.boot(dies_at, before=before)
        with suppress(Killed):
            await forget(self.host.kernel, "ana", selection_of(which))
        await self.host.served()
        if dies_at is not None:
            await self.host.stop()
            self.host = await self.world.boot()
        await self.host.store.read(partial(check_whole, planned))

    def fork(self, at: int | None, deaths: list[tuple[int, bool]]) -> None:
        position = None if at is None else min(at, self.run(self.host.kernel.record("ana")).last_seq)

        async def life(dies_at: int | None, before: bool) -> None:
            if deaths:
                await self.host.stop()
                self.host = await self.world.boot(dies_at, before=before)
            with suppress(Killed, NameTakenError):
                await fork(self.host.kernel, "ana", FORK, at=position)
            await self.host.served()

        for dies_at, before in deaths:
            self.run(life(dies_at, before))
        self.run(life(None, True))
        self.run(self.host.store.read(lambda tx: check_fork(tx, position)))

    def dumped(self) -> Dump:
        """All of the agent, with what was forgotten of it."""
        now = self.run(self.host.store.read(lambda tx: dump(tx, self.searched)))
        return self.forgotten.remembered(now)

    @rule(name=st.sampled_from(("human", "persona")), text=short)
    def edit(self, name: str, text: str) -> None:
        """The working context is edited from outside; an event tells the agent."""
        self.behave(Behaviour())

        async def edited() -> None:
            await edit_section(self.host.kernel, "ana", name, text)
            await self.host.served()

        with suppress(UsageError):  # over the section's limit
            self.run(edited())
            self.edits[name] += 1

    @rule(what=changes, text=short, behaviour=behaviours(), deaths=st.one_of(st.just([]), deaths))
    def change_archive(
        self, what: Change, text: str, behaviour: Behaviour, deaths: list[tuple[int, bool]]
    ) -> None:
        """The archive is changed from outside, by a process that may die in it, while the agent rests."""
        self.behave(behaviour)

        async def life(dies_at: int | None, before: bool) -> None:
            if deaths:
                await self.host.stop()
                self.host = await self.world.boot(dies_at, before=before)
            with suppress(Killed, UsageError):  # it has no room for one
                await self.host.kernel.wake_waiting()
                await self.shelf.change(self.host.kernel, what, text)
            await self.host.served()

        for dies_at, before in deaths if what != "put" else []:
            self.run(life(dies_at, before))
        self.run(life(None, True))
        self.shelf.readable = bool(self.shelf.rights)

    @rule(
        given=events, behaviour=behaviours(), what=changes, text=short, at=st.integers(1, 12),
        elsewhere=st.booleans(),
    )  # fmt: skip
    def change_archive_meanwhile(
        self, given: list[Event], behaviour: Behaviour, what: Change, text: str, at: int, elsewhere: bool
    ) -> None:
        """The archive is changed in the middle of a turn, by its own process or another."""
        self.behave(behaviour)

        async def changed() -> None:
            other = await self.world.boot() if elsewhere else self.host
            with suppress(UsageError):
                await self.shelf.change(other.kernel, what, text)
            if elsewhere:
                await other.stop()

        async def run() -> None:
            store = self.host.store
            store.pauses_at, store.meanwhile = at, changed
            await self.post(self.host, self.keyed(given))
            await self.host.served()
            store.pauses_at = 0

        self.run(run())

    @rule(first=st.lists(changes, max_size=4), text=short, deaths=st.one_of(st.just([]), deaths))
    def consult(self, first: list[Change], text: str, deaths: list[tuple[int, bool]]) -> None:
        """The agent saves into the archive, and looks for what was put there last."""
        for what in first:
            search = call("memory_search", query=f"zq{len(self.shelf.put)}z")
            self.change_archive(what, text, Behaviour([Completion("", (search,))]), [])
            self.holds()
        shelf, serial, before = self.shelf, len(self.shelf.put), len(self.log)
        calls = (
            call("archival_insert", text=text, archive=shelf.name),
            call("archival_search", query=f"zq{serial}z", archive=shelf.name),
        )
        event = Event(EventKind.MESSAGE, f"Where is zq{serial}z?")
        self.crash([event], Behaviour([Completion("", calls)]), deaths)
        now = self.dumped()
        shelf.check_consulted(now.log[before:], serial, now)

    @rule()
    def reopen(self) -> None:
        async def again() -> Host:
            await self.host.stop()
            return await self.world.boot()

        self.host = self.run(again())

    @rule(given=events, behaviour=behaviours(), deaths=deaths)
    def crash(self, given: list[Event], behaviour: Behaviour, deaths: list[tuple[int, bool]]) -> None:
        """Die at a write, and again while recovering; then live. Who posted and heard nothing posts again."""
        self.behave(behaviour)
        mail = self.keyed(given)

        async def life(dies_at: int | None, before: bool) -> None:
            await self.host.stop()
            self.host = await self.world.boot(dies_at, before=before)
            with suppress(Killed):
                await self.host.kernel.wake_waiting()
                await self.post(self.host, mail)
            await self.host.served()

        for dies_at, before in deaths:
            self.run(life(dies_at, before))
        self.run(life(None, True))

    @rule(given=events, others=events, behaviour=behaviours())
    def two_processes(self, given: list[Event], others: list[Event], behaviour: Behaviour) -> None:
        self.behave(behaviour)

        async def both() -> None:
            other = await self.world.boot()
            await self.post(self.host, self.keyed(given))
            await self.post(other, self.keyed(others))
            await self.host.served()
            await other.served()
            await other.stop()

        self.run(both())

    @rule(given=events, others=events, behaviour=behaviours(), at=st.integers(1, 12))
    def paused(self, given: list[Event], others: list[Event], behaviour: Behaviour, at: int) -> None:
        """Be paused before a write, past the end of the lease: another process takes the turn over and ends
        it; then wake."""
        self.behave(behaviour)

        async def elsewhere() -> None:
            self.world.lose_turn(self.host.store)
            other = await self.world.boot()
            await self.post(other, self.keyed(others))
            await other.kernel.wake_waiting()
            await other.served()
            await other.stop()

        async def run() -> None:
            store = self.host.store
            store.pauses_at, store.meanwhile = at, elsewhere
            await self.post(self.host, self.keyed(given))
            await self.host.served()
            store.pauses_at = 0

        self.run(run())

    # decisions

    async def waiting(self) -> list[Approval]:
        found = await self.host.store.read(lambda tx: tx.approvals(ANA))
        return [each for each in found if not each.decision]

    async def decide(self, host: Host, call: Approval, approved: bool, changed: int | None = None) -> bool:
        """Decide, and follow the turn to its end; False if it was decided on already."""
        number = _struck(call) if changed is None else changed
        if approved:
            self.world.witness.allowed.add(number)
        arguments = None if changed is None else {"number": changed}
        try:
            async for _ in answer(host.kernel, "ana", call.id, approved, arguments=arguments):
                pass
        except (UsageError, NotFoundError):
            return False
        if not approved or changed is not None:
            self.world.witness.forbidden.add(_struck(call))
        return True

    @rule(given=events, behaviour=behaviours(), first=strikes, last=st.booleans())
    def ask(self, given: list[Event], behaviour: Behaviour, first: list[Call], last: bool) -> None:
        """The model makes a call that needs a decision, perhaps behind others."""
        more = call("strike", heartbeat=last, number=0)
        self.talk(given, replace(behaviour, script=[Completion("", (*first, more)), *behaviour.script]))

    @rule(behaviour=behaviours(), which=st.integers(0, 3), approved=st.booleans(), change=st.booleans())
    def decision(self, behaviour: Behaviour, which: int, approved: bool, change: bool) -> None:
        """A person decides, here or in another process that this one does not hear of."""
        self.behave(behaviour)

        async def decided() -> None:
            if waiting := await self.waiting():
                chosen = waiting[which % len(waiting)]
                self.serial += change
                changed = self.serial if change and approved and chosen.name == "strike" else None
                assert await self.decide(self.host, chosen, approved, changed)
                await self.host.served()

        self.run(decided())

    @rule(behaviour=behaviours(), approved=st.booleans(), wakes=st.booleans())
    def decision_elsewhere(self, behaviour: Behaviour, approved: bool, wakes: bool) -> None:
        """Two processes decide at once, against each other: the first decision holds."""
        self.behave(behaviour)

        async def decided() -> None:
            if waiting := await self.waiting():
                other = await self.world.boot()
                verdicts = await asyncio.gather(
                    self.decide(self.host, waiting[0], approved), self.decide(other, waiting[0], not approved)
                )
                assert sum(verdicts) == 1
                if wakes:
                    await other.kernel.wake_waiting()
                await self.host.served()
                await other.served()
                await other.stop()

        self.run(decided())

    @rule(behaviour=behaviours(), approved=st.booleans(), deaths=deaths)
    def decision_and_crash(
        self, behaviour: Behaviour, approved: bool, deaths: list[tuple[int, bool]]
    ) -> None:
        """Die at a write while a decision is stored and carried out; who heard nothing decides again."""
        self.behave(behaviour)

        async def life(dies_at: int | None, before: bool) -> None:
            await self.host.stop()
            self.host = await self.world.boot(dies_at, before=before)
            with suppress(Killed):
                await self.host.kernel.wake_waiting()
                for each in await self.waiting():
                    if approved:
                        self.world.witness.allowed.add(_struck(each))
                    await self.host.store.write(
                        partial(_decide, each, Answer(approved), self.world.clock.now())
                    )
                await self.host.kernel.wake_waiting()
            await self.host.served()

        for dies_at, before in deaths:
            self.run(life(dies_at, before))
        self.run(life(None, True))

    @rule(behaviour=behaviours())
    def give_up(self, behaviour: Behaviour) -> None:
        """A turn that waits is cancelled."""
        self.behave(behaviour)

        async def given_up() -> None:
            waiting = await self.waiting()
            assert await self.host.kernel.cancel("ana") == bool(waiting)
            self.world.witness.forbidden.update(map(_struck, waiting))
            await self.host.served()

        self.run(given_up())

    @rule(behaviour=behaviours(), deaths=deaths)
    def expiry(self, behaviour: Behaviour, deaths: list[tuple[int, bool]]) -> None:
        """Nobody decides in time, and the process dies while it notices."""
        self.behave(behaviour)
        self.world.clock.advance(601)

        async def life(dies_at: int | None, before: bool) -> None:
            await self.host.stop()
            self.host = await self.world.boot(dies_at, before=before)
            with suppress(Killed):
                await self.host.kernel.wake_waiting()
                await self.host.kernel.fire_timers()
            await self.host.served()

        self.world.witness.forbidden.update(
            _struck(call) for call in self.run(self.waiting()) if call.expires is not None
        )
        for dies_at, before in deaths:
            self.run(life(dies_at, before))
        self.run(life(None, True))

    @rule(cron=st.sampled_from((None, "0 0 1 1 *")), wait=st.integers(0, 2000), deaths=deaths)
    def timer(self, cron: str | None, wait: int, deaths: list[tuple[int, bool]]) -> None:
        """A timer comes due once, whichever write the process dies at while it fires."""
        note = f"no{len(self.posted)}x timer"
        due = self.world.clock.now() + timedelta(seconds=60)
        self.posted.append("")  # its key is known when the timer is made
        self.behave(Behaviour())

        async def set_timer() -> Schedule:
            return await self.host.store.write(
                lambda tx: tx.add_schedule(ANA, Schedule(note, due, "UTC", cron))
            )

        async def life(dies_at: int | None, before: bool) -> None:
            await self.host.stop()
            self.host = await self.world.boot(dies_at, before=before)
            with suppress(Killed):
                await self.host.kernel.wake_waiting()
                await self.host.kernel.fire_timers()
            await self.host.served()

        async def remove() -> None:
            await self.host.store.write(lambda tx: tx.remove_schedule(ANA, made.number))

        made = self.run(set_timer())
        self.posted[-1] = system_key(f"{made.id}@{due.isoformat()}")
        self.world.clock.advance(60 + wait)
        for dies_at, before in deaths:
            self.run(life(dies_at, before))
        self.run(life(None, True))
        self.run(remove())

    # what holds after each

    @invariant()
    def holds(self) -> None:
        if not self.started:
            return
        now = self.dumped()
        for fault in self.world.witness.faults:
            raise fault
        check_append_only(self.log, now)
        check_queue(now)
        check_turns(now, all_done=True)
        check_calls(now)
        check_effects(now, self.edits, self.world.witness.poked)
        check_decisions(now, self.approval, self.world.witness)
        check_appended(now, self.appended)
        keys = Counter(event.key for event in now.events if event.key and event.kind != EventKind.APPENDED)
        assert keys == Counter(self.posted), "an event was lost or doubled"
        told = sum(event.kind == EventKind.EDITED and event.id not in self.again for event in now.events)
        assert told == self.edits.total() + self.shelf.notices
        self.shelf.check(self.log, now)
        self.log, self.searched = now.log, now.record.queue.start - 1

    def teardown(self) -> None:
        if self.started:
            self.run(self.host.stop())
        self.runner.close()
        shutil.rmtree(self.folder)


def _decide(call: Approval, verdict: Answer, now: datetime, tx: Transaction) -> None:
    decide(tx, ANA, call.number, verdict, now)


def _struck(call: Approval) -> int:
    """The number of a strike; less than any of one for another function."""
    return json.loads(call.arguments)["number"] if call.name == "strike" else -call.number


class MachineOnDisk(AgentMachine):
    def where(self) -> str:
        return "disk"


class MachineOnServer(AgentMachine):
    databases: Databases

    def where(self) -> str:
        self.url = self.databases.new()
        return self.url

    def teardown(self) -> None:
        super().teardown()
        if self.started:
            self.databases.drop(self.url)


usual = settings(
    max_examples=220 if NIGHTLY else 10,
    stateful_step_count=50 if NIGHTLY else 30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

TestInMemory = AgentMachine.TestCase
TestInMemory.settings = usual
TestOnDisk = MachineOnDisk.TestCase
TestOnDisk.settings = usual


@pytest.mark.usefixtures("a_server")
class TestOnServer(MachineOnServer.TestCase):
    settings = settings(usual, max_examples=220 if NIGHTLY else 4)

    @pytest.fixture
    def a_server(self, databases: Databases) -> None:
        MachineOnServer.databases = databases


def test_an_event_lets_a_warning_go_first_once_only(tmp_path: Path) -> None:
    """With a room smaller than the summary, each warning ends in a flush and the event would cross again."""
    world = World(tmp_path, "memory", "memgpt", Witness(4096), False)

    async def run() -> None:
        host = await world.boot()
        await host.kernel.create_agent("ana", parse_settings({"window": 4096}))
        for text in ("one", "two", "three"):
            world.behaviour.script[:] = [ContextLengthExceeded("The prompt is too long.")] * 2
            await host.kernel.post("ana", Event(EventKind.MESSAGE, text_of(WORDS[1], 9000)))
            await host.served()
            assert world.witness.requests < 40, text
        await host.stop()

    asyncio.run(run())


@pytest.mark.parametrize("at", range(1, 6))
def test_who_asks_on_after_its_turn_was_taken_away_is_no_second_turn(at: int, tmp_path: Path) -> None:
    """Paused while it stores an event, a process loses a turn that goes on meanwhile; what comes of that is
    refused, and the event is answered once."""
    world = World(tmp_path, "memory", "memgpt", Witness(4096), False, Behaviour(slowness=30))

    async def run() -> None:
        host = await world.boot()
        await host.kernel.create_agent("ana", parse_settings({"window": 4096}))

        async def elsewhere() -> None:
            world.lose_turn(host.store)
            other = await world.boot()
            await other.kernel.wake_waiting()
            await other.served()
            await other.stop()

        host.store.pauses_at, host.store.meanwhile = at, elsewhere
        for text in ("one", "two", "three"):
            await host.kernel.post("ana", Event(EventKind.MESSAGE, text))
        await host.served()
        check_turns(await host.store.read(dump), all_done=True)
        assert world.witness.faults == []
        await host.stop()

    asyncio.run(run())
