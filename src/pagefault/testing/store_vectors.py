"""For stores: the part of the conformance suite on vectors and the rows that wait for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

from pagefault.storage import Filter, Match, OtherVector, PendingVector
from pagefault.testing.store_opening import NOW, StoreOpening, said, unit
from pagefault.types import Passage, Role

__all__ = ["VectorConformance"]


class VectorConformance(StoreOpening):
    def test_rows_wait_for_a_vector_oldest_first_until_they_have_one(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            kinds = [Role.USER, Role.CALL, Role.ASSISTANT, Role.EVENT, Role.RESULT, Role.SUMMARY, Role.ALERT]
            db.write(lambda tx: tx.append(ana, [said(f"row {role}", role) for role in kinds]))
            db.write(lambda tx: tx.append(ana, [said(" \n")]))
            db.write(lambda tx: tx.insert_passage(ana, Passage("a fact", NOW + timedelta(days=1))))
            waiting = db.read(lambda tx: tx.pending_vectors("f", 10))
            assert [(item.tier, item.number) for item in waiting] == [
                ("recall", 1),
                ("recall", 3),
                ("recall", 4),
                ("archival", 1),
            ]
            assert waiting[3] == PendingVector(ana, "archival", 1, "a fact")
            assert db.read(lambda tx: tx.pending_vectors("f", 2)) == waiting[:2]
            db.embed(waiting[1:3], unit(1, 0), unit(0, 1))
            assert db.read(lambda tx: tx.pending_vectors("f", 10)) == [waiting[0], waiting[3]]
            db.embed([waiting[3], waiting[0]], unit(1, 0), unit(1, 0))
            assert db.read(lambda tx: tx.pending_vectors("f", 10)) == []
            assert len(db.read(lambda tx: tx.pending_vectors("another", 10))) == 4
            db.write(lambda tx: tx.append(ana, [said("more")]))
            assert [item.number for item in db.read(lambda tx: tx.pending_vectors("f", 10))] == [8 + 1]

    def test_storing_vectors_again_or_for_what_is_gone_does_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.append(ana, [said("red")]))
            db.write(lambda tx: tx.insert_passage(ana, Passage("blue", NOW)))
            row, passage = db.read(lambda tx: tx.pending_vectors("f", 10))
            db.write(lambda tx: tx.delete_passage(ana, passage.number))
            changed = replace(row, text="another text")
            for _ in range(2):
                db.embed([row, passage, changed], unit(1, 0), unit(1, 0), unit(0, 1))
            found = db.search(ana, "recall", Match(vector=unit(1, 0)))
            assert (found.numbers, found.cosine) == ([1], [1.0])
            assert db.search(ana, "archival", Match(vector=unit(1, 0))).numbers == []
            db.write(lambda tx: tx.delete_agent(ana))
            db.embed([row], unit(1, 0))

    def test_a_row_is_found_by_terms_or_by_cosine_and_reports_both(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(
                lambda tx: tx.append(ana, [said(t) for t in ("cat", "feline", "car", "cat door", "late cat")])
            )
            waiting = db.read(lambda tx: tx.pending_vectors("f", 4))
            db.embed(waiting, unit(1, 0), unit(4, 3), unit(0, 1), unit(3, 4))
            match = Match(("cat",), vector=unit(1, 0), floor=0.7)
            found = db.search(ana, "recall", match)
            assert found.numbers == [5, 4, 2, 1]
            assert np.allclose(found.cosine, [np.nan, 0.6, 0.8, 1.0], atol=2e-3, equal_nan=True)
            assert [score > 0 for score in found.lexical] == [True, True, False, True]

    def test_a_row_that_is_not_read_waits_no_longer_and_has_no_vector(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.append(ana, [said(t) for t in ("кошка", "cat", "собака")]))
            rows = db.read(lambda tx: tx.pending_vectors("f", 9))
            nothing = np.empty((0, 2), np.float32)
            db.write(lambda tx: tx.put_vectors("f", rows[:1], [nothing]))
            assert db.read(lambda tx: tx.embedded("f")) == (1, 3)
            db.write(lambda tx: tx.put_vectors("f", rows, [nothing, unit(1, 0)[None], nothing]))
            assert db.read(lambda tx: tx.pending_vectors("f", 9)) == []
            assert db.read(lambda tx: tx.embedded("f")) == (3, 3)
            found = db.search(ana, "recall", Match(vector=unit(1, 0), floor=-1))
            assert found.numbers == [2]
            while db.write(lambda tx: tx.forget_vectors("f", 2)):
                pass
            assert len(db.read(lambda tx: tx.pending_vectors("f", 9))) == 3

    def test_rows_without_the_first_vector_are_compared_by_the_other(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.append(ana, [said(t) for t in ("cat", "кошка", "собака", "late")]))
            rows = db.read(lambda tx: tx.pending_vectors("f", 9))[:3]
            nothing = np.empty((0, 2), np.float32)
            db.write(lambda tx: tx.put_vectors("f", rows, [unit(1, 0)[None], nothing, nothing]))
            others = [np.atleast_2d(unit(*vector)) for vector in ((0, 0, 1), (3, 4, 0), (0, 1, 0))]
            db.write(lambda tx: tx.put_vectors("g", rows, others))
            other = OtherVector("g", unit(1, 0, 0), gain=0.5, offset=0.25)
            found = db.search(ana, "recall", Match(vector=unit(4, 3), floor=0.5, elsewhere=other))
            assert found.numbers == [2, 1]
            assert np.allclose(found.cosine, [0.55, 0.8], atol=2e-3)

    def test_exact_text_and_the_filter_bind_vectors_too(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            rows = [said("code 42", hours=1), said("code 43", hours=2), said("far 42", hours=3)]
            db.write(lambda tx: tx.append(ana, rows))
            db.embed(db.read(lambda tx: tx.pending_vectors("f", 9)), unit(1, 0), unit(1, 0), unit(0, 1))
            near = Match(vector=unit(1, 0), floor=0.5)
            exact = replace(near, exact=(("42",),))

            def found(match: Match, filter: Filter, fingerprint: str = "f") -> list[int]:
                return db.search(ana, "recall", match, filter, fingerprint).numbers

            assert found(near, Filter()) == [2, 1]
            assert found(exact, Filter()) == [3, 1]
            assert found(replace(exact, terms=("far",)), Filter()) == [3, 1]
            assert found(near, Filter(before=2)) == [1]
            assert found(near, Filter(roles=(Role.CALL,))) == []
            assert found(near, Filter(), "another") == []
