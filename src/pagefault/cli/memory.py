"""`recall` and `archival`: search of external memory, and changes of archival storage."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from pagefault.cli.render import clip, data_of, showing
from pagefault.cli.session import Session
from pagefault.cli.vectors import SEARCH_SECONDS, complete
from pagefault.context.paging import more_like_it
from pagefault.kernel import Kernel
from pagefault.kernel.edits import delete_passage, remember
from pagefault.shared import StorageOwner
from pagefault.views.memory import SearchPage, search


def search_recall(
    session: Session,
    name: str,
    query: str,
    page: int,
    roles: Sequence[str],
    since: str | None,
    until: str | None,
    session_number: int | None,
    as_of: str | None,
) -> None:
    async def work(kernel: Kernel) -> None:
        if query.strip():
            await complete(kernel, SEARCH_SECONDS)
        found = await search(
            kernel, name, query, tier="recall", page=page, role=roles, since=since, until=until,
            session=session_number, as_of=as_of,
        )  # fmt: skip
        session.show(found, search_text(found))

    session.run(work)


def search_archival(session: Session, name: StorageOwner, query: str, page: int, tags: Sequence[str]) -> None:
    async def work(kernel: Kernel) -> None:
        if query.strip():
            await complete(kernel, SEARCH_SECONDS)
        found = await search(kernel, name, query, tier="archival", page=page, tags=tags)
        data = data_of(found)
        del data["as_of"]  # it is of recall
        session.show(data, search_text(found))

    session.run(work)


def search_text(found: SearchPage) -> str:
    """A page of results, each on a line."""
    first = showing(len(found.results), found.total, found.page, found.pages)
    lines = ((f"[{hit.id} {hit.label}] {hit.excerpt}", more_like_it(hit.like)) for hit in found.results)
    return "\n".join([first, *filter(None, chain.from_iterable(lines))])


def insert(session: Session, name: StorageOwner, text: str, tags: Sequence[str]) -> None:
    async def work(kernel: Kernel) -> None:
        saved = await remember(kernel, name, text, tags=tags)
        session.show({"id": saved.id, "tags": saved.tags}, f"Saved as {saved.id}: {clip(text)}")

    session.run(work)


def delete(session: Session, name: StorageOwner, id: str) -> None:
    async def work(kernel: Kernel) -> None:
        await delete_passage(kernel, name, id)
        session.show({"deleted": id}, f"{id} is deleted.")

    session.run(work)
