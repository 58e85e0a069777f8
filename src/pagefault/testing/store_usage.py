"""The part of the store suite on the usage of requests: row by row, and in sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pagefault.message_meta import MessageMeta, RequestUsage, Usage
from pagefault.storage import RowUsage, UsageTotal
from pagefault.testing.store_opening import NOW, Opened, StoreOpening, said
from pagefault.types import AgentId, Message, Role

__all__ = ["UsageConformance"]

QUARTER_PAST = NOW.replace(minute=15, second=0, microsecond=0)
"""The start of a quarter of an hour, before ``NOW``."""


def asked(model: str, tokens: int = 7, **more: int | str | bool) -> RequestUsage:
    return RequestUsage(model, Usage(input=tokens), **more)  # type: ignore[arg-type]


def used(minutes: float, *usage: RequestUsage) -> Message:
    """A row with usage, so many minutes after ``QUARTER_PAST``."""
    return replace(said("x", Role.CALL, usage=usage), at=QUARTER_PAST + timedelta(minutes=minutes))


def shown(totals: Sequence[UsageTotal]) -> list[tuple[float, str, int, int]]:
    """Minutes after ``QUARTER_PAST``, model, requests and input tokens of each total."""
    return [
        ((t.start - QUARTER_PAST) / timedelta(minutes=1), t.model, t.requests, t.usage.input) for t in totals
    ]


class UsageConformance(StoreOpening):
    def test_usage_is_read_from_the_rows_that_have_it_without_their_text(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            whole = Usage(1, 2, 3, 4, 5)
            first = RequestUsage("x:a", whole, counted=6, answered="a-1", estimated=True, cut=True)
            second = asked("x:b", 9)
            call = replace(said("1", Role.CALL, usage=[first, second]), event=4)
            named = said('"usage": [', meta=MessageMeta(echo={"usage": [{"model": "x:a"}]}))
            summary = said("2", Role.SUMMARY, meta=MessageMeta(messages=3), usage=[second])
            db.write(lambda tx: tx.append(ana, [said("0"), call, named, summary]))
            db.write(lambda tx: tx.append(bob, [said("0", usage=[first])]))
            assert db.read(lambda tx: tx.spent(ana)) == [
                RowUsage(2, NOW, 4, Role.CALL, (first, second)),
                RowUsage(4, NOW, None, Role.SUMMARY, (second,)),
            ]
            assert [row.usage for row in db.read(lambda tx: tx.messages(ana))] == [
                (), (first, second), (), (second,),
            ]  # fmt: skip

    def test_usage_is_chosen_by_time_model_and_number(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, models = db.agent("ana"), ("x:a", "x:a-1", 'x:"é', "x:a")
            rows = [said("", hours=hour, usage=[asked(name)]) for hour, name in enumerate(models)]
            db.write(lambda tx: tx.append(ana, rows))

            def seqs(**chosen: object) -> list[int]:
                return [row.seq for row in db.read(lambda tx: tx.spent(ana, **chosen))]  # type: ignore[arg-type]

            assert seqs() == [1, 2, 3, 4]
            assert seqs(since=rows[1].at) == [2, 3, 4]
            assert seqs(until=rows[1].at) == [1]
            assert seqs(since=rows[1].at, until=rows[3].at) == [2, 3]
            assert seqs(model="x:a") == [1, 4]
            assert seqs(model='x:"é') == [3]
            assert seqs(model="x:") == []
            assert seqs(newest=2) == [3, 4]
            assert seqs(model="x:a", newest=1, until=rows[3].at) == [1]
            assert seqs(newest=0) == []

    def test_a_model_of_any_name_has_its_usage(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.append(ana, [said("", usage=[asked("null \0, half \ud83d", 3)])]))
            (total,) = db.read(lambda tx: tx.usage_totals(ana))
            assert db.read(lambda tx: tx.spent(ana, model="x")) == []
            assert total.usage.input == 3

    def test_totals_are_sums_by_period_model_and_tier(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            whole, off = Usage(1000, 20, 30, 40, 5), asked("x:a", 1000, counted=1100)
            rows = [
                used(0, RequestUsage("x:a", whole, counted=900), off),
                used(14, asked("x:a", estimated=True), asked("x:b"), asked("x:a", answered="a-1")),
                used(15, asked("x:a", 200_001), asked("x:a", 200_000)),
            ]
            for row in rows:
                db.write(lambda tx, row=row: tx.append(ana, [row]))
            found = db.read(lambda tx: tx.usage_totals(ana, step=timedelta(minutes=15)))
            start, later = QUARTER_PAST, QUARTER_PAST + timedelta(minutes=15)
            assert found == [
                UsageTotal(start, "x:a", "", 0, 3, 1, Usage(2007, 20, 30, 40, 5), 2, 0),
                UsageTotal(start, "x:a", "a-1", 0, 1, 0, Usage(7), 0, 0),
                UsageTotal(start, "x:b", "", 0, 1, 0, Usage(7), 0, 0),
                UsageTotal(later, "x:a", "", 199_999, 1, 0, Usage(200_000), 0, 0),
                UsageTotal(later, "x:a", "", 200_000, 1, 0, Usage(200_001), 0, 0),
            ]
            (hour, *_) = db.read(lambda tx: tx.usage_totals(ana))
            assert hour.start == QUARTER_PAST.replace(minute=0)
            assert db.read(lambda tx: tx.usage_totals(AgentId(99))) == []

    def test_totals_of_a_time_are_exact_to_the_row(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            for minute in range(0, 60, 5):
                db.write(lambda tx, m=minute: tx.append(ana, [used(m, asked("x:a", 1 + m))]))

            def totals(since: float | None, until: float | None, step: int = 15) -> int:
                def at(minutes: float | None) -> object:
                    return None if minutes is None else QUARTER_PAST + timedelta(minutes=minutes)

                chosen = {"since": at(since), "until": at(until), "step": timedelta(minutes=step)}
                found = db.read(lambda tx: tx.usage_totals(ana, **chosen))  # type: ignore[arg-type]
                for total in found:
                    assert not (total.start - QUARTER_PAST) % timedelta(minutes=15)
                return sum(total.usage.input for total in found)

            def expected(since: float, until: float) -> int:
                return sum(1 + m for m in range(0, 60, 5) if since <= m < until)

            for since, until in (
                (0, 60),
                (5, 60),
                (5, 50),
                (6, 9),
                (20, 25),
                (15, 30),
                (14.5, 30.5),
                (40, 20),
            ):
                assert totals(since, until) == expected(since, until)
                assert totals(since, None, 60) == expected(since, 60)
                assert totals(None, until, 30) == expected(0, until)

    def test_what_is_undone_or_deleted_is_not_in_the_totals(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            for agent in (ana, bob):
                db.write(lambda tx, agent=agent: tx.append(agent, [used(0, asked("x:a"))]))
            _undone(db, ana)
            db.write(lambda tx: tx.delete_agent(bob))
            assert shown(db.read(lambda tx: tx.usage_totals(ana, step=timedelta(minutes=15)))) == [
                (0, "x:a", 1, 7)
            ]
            assert db.read(lambda tx: tx.usage_totals(bob)) == []


class _UndoneError(Exception):
    pass


def _undone(db: Opened, agent: AgentId) -> None:
    def work(tx: object) -> None:
        tx.append(agent, [used(1, asked("x:a"))])  # type: ignore[attr-defined]
        raise _UndoneError

    try:
        db.write(work)
    except _UndoneError:
        return
    raise AssertionError("it was not undone")
