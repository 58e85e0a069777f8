"""The store suite's part on what was undone: it stays stored, and is out of all that is read by default."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pagefault.errors import NotFoundError
from pagefault.message_meta import MessageMeta, RequestUsage, Usage
from pagefault.storage import Filter, Match, Transaction
from pagefault.testing.store_opening import NOW, Opened, StoreOpening, refused, said, unit
from pagefault.types import (
    AgentId,
    Document,
    EventKind,
    Message,
    Page,
    Passage,
    Place,
    Role,
    Schedule,
    Section,
)

__all__ = ["WithdrawingConformance"]

PAID = RequestUsage("x:a", Usage(100, 10))


def turn(event: int, word: str) -> list[Message]:
    """The rows of a turn: a question, a call, its result, an answer, each with the word."""
    return [
        replace(said(f"{word} asked"), event=event, shown=f"{word} asked", speaker="Ana"),
        replace(said(f'{{"q": "{word}"}}', Role.CALL, usage=[PAID]), event=event, completion=0, call_id="c"),
        replace(said(f"{word} found", Role.RESULT), event=event, completion=0, call_id="c"),
        replace(said(f"{word} said", Role.ASSISTANT), event=event, shown=f"{word} said"),
    ]


def marker(tx_rows: int) -> Message:
    """The row that says that rows were undone."""
    return replace(said(f"{tx_rows} rows were undone", Role.ALERT), name="withdrawn")


class WithdrawingConformance(StoreOpening):
    """Withdrawing, which undoes."""

    def _two_turns(self, db: Opened) -> AgentId:
        """An agent with two turns: of apples, rows 1 to 4, and of pears, 5 to 8."""
        ana = db.agent("ana")
        for event, word in ((1, "apple"), (2, "pear")):
            rows = turn(event, word)
            db.write(lambda tx, rows=rows: (tx.append(ana, rows[:1]), tx.append(ana, rows[1:])))
        return ana

    def _undo(self, db: Opened, agent: AgentId, first: int) -> int:
        """Undo everything from a row on; how many rows that were."""

        def work(tx: Transaction) -> int:
            (row,) = tx.append(agent, [marker(0)])
            return tx.withdraw_rows(agent, first, row.seq)

        return db.write(work)

    def test_withdrawn_rows_are_read_only_if_asked_for(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._two_turns(db)
            before = db.read(lambda tx: tx.messages(ana))
            assert self._undo(db, ana, 5) == 4
            rows = db.read(lambda tx: tx.messages(ana))
            assert [row.seq for row in rows] == [1, 2, 3, 4, 9]
            every = db.read(lambda tx: tx.messages(ana, withdrawn=True))
            assert every[:8] == before[:4] + [replace(row, withdrawn=9) for row in before[4:]]
            assert db.read(lambda tx: tx.message(ana, 6)) == replace(before[5], withdrawn=9)
            assert db.read(lambda tx: tx.messages(ana, event=2)) == []
            assert len(db.read(lambda tx: tx.messages(ana, event=2, withdrawn=True))) == 4
            assert [r.seq for r in db.read(lambda tx: tx.messages(ana, newest=2))] == [4, 9]
            last = db.read(lambda tx: tx.completion_row(ana, 99))
            assert last is not None
            assert last.seq == 2
        with self.opened(tmp_path) as db:
            assert db.read(lambda tx: tx.messages(ana)) == rows

    def test_a_row_is_withdrawn_once(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._two_turns(db)
            assert self._undo(db, ana, 5) == 4
            assert self._undo(db, ana, 1) == 5, (
                "the first turn, and the row that says that the other is undone"
            )
            marks = [row.withdrawn for row in db.read(lambda tx: tx.messages(ana, withdrawn=True))]
            assert marks == [10] * 4 + [9] * 4 + [10, None]
            assert db.write(lambda tx: tx.withdraw_rows(ana, 5, 5)) == 0
            refused(NotFoundError, lambda: db.write(lambda tx: tx.withdraw_rows(AgentId(99), 1, 2)))

    def test_what_was_appended_from_outside_stays(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._two_turns(db)
            outside = replace(said("plum elsewhere"), name=EventKind.APPENDED)
            db.write(lambda tx: tx.append(ana, [outside, *turn(3, "fig")]))
            assert self._undo(db, ana, 5) == 8
            assert [row.seq for row in db.read(lambda tx: tx.messages(ana))] == [1, 2, 3, 4, 9, 14]
            assert db.found(ana, "recall", "plum") == [9]

    def test_search_is_as_if_withdrawn_rows_had_never_been(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bo = self._two_turns(db), db.agent("bo")
            assert db.found(ana, "recall", "pear") == [8, 5]
            self._undo(db, ana, 5)
            db.write(lambda tx: tx.append(ana, turn(3, "fig")))
            assert db.found(ana, "recall", "pear") == []
            assert db.found(ana, "recall", "", "pear asked") == []
            every = Filter(roles=tuple(Role))
            assert db.found(ana, "recall", "pear", filter=every) == []
            assert db.found(ana, "recall", "said") == [13, 4]
            # The same log, in which the turn never was, but for the numbers.
            for event, word in ((1, "apple"), (3, "fig")):
                rows = turn(event, word) if event == 1 else [marker(0), *turn(event, word)]
                db.write(lambda tx, rows=rows: tx.append(bo, rows))
            for match in (Match(("fig",)), Match(("said", "apple")), Match()):
                one = db.read(lambda tx, m=match: tx.search(ana, "recall", m, every, "f"))
                other = db.read(lambda tx, m=match: tx.search(bo, "recall", m, every, "f"))
                assert one.number.tolist() == [n if n < 5 else n + 4 for n in other.number.tolist()]
                assert one.lexical.tolist() == other.lexical.tolist()
                assert (one.position == other.position).all()
                assert (one.session == other.session).all()
                assert (one.whole, one.speakers) == (other.whole, other.speakers)
            texts = db.read(lambda tx: tx.texts(ana, "recall", [4, 5]))
            assert list(texts) == [4]

    def test_vectors_of_withdrawn_rows_are_gone_and_none_are_made(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._two_turns(db)
            waiting = db.read(lambda tx: tx.pending_vectors("f", 99))
            assert [item.number for item in waiting] == [1, 4, 5, 8]
            db.embed(waiting[:3], *(unit(1, n) for n in range(3)))
            self._undo(db, ana, 5)
            assert db.read(lambda tx: tx.pending_vectors("f", 99)) == waiting[1:1]
            db.embed(waiting[3:], unit(0, 1))  # it was on its way
            assert db.read(lambda tx: tx.embedded("f")) == (2, 2)
            near = db.search(ana, "recall", Match(vector=unit(1, 2), floor=-1.0))
            assert near.numbers == [4, 1]
            assert not db.write(lambda tx: tx.settle_vectors(["f"]))

    def test_usage_of_withdrawn_rows_is_known_apart(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._two_turns(db)
            assert db.read(lambda tx: tx.withdrawn_usage(ana)) == []
            self._undo(db, ana, 5)
            assert [each.seq for each in db.read(lambda tx: tx.spent(ana))] == [2]
            (total,) = db.read(lambda tx: tx.usage_totals(ana))
            (undone,) = db.read(lambda tx: tx.withdrawn_usage(ana))
            assert (total.requests, undone.requests) == (2, 1)
            assert total.start == undone.start
            assert undone.usage == PAID.usage
            # Exact to the row, too: what was paid is in the sums of a part of a quarter of an hour.
            second = timedelta(seconds=1)
            (part,) = db.read(lambda tx: tx.usage_totals(ana, since=NOW, until=NOW + second))
            assert part.requests == 2
            assert db.read(lambda tx: tx.withdrawn_usage(ana, since=NOW + second)) == []
            assert [each.requests for each in db.read(lambda tx: tx.usage_of_all(NOW))] == [2]

    def test_passages_are_withdrawn_by_the_events_they_were_stored_in(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._two_turns(db)
            made = [
                db.write(lambda tx, p=p: tx.insert_passage(ana, p))
                for p in (
                    Passage("kiwi one", NOW, ("t",), event=1),
                    Passage("kiwi two", NOW, ("t", "u"), title="kiwi", event=2),
                    Passage("kiwi from outside", NOW),
                )
            ]
            assert [each.born for each in made] == [8, 8, 8]
            assert db.write(lambda tx: tx.withdraw_passages(ana, 9, events=[2, 7])) == [2]
            assert db.write(lambda tx: tx.withdraw_passages(ana, 9, events=[2])) == []
            assert db.found(ana, "archival", "kiwi") == [3, 1]
            assert db.found(ana, "archival", filter=Filter(tags=("t",))) == [1]
            assert db.read(lambda tx: tx.passage(ana, 2)) is None
            assert db.read(lambda tx: tx.passages(ana, [1, 2, 3])) == [made[0], made[2]]
            assert not db.write(lambda tx: tx.delete_passage(ana, 2))
            assert db.read(lambda tx: tx.holdings(ana)) == (2, 0)
            stored = db.read(lambda tx: tx.stored_passages(ana))
            assert stored == [made[0], replace(made[1], withdrawn=9), made[2]]
            assert [each.born for each in stored] == [8, 8, 8]
            assert [p.number for p in db.read(lambda tx: tx.stored_passages(ana, 1, 1))] == [2]
            assert [
                p.number for p in db.read(lambda tx: tx.pending_vectors("f", 99)) if p.tier == "archival"
            ] == [1, 3]
            assert db.write(lambda tx: tx.withdraw_passages(ana, 9, numbers=[3, 2, 77])) == [3]
            assert db.found(ana, "archival", "kiwi") == [1]

    def test_a_document_goes_with_its_withdrawn_passages(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            document = Document("a.md", "A", "text/markdown", "0" * 64, NOW, 1)
            chunks = [Passage(f"kiwi {n}", NOW, place=Place(0, 1)) for n in range(2)]
            db.write(lambda tx: tx.put_document(ana, document, [Page(1, "", "kiwi")], chunks))
            assert db.write(lambda tx: tx.withdraw_passages(ana, 1, numbers=[1])) == [1]
            assert db.found(ana, "archival", "kiwi") == [2]
            assert db.write(lambda tx: tx.delete_document(ana, 1))
            assert db.read(lambda tx: tx.stored_passages(ana)) == []
            db.write(lambda tx: tx.insert_passage(ana, Passage("kiwi again", NOW)))
            assert db.found(ana, "archival", "kiwi") == [3]

    def test_withdrawn_timers_do_not_fire(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            made = [
                db.write(lambda tx, e=event: tx.add_schedule(ana, Schedule(f"of {e}", NOW, "UTC", event=e)))
                for event in (1, 2, None)
            ]
            gone = db.write(lambda tx: tx.withdraw_schedules(ana, [2, 3], 9))
            assert gone == [replace(made[1], withdrawn=9)]
            assert db.write(lambda tx: tx.withdraw_schedules(ana, [2, 3], 9)) == []
            left = [made[0], made[2]]
            assert db.read(lambda tx: tx.schedules(ana)) == left
            assert db.read(lambda tx: tx.schedules(ana, withdrawn=True)) == [made[0], *gone, made[2]]
            assert [timer for _, timer in db.read(lambda tx: tx.due_schedules(NOW, 9))] == left
            assert not db.write(lambda tx: tx.remove_schedule(ana, 2))
            refused(NotFoundError, lambda: db.write(lambda tx: tx.move_schedule(ana, 2, NOW)))
            refused(NotFoundError, lambda: db.write(lambda tx: tx.park_schedule(ana, 2, "no")))

    def test_a_version_of_a_section_knows_the_last_row_before_it(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.put_section(ana, Section("human", "", 10, "one"), NOW))
            db.write(lambda tx: tx.append(ana, turn(1, "apple")))
            db.write(lambda tx: tx.put_section(ana, Section("human", "", 10, "two"), NOW))
            history = db.read(lambda tx: tx.section_history(ana, "human"))
            assert [section.born for _, section in history] == [0, 4]
            assert [section.born for section in db.read(lambda tx: tx.sections(ana))] == [4]

    def test_work_that_fails_withdraws_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._two_turns(db)
            db.write(lambda tx: tx.insert_passage(ana, Passage("kiwi", NOW, ("t",), event=2)))
            timer = db.write(lambda tx: tx.add_schedule(ana, Schedule("x", NOW, "UTC", event=2)))
            before = db.read(lambda tx: tx.messages(ana))

            def work(tx: Transaction) -> None:
                tx.withdraw_rows(ana, 1, 9)
                tx.withdraw_passages(ana, 9, events=[2])
                tx.withdraw_schedules(ana, [2], 9)
                raise KeyError

            refused(KeyError, lambda: db.write(work))
            assert db.read(lambda tx: tx.messages(ana)) == before
            assert db.found(ana, "recall", "pear") == [8, 5]
            assert db.found(ana, "archival", "kiwi", filter=Filter(tags=("t",))) == [1]
            assert db.read(lambda tx: tx.schedules(ana)) == [timer]

    def test_withdrawing_in_the_middle_of_a_summary_keeps_its_facts(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._two_turns(db)
            summary = said("they met", Role.SUMMARY, meta=MessageMeta(messages=8, through=8))
            db.write(lambda tx: tx.append(ana, [summary]))
            self._undo(db, ana, 5)
            found = db.read(lambda tx: tx.messages(ana, roles=(Role.SUMMARY,), withdrawn=True))
            assert [(row.withdrawn, row.meta.through) for row in found] == [(10, 8)]
