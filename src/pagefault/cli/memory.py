"""`recall` and `archival`: search of external memory, messages appended, changes of archival storage."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import chain
from typing import cast

from pagefault.cli.render import clip, counted, data_of, showing
from pagefault.cli.session import Session
from pagefault.cli.vectors import SEARCH_SECONDS, complete
from pagefault.context.paging import more_like_it
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.conversations import AppendedMessage, append
from pagefault.kernel.edits import delete_passage
from pagefault.kernel.facts import remember, restore, supersede
from pagefault.shared import StorageOwner
from pagefault.views.given_messages import given_message
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


def append_messages(session: Session, name: str, key: str | None) -> None:
    lines = sys.stdin.buffer.read().decode("utf-8", "replace").split("\n")
    messages = [_message(line, number) for number, line in enumerate(lines, 1) if line.strip()]

    async def work(kernel: Kernel) -> None:
        appended = await append(kernel, name, messages, key=key)
        await complete(kernel, SEARCH_SECONDS)
        known = len(appended.ids) - appended.added
        there = f"; {counted(known, 'message')} were there before" if known else ""
        session.show(appended, f"Appended {counted(appended.added, 'message')}{there}.")

    session.run(work)


def _message(line: str, number: int) -> AppendedMessage:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if isinstance(value, str | dict):
        return given_message(cast("object", value), number)
    raise UsageError(f'Line {number} is no message; write {{"role": "user", "content": "..."}} on each line.')


def search_archival(
    session: Session, name: StorageOwner, query: str, page: int, tags: Sequence[str], as_of: str | None = None
) -> None:
    async def work(kernel: Kernel) -> None:
        if query.strip():
            await complete(kernel, SEARCH_SECONDS)
        found = await search(kernel, name, query, tier="archival", page=page, tags=tags, as_of=as_of)
        data = data_of(found)
        del data["as_of"]  # it is of recall
        session.show(data, search_text(found))

    session.run(work)


def search_text(found: SearchPage) -> str:
    """A page of results, each on a line."""
    first = showing(len(found.results), found.total, found.page, found.pages)
    lines = ((f"[{hit.id} {hit.label}] {hit.excerpt}", more_like_it(hit.like)) for hit in found.results)
    return "\n".join([first, *filter(None, chain.from_iterable(lines))])


def insert(
    session: Session,
    name: StorageOwner,
    text: str,
    tags: Sequence[str],
    valid_from: str | None = None,
    valid_until: str | None = None,
    always: bool = False,
) -> None:
    async def work(kernel: Kernel) -> None:
        kept = await remember(
            kernel, name, text, tags=tags, valid_from=valid_from, valid_until=valid_until, always=always
        )
        saved = f"Saved as {kept.id}: {clip(text)}"
        more = kept.said.removeprefix(f"Saved as {kept.id}.").strip()
        said = f"{saved}\n{more}" if more and kept.is_new else more or saved
        session.show(
            {"id": kept.id, "tags": kept.passage.tags, "is_new": kept.is_new, "said": kept.said}, said
        )

    session.run(work)


def supersede_fact(session: Session, name: str, id: str, by: str) -> None:
    async def work(kernel: Kernel) -> None:
        old = await supersede(kernel, name, id, by)
        session.show({"superseded": old.id, "by": by}, f"{old.id} is superseded by {by}.")

    session.run(work)


def restore_fact(session: Session, name: str, id: str) -> None:
    async def work(kernel: Kernel) -> None:
        restored = await restore(kernel, name, id)
        session.show({"restored": restored.id}, f"{restored.id} holds again.")

    session.run(work)


def delete(session: Session, name: StorageOwner, id: str) -> None:
    async def work(kernel: Kernel) -> None:
        await delete_passage(kernel, name, id)
        session.show({"deleted": id}, f"{id} is deleted.")

    session.run(work)
