"""`load` and `document`: loading documents, and the list, pages and deletion of loaded ones."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from getpass import getpass
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from pagefault.cli.render import clip, counted, data_of, fold, local, plain, showing, table
from pagefault.cli.screens import console
from pagefault.cli.session import Session
from pagefault.cli.vectors import LOAD_SECONDS, complete
from pagefault.errors import UsageError
from pagefault.ingest import Bytes, ReadingOptions, SourceResult, find
from pagefault.ingest import load as load_sources
from pagefault.ingest.sources import DocumentSource, Skipped
from pagefault.kernel import Kernel
from pagefault.kernel.edits import delete_document
from pagefault.shared import StorageOwner
from pagefault.views import documents
from pagefault.views.agents import EmbedderProgress
from pagefault.views.asking import tags_of


def options_of(encoding: str, ocr: bool, password: str, kind: str) -> ReadingOptions:
    """The options of reading; a password of ``-`` is asked for, so that no history of commands has it."""
    return ReadingOptions(encoding, ocr, getpass("Password: ") if password == "-" else password, kind)


def load(
    session: Session,
    name: StorageOwner,
    targets: Sequence[str],
    tags: Sequence[str],
    title: str | None,
    options: ReadingOptions,
) -> None:
    """Load sources, show the progress on stderr and the result of each; exit with 1 if any failed."""
    failed: list[SourceResult] = []

    async def work(kernel: Kernel) -> None:
        await kernel.record(name)  # before standard input is read: the agent may not be there
        sources = _sources(targets, title, (kernel.loading.file << 20) + 1, options.kind)
        bar = _bar()
        shown = bar if bar.console.is_terminal else nullcontext()
        with shown:
            watch = _Watch(bar, bar.add_task("", total=len(sources), size="", now=""))
            report = await load_sources(
                kernel, name, sources, tags=tags_of(tags), title=title, watch=watch, options=options
            )
        if report.notice:
            console(stderr=True).print(Text(plain(report.notice), "yellow"))
        failed.extend(item for item in report.items if item.state == "failed")
        data = [_item_data(item) for item in report.items]
        event = report.event.id if report.event else None
        about = {"documents": data, "event": event} | (
            {"informed": report.informed} if report.informed else {}
        )
        session.show(about, "\n".join(map(_item_line, report.items)))
        await _complete(kernel)

    session.run(work)
    if failed:
        raise SystemExit(1)


async def _complete(kernel: Kernel) -> None:
    """Make the vectors of what was loaded, with the progress on stderr."""
    columns = BarColumn(), TextColumn("{task.fields[now]}", markup=False), TimeElapsedColumn()
    bar = Progress(*columns, console=console(stderr=True), transient=True)
    with bar if bar.console.is_terminal else nullcontext():
        task = bar.add_task("", total=None, now="vectors")

        def watch(progress: EmbedderProgress) -> None:
            now = f"{progress.rows:,} of {progress.of:,} vectors; Ctrl-C leaves the rest for later"
            bar.update(task, completed=progress.rows, total=progress.of, now=now)

        await complete(kernel, LOAD_SECONDS, watch)


def _sources(
    targets: Sequence[str], title: str | None, most: int, kind: str
) -> list[DocumentSource | Skipped]:
    sources: list[DocumentSource | Skipped] = []
    for target in dict.fromkeys(targets):
        if target == "-":
            sources.append(Bytes(sys.stdin.buffer.read(most), title or "stdin"))
        else:
            sources.extend(find([target], typed=True, kind=kind))
    if not any(not isinstance(source, Skipped) for source in sources):
        raise UsageError("There is nothing to load there; name files, or a folder that has some.")
    return sources


def _bar() -> Progress:
    """Files done of all, MB of a large table, pages of the file at work; on stderr, and gone when done."""
    columns = (
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} files", markup=False),
        TimeElapsedColumn(),
        TextColumn("{task.fields[size]}", markup=False),
        TextColumn("{task.fields[now]}", markup=False),
    )
    return Progress(*columns, console=console(stderr=True), transient=True)


@dataclass(frozen=True, slots=True)
class _Watch:
    """Shows progress on a bar, and what failed, was skipped or needs a note as lines above it."""

    bar: Progress
    task: TaskID

    def begin(self, source: str) -> None:
        more = "!/" in source  # it was found in another
        total = (self.bar.tasks[self.task].total or 0) + more
        self.bar.update(self.task, total=total, now=clip(source.rpartition("/")[2] or source, 40))

    def page(self, done: int, total: int) -> None:
        self.bar.update(self.task, now=f"page {done:,} of {total:,}")

    def size(self, done: int, total: int) -> None:
        self.bar.update(self.task, size=f"{done >> 20:,} of {total >> 20:,} MB")

    def end(self, item: SourceResult) -> None:
        self.bar.update(self.task, advance=1, now="")
        if item.state in ("failed", "skipped"):
            style = "yellow" if item.state == "failed" else "dim"
            self.bar.console.print(Text(f"{item.state}: {fold(item.source)}: {plain(item.why)}", style))
        for note in item.notes:
            self.bar.console.print(Text(f"note: {fold(item.source)}: {fold(note)}", "yellow"))


def _item_data(item: SourceResult) -> dict[str, Any]:
    about: dict[str, Any] = {"source": item.source, "state": item.state}
    if document := item.document:
        about |= {"id": document.id, "title": document.title, "media": document.media}
        about |= {"pages": document.pages, "tags": list(document.tags)}
    if item.state in ("loaded", "replaced"):
        about["passages"] = item.chunks
    about |= {"notes": list(item.notes)} if item.notes else {}
    return about | ({"why": item.why} if item.why else {})


def _item_line(item: SourceResult) -> str:
    if item.document is None:
        return f"{item.state}: {fold(item.source)}"
    document = item.document
    size = counted(document.pages, "page") + (f", {counted(item.chunks, 'passage')}" if item.chunks else "")
    return f"{item.state}: {document.id} {clip(document.title, 60)} ({size}) {fold(item.source)}"


def list_all(session: Session, name: StorageOwner, page: int) -> None:
    async def work(kernel: Kernel) -> None:
        found = await documents.documents(kernel, name, page=page)
        rows = [
            [d.id, clip(d.title, 50), str(d.pages), local(d.at), " ".join(f"#{tag}" for tag in d.tags)]
            for d in found.results
        ]
        lines = [showing(len(rows), found.total, found.page, found.pages)]
        lines += [table([["id", "title", "pages", "loaded", "tags"], *rows])] if rows else []
        session.show(found, "\n".join(lines))

    session.run(work)


def show(session: Session, name: StorageOwner, id: str, page: int) -> None:
    async def work(kernel: Kernel) -> None:
        found = await documents.document_page(kernel, name, id, page)
        about = data_of(found.document)
        leaf = {"number": found.number, "heading": found.heading, "text": found.text}
        facts = about | {"tags": " ".join(found.document.tags), "at": local(found.document.at)}
        title = f"page {page}" + (f", {found.heading}" if found.heading else "")
        lines = table([[key, str(value)] for key, value in facts.items()])
        session.show(about | {"page": leaf}, f"{lines}\n\n--- {title}\n{found.text}")

    session.run(work)


def delete(session: Session, name: StorageOwner, id: str) -> None:
    async def work(kernel: Kernel) -> None:
        await delete_document(kernel, name, id)
        session.show({"deleted": id}, f"{id} is deleted.")

    session.run(work)
