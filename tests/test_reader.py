"""The child process that reads documents: hostile documents cost it, and nothing and nobody else."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Machine
from document_files import docx, epub, pdf
from hostile_documents import HOSTILE, pdf_with, spine
from pagefault.config import LoadingSettings
from pagefault.errors import UsageError
from pagefault.ingest import Bytes, File, load
from pagefault.ingest.bounds import Bounds, is_out_of_memory
from pagefault.ingest.reader import DocumentReader, ReadDocument
from pagefault.ingest.report import SilentProgress
from pagefault.ingest.sources import SourceContent
from pagefault.testing.models import ScriptedModel, say

pytestmark = pytest.mark.anyio

BOUNDS = Bounds(seconds=120, memory=1024, characters=2_000_000, pages=2_000)
# Its parser compares each attribute with all before: minutes of one library call.
ENDLESS = b"<html><p " + b" ".join(b"a%d" % n for n in range(400_000)) + b">x"
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@asynccontextmanager
async def reading(bounds: Bounds = BOUNDS) -> AsyncGenerator[DocumentReader]:
    reader = DocumentReader(bounds, SilentProgress().page)
    try:
        yield reader
    finally:
        await reader.close()


async def read(reader: DocumentReader, data: bytes, name: str) -> ReadDocument:
    return await reader.read(SourceContent(data, name))


async def refusal(reader: DocumentReader, data: bytes, name: str) -> str:
    with pytest.raises(UsageError) as caught:
        await read(reader, data, name)
    return str(caught.value)


def children(parent: int) -> list[int]:
    found: list[int] = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


# each hostile document


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_document_is_read_or_refused_in_a_sentence(name: str) -> None:
    async with reading() as reader:
        try:
            found = await read(reader, HOSTILE[name], name)
        except UsageError as error:
            said = str(error)
            assert said.endswith(".")
            assert "\n" not in said
            assert "failed" not in said, "a fault of ours"
            assert said != BOUNDS.out_of_time
        else:
            assert sum(len(text) for text, _ in found.leaves) <= BOUNDS.characters
            assert len(found.leaves) <= BOUNDS.pages
        after = await read(reader, b"# Tides\n\nThe tide turns.", "a.md")
        assert after.leaves == (("# Tides\n\nThe tide turns.", "Tides"),)


async def test_a_file_that_a_spine_names_many_times_is_read_once() -> None:
    async with reading() as reader:
        found = await read(reader, spine(40, "tide " * 20_000), "a.epub")
        assert sum(len(text) for text, _ in found.leaves) == 99_999


@pytest.mark.parametrize(
    ("bounds", "data", "name", "says"),
    [
        (Bounds(1, 1024, 10**6, 10**4), ENDLESS, "a.html", "It was not read within 1 s; split it"),
        (
            Bounds(60, 512, 10**6, 10**4),
            HOSTILE["formatting.html"],
            "a.html",
            "Reading it needs more than 512 MB of memory; split it, or raise memory",
        ),
        (Bounds(60, 1024, 10**3, 10**4), b"x" * 1001, "a.txt", "It has more than 1,000"),
        (Bounds(60, 1024, 10**3, 10**4), b"a,b\n" + b"1,2\n" * 400, "a.csv", "It has more than 1,000"),
        (Bounds(60, 1024, 10**3, 10**4), docx([("", "x" * 1001)]), "a.docx", "It has more than 1,000"),
        (Bounds(60, 1024, 10**3, 10**4), epub(["x" * 600] * 2), "a.epub", "It has more than 1,000"),
        (Bounds(60, 1024, 10**3, 10**4), pdf(["tide " * 300]), "a.pdf", "It has more than 1,000"),
        (Bounds(60, 1024, 10**6, 9), pdf_with(b"", 10), "a.pdf", "It has more than 9 pages; split it"),
        (Bounds(60, 1024, 10**6, 9), b"word " * 9_000, "a.txt", "It has more than 9 pages"),
    ],
)  # fmt: skip
async def test_a_refusal_names_the_limit_and_its_setting(
    bounds: Bounds, data: bytes, name: str, says: str
) -> None:
    async with reading(bounds) as reader:
        said = await refusal(reader, data, name)
        assert said.startswith(says)
        assert said.endswith(" under [loading] in config.toml.")
        assert (await read(reader, b"tide", "a.txt")).leaves == (("tide", ""),)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (ImportError("splitter.so: failed to map segment from shared object"), True),
        (ImportError("splitter.so: failed to map segment from shared object: Cannot allocate memory"), True),
        (ImportError("No module named 'splitter'"), False),
        (OSError(errno.ENOENT, "No such file or directory"), False),
        (ValueError("failed to map segment"), False),
    ],
)
def test_a_library_that_finds_no_room_is_a_matter_of_memory(error: BaseException, says: bool) -> None:
    assert is_out_of_memory(error) == says


def test_each_limit_that_a_sentence_names_is_a_setting() -> None:
    assert {"seconds", "memory", "characters", "pages", "file", "download"} < set(
        LoadingSettings.model_fields
    )


@pytest.mark.slow
@given(name=st.sampled_from([*HOSTILE, "a.pdf", "a.txt", "a.csv", "a.jsonl", "a.html"]), data=st.data())
def test_any_bytes_are_read_or_refused(name: str, data: st.DataObject) -> None:
    whole = bytearray(HOSTILE.get(name, b"")[:20_000] or data.draw(st.binary(max_size=2_000)))
    for place in data.draw(st.lists(st.integers(0, max(0, len(whole) - 1)), max_size=9)):
        whole[place : place + 1] = data.draw(st.binary(max_size=3))

    async def work() -> None:
        async with reading(Bounds(30, 512, 10**6, 10**3)) as reader:
            said = ""
            try:
                await read(reader, bytes(whole), name)
            except UsageError as error:
                said = str(error)
            assert "failed" not in said

    anyio.run(work)


# the process


@linux
async def test_a_cancelled_load_leaves_no_process() -> None:
    before = children(os.getpid())
    async with reading() as reader:
        with anyio.move_on_after(1.5) as scope:
            await read(reader, ENDLESS, "a.html")
        assert scope.cancelled_caught
        assert (await read(reader, b"tide", "a.txt")).leaves == (("tide", ""),)
    assert set(children(os.getpid())) <= set(before)


@linux
async def test_the_process_is_given_no_key_and_imports_nothing_from_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-tide")
    (tmp_path / "json.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    before = children(os.getpid())
    async with reading() as reader:
        assert (await read(reader, b"tide", "a.txt")).leaves == (("tide", ""),)
        (child,) = set(children(os.getpid())) - set(before)
        assert b"tide" not in await anyio.Path(f"/proc/{child}/environ").read_bytes()


PROGRAM = """
import anyio, sys
from pagefault.ingest.bounds import Bounds
from pagefault.ingest.report import SilentProgress
from pagefault.ingest.reader import DocumentReader
from pagefault.ingest.sources import SourceContent
data = open(sys.argv[1], "rb").read()
reader = DocumentReader(Bounds(600, 1024, 10**6, 10**4), lambda done, total: None)
anyio.run(reader.read, SourceContent(data, sys.argv[1]))
"""


def at_work(parent: int) -> int:
    """The child process of a program, once it has read its input and is busy."""
    for _ in range(600):
        for child in children(parent):
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            if int(fields[11]) + int(fields[12]) > 2 * os.sysconf("SC_CLK_TCK"):
                return child
        time.sleep(0.1)
    raise AssertionError("no child process is at work")


def is_gone(process: int) -> bool:
    for _ in range(300):
        if not Path(f"/proc/{process}").exists():
            return True
        if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return True  # nobody waits for it in this container
        time.sleep(0.1)
    return False


@pytest.mark.slow
@linux
def test_a_killed_parent_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes(ENDLESS)
    program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path / "a.html")])
    child = at_work(program.pid)
    program.kill()
    program.wait()
    assert is_gone(child)


@pytest.mark.slow
@linux
def test_ctrl_c_ends_a_load_with_its_process_and_keeps_what_was_stored(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (tmp_path / "a.txt").write_text("The tide turns.")
    (tmp_path / "b.html").write_bytes(ENDLESS)
    base = [sys.executable, "-m", "pagefault", "--home", str(home)]
    subprocess.run([*base, "agent", "create", "ana"], check=True, capture_output=True)
    files = [str(tmp_path / name) for name in ("a.txt", "b.html")]
    command = [*base, "load", *files, "--agent", "ana"]
    pipe = subprocess.PIPE
    ran = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    child = at_work(ran.pid)
    os.killpg(ran.pid, signal.SIGINT)  # as a terminal does: both get it
    _, said = ran.communicate(timeout=60)
    assert ran.returncode in (130, -signal.SIGINT), said
    assert "Traceback" not in said
    assert is_gone(child)
    listing = [*base, "document", "list", "--agent", "ana"]
    listed = subprocess.run(listing, capture_output=True, text=True, check=True).stdout
    assert "Showing 1 of 1" in listed


async def test_turns_go_on_while_a_document_hangs(machine: Machine) -> None:
    limits = LoadingSettings(seconds=3, memory=1024)
    async with machine.open(ScriptedModel([[say("Aye.")]])) as rig:
        rig.kernel.loading = limits
        done: list[str] = []

        async def loading() -> None:
            report = await load(rig.kernel, "ana", [Bytes(ENDLESS, "a"), Bytes(b"tide", "b")])
            done.extend(item.why or item.state for item in report.items)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(loading)
            await anyio.sleep(0.5)
            assert await rig.said("Are you there?") == "Aye."
            assert done == [], "the turn was served meanwhile"
        assert done == [
            "It was not read within 3 s; split it, or raise seconds under [loading] in config.toml.",
            "loaded",
        ]


async def test_a_file_over_its_limit_is_refused(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * ((1 << 20) + 1))
    async with machine.open(ScriptedModel([])) as rig:
        rig.kernel.loading = LoadingSettings(file=1)
        sources = [File(tmp_path / "a.txt"), Bytes(b"x" * ((1 << 20) + 1), "b"), Bytes(b"tide", "c")]
        report = await load(rig.kernel, "ana", sources)
    said = "It is larger than 1 MB; split it, or raise file under [loading] in config.toml."
    assert [item.why for item in report.items] == [said, said, ""]
