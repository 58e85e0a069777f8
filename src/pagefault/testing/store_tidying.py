"""The store suite's part on facts alike: found by their keys, superseded, limited in time, found by
searches."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pagefault.errors import NotFoundError
from pagefault.storage import Transaction
from pagefault.storage.forking import ForkPlace
from pagefault.storage.tidying import FactKeys, FactSpan
from pagefault.testing.store_opening import NOW, Opened, StoreOpening, refused
from pagefault.types import AgentId, Document, Page, Passage, Place

__all__ = ["TidyingConformance"]

LATER = NOW + timedelta(days=1)


def fact(text: str, same: int | None = None, about: int | None = None, event: int | None = None) -> Passage:
    """A fact with its keys."""
    return Passage(text, NOW, ("t",), same=same, about=about, event=event)


class TidyingConformance(StoreOpening):
    """Facts alike, and marks that last as long as what took a fact's place."""

    def _three(self, db: Opened) -> AgentId:
        """An agent with three facts on one thing, of which each one supersedes the one before it."""
        ana = db.agent("ana")
        for event, text in enumerate(("Lisbon", "Porto", "Rome"), 1):
            db.write(lambda tx, t=text, e=event: tx.insert_passage(ana, fact(t, e, 7, e)))
        for event, number in ((2, 1), (3, 2)):
            at = NOW + timedelta(hours=number)
            db.write(lambda tx, n=number, e=event, at=at: tx.supersede_passage(ana, n, n + 1, at, e))
        return ana

    def _marks(self, db: Opened, agent: AgentId) -> dict[int, int | None]:
        """The numbers of what supersedes passages, by the number of each that is marked."""
        return {each.number: each.superseded for each in db.read(lambda tx: tx.fact_spans(agent))}

    def test_passages_are_found_by_their_keys(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bo = db.agent("ana"), db.agent("bo")
            largest = 2**63 - 1
            for passage in (fact("a", largest, 5), fact("b", 1, 5), fact("c", largest), fact("d", 2, 6)):
                stored = db.write(lambda tx, p=passage: tx.insert_passage(ana, p))
                assert (stored.same, stored.about) == (passage.same, passage.about)
            chunk = Passage("chunk", NOW, place=Place(0, 1), same=largest)
            document = Document("a.md", "A", "text/markdown", "0" * 64, NOW, 1)
            db.write(lambda tx: tx.put_document(ana, document, [Page(1, "", "chunk")], [chunk]))

            def alike(agent: AgentId, same: int, about: int | None = None) -> list[str]:
                found = db.write(lambda tx: tx.alike_passages(agent, FactKeys(same, about)))
                return [each.text for each in found]

            assert alike(ana, largest) == ["c", "a"]
            assert alike(ana, largest, 5) == ["c", "b", "a"]
            assert alike(ana, 3, 6) == ["d"]
            assert alike(bo, largest, 5) == []
            db.write(lambda tx: tx.withdraw_passages(ana, 1, numbers=[3]))
            db.write(lambda tx: tx.supersede_passage(ana, 1, 2, LATER))
            assert alike(ana, largest, 5) == ["b"]
            refused(NotFoundError, lambda: alike(AgentId(99), 1))

    def test_passages_get_keys_later(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            for passage in (fact("a"), fact("b", 1), fact("c")):
                db.write(lambda tx, p=passage: tx.insert_passage(ana, p))
            chunk = Passage("chunk", NOW, place=Place(0, 1))
            document = Document("a.md", "A", "text/markdown", "0" * 64, NOW, 1)
            db.write(lambda tx: tx.put_document(ana, document, [Page(1, "", "chunk")], [chunk]))
            assert [p.text for p in db.write(lambda tx: tx.unkeyed_passages(ana, 1))] == ["a"]
            assert [p.text for p in db.write(lambda tx: tx.unkeyed_passages(ana, 9))] == ["a", "c"]
            db.write(lambda tx: tx.key_passages(ana, {1: FactKeys(4, 5), 3: FactKeys(6)}))
            assert db.write(lambda tx: tx.unkeyed_passages(ana, 9)) == []
            stored = db.read(lambda tx: tx.passages(ana, [1, 3]))
            assert [(p.same, p.about) for p in stored] == [(4, 5), (6, None)]

    def test_a_superseded_passage_stays_and_is_marked(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._three(db)
            first, second, third = db.read(lambda tx: tx.passages(ana, [1, 2, 3]))
            assert (first.superseded, first.ended) == (2, NOW + timedelta(hours=1))
            assert (second.superseded, third.superseded, third.ended) == (3, None, None)
            spans = db.read(lambda tx: tx.fact_spans(ana))
            assert spans == [
                FactSpan(1, superseded=2, ended=NOW + timedelta(hours=1)),
                FactSpan(2, superseded=3, ended=NOW + timedelta(hours=2)),
            ]
            for number, by in ((1, 1), (1, 9), (9, 1)):
                assert not db.write(lambda tx, n=number, b=by: tx.supersede_passage(ana, n, b, None))
            assert db.write(lambda tx: tx.restore_passage(ana, 1))
            assert not db.write(lambda tx: tx.restore_passage(ana, 1))
            assert self._marks(db, ana) == {2: 3}
            assert db.write(lambda tx: tx.supersede_passage(ana, 1, 3, None))
            (again,) = db.read(lambda tx: tx.passages(ana, [1]))
            assert (again.superseded, again.ended) == (3, None)

    def test_a_mark_goes_with_what_took_the_place(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._three(db)
            assert db.write(lambda tx: tx.delete_passage(ana, 2))
            assert self._marks(db, ana) == {1: 3}
            assert db.write(lambda tx: tx.erase_passages(ana, [3])) == 1
            assert self._marks(db, ana) == {}
            (first,) = db.read(lambda tx: tx.passages(ana, [1]))
            assert (first.superseded, first.ended) == (None, None)

    def test_undoing_turns_takes_their_marks_back(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._three(db)
            assert db.write(lambda tx: tx.withdraw_passages(ana, 9, events=[3])) == [3]
            assert self._marks(db, ana) == {1: 2}
            db.write(lambda tx: tx.insert_passage(ana, fact("Rome", 3, 7)))
            db.write(lambda tx: tx.supersede_passage(ana, 2, 4, LATER, 8))  # neither is of that turn
            assert self._marks(db, ana) == {1: 2, 2: 4}
            assert db.write(lambda tx: tx.withdraw_passages(ana, 9, events=[8])) == []
            assert self._marks(db, ana) == {1: 2}
            assert db.write(lambda tx: tx.withdraw_passages(ana, 9, events=[1, 2])) == [1, 2]
            assert self._marks(db, ana) == {}

    def test_a_chain_that_is_undone_at_once_leaves_no_mark(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._three(db)
            assert db.write(lambda tx: tx.withdraw_passages(ana, 9, events=[2, 3])) == [2, 3]
            assert self._marks(db, ana) == {}

    def test_passages_say_when_they_hold(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            since, until = NOW - timedelta(days=9), LATER
            limited = Passage("a", NOW, valid_from=since, valid_until=until)
            stored = db.write(lambda tx: tx.insert_passages(ana, [limited, Passage("b", NOW)]))
            assert db.read(lambda tx: tx.passages(ana, [1, 2])) == stored
            assert db.read(lambda tx: tx.fact_spans(ana)) == [FactSpan(1, since, until)]
            db.write(lambda tx: tx.withdraw_passages(ana, 9, numbers=[1]))
            assert db.read(lambda tx: tx.fact_spans(ana)) == []
            assert db.read(lambda tx: tx.fact_spans(AgentId(99))) == []

    def test_passages_know_when_they_were_last_found(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.insert_passages(ana, [Passage(text, NOW) for text in "abc"]))
            for numbers, at in (([1, 2, 9], NOW), ([2], LATER), ([], LATER)):
                db.write(lambda tx, n=numbers, at=at: tx.note_found(ana, n, at))
            found = [each.found for each in db.read(lambda tx: tx.passages(ana, [1, 2, 3]))]
            assert found == [NOW, LATER, None]

    def test_work_that_fails_marks_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._three(db)
            before = db.read(lambda tx: tx.stored_passages(ana))

            def work(tx: Transaction) -> None:
                tx.supersede_passage(ana, 3, 1, LATER)
                tx.restore_passage(ana, 1)
                tx.note_found(ana, [1], LATER)
                tx.key_passages(ana, {1: FactKeys(99, 99)})
                tx.withdraw_passages(ana, 9, events=[3])
                raise KeyError

            refused(KeyError, lambda: db.write(work))
            after = db.read(lambda tx: tx.stored_passages(ana))
            assert [(p, p.found, p.same, p.about) for p in after] == [
                (p, p.found, p.same, p.about) for p in before
            ]

    def test_a_fork_has_the_marks(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = self._three(db)
            draft = db.write(lambda tx: tx.begin_fork(ana, "copy", NOW)).id
            place = db.write(lambda tx: tx.copy_next(ana, draft, ForkPlace()))
            db.write(lambda tx: tx.restore_passage(ana, 1))
            db.write(lambda tx: tx.insert_passage(ana, fact("Oslo", 4, 7)))
            db.write(lambda tx: tx.supersede_passage(ana, 3, 4, LATER, 5))
            while place is not None:
                place = db.write(lambda tx, p=place: tx.copy_next(ana, draft, p))
            assert db.write(lambda tx: tx.finish_fork(ana, draft, "copy"))
            assert self._marks(db, draft) == self._marks(db, ana) == {2: 3, 3: 4}
            db.write(lambda tx: tx.withdraw_passages(draft, 9, events=[5]))
            assert (self._marks(db, draft), self._marks(db, ana)) == ({2: 3}, {2: 3, 3: 4})
