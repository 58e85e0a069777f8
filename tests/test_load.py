"""Loading documents for an agent, and the agent leafing through them."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Machine, Rig
from document_files import docx, pdf
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import Installation, parse_settings
from pagefault.errors import NotFoundError, UsageError
from pagefault.functions.documents import DocumentCalls, fold, pattern
from pagefault.ingest import Bytes, File, LoadReport, Skipped, SourceResult, find, load
from pagefault.ingest.report import LoadProgress, SilentProgress
from pagefault.ingest.sources import DocumentSource
from pagefault.kernel import Kernel
from pagefault.storage import Transaction
from pagefault.testing.models import ScriptedModel
from pagefault.types import Event, Page, Passage
from test_syscalls import returned

pytestmark = pytest.mark.anyio


async def put(
    rig: Rig,
    *sources: DocumentSource | Skipped,
    tags: Sequence[str] = (),
    title: str | None = None,
    watch: LoadProgress | None = None,
) -> LoadReport:
    return await load(rig.kernel, "ana", sources, tags=tags, title=title, watch=watch)


def states(report: LoadReport) -> list[str]:
    return [item.state for item in report.items]


async def inbox(rig: Rig) -> list[Event]:
    record = await rig.kernel.record("ana")
    return await rig.kernel.store.read(lambda tx: tx.events(record.id))


async def passages(rig: Rig) -> list[Passage]:
    record = await rig.kernel.record("ana")
    return await rig.kernel.store.read(lambda tx: tx.passages(record.id, range(1, 99)))


@contextmanager
def idle(machine: Machine) -> Generator[Kernel]:
    """A kernel that serves nobody, as `pagefault load` has."""
    yield open_kernel(machine.home, Parts(clock=machine.clock), Installation(embedder="null"))


# loading


async def test_a_document_becomes_pages_passages_and_one_event(machine: Machine) -> None:
    data = pdf(
        ["The tide turns at noon.", "The lighthouse is white."], title="On tides", chapters={1: "Light"}
    )
    path = machine.home / "tides.pdf"
    path.write_bytes(data)
    async with machine.open(ScriptedModel([])) as rig:
        report = await put(rig, File(path), tags=("sea", "sea", "b"))
        await rig.kernel.idle()
        (item,) = report.items
        assert item.document is not None
        assert (item.state, item.chunks) == ("loaded", 2)
        assert (item.document.id, item.document.title, item.document.pages) == ("d1", "On tides", 2)
        assert (item.document.source, item.document.tags) == (str(path), ("sea", "b"))
        found = await passages(rig)
        assert [(p.text, p.title, p.tags) for p in found] == [
            ("The tide turns at noon.", "On tides", ("sea", "b")),
            ("The lighthouse is white.", "On tides", ("sea", "b")),
        ]
        places = [p.place for p in found if p.place]
        assert [(p.document, p.page, p.section, p.start, p.stop) for p in places] == [
            (1, 1, "", 0, 23),
            (1, 2, "Light", 0, 24),
        ]
        (event,) = await inbox(rig)
        assert event == report.event or event.state == "done"
        assert event.kind == "upload_finished"
        assert event.text == 'Loaded into archival storage: d1 "On tides" (2 pages).'


async def test_the_same_again_changes_nothing_and_an_edited_one_takes_its_place(machine: Machine) -> None:
    path = machine.home / "notes.md"
    path.write_text("# Notes\n\nThe key is under the mat.")
    async with machine.open(ScriptedModel([])) as rig:
        assert states(await put(rig, File(path))) == ["loaded"]
        again = await put(rig, File(path))
        assert (states(again), again.event) == (["unchanged"], None)
        path.write_text("# Notes\n\nThe key is in the shed.")
        edited = await put(rig, File(path))
        assert states(edited) == ["replaced"]
        assert edited.items[0].document
        assert edited.items[0].document.id == "d1"
        assert [p.text for p in await passages(rig)] == ["# Notes\n\nThe key is in the shed."]
        assert states(await put(rig, File(path), tags=("home",))) == ["replaced"]
        assert states(await put(rig, File(path), tags=("home",), title="Keys")) == ["replaced"]
        assert states(await put(rig, File(path), tags=("home",))) == ["unchanged"]
        assert len(await inbox(rig)) == 4


async def test_a_bad_file_is_named_and_the_rest_goes_on(machine: Machine) -> None:
    folder = machine.home / "papers"
    (folder / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "config.txt").write_text("hidden")
    (folder / ".hidden.txt").write_text("hidden")
    (folder / "a.pdf").write_bytes(b"nonsense")
    (folder / "b.txt").write_text("Bees dance.")
    (folder / "deep" / "c.docx").write_bytes(docx([("", "Deep words.")]))
    (folder / "photo.jpg").write_bytes(b"\xff\xd8")
    (folder / "link.txt").symlink_to(folder / "b.txt")
    (folder / "loop").symlink_to(folder)
    async with machine.open(ScriptedModel([])) as rig:
        gone = machine.home / "gone.txt"
        report = await put(rig, *find([str(folder), str(gone)]))
        assert [(Path(item.source).name, item.state) for item in report.items] == [
            ("a.pdf", "failed"),
            ("b.txt", "loaded"),
            ("link.txt", "skipped"),
            ("loop", "skipped"),
            ("photo.jpg", "skipped"),
            ("c.docx", "loaded"),
            ("gone.txt", "failed"),
        ]
        assert (
            report.items[0].why
            == "It is not a PDF that can be read, or only a part of one; get it anew, or print it to PDF."
        )
        assert report.items[-1].why == "No such file or directory."
        assert report.event is not None
        assert report.event.text == 'Loaded into archival storage: d1 "b" (1 page), d2 "c" (1 page).'


async def test_many_documents_are_one_event_that_names_the_first(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        report = await put(rig, *(Bytes(b"words", f"note [{n}]\n") for n in range(30)))
        assert report.event is not None
        assert report.event.text.startswith('Loaded into archival storage: d1 "note (0)" (1 page), d2')
        assert report.event.text.endswith("; and 18 more, see document_list.")


async def test_what_was_stored_before_a_cancellation_is_told(machine: Machine) -> None:
    class Impatient(SilentProgress):
        def end(self, item: SourceResult) -> None:
            assert item.state == "loaded"
            scope.cancel()

    async with machine.open(ScriptedModel([])) as rig:
        with anyio.CancelScope() as scope:
            await put(rig, Bytes(b"one", "one"), Bytes(b"two", "two"), watch=Impatient())
        assert scope.cancelled_caught
        assert [e.text for e in await inbox(rig)] == ['Loaded into archival storage: d1 "one" (1 page).']


async def test_loading_needs_no_turn_and_the_agent_hears_of_it_later(machine: Machine) -> None:
    store = machine.home / "pagefault.db"
    with idle(machine) as kernel:
        await kernel.create_agent("ana", parse_settings({"zone": "UTC"}))
        report = await load(kernel, "ana", [Bytes(b"Bees dance.", "Bees")])
        assert report.event is not None
        assert report.event.state == "pending"
        with pytest.raises(NotFoundError):
            await load(kernel, "bob", [Bytes(b"x", "x")])
        await kernel.store.close()
    assert store.exists()
    with idle(machine) as kernel:
        async with kernel:
            await kernel.recover()
            record = await kernel.record("ana")
            (event,) = await kernel.store.read(lambda tx: tx.events(record.id))
            assert event.state == "done"


async def test_a_title_is_for_one_document(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        with pytest.raises(UsageError, match="A title is for one document"):
            await put(rig, Bytes(b"one", "a"), Bytes(b"two", "b"), title="x")


async def test_without_the_extra_the_mend_is_said(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mammoth", None)  # as if it were not installed
    async with machine.open(ScriptedModel([])) as rig:
        with pytest.raises(UsageError, match=r"\(mammoth\); run: pip install 'pagefault\[documents\]'"):
            await put(rig, Bytes(b"x", "x"))


# the web


class _Pages(BaseHTTPRequestHandler):
    """Serves a page, a redirect, a loop, an error."""

    def do_GET(self) -> None:
        place = self.path.partition("?")[0]
        status = {"/old": 301, "/loop": 302, "/missing": 404}.get(place, 200)
        body = b"<html><head><title>Tides</title></head><body><p>The tide turns.</p></body></html>"
        self.send_response(status)
        if status in (301, 302):
            self.send_header("Location", {"/old": "/tides", "/loop": "/loop"}[place])
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Generator[str]:
    with HTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_a_page_of_the_web_is_loaded_by_its_address(machine: Machine, site: str) -> None:
    targets = [
        f"http://me:secret@{site}/old#top",
        f"http://{site}/loop",
        f"http://{site}/missing",
        "http://127.0.0.1:1/",
    ]
    async with machine.open(ScriptedModel([])) as rig:
        report = await put(rig, *find(targets, typed=True))
        assert states(report) == ["loaded", "failed", "failed", "failed"]
        document = report.items[0].document
        assert document is not None
        assert (document.title, document.media) == ("Tides", "text/html")
        assert document.source == f"http://{site}/tides", "where it was in the end, and without a password"
        assert "redirect" in report.items[1].why
        assert report.items[2].why == "The server answers 404; check the address."
        assert report.items[3].why.startswith("It cannot be fetched (")


@pytest.mark.parametrize("target", ["ftp://example.org/a.txt", "file:///etc/passwd", "http://", "http://[x/"])
def test_only_addresses_of_the_web_are_fetched(target: str) -> None:
    with pytest.raises(UsageError, match=r"address"):
        list(find([target]))


# leafing


async def _with_book(rig: Rig) -> None:
    """d1: a book of 40 pages; page 7 is long, page 12 has accents, 13 and 14 Chinese."""
    pages = [f"Page {n} of the book is about bees." for n in range(1, 41)]
    pages[6] = "The long page. " + "A wave came in and went out again, as waves do. " * 200
    pages[11] = "In the CAFÉ  of\nSão Tomé they spoke of Crème brûlée; in the café."
    pages[12], pages[13] = "今天天气很\n好，我们去公园。", "天气不好。"
    record = await rig.kernel.record("ana")
    await put(rig, Bytes(b"x", "The Book"), tags=("bees",))
    await rig.kernel.idle()

    def rebind(tx: Transaction) -> None:
        (document,) = tx.documents(record.id)
        leaves = [Page(n, "Part One" if n < 20 else "", text) for n, text in enumerate(pages, 1)]
        tx.put_document(record.id, document, leaves, [])

    await rig.kernel.store.write(rebind)


async def test_document_functions_are_offered_once_there_are_documents(machine: Machine) -> None:
    calls = {"document_list", "document_open", "document_find"}
    async with machine.open(ScriptedModel([]), window=4096) as rig:
        assert not calls & {f.name for f in (await rig.process()).prompt().functions}
        report = await put(rig, Bytes(b"words", "x"))
        assert report.notice == ""
        await rig.kernel.idle()
        assert calls < {f.name for f in (await rig.process()).prompt().functions}


async def test_who_listens_to_the_agent_goes_on_hearing_it(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig, rig.kernel.listen("ana") as heard:
        await put(rig, Bytes(b"words", "x"))
        await rig.kernel.idle()
        assert heard.statistics().current_buffer_used


async def test_in_a_window_without_room_documents_can_still_be_searched(machine: Machine) -> None:
    model = ScriptedModel([])
    async with AsyncExitStack() as stack:
        for limit in range(1_600, 800, -8):  # the largest section that such a window takes
            section = {"name": "human", "limit": limit}
            with suppress(UsageError):
                rig = await stack.enter_async_context(machine.open(model, window=4096, sections=(section,)))
                break
        else:
            raise AssertionError
        report = await put(rig, Bytes(b"Bees dance to tell directions.", "Bees"))
        await rig.kernel.idle()
        assert report.notice.startswith("The agent can search the documents, but not turn their pages: ")
        assert "Bees dance" in await returned(rig, model, "archival_search", query="bees")


async def test_a_found_chunk_shows_title_and_page(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        await put(
            rig, Bytes(pdf(["Ebb.", "The lighthouse is white."], title="On [tides]"), "x"), tags=("sea",)
        )
        await rig.kernel.idle()
        result = await returned(rig, model, "archival_search", query="lighthouse")
        read = await returned(rig, model, "archival_read", id="p2")
    line = "[archival p2 2026-03-01 Sun 09:00 On (tides), p. 2 #sea] "
    assert result.splitlines()[1] == f"{line}The lighthouse is white."
    assert read.startswith(line)


async def test_documents_are_listed_and_opened_page_by_page(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model, window=4096) as rig:
        await _with_book(rig)
        listed = await returned(rig, model, "document_list")
        first = await returned(rig, model, "document_open", id="d1")
        last = await returned(rig, model, "document_open", id="d1", page=40)
        parts = [await returned(rig, model, "document_open", id="d1", page=7, part=n) for n in (1, 2)]
        beyond = await returned(rig, model, "document_open", id="d1", page=41)
        absent = await returned(rig, model, "document_open", id="d2")
        wrong = await returned(rig, model, "document_open", id="p1")
        rows = await rig.log()
        limit = (await rig.process()).memory.budget.page
    assert listed == (
        "Showing 1 of 1 results (page 1/1)\n[d1 2026-03-01 Sun 09:00 #bees] The Book (40 pages)"
    )
    assert first == "[d1 The Book, page 1 of 40, Part One]\nPage 1 of the book is about bees."
    assert last.startswith("[d1 The Book, page 40 of 40]\n")
    head, _, rest = parts[0].partition("\n")
    assert head.startswith("[d1 The Book, page 7 of 40, Part One; part 1 of ")
    assert rest.startswith("The long page.")
    assert parts[1].splitlines()[0].startswith("[d1 The Book, page 7 of 40, Part One; part 2 of ")
    assert beyond == "Error: There is no page 41 in d1; pages go from 1 to 40."
    assert absent == "Error: There is no document d2; document_list shows those there are."
    assert wrong == "Error: 'p1' is not the id of a document (d and a number)."
    opened = [row for row in rows if row.role == "result" and row.meta.sources == ("d1",)]
    assert len(opened) == 5, "what is read is marked, so that it is not indexed again"
    assert all(row.shown.endswith(row.text[-20:]) for row in opened), "shown whole"
    assert all(row.tokens <= limit + 32 for row in opened)


async def test_text_is_found_in_a_document_whatever_its_case_accents_and_lines(machine: Machine) -> None:
    model = ScriptedModel([])
    async with machine.open(model) as rig:
        await _with_book(rig)

        async def look(text: str, page: int = 1) -> list[str]:
            return (await returned(rig, model, "document_find", id="d1", text=text, page=page)).splitlines()

        cafe, place, bees = await look("cafe of sao"), await look("CRÈME\nBRULÉE"), await look("bees", page=8)
        chinese, twice, wave = await look("天气很好"), await look("Café"), await look("went out")
        nothing, blank = await look("zeppelin"), await look(" ")
    assert cafe == [
        "Showing 1 of 1 results (page 1/1): pages of d1 with that text",
        "[d1 p. 12] In the CAFÉ of São Tomé they spoke of Crème brûlée; in the café.",
    ]
    assert "[d1 p. 12] " in place[1]
    assert bees[0].startswith("Showing 1 of 36 results (page 8/8)")
    assert bees[1] == "[d1 p. 40] Page 40 of the book is about bees."
    assert chinese[0].startswith("Showing 1 of 1")
    assert twice[1].startswith("[d1 p. 12, 2 times] ")
    assert wave[1].startswith("[d1 p. 7, 200 times] The long page. A wave came in and went out")
    assert wave[1].endswith("…")
    assert nothing == ["Showing 0 of 0 results (page 1/1): pages of d1 with that text"]
    assert blank == ["Error: text is empty; give the text to look for."]


def test_the_document_functions_are_three() -> None:
    named = [name for name in vars(DocumentCalls) if name.startswith("document_")]
    assert named == ["document_list", "document_open", "document_find"]


@given(
    st.text(st.sampled_from("aÀéßİﬁ今天 \n👩e\u0301x."), max_size=30),
    st.text(st.sampled_from("aÀéßİﬁ今天 \n👩e\u0301x."), min_size=1, max_size=8),
    st.text(st.sampled_from("aÀéßİﬁ今天 \n👩e\u0301x."), max_size=30),
)
def test_a_text_is_found_where_it_stands(before: str, text: str, after: str) -> None:
    wanted = pattern(text)
    assert (wanted is None) == (not fold(text).split())
    if wanted is not None:
        for written in (text, text.upper(), text.replace(" ", "\n ")):
            assert wanted.search(fold(before + written + after))
