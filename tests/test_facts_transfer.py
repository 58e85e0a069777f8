"""When facts hold, on the move: through exports of this format and of the one before, copies and checks."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from pagefault.build import open_transfer
from pagefault.storage import Transaction
from pagefault.storage.tidying import FactSpan
from pagefault.testing.store_opening import NOW
from pagefault.transfer import copy_agents, export_agents, import_agents
from pagefault.transfer.lines import FACT_COLUMNS
from pagefault.types import AgentId, AgentRecord, Passage
from test_withdrawn_transfer import ON, store_of, wrong
from test_word_segments import Silent


async def fill(place: Path | str) -> None:
    store = store_of(place)
    ana = (await store.write(lambda tx: tx.create_agent(AgentRecord("ana", {}, NOW)))).id

    def work(tx: Transaction) -> None:
        tx.insert_passage(ana, Passage("Lisbon", NOW, same=5, about=2**63 - 1))
        tx.insert_passage(ana, Passage("Porto", NOW, valid_from=NOW, valid_until=NOW, same=6))
        tx.supersede_passage(ana, 1, 2, NOW, 4)
        tx.note_found(ana, [2], NOW)

    await store.write(work)
    await store.close()


@pytest.fixture(params=ON)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    where: Path | str = tmp_path / "a.db"
    if request.param == "server":
        where = request.getfixturevalue("database")
    asyncio.run(fill(where))
    return where


async def look(place: Path | str) -> None:
    store, ana = store_of(place), AgentId(1)
    spans = await store.read(lambda tx: tx.fact_spans(ana))
    assert spans == [FactSpan(1, superseded=2, ended=NOW), FactSpan(2, NOW, NOW)]
    first, second = await store.read(lambda tx: tx.stored_passages(ana))
    assert (first.same, first.about, second.same, second.found) == (5, 2**63 - 1, 6, NOW)
    await store.write(lambda tx: tx.withdraw_passages(ana, 9, events=[4]))
    assert [span.superseded for span in await store.read(lambda tx: tx.fact_spans(ana))] == [None]
    await store.close()


def exported(place: Path | str) -> bytes:
    file = io.BytesIO()
    with closing(open_transfer(place, make=False)) as database:
        export_agents(database, ["ana"], file, "0.1.0", Silent())
    return file.getvalue()


def imported(content: bytes, place: Path) -> None:
    with closing(open_transfer(place, make=True)) as database:
        import_agents(database, io.BytesIO(content), "the file", None, Silent(), trust=True)


def test_facts_are_exported_copied_and_imported_as_they_are(place: Path | str, tmp_path: Path) -> None:
    imported(exported(place), tmp_path / "b.db")
    with (
        closing(open_transfer(place, make=False)) as here,
        closing(open_transfer(tmp_path / "c.db", make=True)) as there,
    ):
        copy_agents(here, there, ["ana"], Silent())
    for each in (tmp_path / "b.db", tmp_path / "c.db"):
        assert wrong(each) == []
        asyncio.run(look(each))


def test_an_export_of_the_format_before_is_read(tmp_path: Path) -> None:
    asyncio.run(fill(tmp_path / "a.db"))
    lines = exported(tmp_path / "a.db").replace(b'"format":6', b'"format":5').splitlines(keepends=True)
    for place, line in enumerate(lines):
        row = json.loads(line)
        if "passages" in row:
            row["passages"] = {k: v for k, v in row["passages"].items() if k not in FACT_COLUMNS}
            lines[place] = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    end = json.loads(lines[-1])
    table = sha256(b"".join(line for line in lines if line.startswith(b'{"passages"'))).hexdigest()
    end["end"]["tables"]["passages"][1] = table
    end["end"]["sha256"] = sha256(b"".join(lines[:-1])).hexdigest()
    lines[-1] = json.dumps(end, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    imported(b"".join(lines), tmp_path / "b.db")
    store = store_of(tmp_path / "b.db")

    async def spans() -> list[FactSpan]:
        found = await store.read(lambda tx: tx.fact_spans(AgentId(1)))
        await store.close()
        return found

    assert asyncio.run(spans()) == []
    assert wrong(tmp_path / "b.db") == []
