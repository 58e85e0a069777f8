"""The checks of passages, of documents, and of what left the indexes."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from pagefault.transfer.known import KnownRows
from pagefault.transfer.values import is_counted, some
from pagefault.types import Tier

__all__ = ["document_faults", "passage_faults"]


def passage_faults(known: KnownRows) -> Iterator[str]:
    embedded, withdrawn, tags = set[int](), set[int](), set[tuple[int, str]]()
    for row in known.table("passages"):
        known.passages.add(row["number"])
        if row["withdrawn"] is not None:
            withdrawn.add(row["number"])
            continue
        if row["embed"]:
            embedded.add(row["number"])
        tags.update((row["number"], tag) for tag in json.loads(row["tags"]))
    known.embedded["archival"] = embedded
    if max(known.passages, default=0) > known.own["last_passage"]:
        yield f"There are passages behind number {known.own['last_passage']}, the last one counted."
    indexed = {(row["number"], row["tag"]) for row in known.table("passage_tags")}
    if astray := sorted({number for number, _ in tags ^ indexed}):
        yield f"{some('passage', astray)} are not found by their tags."
    yield from _deletions(known, "deletions", known.passages - withdrawn, "archival", "passage")
    yield from _deletions(known, "recall_deletions", known.messages, "recall", "message")


def _deletions(known: KnownRows, table: str, there: set[int], tier: Tier, called: str) -> Iterator[str]:
    """Yield what is wrong with the notes of what left the indexes of a tier; ``there``: what did not."""
    gone = [(row["change"], row["number"]) for row in known.table(table)]
    if astray := sorted(number for _, number in gone if number in there):
        yield f"{some(called, astray)} are said to be deleted, but are there."
    if any(change > known.own[f"{tier}_changes"] for change, _ in gone):
        yield "There are deletions that were not counted."


def document_faults(known: KnownRows) -> Iterator[str]:
    pages = defaultdict[int, set[int]](set)
    for row in known.table("document_pages"):
        pages[row["document"]].add(row["page"])
    there = {row["number"]: row["pages"] for row in known.table("documents")}
    if astray := [n for n in sorted(there.keys() | pages) if not is_counted(pages[n], there.get(n, 0))]:
        yield f"{some('document', astray)} lack pages, or have too many."
    if max(there, default=0) > known.own["last_document"]:
        yield f"There are documents behind number {known.own['last_document']}, the last one counted."
    chunks = ((row["number"], row["document"], row["page"]) for row in known.table("passages"))
    if astray := [n for n, document, page in chunks if document and page not in pages[document]]:
        yield f"{some('passage', astray)} are of a page of a document that is not there."
