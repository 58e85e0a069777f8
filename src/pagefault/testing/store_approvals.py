"""The store suite's part on approvals: what waits for a decision, whom it keeps waiting, what is granted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pagefault.approvals import Approval, Grant
from pagefault.errors import NotFoundError
from pagefault.storage import Transaction
from pagefault.testing.store_opening import NOW, WILD, StoreOpening, refused
from pagefault.types import AgentId, AgentRecord, Event

__all__ = ["ApprovalConformance"]


def _asked(number: int, event: int = 1, *, minutes: int | None = None) -> Approval:
    expires = None if minutes is None else NOW + timedelta(minutes=minutes)
    return Approval(number, event, "delete_file", '{"path": "a b\\u202e"}', NOW, expires)


class ApprovalConformance(StoreOpening):
    """Approvals and grants."""

    def test_approvals_are_kept_until_their_turn_is_over(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            first, second = _asked(4), _asked(3, minutes=5)
            db.write(lambda tx: tx.put_approvals(ana, [first, second]))
            db.write(lambda tx: tx.put_approvals(bob, [_asked(4, 2)]))
            assert db.read(lambda tx: tx.approvals(ana)) == [second, first]
            decided = replace(first, decision="approved", note=WILD[2], changed="{}", decided=NOW, by="Eva")

            def decide(tx: Transaction) -> list[Approval]:
                found = tx.approvals(ana, lock=True)
                tx.put_approvals(ana, [decided])
                return found

            assert db.write(decide) == [second, first]
            assert db.read(lambda tx: tx.approvals(ana)) == [second, decided]
            db.write(lambda tx: tx.remove_approvals(ana, 2))
            assert len(db.read(lambda tx: tx.approvals(ana))) == 2
            db.write(lambda tx: tx.remove_approvals(ana, 1))
            assert db.read(lambda tx: tx.approvals(ana)) == []
            assert db.read(lambda tx: tx.approvals(bob)) == [_asked(4, 2)]
            refused(NotFoundError, lambda: db.write(lambda tx: tx.put_approvals(AgentId(99), [first])))

    def test_what_is_undecided_is_listed_over_all_agents(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            late, soon, never = _asked(5, minutes=9), _asked(3, minutes=1), replace(_asked(2), asked=NOW)
            older = replace(_asked(7, minutes=2), asked=NOW - timedelta(hours=1))
            done = replace(_asked(8, minutes=0), decision="refused", decided=NOW)
            db.write(lambda tx: tx.put_approvals(ana, [late, soon, done]))
            db.write(lambda tx: tx.put_approvals(bob, [never, older]))
            everything = [(bob, older), (ana, soon), (ana, late), (bob, never)]
            assert db.read(lambda tx: tx.undecided(9)) == everything
            assert db.read(lambda tx: tx.undecided(2)) == everything[:2]
            due = NOW + timedelta(minutes=2)
            assert db.read(lambda tx: tx.undecided(9, due)) == [(ana, soon), (bob, older)]
            assert db.read(lambda tx: tx.undecided(1, due)) == [(ana, soon)]
            assert db.read(lambda tx: tx.undecided(9, NOW)) == []

    def test_an_event_that_waits_for_a_decision_keeps_all_others_waiting(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")

            def waiting() -> list[str]:
                return [record.name for record in db.read(lambda tx: tx.waiting(9))]

            for agent in (ana, ana, bob):
                db.write(lambda tx, a=agent: tx.post(a, Event("message")))
            db.write(lambda tx: tx.set_event(ana, 1, "active", 7))
            db.write(lambda tx: tx.set_event(ana, 1, "waiting", attempts=0))
            assert waiting() == ["bob"]
            event = db.read(lambda tx: tx.event(ana, 1))
            assert event is not None
            assert (event.state, event.started, event.attempts) == ("waiting", None, 0)
            assert db.read(lambda tx: tx.next_event(ana)) is None
            for kind in ("message", "memory_pressure"):
                db.write(lambda tx, k=kind: tx.post(ana, Event(k)))
            assert waiting() == ["bob"]
            assert db.write(lambda tx: tx.settle(ana))
            assert [e.id for e in db.read(lambda tx: tx.events(ana, state="waiting"))] == [1]
            assert [e.id for e in db.read(lambda tx: tx.events(ana, state="pending"))] == [2, 3, 4]
            assert db.read(lambda tx: tx.events(ana, state="active")) == []
            db.write(lambda tx: (tx.set_event(ana, 1, "active"), tx.settle(ana)))
            assert sorted(waiting()) == ["ana", "bob"]
            found = db.read(lambda tx: tx.next_event(ana))
            assert found is not None
            assert (found.id, found.state) == (1, "active")
            assert not db.write(lambda tx: tx.finish_event(ana, 1))
            assert sorted(waiting()) == ["ana", "bob"]

    def test_the_last_event_may_wait_and_be_given_up(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.post(ana, Event("message")))
            db.write(lambda tx: tx.set_event(ana, 1, "waiting"))
            assert db.read(lambda tx: tx.waiting(9)) == []
            db.write(lambda tx: tx.post(ana, Event("message")))
            assert not db.write(lambda tx: tx.finish_event(ana, 1))
            assert [record.name for record in db.read(lambda tx: tx.waiting(9))] == ["ana"]

    def test_grants_are_of_one_agent_and_go_with_it(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            for name in ("write", "delete", "write"):
                db.write(lambda tx, n=name: tx.put_grant(ana, Grant(n, NOW, "Eva")))
            db.write(lambda tx: tx.put_grant(bob, Grant("delete", NOW)))
            assert db.read(lambda tx: tx.grants(ana)) == [Grant(n, NOW, "Eva") for n in ("delete", "write")]
            assert db.write(lambda tx: tx.revoke(ana, "delete"))
            assert not db.write(lambda tx: tx.revoke(ana, "delete"))
            assert [grant.name for grant in db.read(lambda tx: tx.grants(ana))] == ["write"]
            db.write(lambda tx: tx.put_approvals(ana, [_asked(1)]))
            db.write(lambda tx: tx.delete_agent(ana))
            assert db.read(lambda tx: tx.grants(ana)) == db.read(lambda tx: tx.approvals(ana)) == []
            assert db.read(lambda tx: tx.grants(bob)) == [Grant("delete", NOW)]
            again = db.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW))).id
            assert db.read(lambda tx: tx.grants(again)) == []
            refused(NotFoundError, lambda: db.write(lambda tx: tx.put_grant(AgentId(99), Grant("x", NOW))))
