"""The deliverer: what is in an outbox is applied to its target, once, in the order in which it was sent.

An effect is applied in a transaction that also notes its number with the target; only then it goes from the
outbox. So it can be tried again after a crash at any point, and by several processes at once. What cannot be
applied is parked with the reason, and what is behind it goes on. A copy of a shared section that cannot be
written to holds up no other: it is tried again later. Left out: what an effect does (``functions.sharing``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import anyio

from pagefault.clock import Clock
from pagefault.containment import barrier
from pagefault.errors import FunctionError, NotFoundError, PagefaultError, StorageError
from pagefault.functions.sharing import SharedText, apply_outgoing, hops_of, text_of, update_copy
from pagefault.kernel.asked import AskedForgetting
from pagefault.models.tokens import Counter
from pagefault.redaction import logger_of
from pagefault.shared import Attachment, Outgoing, SharedRecord, is_shared
from pagefault.storage import Store, Transaction
from pagefault.types import AgentId, AgentRecord, Event, EventKind, Section

__all__ = ["Deliverer"]

logger = logger_of(__name__)

T = TypeVar("T")

_SOON = 0.05  # seconds from the call that sends something to a look: its transaction is committed mostly
_AGAIN = (5.0, 0.5)  # seconds between further looks, the last one first
_TOGETHER = 16  # copies that are written to at once
_HELD_UP = 5.0  # seconds after which a write is left to the next look: somebody holds what it changes
_TRIES = 10  # times that the database may refuse an effect until that is parked
_LONGEST_PAUSE = 300.0  # seconds between tries


@dataclass(slots=True)
class Deliverer:
    """Applies what is in the outboxes. ``counter`` measures shared sections, ``applied`` is called after a
    change of an archive, ``wake`` with each agent that has got an event; ``asked``: what agents have asked to
    be forgotten."""

    store: Store
    clock: Clock
    counter: Counter
    applied: Callable[[], None]
    wake: Callable[[AgentRecord], None] = lambda _: None
    asked: AskedForgetting = field(default_factory=AskedForgetting)
    _loop: asyncio.AbstractEventLoop | None = None
    _sent: anyio.Event = field(default_factory=anyio.Event)
    _one: anyio.Lock = field(default_factory=anyio.Lock)
    _failed: dict[tuple[AgentId, int], tuple[int, datetime]] = field(
        default_factory=dict[tuple[AgentId, int], tuple[int, datetime]]
    )  # by owner and number (0: a copy): failures in a row, and until when it is left alone

    def sent(self) -> None:
        """Look soon: something is being sent. May be called in any thread, as transactions are."""
        if self._loop:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(lambda: self._sent.set())

    async def run(self) -> None:
        """Deliver what an earlier process left, then whatever is sent here, until cancelled."""
        self._loop, further = asyncio.get_running_loop(), list[float]()
        while True:
            await self.deliver()
            with anyio.move_on_after(further.pop() if further else _AGAIN[1] if self.asked.waiting else None):
                await self._sent.wait()
            if self._sent.is_set():
                self._sent, further = anyio.Event(), list(_AGAIN)
                await anyio.sleep(_SOON)

    async def deliver(self) -> bool:
        """Apply all that is in the outboxes and not parked; False if something must be tried again later."""
        done = True
        async with self._one:
            self.asked.waiting.clear()
            try:
                for of_sections in (False, True):  # what agents have sent them goes on to the copies
                    with barrier():
                        senders = await self.store.read(_senders)
                    for sender in senders:
                        if is_shared(sender.name) is of_sections:
                            done &= await self._contained(sender)
            except PagefaultError as error:
                logger.warning("%s", error)
                return False
        return await self.asked.run(self._park) and done

    async def _contained(self, sender: AgentRecord) -> bool:
        try:
            with barrier():
                return await self._deliver_of(sender)
        except PagefaultError as error:  # the next look may find it mended
            logger.warning("the outbox of %s: %s", sender.name, error)
            return False

    async def _deliver_of(self, sender: AgentRecord) -> bool:
        rows = await self.store.read(lambda tx: tx.outgoing(sender.id))
        rows = [row for row in rows if not row.parked]
        if is_shared(sender.name):
            return not rows or await self._update_copies(SharedRecord.of(sender), rows)
        rows = self.asked.taken(sender, rows)
        held_up = set[str]()  # what comes later to a target must not overtake what comes first
        for row in rows:
            if row.target not in held_up and not await self._apply(sender, row):
                held_up.add(row.target)
        return not held_up

    async def _write(self, work: Callable[[Transaction], T]) -> T:
        try:
            with anyio.fail_after(_HELD_UP):
                return await self.store.write(work)
        except TimeoutError:
            raise StorageError("Another transaction holds what is to be changed.") from None

    # from an agent to what it shares

    async def _apply(self, sender: AgentRecord, row: Outgoing) -> bool:
        """Apply an effect and take it out of the outbox, or park it; False if it must be tried again."""
        key = (sender.id, row.number)
        if self._rests(key):
            return False
        try:
            with barrier():
                is_refused = await self._write(partial(self._apply_in, sender, row))
                await self._write(partial(_remove_applied, sender, row))
        except PagefaultError as error:
            passing = isinstance(error, StorageError | NotFoundError)
            if passing and (self._failures(key) < _TRIES or not await self._is_there(sender, row)):
                logger.warning("effect %s of %s is late: %s", row.number, sender.name, error)
                return False
            await self._park(sender, row, str(error))
        else:
            self.applied()
            if is_refused and not sender.parked:
                self.wake(sender)
        self._failed.pop(key, None)
        return True

    async def _is_there(self, sender: AgentRecord, row: Outgoing) -> bool:
        """Return whether the target can be written to, so that the fault lies in the effect."""

        def lock(tx: Transaction) -> None:
            if target := _target(tx, sender, row):
                tx.delivered(target.id, sender.id)

        try:
            await self._write(lock)
        except StorageError:
            return False
        return True

    def _apply_in(self, sender: AgentRecord, row: Outgoing, tx: Transaction) -> bool:
        """Apply it, unless that is done or another one comes first, and note its number with the target;
        return whether it was refused, of which the sender gets an event."""
        target, now = _target(tx, sender, row), self.clock.now()
        if target is None:
            return tx.remove_outgoing(sender.id, row.number) and _refuse(
                tx, sender, row, "it was deleted", now
            )
        last = tx.delivered(target.id, sender.id)
        coming = (r for r in tx.outgoing(sender.id) if not r.parked and r.target == row.target)
        if next((r.number for r in coming if r.number > last), None) != row.number:
            return False
        is_refused = False
        try:
            apply_outgoing(tx, target, sender, row, self.counter, now)
        except FunctionError as error:
            is_refused = _refuse(tx, sender, row, str(error), now, hops_of(row))
        tx.set_delivered(target.id, sender.id, row.number)
        return is_refused

    async def _park(self, sender: AgentRecord, row: Outgoing, why: str) -> None:
        """Park an effect, unless another process has applied it."""

        def park(tx: Transaction) -> None:
            target = _target(tx, sender, row)
            if target is None or tx.delivered(target.id, sender.id) < row.number:
                tx.park_outgoing(sender.id, row.number, why)

        logger.warning("effect %s of %s is parked: %s", row.number, sender.name, why)
        await self._write(park)

    # from a shared section to the copies

    async def _update_copies(self, shared: SharedRecord, rows: Sequence[Outgoing]) -> bool:
        """Give the copies the new texts; these go from the outbox when every copy has had them."""
        texts = dict[int, SharedText]()
        for row in rows:
            try:
                texts[row.number] = SharedText.of(row)
            except ValueError as error:
                await self._park(shared.row, row, str(error))

        def read(tx: Transaction) -> tuple[Section, list[AgentId]]:  # later than the rows: nobody is missed
            return text_of(tx, shared), tx.within(shared.tenant).attached_to("section", shared.name)

        section, agents = await self.store.read(read)
        late = list[AgentId]()
        for first in range(0, len(agents), _TOGETHER):
            async with anyio.create_task_group() as tasks:
                for agent in agents[first : first + _TOGETHER]:
                    tasks.start_soon(self._update, shared, section, agent, list(texts.values()), late)

        def remove(tx: Transaction) -> None:
            for number in texts:
                tx.remove_outgoing(shared.id, number)

        if not late:
            await self._write(remove)
        return not late

    async def _update(
        self, shared: SharedRecord, section: Section, agent: AgentId, texts: Sequence[SharedText],
        late: list[AgentId],
    ) -> None:  # fmt: skip
        """Give one agent the texts that it has not had; it is ``late`` if that must be tried again."""
        if self._rests((agent, 0)):
            return late.append(agent)

        def work(tx: Transaction) -> AgentRecord | None:
            record, now = tx.agent_by_id(agent), self.clock.now()
            return record if record and update_copy(tx, shared, section, record, texts, now) else None

        try:
            with barrier():
                record = await self._write(work)
        except PagefaultError as error:
            late.append(agent)
            self._failures((agent, 0))
            logger.warning("the copy of section %s that agent %s has: %s", shared.name, agent, error)
        else:
            self._failed.pop((agent, 0), None)
            if record and not record.parked:
                self.wake(record)

    def _rests(self, key: tuple[AgentId, int]) -> bool:
        if key not in self._failed:
            return False
        left = self._failed[key][1] - self.clock.now()
        return timedelta(0) < left <= timedelta(seconds=_LONGEST_PAUSE)  # else the clock was put back

    def _failures(self, key: tuple[AgentId, int]) -> int:
        """Count a failure and leave what failed alone for a while, the longer the more often; return the
        failures in a row."""
        failures = self._failed.get(key, (0, None))[0] + 1
        pause = timedelta(seconds=min(_LONGEST_PAUSE, 2.0**failures))
        self._failed[key] = (failures, self.clock.now() + pause)
        return failures


def _senders(tx: Transaction) -> list[AgentRecord]:
    return [record for id in tx.outboxes() if (record := tx.agent_by_id(id))]


def _target(tx: Transaction, sender: AgentRecord, row: Outgoing) -> SharedRecord | None:
    """Find the archive or shared section that an effect changes; None if it is gone."""
    held = Attachment.to(row.target, False, row.at)
    return tx.within(sender.tenant).shared(held.kind, held.name)


def _refuse(
    tx: Transaction, sender: AgentRecord, row: Outgoing, why: str, now: datetime, hops: int = 0
) -> bool:
    held = Attachment.to(row.target, False, now)
    text = f"Your change ({row.kind}) of the shared {held.kind} {held.name} was not made: {why}"
    tx.post(sender.id, Event(EventKind.EDITED, text, at=now, hops=hops))
    return True


def _remove_applied(sender: AgentRecord, row: Outgoing, tx: Transaction) -> None:
    """Take an effect out of the outbox if its target has it."""
    target = _target(tx, sender, row)
    if target and tx.delivered(target.id, sender.id) >= row.number:
        tx.remove_outgoing(sender.id, row.number)
