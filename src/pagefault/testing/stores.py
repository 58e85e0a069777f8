"""The conformance suite for stores: what the rest of pagefault relies on, as tests any back end can run.

    class TestMine(StoreConformance):
        def open(self, place: Path) -> Store:
            return MyStore(place)

The suite is pytest classes in shape (``tmp_path`` is pytest's) but imports no pytest. Here: transactions,
the log, sections, passages; agents are in ``store_agents``, documents in ``store_documents``, what
agents share in ``store_shared``, inbox and schedules in ``store_queues``, search and vectors in
``store_search``, turn locks in ``store_turns``. Leaves out durability, which each back end proves in its own
way.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pagefault.message_meta import MessageMeta
from pagefault.storage import Transaction
from pagefault.testing.store_agents import AgentConformance
from pagefault.testing.store_approvals import ApprovalConformance
from pagefault.testing.store_documents import DocumentConformance
from pagefault.testing.store_forgetting import ForgettingConformance
from pagefault.testing.store_media import MediaConformance
from pagefault.testing.store_opening import NOW, WILD, StoreOpening, refused, said
from pagefault.testing.store_queues import QueueConformance
from pagefault.testing.store_search import SearchConformance
from pagefault.testing.store_seen import SeenConformance
from pagefault.testing.store_shared import SharedConformance
from pagefault.testing.store_tenancy import TenancyConformance
from pagefault.testing.store_tidying import TidyingConformance
from pagefault.testing.store_turns import TurnConformance
from pagefault.testing.store_usage import UsageConformance
from pagefault.testing.store_vectors import VectorConformance
from pagefault.testing.store_withdrawing import WithdrawingConformance
from pagefault.types import (
    AgentRecord,
    Event,
    Message,
    Passage,
    QueueState,
    Role,
    Schedule,
    Section,
)

__all__ = ["StoreConformance"]


class _Undone(Exception):
    """The error that the tests raise inside a transaction."""


class _TransactionConformance(StoreOpening):
    def test_work_that_raises_is_undone_whole_and_its_error_is_the_callers(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            passage = db.write(lambda tx: tx.insert_passage(ana, Passage("kept", NOW)))
            event = db.write(lambda tx: tx.post(ana, Event("message", key="kept")))
            timer = db.write(lambda tx: tx.add_schedule(ana, Schedule("kept", NOW, "UTC")))
            db.write(lambda tx: tx.put_section(ana, Section("human", "", 10, "kept"), NOW))

            def work(tx: Transaction) -> None:
                tx.append(ana, [said("lost words")])
                tx.delete_passage(ana, passage.number)
                tx.insert_passage(ana, Passage("lost", NOW, ("lost",)))
                tx.set_event(ana, event.id, "done")
                tx.post(ana, Event("message", key="lost"))
                tx.move_schedule(ana, timer.number, NOW + timedelta(days=1))
                tx.remove_schedule(ana, timer.number)
                tx.add_schedule(ana, Schedule("lost", NOW, "UTC"))
                tx.put_section(ana, Section("human", "", 10, "lost"), NOW)
                tx.save_queue(ana, QueueState(start=7))
                tx.save_settings(ana, {"lost": True})
                tx.create_agent(AgentRecord("lost", {}, NOW))
                raise _Undone

            refused(_Undone, lambda: db.write(work))
            assert db.read(lambda tx: tx.messages(ana)) == []
            assert db.found(ana, "recall", "lost") == db.found(ana, "archival", "lost") == []
            assert db.read(lambda tx: tx.passages(ana, [1, 2])) == [passage]
            assert db.found(ana, "archival", "kept") == [1]
            assert db.read(lambda tx: tx.events(ana)) == [event]
            assert db.read(lambda tx: tx.schedules(ana)) == [timer]
            assert [s.text for s in db.read(lambda tx: tx.sections(ana))] == ["kept"]
            assert [a.name for a in db.read(lambda tx: tx.agents())] == ["ana"]
            record = db.read(lambda tx: tx.agent("ana"))
            assert record is not None
            assert (record.queue, record.settings, record.last_seq) == (QueueState(), {}, 0)

    def test_of_many_at_once_only_the_one_that_raises_is_undone(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")

            def work(number: int, tx: Transaction) -> int:
                row = tx.append(ana, [said(f"row {number}")])[0]
                if number % 3 == 0:
                    raise _Undone
                return row.seq

            async def all_at_once() -> list[int | BaseException]:
                jobs = [db.store.write(lambda tx, n=n: work(n, tx)) for n in range(30)]
                return await asyncio.gather(*jobs, return_exceptions=True)

            seqs = db.run(all_at_once())
            assert [isinstance(seq, _Undone) for seq in seqs] == [n % 3 == 0 for n in range(30)]
            assert sorted(seq for seq in seqs if isinstance(seq, int)) == list(range(1, 21))
            assert len(db.read(lambda tx: tx.messages(ana))) == 20

    def test_what_was_written_is_there_when_the_store_is_opened_again(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            stored = db.write(
                lambda tx: tx.append(ana, [said("hello", meta=MessageMeta(echo={"a": [1, None]}))])
            )
            passage = db.write(lambda tx: tx.insert_passage(ana, Passage("a fact", NOW, ("b", "a"), "me")))
            event = db.write(lambda tx: tx.post(ana, Event("message", "hi", "k", "bob", NOW)))
            timer = db.write(
                lambda tx: tx.add_schedule(ana, Schedule("n", NOW, "Asia/Tokyo", "* * * * *", "skip"))
            )
            section = db.write(lambda tx: tx.put_section(ana, Section("human", "d", 9, "t", True), NOW))
        with self.opened(tmp_path) as db:
            assert db.read(lambda tx: tx.messages(ana)) == stored
            assert db.read(lambda tx: tx.passage(ana, 1)) == passage
            assert db.read(lambda tx: tx.event(ana, 1)) == event
            assert db.read(lambda tx: tx.schedules(ana)) == [timer]
            assert db.read(lambda tx: tx.sections(ana)) == [section]
            assert db.found(ana, "recall", "hello") == db.found(ana, "archival", "fact") == [1]
            assert db.write(lambda tx: tx.append(ana, [said("next")]))[0].seq == 2


class _RecallConformance(StoreOpening):
    def test_rows_are_numbered_in_order_without_gaps(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.append(ana, [said("one"), said("two")]))
            db.write(lambda tx: tx.append(ana, []))
            stored = db.write(lambda tx: tx.append(ana, [said("three"), said("four")]))
            assert [(row.seq, row.text) for row in stored] == [(3, "three"), (4, "four")]
            assert [row.seq for row in db.read(lambda tx: tx.messages(ana))] == [1, 2, 3, 4]
            record = db.read(lambda tx: tx.agent("ana"))
            assert record is not None
            assert record.last_seq == 4

    def test_a_row_comes_back_as_it_was_stored(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            at = NOW.replace(microsecond=123457)
            row = Message(
                Role.CALL, "{}", at, "shown", 7, 3, 2, "call-1", "send_message", MessageMeta(echo={"k": "v"})
            )
            (stored,) = db.write(lambda tx: tx.append(ana, [row]))
            assert stored == replace(row, seq=1)
            assert db.read(lambda tx: tx.message(ana, 1)) == stored
            assert db.read(lambda tx: tx.message(ana, 2)) is None

    def test_completion_zero_stands_for_the_first_row_of_the_batch(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.append(ana, [said("before")]))
            rows = [replace(said("x"), completion=number) for number in (0, 0, 1, None)]
            stored = db.write(lambda tx: tx.append(ana, rows))
            assert [row.completion for row in stored] == [2, 2, 1, None]
            assert db.read(lambda tx: tx.messages(ana, first=2)) == stored

    def test_any_text_is_kept(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            for text in WILD:
                (row,) = db.write(
                    lambda tx, t=text: tx.append(ana, [said(t, meta=MessageMeta(echo={"t": t}))])
                )
                assert (row.text, row.meta.echo) == (text, {"t": text})
                assert db.read(lambda tx, seq=row.seq: tx.message(ana, seq)) == row

    def test_half_a_surrogate_pair_does_no_harm(self, tmp_path: Path) -> None:
        half = "before \ud83d after"
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            (row,) = db.write(lambda tx: tx.append(ana, [said(half, meta=MessageMeta(echo={"t": half}))]))
            db.write(lambda tx: tx.insert_passage(ana, Passage(half, NOW, (half,), half)))
            db.write(lambda tx: tx.post(ana, Event(half, half, half, half)))
            db.write(lambda tx: tx.put_section(ana, Section("human", half, 9, half), NOW))
            db.write(lambda tx: tx.add_schedule(ana, Schedule(half, NOW, "UTC")))
            db.write(lambda tx: tx.save_queue(ana, QueueState(head=half)))
            assert db.read(lambda tx: tx.message(ana, 1)) == row
            assert db.found(ana, "recall", "after") == db.found(ana, "archival", "before") == [1]

    def test_rows_are_read_by_range_role_and_event(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            roles = [Role.USER, Role.CALL, Role.RESULT, Role.ASSISTANT, Role.USER, Role.ASSISTANT]
            rows = [replace(said("x"), role=role, event=1 + seq // 4) for seq, role in enumerate(roles)]
            db.write(lambda tx: tx.append(ana, rows))

            def seqs(**chosen: object) -> list[int]:
                return [row.seq for row in db.read(lambda tx: tx.messages(ana, **chosen))]  # type: ignore[arg-type]

            assert seqs() == [1, 2, 3, 4, 5, 6]
            assert seqs(first=2, last=4) == [2, 3, 4]
            assert seqs(first=5, last=99) == [5, 6]
            assert seqs(first=4, last=3) == []
            assert seqs(roles=[Role.USER, Role.ASSISTANT]) == [1, 4, 5, 6]
            assert seqs(roles=[]) == []
            assert seqs(event=2) == [5, 6]
            assert seqs(newest=2) == [5, 6]
            assert seqs(newest=0) == []
            assert seqs(last=5, roles=[Role.USER, Role.ASSISTANT], newest=2) == [4, 5]
            assert seqs(event=1, roles=[Role.USER], newest=1) == [1]


class _MemoryConformance(StoreOpening):
    """Working context and archival storage."""

    def test_a_section_keeps_its_history_and_its_place(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, later = db.agent("ana"), NOW + timedelta(hours=1)
            first = db.write(lambda tx: tx.put_section(ana, Section("persona", "who", 50, "old"), NOW))
            human = db.write(lambda tx: tx.put_section(ana, Section("human", "you", 50), NOW))
            second = db.write(
                lambda tx: tx.put_section(ana, Section("persona", "who", 60, "new", True), later)
            )
            assert (first.version, human.version, second.version) == (1, 1, 2)
            assert db.read(lambda tx: tx.sections(ana)) == [second, human]
            assert db.read(lambda tx: tx.section_history(ana, "persona")) == [(NOW, first), (later, second)]
            assert db.read(lambda tx: tx.section_history(ana, "nothing")) == []

    def test_a_section_that_is_removed_leaves_its_history(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.put_section(ana, Section("notes", "", 50, "text"), NOW))
            db.write(lambda tx: tx.put_section(ana, Section("notes", "", 0), NOW))
            assert db.read(lambda tx: tx.sections(ana)) == []
            assert len(db.read(lambda tx: tx.section_history(ana, "notes"))) == 2
            again = db.write(lambda tx: tx.put_section(ana, Section("notes", "", 40), NOW))
            assert db.read(lambda tx: tx.sections(ana)) == [again]

    def test_passages_are_numbered_and_a_number_is_not_used_again(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            one, two = (
                db.write(lambda tx, t=t: tx.insert_passage(ana, Passage(t, NOW, ("b", "a", "b"), "file")))
                for t in ("one", "two")
            )
            assert (one.number, two.number, two.tags) == (1, 2, ("b", "a", "b"))
            assert db.write(lambda tx: tx.delete_passage(ana, 2))
            assert not db.write(lambda tx: tx.delete_passage(ana, 2))
            three = db.write(lambda tx: tx.insert_passage(ana, Passage("three", NOW)))
            assert three.number == 3
            assert db.read(lambda tx: tx.passages(ana, [3, 2, 1, 3])) == [three, one, three]
            assert db.read(lambda tx: tx.passage(ana, 2)) is None
            assert db.found(ana, "archival", "two") == []


class StoreConformance(
    _TransactionConformance,
    AgentConformance,
    _RecallConformance,
    UsageConformance,
    _MemoryConformance,
    DocumentConformance,
    SharedConformance,
    QueueConformance,
    ApprovalConformance,
    MediaConformance,
    TenancyConformance,
    SearchConformance,
    VectorConformance,
    TurnConformance,
    SeenConformance,
    WithdrawingConformance,
    TidyingConformance,
    ForgettingConformance,
):
    """Every promise of ``pagefault.storage``. Subclass it and say in ``open`` how your store is opened."""
