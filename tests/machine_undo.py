"""Undo, edit and retry as moves of the state machine in ``test_machine``; what must be true after each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from machine_log import Dump, live
from pagefault.kernel import Kernel
from pagefault.kernel.points import is_marker
from pagefault.kernel.withdrawing import edited, retried, undo
from pagefault.types import EventKind, Message, Role

TakeBack = Literal["turns", "to", "edit", "retry"]


async def take_back(kernel: Kernel, how: TakeBack, far: int, text: str, now: Dump) -> None:
    """Undo so ``far`` back, or edit the message that is so far back, or retry; wait for no answer."""
    log = live(now.log)
    if how == "turns":
        await undo(kernel, "ana", turns=(far + 3) // 4)
    elif how == "to":
        await undo(kernel, "ana", to=max(0, now.record.last_seq - 2 * far))
    elif how == "edit":
        said = [row for row in log if row.role is Role.USER and not row.is_appended]
        async with edited(kernel, "ana", said[-(far % len(said))].seq if said else None, text):
            pass
    else:
        async with retried(kernel, "ana"):
            pass


def undone_since(before: Sequence[Message], now: Dump) -> int:
    """How often rows were undone since."""
    return sum(map(is_marker, now.log[len(before) :]))


def check_taken_back(before: Dump, now: Dump, how: TakeBack) -> set[int]:
    """What was taken back is withdrawn, once and as a whole; the event of an edit or a retry was posted with
    it. Return the ids of events that were posted again."""
    known = {event.id for event in before.events}
    posted = [
        event
        for event in now.events
        if event.id not in known and event.key is None and event.kind != EventKind.PRESSURE
    ]
    undone = undone_since(before.log, now)
    assert undone <= 1, "undone twice"
    wanted = how in ("edit", "retry") and undone
    assert bool(posted) == bool(wanted), "taken back and not posted, or the other way round"
    for marker in filter(is_marker, now.log[len(before.log) :]):
        rows = now.log[marker.meta.point : marker.seq - 1]
        assert all(row.withdrawn is not None or row.is_appended for row in rows)
        assert not [row.seq for row in now.log[: marker.meta.point] if row.withdrawn == marker.seq]
    return {event.id for event in posted}
