"""The part of the store suite about archives, shared sections, and the agents that are attached to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pagefault.errors import NameTakenError, NotFoundError
from pagefault.shared import Attachment, Outgoing, SharedKind, SharedRecord, shared_name
from pagefault.storage import Transaction
from pagefault.testing.store_opening import NOW, WILD, Opened, StoreOpening, refused
from pagefault.types import AgentId, AgentRecord, Event, Passage

__all__ = ["SharedConformance"]

_HOSTILE = WILD[2:9]


def _shared(db: Opened, name: str, kind: SharedKind = "archive", *, tenant: str = "") -> SharedRecord:
    record = SharedRecord(kind, name, NOW, f"about {name}", tenant=tenant)
    return db.write(lambda tx: tx.create_shared(record))


class SharedConformance(StoreOpening):
    """Archives and shared sections are owners as agents are, and no agents."""

    def test_a_shared_record_is_stored_and_found_by_kind_name_and_tenant(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            db.agent("manuals")
            made = _shared(db, "manuals")
            section = _shared(db, "manuals", "section")
            other = _shared(db, "manuals", tenant="firm")
            assert len({made.id, section.id, other.id}) == 3
        with self.opened(tmp_path) as db:
            assert db.read(lambda tx: tx.shared("archive", "manuals")) == made
            assert db.read(lambda tx: tx.shared("section", "manuals")) == section
            assert db.read(lambda tx: tx.within("firm").shared("archive", "manuals")) == other
            assert db.read(lambda tx: tx.shared("archive", "none")) is None
            assert (made.description, made.created) == ("about manuals", NOW)
            for again in (made, section, other):
                refused(NameTakenError, lambda again=again: db.write(lambda tx: tx.create_shared(again)))

    def test_all_of_a_kind_are_listed_by_name_and_are_no_agents(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            db.agent("ana")
            made = [_shared(db, name) for name in ("b", "a", "Z")]
            _shared(db, "notes", "section")
            _shared(db, "c", tenant="firm")
            assert db.read(lambda tx: tx.within("").all_shared("archive")) == [made[2], made[1], made[0]]
            assert [record.name for record in db.read(lambda tx: tx.all_shared("archive"))] == [*"Zabc"]
            assert [record.name for record in db.read(lambda tx: tx.all_shared("section"))] == ["notes"]
            assert [record.name for record in db.read(lambda tx: tx.agents())] == ["ana"]
            assert db.read(lambda tx: (tx.agent("archive:a"), tx.agent("section:notes"))) == (None, None)
            assert db.read(lambda tx: (tx.waiting(9), tx.usage_of_all(NOW))) == ([], [])

    def test_no_event_gives_an_archive_a_turn(self, tmp_path: Path) -> None:
        """A process of a version from before archives takes it for an agent, and may post to it."""
        with self.opened(tmp_path) as db:
            ana, manuals = db.agent("ana"), _shared(db, "manuals")
            for owner in (manuals.id, ana):
                db.write(lambda tx, owner=owner: tx.post(owner, Event("message", "hello", at=NOW)))
            assert [record.name for record in db.read(lambda tx: tx.waiting(9))] == ["ana"]

    def test_a_description_of_any_text_is_kept(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            for number, text in enumerate(_HOSTILE):
                record = SharedRecord("archive", f"a{number}", NOW, text)
                db.write(lambda tx, record=record: tx.create_shared(record))
            found = db.read(lambda tx: tx.all_shared("archive"))
            assert tuple(record.description for record in found) == _HOSTILE

    def test_what_is_in_an_archive_is_its_own(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, manuals, other = db.agent("ana"), _shared(db, "manuals").id, _shared(db, "other").id
            for owner in (ana, manuals):
                text = f"words of {owner}"
                stored = db.write(lambda tx, o=owner, t=text: tx.insert_passage(o, Passage(t, NOW)))
                assert stored.number == 1
            assert [db.found(owner, "archival", "words") for owner in (ana, manuals, other)] == [[1], [1], []]
            assert {item.agent for item in db.read(lambda tx: tx.pending_vectors("f", 9))} == {ana, manuals}
            assert db.write(lambda tx: tx.delete_passage(manuals, 1))
            assert [db.found(owner, "archival", "words") for owner in (ana, manuals)] == [[1], []]

    def test_an_agent_is_attached_again_and_detached(self, tmp_path: Path) -> None:
        later = NOW + timedelta(hours=1)
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            _shared(db, "manuals")
            _shared(db, "manuals", "section")
            held = [Attachment("archive", "manuals", NOW), Attachment("section", "manuals", NOW, True)]
            for agent, attachment in ((ana, held[1]), (bob, held[0]), (ana, held[0])):
                db.write(lambda tx, a=agent, h=attachment: tx.attach(a, h))
        with self.opened(tmp_path) as db:
            assert db.read(lambda tx: tx.attachments(ana)) == held
            assert db.read(lambda tx: tx.attached_to("archive", "manuals")) == [ana, bob]
            again = replace(held[0], read_only=True, at=later)
            db.write(lambda tx: tx.attach(ana, again))
            assert db.read(lambda tx: tx.attachments(ana)) == [again, held[1]]
            assert db.read(lambda tx: tx.attachments(bob)) == [held[0]]
            assert db.write(lambda tx: tx.detach(ana, "archive", "manuals"))
            assert not db.write(lambda tx: tx.detach(ana, "archive", "manuals"))
            assert db.read(lambda tx: tx.attachments(ana)) == [held[1]]
            assert db.read(lambda tx: tx.attached_to("archive", "manuals")) == [bob]

    def test_only_an_agent_of_the_tenant_is_attached_to_what_there_is(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            strange = db.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW, tenant="firm"))).id
            _shared(db, "manuals")
            attachment = Attachment("archive", "manuals", NOW)
            for agent, held in (
                (AgentId(999), attachment),
                (strange, attachment),
                (ana, replace(attachment, name="none")),
                (ana, replace(attachment, kind="section")),
            ):
                refused(NotFoundError, lambda a=agent, h=held: db.write(lambda tx: tx.attach(a, h)))
            _shared(db, "manuals", tenant="firm")
            for agent in (ana, strange):
                db.write(lambda tx, a=agent: tx.attach(a, attachment))
            assert db.read(lambda tx: tx.attached_to("archive", "manuals")) == [ana]
            assert db.read(lambda tx: tx.within("firm").attached_to("archive", "manuals")) == [strange]

    def test_a_deleted_archive_is_detached_everywhere_in_its_tenant(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            strange = db.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW, tenant="firm"))).id
            gone, kept = _shared(db, "manuals"), _shared(db, "manuals", "section")
            _shared(db, "manuals", tenant="firm")
            db.write(lambda tx: tx.insert_passage(gone.id, Passage("words", NOW)))
            held = Attachment("archive", "manuals", NOW)
            section = replace(held, kind=kept.kind)
            for agent, each in ((ana, held), (bob, held), (ana, section), (strange, held)):
                db.write(lambda tx, a=agent, h=each: tx.attach(a, h))

            def undone(tx: Transaction) -> None:
                tx.delete_agent(gone.id)
                raise NotFoundError

            refused(NotFoundError, lambda: db.write(undone))
            assert db.read(lambda tx: tx.attached_to("archive", "manuals")) == [ana, bob]
            db.write(lambda tx: tx.delete_agent(gone.id))
            assert db.read(lambda tx: tx.shared("archive", "manuals")) is None
            assert db.found(gone.id, "archival", "words") == []
            assert db.read(lambda tx: [tx.attachments(a) for a in (ana, bob, strange)]) == [
                [section], [], [held],
            ]  # fmt: skip
            assert _shared(db, "manuals").id != gone.id
            assert db.read(lambda tx: tx.attached_to("archive", "manuals")) == []

    def test_a_deleted_agent_is_attached_to_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            _shared(db, "manuals")
            for agent in (ana, bob):
                db.write(lambda tx, a=agent: tx.attach(a, Attachment("archive", "manuals", NOW)))
            db.write(lambda tx: tx.delete_agent(ana))
            assert db.read(lambda tx: tx.attached_to("archive", "manuals")) == [bob]
            assert db.read(lambda tx: tx.attachments(ana)) == []

    def test_a_renamed_archive_keeps_what_is_attached(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            manuals = _shared(db, "manuals")
            _shared(db, "other")
            db.write(lambda tx: tx.attach(ana, Attachment("archive", "manuals", NOW, True)))
            taken, free = shared_name("archive", "other"), shared_name("archive", "guides")
            refused(NameTakenError, lambda: db.write(lambda tx: tx.rename_agent(manuals.id, taken)))
            db.write(lambda tx: tx.rename_agent(manuals.id, free))
            assert db.read(lambda tx: tx.shared("archive", "guides")) == replace(manuals, name="guides")
            assert db.read(lambda tx: tx.attachments(ana)) == [Attachment("archive", "guides", NOW, True)]
            assert db.read(lambda tx: tx.attached_to("archive", "manuals")) == []

    def test_effects_wait_in_the_outbox_in_the_order_of_their_numbers(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob, manuals = db.agent("ana"), db.agent("bob"), _shared(db, "manuals")
            drafts = [Outgoing(manuals.stored_name, "insert", text, NOW) for text in _HOSTILE]
            sent = [db.write(lambda tx, each=each: tx.put_outgoing(ana, each)) for each in drafts]
            assert sent == [replace(each, number=n) for n, each in enumerate(drafts, 1)]
            other = db.write(lambda tx: tx.put_outgoing(bob, drafts[0]))
            assert other.number == 1
        with self.opened(tmp_path) as db:
            assert db.read(lambda tx: tx.outgoing(ana)) == sent
            assert db.read(lambda tx: tx.outboxes()) == [ana, bob]
            assert db.write(lambda tx: tx.remove_outgoing(bob, 1))
            assert not db.write(lambda tx: tx.remove_outgoing(bob, 1))
            db.write(lambda tx: tx.park_outgoing(ana, 1, "why"))
            assert db.read(lambda tx: tx.outgoing(ana))[0] == replace(sent[0], parked="why")
            assert db.read(lambda tx: (tx.outboxes(), tx.outgoing(bob))) == ([ana], [])
            assert db.write(lambda tx: tx.put_outgoing(bob, drafts[0])).number == 2
            refused(NotFoundError, lambda: db.write(lambda tx: tx.park_outgoing(ana, 99, "why")))
            gone = AgentId(999)
            refused(NotFoundError, lambda: db.write(lambda tx: tx.put_outgoing(gone, drafts[0])))

    def test_the_last_effect_applied_to_a_target_is_kept_of_each_sender(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob, manuals = db.agent("ana"), db.agent("bob"), _shared(db, "manuals").id

            def undone(tx: Transaction) -> None:
                tx.set_delivered(manuals, ana, 9)
                tx.put_outgoing(ana, Outgoing("archive:manuals", "insert", "{}", NOW))
                raise NotFoundError

            refused(NotFoundError, lambda: db.write(undone))
            assert db.read(lambda tx: tx.outboxes()) == []
            for number in (3, 5):
                db.write(lambda tx, n=number: tx.set_delivered(manuals, ana, n))
            found = db.write(lambda tx: [tx.delivered(manuals, each) for each in (ana, bob)])
            assert found == [5, 0]
            refused(NotFoundError, lambda: db.write(lambda tx: tx.delivered(AgentId(999), ana)))
            db.write(lambda tx: tx.delete_agent(manuals))
            refused(NotFoundError, lambda: db.write(lambda tx: tx.delivered(manuals, ana)))

    def test_the_outbox_follows_a_target_that_is_renamed_and_goes_with_its_sender(
        self, tmp_path: Path
    ) -> None:
        with self.opened(tmp_path) as db:
            ana, manuals = db.agent("ana"), _shared(db, "manuals")
            strange = db.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW, tenant="firm"))).id
            sent = Outgoing(manuals.stored_name, "insert", "{}", NOW)
            for sender in (ana, strange, manuals.id):
                db.write(lambda tx, s=sender: tx.put_outgoing(s, sent))
            db.write(lambda tx: tx.rename_agent(manuals.id, shared_name("archive", "guides")))
            senders = (ana, strange, manuals.id)
            found = db.read(lambda tx: [tx.outgoing(s)[0].target for s in senders])
            assert found == ["archive:guides", "archive:manuals", "archive:guides"]
            db.write(lambda tx: tx.delete_agent(ana))
            assert db.read(lambda tx: tx.outboxes()) == sorted((strange, manuals.id))
