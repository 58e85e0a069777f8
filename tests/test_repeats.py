"""`db check` finds what two processes in one turn would leave: a second opening, result or answer."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pagefault.build import open_transfer
from pagefault.storage.sqlite import SQLiteStore
from pagefault.transfer import check
from pagefault.types import AgentRecord, Event, Message, Role

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OPENING = Message(Role.USER, "hi", NOW, event=1)
CALL = Message(Role.CALL, "{}", NOW, event=1, completion=2, call_id="c1", name="note")
RESULT = replace(CALL, role=Role.RESULT, text="noted")
ANSWER = Message(Role.ASSISTANT, "done", NOW, event=1, completion=4)
TURN = [OPENING, CALL, RESULT, ANSWER]
SPOKEN = replace(ANSWER, completion=2)  # speech beside a call, or made by one


class Quiet:
    def begin(self, what: str, total: int) -> None: ...
    def advance(self, rows: int) -> None: ...


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (TURN, []),
        ([OPENING, CALL, replace(CALL, call_id="c2"), RESULT, replace(RESULT, call_id="c2"), ANSWER], []),
        ([OPENING, CALL, CALL, RESULT, RESULT], []),
        ([OPENING, SPOKEN, CALL, RESULT, ANSWER], []),
        ([OPENING, CALL, SPOKEN, RESULT, replace(CALL, completion=5), replace(SPOKEN, completion=5)], []),
        ([*TURN, RESULT], ["Messages 5 are further results of calls that have theirs."]),
        (
            [OPENING, CALL, RESULT, RESULT, ANSWER],
            ["Messages 4 are further results of calls that have theirs."],
        ),
        ([*TURN, replace(ANSWER, completion=5)], ["Events 1 were answered more than once."]),
        ([OPENING, *TURN], ["Events 1 were opened more than once."]),
    ],
)
def test_a_second_opening_result_or_answer_is_found(
    rows: list[Message], found: list[str], tmp_path: Path
) -> None:
    async def write() -> None:
        store = SQLiteStore.open(tmp_path / "a.db")
        ana = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))).id
        event = await store.write(lambda tx: tx.post(ana, Event("message", "hi", at=NOW)))
        await store.write(lambda tx: tx.append(ana, rows))
        await store.write(lambda tx: tx.set_event(ana, event.id, "done"))
        await store.close()

    asyncio.run(write())
    with closing(open_transfer(tmp_path / "a.db")) as database:
        assert [finding.what for finding in check(database, Quiet())] == found
