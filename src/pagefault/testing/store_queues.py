"""The store suite's part on the inbox and the schedules: what waits, and in what order it is served."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pagefault.errors import NotFoundError
from pagefault.testing.store_opening import NOW, StoreOpening, refused
from pagefault.types import SLEEP_TIMER, AgentId, AgentRecord, Event, EventKind, Schedule

__all__ = ["QueueConformance"]


class QueueConformance(StoreOpening):
    """Inbox and schedules."""

    def test_a_key_is_stored_once_per_agent(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            first = db.write(lambda tx: tx.post(ana, Event("message", "one", "k")))
            db.write(lambda tx: tx.set_event(ana, first.id, "done"))
            again = db.write(lambda tx: tx.post(ana, Event("message", "two", "k")))
            assert again == replace(first, state="done")
            assert db.write(lambda tx: tx.post(bob, Event("message", "two", "k"))).text == "two"
            keyless = [db.write(lambda tx: tx.post(ana, Event("message", "same"))).id for _ in range(2)]
            assert keyless == [2, 3]
            assert db.read(lambda tx: tx.event_of_key(ana, "k")) == again
            assert db.read(lambda tx: (tx.event_of_key(ana, "K"), tx.event_of_key(AgentId(99), "k"))) == (
                None,
                None,
            )

    def test_an_event_is_stored_with_all_that_its_sender_says(self, tmp_path: Path) -> None:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        event = Event("login", "from Porto", "k", "Ana", NOW, hops=2, trace=trace)
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            assert db.write(lambda tx: tx.post(ana, event)) == replace(event, id=1)
            assert db.read(lambda tx: tx.event(ana, 1)) == replace(event, id=1)

    def test_events_are_served_active_first_then_memory_pressure_then_oldest(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            for kind in ("message", "login", EventKind.PRESSURE, "message", EventKind.PRESSURE):
                db.write(lambda tx, k=kind: tx.post(ana, Event(k)))
            db.write(lambda tx: tx.set_event(ana, 2, "active", 77))
            served: list[tuple[int, int | None]] = []
            while event := db.read(lambda tx: tx.next_event(ana)):
                served.append((event.id, event.started))
                db.write(lambda tx, e=event: tx.set_event(ana, e.id, "done"))
            assert served == [(2, 77), (3, None), (5, None), (1, None), (4, None)]

    def test_the_last_event_that_is_finished_leaves_an_empty_inbox(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            for agent in (ana, ana, bob):
                db.write(lambda tx, a=agent: tx.post(a, Event("message")))
            db.write(lambda tx: tx.set_event(ana, 1, "active", 7))
            assert not db.write(lambda tx: tx.finish_event(ana, 1))
            assert not db.write(lambda tx: (tx.post(ana, Event("message")), tx.finish_event(ana, 2))[1])
            assert db.write(lambda tx: tx.finish_event(ana, 3))
            states = [(e.state, e.started) for e in db.read(lambda tx: tx.events(ana))]
            assert states == [("done", None)] * 3
            refused(NotFoundError, lambda: db.write(lambda tx: tx.finish_event(ana, 4)))

    def test_an_event_can_go_back_to_pending(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            for kind in ("message", EventKind.PRESSURE):
                db.write(lambda tx, k=kind: tx.post(ana, Event(k)))
            for number in (2, 1):
                db.write(lambda tx, n=number: tx.set_event(ana, n, "active", 5))
                db.write(lambda tx, n=number: tx.set_event(ana, n, "pending"))
            event = db.read(lambda tx: tx.next_event(ana))
            assert event is not None
            assert (event.id, event.state, event.started) == (2, "pending", None)

    def test_events_are_listed_by_state_and_agents_that_wait(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            carl, bob, ana = db.agent("carl"), db.agent("bob"), db.agent("ana")
            for agent in (carl, carl, carl, bob, ana):
                db.write(lambda tx, a=agent: tx.post(a, Event("message")))
            db.write(lambda tx: (tx.set_event(carl, 1, "done"), tx.set_event(carl, 2, "active")))
            db.write(lambda tx: tx.set_event(bob, 1, "done"))

            def ids(state: str | None) -> list[int]:
                return [event.id for event in db.read(lambda tx: tx.events(carl, state=state))]  # type: ignore[arg-type]

            assert [ids(state) for state in ("done", "active", "pending", None)] == [[1], [2], [3], [1, 2, 3]]
            assert {a.name for a in db.read(lambda tx: tx.waiting(9))} == {"ana", "carl"}
            refused(NotFoundError, lambda: db.write(lambda tx: tx.set_event(carl, 99, "done")))

    def test_tenants_take_turns_and_of_each_the_agent_that_waited_longest(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            posted = ("c1", "a1", "c2", "b1", "c3", "a2", "c4", "c5")
            ids: dict[str, AgentId] = {}
            for name in posted:
                record = AgentRecord(name, {}, NOW, tenant="" if name[0] == "a" else name[0])
                ids[name] = db.write(lambda tx, r=record: tx.create_agent(r)).id
                db.write(lambda tx, n=name: tx.post(ids[n], Event("message")))

            def waiting(limit: int, after: str | None = None, but: str = "") -> str:
                without = [ids[name] for name in but.split()]
                return " ".join(a.name for a in db.read(lambda tx: tx.waiting(limit, after, without)))

            assert waiting(99) == "a1 b1 c1 a2 c2 c3 c4 c5"
            for limit in range(1, 8):
                assert waiting(limit) == "a1 b1 c1 a2 c2 c3 c4 c5"[: 3 * limit - 1]
            assert waiting(4, "") == "b1 c1 a1 c2"
            assert waiting(4, "b") == "c1 a1 b1 c2"
            assert waiting(2, "c") == waiting(2, "none of that name") == "a1 b1"
            assert waiting(3, but="a1 b1 c1 c2") == "a2 c3 c4"
            assert waiting(1, but=" ".join(posted)) == ""

    def test_an_agent_goes_behind_the_others_with_each_event_that_is_done(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")

            def waiting() -> list[AgentId]:
                return [record.id for record in db.read(lambda tx: tx.waiting(9))]

            for agent in (ana, bob, ana):
                db.write(lambda tx, a=agent: tx.post(a, Event("message")))
            assert waiting() == [ana, bob]
            db.write(lambda tx: tx.set_event(ana, 1, "active"))
            assert waiting() == [ana, bob]  # it has waited as long as before
            time.sleep(0.003)  # the clock of some databases ticks in milliseconds
            assert not db.write(lambda tx: tx.finish_event(ana, 1))
            assert waiting() == [bob, ana]
            db.write(lambda tx: tx.park_agent(bob, "broken"))
            assert waiting() == [ana]
            db.write(lambda tx: tx.park_agent(bob, ""))
            assert db.write(lambda tx: tx.finish_event(ana, 2))
            assert db.write(lambda tx: tx.finish_event(bob, 1))
            assert waiting() == []

    def test_schedules_come_due_oldest_first_over_all_agents(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            hours = [NOW + timedelta(hours=n) for n in range(5)]
            assert db.read(lambda tx: tx.due_schedules(hours[4], 9)) == []
            db.write(lambda tx: tx.add_schedule(ana, Schedule("late", hours[3], "UTC")))
            db.write(lambda tx: tx.add_schedule(bob, Schedule("soon", hours[1], "UTC", "0 * * * *")))
            db.write(lambda tx: tx.add_schedule(ana, Schedule("sooner", hours[0], "UTC")))
            due = db.read(lambda tx: tx.due_schedules(hours[1], 9))
            assert [(agent, schedule.note) for agent, schedule in due] == [(ana, "sooner"), (bob, "soon")]
            assert db.read(lambda tx: tx.due_schedules(hours[1], 1)) == due[:1]
            assert db.read(lambda tx: tx.due_schedules(hours[1], 9, after=due[0])) == due[1:]
            assert db.read(lambda tx: tx.due_schedules(hours[1], 9, after=due[1])) == []
            assert db.read(lambda tx: tx.due_schedules(hours[1], 9, agent=ana)) == due[:1]
            db.write(lambda tx: (tx.remove_schedule(ana, 2), tx.move_schedule(bob, 1, hours[4])))
            assert [s.note for _, s in db.read(lambda tx: tx.due_schedules(hours[3], 9))] == ["late"]
            assert [s.due for s in db.read(lambda tx: tx.schedules(bob))] == [hours[4]]

    def test_an_agent_falls_asleep_once_and_that_is_no_timer(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, late = db.agent("ana"), NOW + timedelta(hours=1)
            db.write(lambda tx: (tx.add_sleep(ana, NOW), tx.add_sleep(ana, late)))
            db.write(lambda tx: tx.add_schedule(ana, Schedule("x", NOW, "UTC")))
            due = db.read(lambda tx: tx.due_schedules(NOW, 9))
            assert [(each.is_sleep, each.due) for _, each in due] == [(True, NOW), (False, NOW)]
            assert [each.note for each in db.read(lambda tx: tx.schedules(ana))] == ["x"]
            db.write(lambda tx: tx.move_schedule(ana, SLEEP_TIMER, late))
            assert [each.note for _, each in db.read(lambda tx: tx.due_schedules(NOW, 9))] == ["x"]
            assert db.write(lambda tx: tx.remove_schedule(ana, SLEEP_TIMER))
            db.write(lambda tx: tx.add_sleep(ana, NOW))
            assert len(db.read(lambda tx: tx.due_schedules(NOW, 9))) == 2

    def test_a_schedule_number_is_not_used_again(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            numbers: list[int] = []
            for _ in range(2):
                made = db.write(lambda tx: tx.add_schedule(ana, Schedule("x", NOW, "UTC")))
                numbers.append(made.number)
                assert db.write(lambda tx, n=made.number: tx.remove_schedule(ana, n))
                assert not db.write(lambda tx, n=made.number: tx.remove_schedule(ana, n))
            assert numbers == [1, 2]
            refused(NotFoundError, lambda: db.write(lambda tx: tx.move_schedule(ana, 1, NOW)))
