"""Conformance of a store in what a past main context is found by: completions, sections at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from pagefault.testing.store_opening import NOW, StoreOpening, said
from pagefault.types import Role, Section

__all__ = ["SeenConformance"]


class SeenConformance(StoreOpening):
    def test_the_completion_beside_a_row_is_found(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            thought = replace(said("hm"), role=Role.THOUGHT, completion=0)
            for rows in ([said("hi")], [thought, thought, replace(thought, role=Role.RESULT)], [said("x")]):
                db.write(lambda tx, rows=rows: tx.append(ana, rows))
            db.write(lambda tx: tx.append(ana, [thought]))

            def found(seq: int, *, behind: bool = False) -> int | None:
                row = db.read(lambda tx: tx.completion_row(ana, seq, behind=behind))
                assert row is None or row == db.read(lambda tx: tx.message(ana, row.seq))
                return row and row.seq

            assert [found(seq) for seq in (0, 1, 2, 4, 5, 6, 99)] == [None, None, 2, 2, 2, 6, 6]
            assert [found(seq, behind=True) for seq in (0, 1, 2, 5, 6)] == [2, 2, 6, 6, None]
            assert db.read(lambda tx: tx.completion_row(bob, 99)) is None

    def test_sections_are_found_as_they_stood_at_a_time(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            hours = [NOW + timedelta(hours=hour) for hour in range(4)]

            def put(name: str, text: str, hour: int, limit: int = 50) -> Section:
                return db.write(
                    lambda tx: tx.put_section(ana, Section(name, "", limit, text, hour == 2), hours[hour])
                )

            first, human = put("persona", "old", 0), put("human", "", 1)
            second, gone = put("persona", "new", 2), put("human", "", 3, limit=0)

            def at(time: datetime) -> list[tuple[datetime, Section]]:
                return db.read(lambda tx: tx.sections_at(ana, time))

            just_before = timedelta(microseconds=1)
            assert at(hours[0] - just_before) == []
            assert at(hours[0]) == [(hours[0], first)]
            assert at(hours[2] - just_before) == [(hours[0], first), (hours[1], human)]
            assert at(hours[2]) == [(hours[2], second), (hours[1], human)]
            assert at(hours[3] + just_before) == [(hours[2], second), (hours[3], gone)]
            assert db.read(lambda tx: tx.sections_at(bob, hours[3])) == []
