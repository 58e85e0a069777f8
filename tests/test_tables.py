"""Large tables: cut at whole rows, loaded part by part, and going on where a load was interrupted."""

from __future__ import annotations

import codecs
import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Machine, Rig
from pagefault.config import LoadingSettings
from pagefault.ingest import File, SourceResult
from pagefault.ingest.report import SilentProgress
from pagefault.ingest.tables import LargeTable, TablePart, large_table
from pagefault.testing.models import ScriptedModel
from pagefault.types import Document
from pagefault.views.documents import documents
from test_load import put

pytestmark = pytest.mark.anyio

LIMITS = LoadingSettings()
BLANK = " " * 100_000  # a cell that costs bytes and has no text


def contents(parts: Sequence[TablePart]) -> list[bytes]:
    async def work() -> list[bytes]:
        return [(await part.read(LIMITS)).data for part in parts]

    return anyio.run(work)


def rows_of(data: bytes) -> list[list[str]]:
    said, _, rest = data.partition(b"\n")
    return list(csv.reader(io.StringIO(rest.decode(), newline=""), delimiter=said.decode()[4:]))


# cutting

_CELLS = st.text('ab1;,\t\n\r" é|', max_size=12)


@given(
    rows=st.lists(st.lists(_CELLS, min_size=2, max_size=4), min_size=2, max_size=30), most=st.integers(1, 300)
)
def test_each_row_of_a_table_is_in_one_part_whatever_its_cells_hold(rows: list[list[str]], most: int) -> None:
    rows[0] = ["id", "name"]
    held = io.StringIO(newline="")
    csv.writer(held, quoting=csv.QUOTE_ALL).writerows(rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.csv")
        path.write_bytes(held.getvalue().encode())
        parts = list(LargeTable(File(path), "a", path.stat().st_size, most).parts())
        read = [rows_of(data) for data in contents(parts)]
    assert all(part[0] == ["id", "name"] for part in read)
    assert [row for part in read for row in part[1:]] == rows[1:]
    assert [part.first for part in parts] == [1, *(part.last + 1 for part in parts[:-1])]
    assert parts[-1].last == len(rows) - 1


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"sep=;\r\na;b\n", b"sep=;\na;b\n"),
        (b"a|b\n", b"sep=|\na|b\n"),
        (codecs.BOM_UTF8 + b'"a\nx";b\n', codecs.BOM_UTF8 + b'sep=;\n"a\nx";b\n'),
    ],
)
def test_each_part_has_the_line_of_names_and_says_how_columns_are_parted(
    head: bytes, said: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    row = said.partition(b"sep=")[2][:1].join([b"1", b"2"]) + b"\n"
    path.write_bytes(head + row * 4)
    parts = list(LargeTable(File(path), "a", 1, 1).parts())
    assert contents(parts) == [said + row] * 4
    assert [part.label for part in parts] == [f"a, rows {n}-{n}" for n in range(1, 5)]


def test_a_quotation_that_is_never_closed_hides_no_rows_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'a,b\n1,5" nail\n' + b"2,x\n" * (9 << 20 >> 2))
    parts = list(LargeTable(File(path), "a", path.stat().st_size, 10**9).parts())
    assert len(parts) > 1
    assert b"".join(data.split(b"\n", 2)[2] for data in contents(parts)) == path.read_bytes()[4:]


@pytest.mark.parametrize(
    ("name", "data", "is_cut"),
    [
        ("a.csv", b"a,b\n" + b"1,2\n" * (5 << 18), True),
        ("a.tsv", b"a,b\n" + b"1,2\n" * (5 << 18), True),
        ("a.csv", b"a,b\n" + b"1,2\n", False),
        ("a.txt", b"a,b\n" + b"1,2\n" * (5 << 18), False),
        ("a.csv", "a,b\n".encode("utf-16") + b"1\0,\x002\0\n\0" * (5 << 17), False),
        ("a.csv", b"x" * (5 << 20), False),
    ],
)
def test_only_large_tables_are_cut(name: str, data: bytes, is_cut: bool, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    assert (large_table(File(tmp_path / name), None, "", LIMITS) is not None) is is_cut


# loading


def table(path: Path, rows: int, *, name: str = "Faro") -> File:
    """A table whose rows have 100 kB each; 20 make a part, and up to 41 a table that is read whole."""
    path.write_text("id,port,blank\n" + "".join(f"{n},{name} {n},{BLANK}\n" for n in range(1, rows + 1)))
    return File(path)


async def stored(rig: Rig) -> list[Document]:
    record = await rig.kernel.record("ana")
    return await rig.kernel.store.read(lambda tx: tx.documents(record.id))


def states(items: Sequence[SourceResult]) -> list[str]:
    return [item.state for item in items]


async def test_a_large_table_is_several_documents_that_count_its_rows_on(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        seen: list[tuple[int, int]] = []

        class Watching(SilentProgress):
            def size(self, done: int, total: int) -> None:
                seen.append((done, total))

        file = table(machine.home / "ports.csv", 50)
        report = await put(rig, file, watch=Watching())
        assert states(report.items) == ["unpacked", "loaded", "loaded", "loaded"]
        found = await documents(rig.kernel, "ana")
        assert sorted(each.title for each in found.results) == [
            "ports, rows 1-21",
            "ports, rows 22-42",
            "ports, rows 43-50",
        ]
        record = await rig.kernel.record("ana")
        passages = await rig.kernel.store.read(lambda tx: tx.passages(record.id, range(1, 99)))
        assert "port: Faro 50" in passages[-1].text
        assert passages[-1].place is not None
        assert passages[-1].place.section.startswith("row 4")
        size = file.path.stat().st_size
        assert seen[0] == (0, size)
        assert seen[-1] == (size, size)
        assert report.event is not None
        assert report.event.text.count("ports, rows") == 3


async def test_a_load_that_is_interrupted_goes_on_with_the_next_part(
    machine: Machine,
) -> None:
    class Impatient(SilentProgress):
        def end(self, item: SourceResult) -> None:
            assert item.state == "loaded"
            scope.cancel()

    async with machine.open(ScriptedModel([])) as rig:
        file = table(machine.home / "ports.csv", 50)
        with anyio.CancelScope() as scope:
            await put(rig, file, watch=Impatient())
        assert scope.cancelled_caught
        assert [document.title for document in await stored(rig)] == ["ports, rows 1-21"]
        assert states((await put(rig, file)).items) == ["unpacked", "unchanged", "loaded", "loaded"]
        assert states((await put(rig, file)).items) == ["unpacked", "unchanged", "unchanged", "unchanged"]


async def test_rows_that_are_gone_leave_no_documents(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        path = machine.home / "ports.csv"
        await put(rig, table(path, 2))
        assert [document.source for document in await stored(rig)] == [str(path)]
        await put(rig, table(path, 90))
        assert [document.source.partition("!/")[2] for document in await stored(rig)] == [
            f"part {n}" for n in range(1, 6)
        ]
        await put(rig, table(path, 60))
        assert len(await stored(rig)) == 3
        assert states((await put(rig, table(path, 2))).items) == ["loaded"]
        assert [document.source for document in await stored(rig)] == [str(path)]
