"""Looking into external memory and tending archival storage: `recall` and `archival`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pagefault.cli.render import clip, local
from pagefault.cli.session import Session, zone_for
from pagefault.clock import moment
from pagefault.context import paging
from pagefault.errors import NotFoundError, UsageError
from pagefault.functions.results import label_of
from pagefault.kernel import Kernel
from pagefault.models.tokens import HeuristicCounter
from pagefault.retrieval import Retriever, excerpt
from pagefault.storage import Filter, Transaction
from pagefault.types import SEARCHED_BY_DEFAULT, AgentRecord, Message, Passage, Role, Tier

_PAGE = 10  # results on a page
_EXCERPT = 60  # tokens of a result that a line shows


@dataclass(frozen=True, slots=True)
class Found:
    """A page of results: ``results`` as JSON values, ``lines`` for people."""

    total: int
    page: int
    pages: int
    results: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    lines: list[str] = field(default_factory=list[str])

    @property
    def data(self) -> dict[str, Any]:
        return {"total": self.total, "page": self.page, "pages": self.pages, "results": self.results}

    @property
    def text(self) -> str:
        first = paging.showing(len(self.results), self.total, self.page, self.pages)
        return "\n".join([first, *self.lines])


async def find(kernel: Kernel, record: AgentRecord, tier: Tier, query: str, page: int, only: Filter) -> Found:
    """Search one tier of an agent's external memory; ``FunctionError`` if there is no such page."""
    retriever = Retriever(kernel.store, kernel.indexer.service.serving, kernel.clock, zone_for(record))
    hits = await retriever.search(record.id, tier, query, only)
    shown, pages = paging.page_of(hits, page, _PAGE)
    zone, counter = zone_for(record), HeuristicCounter()

    def fetch(tx: Transaction) -> list[Message | Passage | None]:
        read = tx.message if tier == "recall" else tx.passage
        return [read(record.id, hit.number) for hit in shown]

    found = Found(len(hits), page, pages)
    for hit, item in zip(shown, await kernel.store.read(fetch), strict=True):
        if item is None:
            continue
        if isinstance(item, Message):
            about: dict[str, Any] = {"role": item.role, "session": hit.session}
        else:
            about = {"tags": list(item.tags), "source": item.source, "title": item.title, **_place(item)}
        at = local(item.at, zone)
        found.results.append(
            {
                "id": item.id,
                **about,
                "at": at,
                "text": item.text,
                "score": hit.score,
                "parts": dict(hit.parts),
            }
        )
        text = excerpt(item.text, query, _EXCERPT, counter)
        found.lines.append(f"[{item.id} {label_of(item, zone)}] {text}")
    return found


def _place(passage: Passage) -> dict[str, Any]:
    """Where in a document a chunk stands, as JSON values."""
    if passage.place is None:
        return {}
    place = passage.place
    span = {"section": place.section, "start": place.start, "stop": place.stop}
    return {"document": f"d{place.document}", "page": place.page, **span}


def search_recall(
    session: Session,
    name: str,
    query: str,
    page: int,
    roles: Sequence[str],
    since: str | None,
    until: str | None,
    sitting: int | None,
    as_of: str | None,
) -> None:
    async def work(kernel: Kernel) -> None:
        record = await kernel.record(name)
        zone, now = zone_for(record), kernel.clock.now()
        last = _number(as_of) if as_of else record.last_seq
        only = Filter(
            _roles(roles),
            since=moment(since, now, zone) if since else None,
            until=moment(until, now, zone, end=True) if until else None,
            before=last + 1,
            session=sitting,
        )
        found = await find(kernel, record, "recall", query, page, only)
        session.show({**found.data, "as_of": f"m{last}"}, found.text)

    session.run(work)


def _number(id: str) -> int:
    if id[:1] == "m" and id[1:].isdecimal() and len(id) < 17:
        return int(id[1:])
    raise UsageError(f"{id!r} is not the id of a message; write one like m12.")


def _roles(given: Sequence[str]) -> tuple[Role, ...]:
    words = [word.strip() for item in given for word in item.split(",")]
    if wrong := [word for word in words if word not in list(Role)]:
        raise UsageError(f"{wrong[0]!r} is not a role; roles are {', '.join(Role)}.")
    return tuple(Role(word) for word in words) or SEARCHED_BY_DEFAULT


def search_archival(session: Session, name: str, query: str, page: int, tags: Sequence[str]) -> None:
    async def work(kernel: Kernel) -> None:
        record = await kernel.record(name)
        found = await find(kernel, record, "archival", query, page, Filter(tags=tags_of(tags)))
        session.show(found.data, found.text)

    session.run(work)


def insert(session: Session, name: str, text: str, tags: Sequence[str]) -> None:
    if not text.strip():
        raise UsageError("The text is empty; give the text to keep.")

    async def work(kernel: Kernel) -> None:
        record = await kernel.record(name)
        passage = Passage(text, kernel.clock.now(), tags_of(tags))
        saved = await kernel.store.write(lambda tx: tx.insert_passage(record.id, passage))
        session.show({"id": saved.id, "tags": list(saved.tags)}, f"Saved as {saved.id}: {clip(text)}")

    session.run(work)


def tags_of(given: Sequence[str]) -> tuple[str, ...]:
    """Tags as the agent's own functions write them."""
    return tuple(dict.fromkeys(tag.strip("# ") for tag in given))


def delete(session: Session, name: str, id: str) -> None:
    async def work(kernel: Kernel) -> None:
        record = await kernel.record(name)
        number = int(id[1:]) if id[:1] == "p" and id[1:].isdecimal() and len(id) < 17 else 0
        if not await kernel.store.write(lambda tx: tx.delete_passage(record.id, number)):
            raise NotFoundError(f"There is no passage {id}; `pagefault archival list` shows those there are.")
        session.show({"deleted": id}, f"{id} is deleted.")

    session.run(work)
