"""Conformance of turn locks: one turn of an agent at a time, and no write of one that was taken over."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from pathlib import Path

from pagefault.errors import NotFoundError, TurnHeldError, TurnLostError
from pagefault.storage import Store, Transaction, TurnHold
from pagefault.testing.store_opening import StoreOpening, can_take_turn, said
from pagefault.types import AgentId, Event

__all__ = ["TurnConformance"]


async def is_refused(kind: type[Exception], doing: Awaitable[object]) -> bool:
    try:
        await doing
    except kind:
        return True
    return False


async def say_in_turn(store: Store, agent: AgentId, text: str) -> None:
    """Append a row in a turn of its own."""
    async with store.turn_lock(agent) as hold:
        await store.write(lambda tx: tx.append(agent, [said(text)]), hold)


class TurnConformance(StoreOpening):
    def test_writes_of_a_turn_show_its_hold(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")

            async def turns() -> list[int]:
                seqs: list[int] = []
                for text in ("one", "two"):
                    async with db.store.turn_lock(ana) as hold:
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
                    await one.write(lambda tx: tx.append(ana, [said("mine")]), mine)
                    for store in (one, two):
                        assert not await can_take_turn(store, ana)
                        assert await can_take_turn(store, bob)
                    await one.write(lambda tx: tx.append(ana, [said("still mine")]), mine)
                for store in (two, one):
                    assert await can_take_turn(store, ana)

            db.run(turns())
            assert len(db.read(lambda tx: tx.messages(ana))) == 2

    def test_a_turn_that_is_held_is_refused_and_nothing_is_written(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db, self.opened(tmp_path) as other:
            ana = db.agent("ana")

            async def turns() -> None:
                async with db.store.turn_lock(ana) as mine:
                    await db.store.write(lambda tx: tx.append(ana, [said("mine")]), mine)
                    assert await is_refused(TurnHeldError, say_in_turn(other.store, ana, "theirs"))
                    await other.store.write(lambda tx: tx.append(ana, [said("no turn's")]))

            db.run(turns())
            assert [row.text for row in db.read(lambda tx: tx.messages(ana))] == ["mine", "no turn's"]

    def test_a_turn_that_was_begun_in_vain_is_free(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db, self.opened(tmp_path) as other:
            ana = db.agent("ana")

            def fail(tx: Transaction) -> None:
                tx.append(ana, [said("undone")])
                raise KeyError

            async def turns() -> None:
                async with db.store.turn_lock(ana) as mine:
                    assert await is_refused(KeyError, db.store.write(fail, mine))
                    await db.store.write(lambda tx: tx.append(ana, [said("done")]), mine)
                async with db.store.turn_lock(ana) as mine:
                    assert await is_refused(KeyError, db.store.write(fail, mine))
                assert await can_take_turn(other.store, ana)
                nobody = AgentId(ana + 99)
                assert await is_refused(NotFoundError, say_in_turn(db.store, nobody, "in vain"))

            db.run(turns())
            assert [row.text for row in db.read(lambda tx: tx.messages(ana))] == ["done"]

    def test_a_turn_goes_on_after_its_inbox_was_empty_if_nobody_had_it(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db, self.opened(tmp_path) as other:
            ana = db.agent("ana")

            async def turns() -> bool:
                async with db.store.turn_lock(ana) as mine:
                    await db.store.write(lambda tx: tx.post(ana, Event("message")), mine)
                    assert await db.store.write(lambda tx: tx.finish_event(ana, 1), mine)
                    await db.store.write(lambda tx: tx.append(ana, [said("on")]), mine)
                    await db.store.write(lambda tx: tx.settle(ana), mine)
                    if taken := await can_take_turn(other.store, ana):
                        late = db.store.write(lambda tx: tx.append(ana, [said("too late")]), mine)
                        assert await is_refused(TurnLostError, late)
                    return taken

            assert db.run(turns()) is self.frees_with_the_last_write
            assert [row.text for row in db.read(lambda tx: tx.messages(ana))] == ["on"]

    def test_closing_frees_all_turns(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db, self.opened(tmp_path) as other:
            ana = db.agent("ana")

            async def turns() -> None:
                async with db.store.turn_lock(ana) as mine:
                    await db.store.write(lambda tx: tx.append(ana, [said("mine")]), mine)
                    await db.store.close()
                assert await can_take_turn(other.store, ana)

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
                        await two.write(lambda tx: tx.agent_by_id(ana), theirs)
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
