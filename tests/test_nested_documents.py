"""Documents in documents: archives, and what they hold, loaded as documents of their own within bounds."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from conftest import Machine, Rig
from document_files import archive, docx
from pagefault.errors import UsageError
from pagefault.ingest import LoadReport, ReadingOptions, load
from pagefault.ingest.attaching import attached
from pagefault.ingest.pages import ReadPart
from pagefault.ingest.parts import Nesting
from pagefault.ingest.sources import Bytes
from pagefault.testing.models import ScriptedModel

pytestmark = pytest.mark.anyio


async def put(
    rig: Rig, data: bytes, *, title: str | None = None, options: ReadingOptions | None = None
) -> LoadReport:
    return await load(rig.kernel, "ana", [Bytes(data, "box")], title=title, options=options)


def outcome(report: LoadReport) -> dict[str, str]:
    """State by source; of one that failed or was skipped, the reason."""
    return {item.source.removeprefix("stdin:"): item.why or item.state for item in report.items}


def encrypted(name: str) -> bytes:
    """An archive that says its one file is encrypted."""
    data = bytearray(archive({name: "secret"}))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + place] |= 1
    return bytes(data)


def nested(depth: int) -> bytes:
    data = archive({"a.txt": "The tide turns."})
    for _ in range(depth):
        data = archive({"inner.zip": data})
    return data


async def test_each_file_of_an_archive_is_a_document_of_its_own(machine: Machine) -> None:
    inner = archive({"deep.txt": "Far below."})
    files: Mapping[str, str | bytes] = {
        "notes/tides.md": "# Tides\n\nThe tide turns.",
        "log.docx": docx([("", "Fog at dawn.")]),
        "more.zip": inner,
        "empty.txt": "",
        "tool.exe": b"MZ",
        ".hidden.txt": "x",
        "__MACOSX/tides.md": "x",
    }
    async with machine.open(ScriptedModel([])) as rig:
        report = await put(rig, archive(files))
        assert outcome(report) == {
            "box": "unpacked",
            "box!/notes/tides.md": "loaded",
            "box!/log.docx": "loaded",
            "box!/more.zip": "unpacked",
            "box!/more.zip!/deep.txt": "loaded",
            "box!/empty.txt": "It is empty.",
            "box!/tool.exe": "Its kind is unknown; unpack and name it to load it as text.",
        }
        assert report.event
        assert report.event.text == (
            'Loaded into archival storage: d1 "Tides" (1 page), d2 "log" (1 page), d3 "deep" (1 page).'
        )
        again = await put(rig, archive(files))
        assert again.event is None
        assert [item.state for item in again.items if item.document] == ["unchanged"] * 3


async def test_names_in_an_archive_are_names_only(machine: Machine) -> None:
    held = BytesIO()
    with ZipFile(held, "w", ZIP_DEFLATED) as made:
        for name in ("../../etc/passwd.txt", "/abs.txt", "..\\win.txt", "a\u202e\n[x].txt", "same.txt"):
            made.writestr(ZipInfo(name), "words")
        with pytest.warns(UserWarning, match="Duplicate"):
            made.writestr(ZipInfo("same.txt"), "more")
        link = ZipInfo("link.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
    async with machine.open(ScriptedModel([])) as rig:
        assert outcome(await put(rig, held.getvalue())) == {
            "box": "unpacked",
            "box!/etc/passwd.txt": "loaded",
            "box!/abs.txt": "loaded",
            "box!/win.txt": "loaded",
            "box!/a (x).txt": "loaded",
            "box!/same.txt": "loaded",
            "box!/same (2).txt": "loaded",
            "box!/link.txt": "It is a link; name what it leads to.",
        }


@pytest.mark.parametrize(
    ("data", "source", "says"),
    [
        (archive({"bomb.txt": b" " * (64 << 20)}), "box", "too much for its size"),
        (archive({f"{n}.txt": "x" for n in range(2_001)}), "box", "It holds 2,001 files; unpack it"),
        (encrypted("a.txt"), "box!/a.txt", "It is encrypted; unpack the archive"),
        (archive({".a": "x"}), "box", "There is no file in it."),
        (archive({"a.txt": "tide " * 999})[:-30], "box", "not an archive that can be read"),
    ],
)
async def test_an_archive_that_cannot_be_unpacked_is_refused(
    machine: Machine, data: bytes, source: str, says: str
) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        assert says in outcome(await put(rig, data))[source]


async def test_archives_in_archives_end_at_a_depth(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        found = list(outcome(await put(rig, nested(3))).values())
        assert found == ["unpacked"] * 4 + ["loaded"]
        *above, last = outcome(await put(rig, nested(5))).values()
        assert above == ["unpacked"] * 5
        assert last == "It is 5 documents deep; unpack what it is in, and load that."


def test_the_parts_of_one_source_are_counted_at_every_depth() -> None:
    nesting = Nesting(parts=4_999)
    found = list(nesting.sources("box", [ReadPart("a.txt"), ReadPart("b.txt"), ReadPart("c.txt")]))
    assert [getattr(each, "why", "") for each in found] == [
        "",
        "Its source holds more than 5,000 documents; unpack it, and load the folder.",
    ]
    nesting = Nesting(size=(512 << 20) - 1)
    (over,) = nesting.sources("box", [ReadPart("a.txt", data=b"xx")])
    assert "unpacks to more than 512 MB" in getattr(over, "why", "")


def test_many_parts_of_one_name_are_named_at_once() -> None:
    found = list(Nesting().sources("box", [ReadPart("a.txt")] * 4_000))
    assert len({each.name for each in found}) == 4_000


async def test_a_title_is_for_one_document_and_not_for_an_archive(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        (only,) = outcome(await put(rig, nested(0), title="Mine")).values()
        assert only == "A title is for one document, and this is an archive; leave the title out."


async def test_an_archive_that_comes_with_a_message_is_named_by_its_documents(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        event = await attached(
            rig.kernel, "ana", archive({"a.txt": "Fog.", "b.txt": "Sun."}), called="box.zip"
        )
        first, second = event.text.split("\n")
        assert first.startswith("box.zip")
        assert ("d1" in first, "d2" in second) == (True, True)
        with pytest.raises(UsageError, match=r"box.zip cannot be attached: It is empty\."):
            await attached(rig.kernel, "ana", archive({"a.txt": ""}), called="box.zip")


async def test_a_kind_of_text_can_be_named(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        with pytest.raises(UsageError, match=r"There is no kind 'cobol'; it is one of text, "):
            await put(rig, b"x", options=ReadingOptions(kind="cobol"))
        await put(rig, b"a,b\n1,2\n")
        again = await put(rig, b"a,b\n1,2\n", options=ReadingOptions(kind="csv"))
        (item,) = again.items
        assert item.state == "replaced"
        assert item.document
        assert item.document.media == "text/csv"
