"""The part of the store suite about passages in batches, and documents with their pages and chunks."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pagefault.errors import NotFoundError
from pagefault.storage import Filter, Transaction
from pagefault.testing.store_opening import NOW, WILD, StoreOpening, refused, unit
from pagefault.types import AgentId, Document, Page, Passage, Place

__all__ = ["DocumentConformance"]


def _document(source: str = "/tmp/tides.pdf", *, digest: str = "0a", tags: tuple[str, ...] = ()) -> Document:
    return Document(source, "On tides", "application/pdf", digest, NOW, 0, tags)


def _pages(*texts: str) -> list[Page]:
    return [Page(number, f"Part {number}", text) for number, text in enumerate(texts, 1)]


def _chunks(*texts: str, tags: tuple[str, ...] = (), document: int = 0) -> list[Passage]:
    """Chunks, each a whole page."""
    return [
        Passage(text, NOW, tags, "/tmp/tides.pdf", 0, "On tides", Place(document, page, "Part", 0, len(text)))
        for page, text in enumerate(texts, 1)
    ]


class DocumentConformance(StoreOpening):
    def test_a_batch_of_passages_is_numbered_in_order_and_found(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            one = db.write(lambda tx: tx.insert_passage(ana, Passage("one", NOW)))
            fresh = [Passage(f"word{n}", NOW, (f"t{n}",)) for n in range(300)]
            stored = db.write(lambda tx: tx.insert_passages(ana, fresh))
            assert stored == [replace(passage, number=n) for n, passage in enumerate(fresh, 2)]
            assert db.write(lambda tx: tx.insert_passages(ana, [])) == []
            assert db.write(lambda tx: tx.insert_passage(ana, one)).number == 302
            assert db.read(lambda tx: tx.passages(ana, [301, 2])) == [stored[299], stored[0]]
            assert db.read(lambda tx: tx.holdings(ana)) == (302, 0)
            assert db.found(ana, "archival", "word7") == [9]
            assert db.found(ana, "archival", filter=Filter(tags=("t299",))) == [301]
            nobody = AgentId(999)
            refused(NotFoundError, lambda: db.write(lambda tx: tx.insert_passages(nobody, fresh)))

    def test_a_passage_is_found_by_its_title_too(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            db.write(lambda tx: tx.insert_passage(ana, Passage("high at noon", NOW, title="Tides of Faro")))
            assert db.found(ana, "archival", "faro") == db.found(ana, "archival", "noon") == [1]

    def test_a_passage_keeps_its_title_and_its_place(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            place = Place(3, 12, "One › Two", 40, 2**40)
            passage = Passage("text", NOW, ("a",), "source", 0, "title", place)
            stored = db.write(lambda tx: tx.insert_passage(ana, passage))
            assert db.read(lambda tx: tx.passage(ana, 1)) == stored == replace(passage, number=1)

    def test_a_document_is_stored_with_its_pages_and_chunks(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, fresh = db.agent("ana"), _document(tags=("sea", "b"))
            pages, chunks = _pages("ebb", "flow"), _chunks("ebb", "flow", tags=("sea",), document=77)
            stored = db.write(lambda tx: tx.put_document(ana, fresh, pages, chunks))
            assert stored == replace(fresh, number=1, pages=2)
        with self.opened(tmp_path) as db:
            assert db.read(lambda tx: tx.document(ana, 1)) == stored
            assert db.read(lambda tx: tx.document_by_source(ana, fresh.source)) == stored
            assert db.read(lambda tx: tx.documents(ana)) == [stored]
            assert db.read(lambda tx: [tx.document_page(ana, 1, n) for n in (0, 1, 2, 3)]) == [
                None, *pages, None,
            ]  # fmt: skip
            assert db.read(lambda tx: tx.document_pages(ana, 1, 2, 9)) == pages[1:]
            found = db.read(lambda tx: tx.passages(ana, [1, 2]))
            assert [p.place for p in found] == [
                Place(1, n, "Part", 0, len(pages[n - 1].text)) for n in (1, 2)
            ]
            assert [p.title for p in found] == ["On tides"] * 2
            assert db.found(ana, "archival", "flow") == [2]
            assert db.found(ana, "archival", filter=Filter(tags=("sea",))) == [2, 1]

    def test_a_document_of_the_same_source_takes_the_place_of_the_old_one(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, old = db.agent("ana"), _document(tags=("old",))
            chunks = _chunks("ebb", "flow", "slack", tags=("old",))
            db.write(lambda tx: tx.put_document(ana, old, _pages("ebb", "flow", "slack"), chunks))
            other = _document("/tmp/other.pdf")
            db.write(lambda tx: tx.put_document(ana, other, _pages("other"), _chunks("other")))
            waiting = db.read(lambda tx: tx.pending_vectors("f", 9))
            db.embed(waiting, *[unit(1, 0)] * len(waiting))
            new = replace(old, digest="0b", at=NOW + timedelta(days=1), tags=("new",))
            stored = db.write(lambda tx: tx.put_document(ana, new, _pages("ebb again"), _chunks("ebb again")))
            assert stored == replace(new, number=1, pages=1)
            assert [d.number for d in db.read(lambda tx: tx.documents(ana))] == [1, 2]
            assert db.read(lambda tx: tx.document_pages(ana, 1, 1, 9)) == _pages("ebb again")
            assert db.read(lambda tx: [p.number for p in tx.passages(ana, range(1, 9))]) == [4, 5]
            assert db.found(ana, "archival", "flow") == []
            assert db.found(ana, "archival", "ebb") == [5]
            assert db.found(ana, "archival", filter=Filter(tags=("old",))) == []
            assert [item.number for item in db.read(lambda tx: tx.pending_vectors("f", 9))] == [5]

    def test_a_deleted_document_leaves_nothing_and_its_number_is_not_used_again(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            alone = db.write(lambda tx: tx.insert_passage(ana, Passage("ebb of our own", NOW)))
            db.write(lambda tx: tx.put_document(ana, _document(), _pages("ebb"), _chunks("ebb", "...")))
            assert db.write(lambda tx: tx.delete_document(ana, 1))
            assert not db.write(lambda tx: tx.delete_document(ana, 1))
            assert db.read(lambda tx: (tx.documents(ana), tx.document(ana, 1))) == ([], None)
            assert db.read(lambda tx: tx.document_by_source(ana, "/tmp/tides.pdf")) is None
            assert db.read(lambda tx: tx.document_pages(ana, 1, 1, 9)) == []
            assert db.read(lambda tx: tx.passages(ana, range(1, 9))) == [alone]
            assert db.found(ana, "archival", "ebb") == [1]
            again = db.write(lambda tx: tx.put_document(ana, _document(), _pages("flow"), _chunks("flow")))
            assert again.number == 2
            assert db.found(ana, "archival", "flow") == [4]

    def test_a_document_that_is_undone_leaves_the_old_one(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            stored = db.write(lambda tx: tx.put_document(ana, _document(), _pages("ebb"), _chunks("ebb")))

            def work(tx: Transaction) -> None:
                tx.put_document(ana, _document(digest="0b"), _pages("flow"), _chunks("flow"))
                tx.put_document(ana, _document("/tmp/other.pdf"), _pages("flow"), _chunks("flow"))
                raise NotFoundError

            refused(NotFoundError, lambda: db.write(work))
            assert db.read(lambda tx: tx.documents(ana)) == [stored]
            assert db.read(lambda tx: tx.document_page(ana, 1, 1)) == _pages("ebb")[0]
            assert db.found(ana, "archival", "ebb") == [1]
            assert db.found(ana, "archival", "flow") == []

    def test_any_text_is_kept_in_a_document(self, tmp_path: Path) -> None:
        half = "before \ud83d after"
        with self.opened(tmp_path) as db:
            ana = db.agent("ana")
            pages = _pages(*WILD)
            db.write(lambda tx: tx.put_document(ana, _document(WILD[5]), pages, _chunks(*WILD)))
            assert db.read(lambda tx: tx.document_pages(ana, 1, 1, len(WILD))) == pages
            assert [p.text for p in db.read(lambda tx: tx.passages(ana, range(1, len(WILD) + 1)))] == [*WILD]
            wild = replace(_document(half, tags=(half,)), title=half)
            chunk = Passage(half, NOW, (half,), half, 0, half, Place(0, 1, half, 0, 1))
            db.write(lambda tx: tx.put_document(ana, wild, [Page(1, half, half)], [chunk]))
            again = db.write(lambda tx: tx.put_document(ana, wild, [Page(1, half, half)], [chunk]))
            assert again.number == 2, "it is known by its source, cleaned as it may be"

    def test_documents_belong_to_one_agent(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as db:
            ana, bob = db.agent("ana"), db.agent("bob")
            for agent in (ana, bob):
                db.write(lambda tx, a=agent: tx.put_document(a, _document(), _pages("ebb"), _chunks("ebb")))
            db.write(lambda tx: tx.delete_agent(bob))
            assert db.read(lambda tx: (tx.documents(bob), tx.document_page(bob, 1, 1))) == ([], None)
            assert [d.number for d in db.read(lambda tx: tx.documents(ana))] == [1]
            assert db.read(lambda tx: tx.document_page(ana, 1, 1)) == _pages("ebb")[0]
            nobody = AgentId(999)
            refused(NotFoundError, lambda: db.write(lambda tx: tx.put_document(nobody, _document(), [], [])))
