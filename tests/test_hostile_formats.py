"""Hostile files of each format: read or refused in a sentence, within bounds, and the next one is read."""

from __future__ import annotations

import struct
import sys
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from format_files import compound, xls
from hostile_formats import HOSTILE_FORMATS
from pagefault.errors import UsageError
from pagefault.ingest.bounds import Bounds
from pagefault.ingest.formats.xls_notes import old_sheet_notes
from pagefault.ingest.loading import SilentProgress
from pagefault.ingest.reader import DocumentReader, ReadDocument
from pagefault.ingest.reading import ReadingOptions
from pagefault.ingest.sources import SourceContent

pytestmark = pytest.mark.anyio

BOUNDS = Bounds(seconds=60, memory=1024, characters=2_000_000, pages=5_000)

# What the refusal of a file says; of the others it is enough that they are read or refused.
_ANYWHERE = {
    "laughs.pptx": "entities",
    "laughs.odt": "entities",
    "laughs.fodt": "entities",
    "laughs in strings.xlsx": "entities",
    "laughs.xml": "declares the entity 'a1'",
    "quadratic.xml": "declares the entity 'a'",
    "bomb.pptx": "too much for its size",
    "bomb.odt": "too much for its size",
    "bomb.xlsx": "too much for its size",
    "far.xlsx": "reaches from A1 to XFD1048576",
    "brackets.json": "nested too deeply",
    "short entity.xml": "more than 2,000,000 characters",
}
_LINUX = {"one string many times.xlsx": "needs more than 1,024 MB of memory"}
REFUSED = _ANYWHERE | (_LINUX if sys.platform == "linux" else {})


async def outcome(reader: DocumentReader, name: str) -> ReadDocument | str:
    try:
        return await reader.read(SourceContent(HOSTILE_FORMATS[name], name))
    except UsageError as error:
        return str(error)


def fault(name: str, found: ReadDocument | str) -> str:
    """What is wrong with an outcome; empty if nothing is."""
    if isinstance(found, str):
        said = REFUSED.get(name, "") in found and found.endswith(".") and "\n" not in found
        return "" if said and "failed" not in found and found != BOUNDS.out_of_time else found
    size = sum(len(text) for text, _ in found.leaves)
    leaked = any("root:" in text for text, _ in found.leaves)
    within = size <= BOUNDS.characters and len(found.leaves) <= BOUNDS.pages and len(found.parts) <= 2_000
    return "" if within and not leaked and name not in REFUSED else f"read: {size:,} characters"


@pytest.mark.slow
async def test_a_hostile_file_of_any_format_is_read_or_refused_in_a_sentence() -> None:
    reader = DocumentReader(BOUNDS, SilentProgress().page, ReadingOptions(kind="code"))
    wrong: dict[str, str] = {}
    try:
        for name in HOSTILE_FORMATS:
            found = await outcome(reader, name)
            if why := fault(name, found):
                wrong[name] = why
            after = await reader.read(SourceContent(b"# Tides\n\nThe tide turns.", "a.md"))
            assert after.leaves == (("# Tides\n\nThe tide turns.", "Tides"),), name
    finally:
        await reader.close()
    assert not wrong


RECORDS = st.lists(
    st.tuples(
        st.sampled_from(
            (0x809, 0x0A, 0x14, 0x15, 0x1B6, 0x1C, 0x3C, 0x42, 0x5D, 0x85, 0x100D, 0x1025, 0x1033, 0x1034)
        ),
        st.binary(max_size=24),
    ),
    max_size=12,
)


@given(records=RECORDS)
def test_any_records_of_a_sheet_of_an_old_workbook_are_lines(records: list[tuple[int, bytes]]) -> None:
    found = old_sheet_notes(xls("A", records))
    assert all("\n" not in line for line in chain.from_iterable(found.lines.values()))


@given(records=RECORDS, sizes=st.lists(st.integers(0, 0xFFFF), min_size=12, max_size=12), end=st.integers(0))
def test_records_that_lie_about_their_sizes_are_read_to_the_end(
    records: list[tuple[int, bytes]], sizes: list[int], end: int
) -> None:
    lies = zip(records, sizes, strict=False)
    stream = b"".join(struct.pack("<HH", kind, size) + part for (kind, part), size in lies)
    begin = b"\x09\x08\x10\0\0\6\5\0" + bytes(12)
    old_sheet_notes(compound({"Workbook": begin + stream[: end % (len(stream) + 1)]}))
