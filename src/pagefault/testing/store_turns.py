"""Conformance of turn locks: one turn of an agent at a time, and no write of one that was taken over."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pagefault.errors import TurnLostError
from pagefault.storage import Transaction, TurnHold
from pagefault.testing.store_opening import StoreOpening, said

__all__ = ["TurnConformance"]


class TurnConformance(StoreOpening):
    def test_writes_of_a_turn_show_its_hold(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")

            async def turns() -> list[int]:
                seqs: list[int] = []
                for text in ("one", "two"):
                    async with db.store.turn_lock(ana) as hold:
                        assert hold is not None
                        assert hold.agent == ana
                        seqs += [
                            row.seq
                            for row in await db.store.write(
                                lambda tx, t=text: tx.append(ana, [said(t)]), hold
                            )
                        ]
                return seqs

            assert db.run(turns()) == [1, 2]

    def test_an_agent_runs_one_turn_at_a_time(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db, self.opened(tmp_path) as other:
            ana, bob = db.agent("ana"), db.agent("bob")
            one, two = db.store, other.store

            async def turns() -> None:
                async with one.turn_lock(ana) as mine:
                    async with one.turn_lock(ana) as again, two.turn_lock(ana) as theirs:
                        assert [hold is not None for hold in (mine, again, theirs)] == [True, False, False]
                    async with two.turn_lock(bob) as another:
                        assert another
                    async with two.turn_lock(ana) as still_theirs:
                        assert still_theirs is None
                async with two.turn_lock(ana) as freed:
                    assert freed

            db.run(turns())

    def test_a_turn_that_was_taken_over_cannot_be_written(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db, self.opened(tmp_path) as other:
            ana, bob = db.agent("ana"), db.agent("bob")
            one, two = db.store, other.store

            def say(text: str, tx: Transaction) -> int:
                return tx.append(ana, [said(text)])[0].seq

            async def lost(hold: TurnHold | None, text: str) -> bool:
                try:
                    await one.write(partial(say, text), hold)
                except TurnLostError:
                    return True
                return False

            async def turns() -> None:
                async with one.turn_lock(ana) as mine, one.turn_lock(bob) as another:
                    await one.write(partial(say, "mine"), mine)
                    if not self.lose_turn(tmp_path, ana):
                        return
                    async with two.turn_lock(ana) as theirs:
                        assert theirs is not None
                        assert await lost(mine, "too late")
                        await two.write(partial(say, "theirs"), theirs)
                        assert await lost(mine, "too late again")
                        await one.write(lambda tx: tx.append(bob, [said("bob's own turn")]), another)
                    assert await lost(mine, "still too late")
                for store in (two, one, one, two):
                    async with store.turn_lock(ana) as hold:
                        await store.write(partial(say, "in turn"), hold)

            db.run(turns())
            texts = [row.text for row in db.read(lambda tx: tx.messages(ana))]
            assert texts in (["mine"], ["mine", "theirs", *["in turn"] * 4])
