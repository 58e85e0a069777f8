"""Conformance of a store's agents: creating, naming, renaming and deleting them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pagefault.approvals import Approval
from pagefault.errors import NameTakenError, NotFoundError, UsageError
from pagefault.shared import Attachment, SharedRecord
from pagefault.storage import Transaction
from pagefault.testing.store_opening import NOW, StoreOpening, refused, said
from pagefault.types import (
    AgentId,
    AgentRecord,
    Event,
    Passage,
    QueueState,
)

__all__ = ["AgentConformance"]


class AgentConformance(StoreOpening):
    def test_an_agent_is_found_by_name_and_by_id(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            queue = QueueState(3, 2, 1, "head", True, 1.25)
            record = AgentRecord("ana", {"model": "x", "deep": {"list": [1.5, None]}}, NOW, queue)
            stored = db.write(lambda tx: tx.create_agent(record))
            assert stored == replace(record, id=stored.id)
            assert stored.id > 0
            assert db.read(lambda tx: tx.agent("ana")) == stored
            assert db.read(lambda tx: tx.agent_by_id(stored.id)) == stored
            assert db.read(lambda tx: tx.agent("bob")) is None
            assert db.read(lambda tx: tx.agent_by_id(AgentId(999))) is None

    def test_a_name_is_given_once(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            db.agent("ana")
            refused(UsageError, lambda: db.agent("ana"))

    def test_a_name_is_unique_within_its_tenant(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            record = AgentRecord("ana", {}, NOW, tenant="firm")
            stored = db.write(lambda tx: tx.create_agent(record))
            assert db.read(lambda tx: tx.within("firm").agent("ana")) == stored
            found = db.read(lambda tx: tx.agent("ana"))
            assert found is not None
            assert (found.id, found.tenant) == (ana, "")
            assert [a.tenant for a in db.read(lambda tx: tx.agents())] == ["", "firm"]
            refused(UsageError, lambda: db.write(lambda tx: tx.create_agent(record)))

    def test_a_transaction_within_a_tenant_finds_and_makes_what_is_the_tenants(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, record = db.agent("ana"), AgentRecord("ana", {}, NOW)
            own = db.write(lambda tx: tx.within("firm").create_agent(record))
            shared = db.write(lambda tx: tx.within("firm").create_shared(SharedRecord("archive", "m", NOW)))
            assert (own.tenant, shared.tenant) == ("firm", "firm")
            asked = Approval(1, 1, "delete_file", "{}", NOW, NOW + timedelta(hours=1))
            for agent in (ana, own.id):
                db.write(lambda tx, a=agent: tx.post(a, Event("message", "hello", at=NOW)))
                db.write(lambda tx, a=agent: tx.put_approvals(a, [asked]))
            for tenant, id, kept in (("firm", own.id, shared), ("", ana, None), ("other", None, None)):

                def seen(tx: Transaction, tenant: str = tenant) -> object:
                    tx = tx.within(tenant)
                    by_id = [record.id for id in (ana, own.id) if (record := tx.agent_by_id(id))]
                    by_name = [record.id for record in (tx.agent("ana"),) if record]
                    listed, waiting = [a.id for a in tx.agents()], [a.id for a in tx.waiting(9)]
                    undecided = [
                        [agent for agent, _ in tx.undecided(1, due)]
                        for due in (None, NOW + timedelta(days=9))
                    ]
                    return by_id, by_name, listed, waiting, *undecided, tx.shared("archive", "m")

                ids = [id] if id else []
                assert db.read(seen) == (ids, ids, ids, ids, ids, ids, kept)
            held = Attachment("archive", "m", NOW)
            refused(NotFoundError, lambda: db.write(lambda tx: tx.within("firm").attach(ana, held)))

    def test_agents_are_listed_by_name(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            for name in ("carl", "ana", "bob", "小明"):
                db.agent(name)
            assert [a.name for a in db.read(lambda tx: tx.agents())] == ["ana", "bob", "carl", "小明"]
            assert db.read(lambda tx: tx.agent_names()) == ["ana", "bob", "carl", "小明"]

    def test_agents_are_listed_in_parts_within_a_tenant(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            names = ("Zoe", "ana", "ana.b", "ana_b", "é", "小明")
            for name in reversed(names):
                db.agent(name)
            db.write(lambda tx: tx.create_agent(AgentRecord("bob", {}, NOW, tenant="firm")))
            db.write(lambda tx: tx.create_shared(SharedRecord("archive", "bob", NOW)))

            def part(after: str, limit: int | None = None) -> list[str]:
                return [a.name for a in db.read(lambda tx: tx.within("").agents(after, limit))]

            assert part("", 2) == ["Zoe", "ana"]
            assert part("ana", 2) == ["ana.b", "ana_b"]
            assert part("ana_b") == part("b") == ["é", "小明"]
            assert part("小明", 2) == part("", 0) == []
            assert db.read(lambda tx: tx.within("").agent_names()) == list(names)
            assert db.read(lambda tx: tx.within("firm").agent_names()) == ["bob"]

    def test_settings_and_queue_are_replaced(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, queue = db.agent("ana"), QueueState(5, 4, None, "the head\n", True, 0.9)
            db.write(lambda tx: tx.save_settings(ana, {"window": 4096}))
            db.write(lambda tx: tx.save_queue(ana, queue))
            record = db.read(lambda tx: tx.agent("ana"))
            assert record is not None
            assert (record.settings, record.queue) == ({"window": 4096}, queue)

    def test_a_deleted_agent_leaves_nothing_and_its_id_is_not_used_again(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            for agent in (ana, bob):
                db.fill(agent)
            db.write(lambda tx: tx.delete_agent(bob))
            again = db.agent("bob")
            assert again not in (ana, bob)
            for gone in (bob, again):
                assert db.read(lambda tx, a=gone: (tx.messages(a), tx.sections(a), tx.events(a))) == ([],) * 3
                assert db.read(lambda tx, a=gone: (tx.schedules(a), tx.passage(a, 1))) == ([], None)
                assert db.found(gone, "recall", "words") == db.found(gone, "archival", "words") == []
            assert [item.agent for item in db.read(lambda tx: tx.pending_vectors("f", 9))] == [ana, ana]
            assert db.found(ana, "recall", "words") == db.found(ana, "archival", "words") == [1]
            assert [a for a, _ in db.read(lambda tx: tx.due_schedules(NOW, 9))] == [ana]

    def test_writing_for_an_agent_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            nobody = AgentId(999)
            refused(NotFoundError, lambda: db.write(lambda tx: tx.append(nobody, [said("x")])))
            refused(NotFoundError, lambda: db.write(lambda tx: tx.post(nobody, Event("message"))))
            refused(NotFoundError, lambda: db.write(lambda tx: tx.insert_passage(nobody, Passage("x", NOW))))
            refused(NotFoundError, lambda: db.write(lambda tx: tx.save_queue(nobody, QueueState())))
            refused(NotFoundError, lambda: db.write(lambda tx: tx.delete_agent(nobody)))

    def test_agents_do_not_see_each_other(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            for agent in (ana, bob):
                db.fill(agent)
            db.write(lambda tx: tx.append(ana, [said("only ana knows words")]))
            assert (db.found(ana, "recall", "words"), db.found(bob, "recall", "words")) == ([2, 1], [1])
            assert db.found(bob, "recall", "ana") == []
            assert db.write(lambda tx: tx.append(bob, [said("next")]))[0].seq == 2

    def test_an_agent_is_renamed(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.agent("bo")
            db.write(lambda tx: tx.rename_agent(ana, "cleo"))
            assert [record.name for record in db.read(lambda tx: tx.agents())] == ["bo", "cleo"]
            found = db.read(lambda tx: tx.agent("cleo"))
            assert found is not None
            assert found.id == ana
            refused(NameTakenError, lambda: db.write(lambda tx: tx.rename_agent(ana, "bo")))
            assert db.agent("ana") != ana
