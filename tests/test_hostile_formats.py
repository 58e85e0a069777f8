"""Hostile files of each format: read or refused in a sentence, within bounds, and the next one is read."""

from __future__ import annotations

import sys

import pytest

from hostile_formats import HOSTILE_FORMATS
from pagefault.errors import UsageError
from pagefault.ingest.bounds import Bounds
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
