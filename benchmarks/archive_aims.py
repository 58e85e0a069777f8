"""The figures of ``archive_scale``: each measured through the store's own search, over what is loaded.

Times are in ms, of single searches one after another, warm but for the first page after a start. Left out:
what they are to be (``archive_scale``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from archive_load import BATCH, FINGERPRINT, MAIN, STEP, Given, Place, Rates, add, load, owner, seal, serving
from archive_rows import (
    PERCENT,
    PERMILLE,
    Floats,
    Numbers,
    Questions,
    Rows,
    exact_bm25,
    nearest,
    share_of_best,
    units_of,
)
from pagefault.retrieval import Retriever
from pagefault.storage import Filter, Found, Match, Store
from pagefault.types import AgentId

CANDIDATES = 200
"""Rows that a search looks at by vector, and as many by words."""

_EVERY = -1.0  # a floor that every row reaches
_DEAD = 0.3
_WRITTEN = 5_000
_DELETED = 100  # in one transaction

Figures = dict[str, float]


@dataclass
class Archive:
    """The archive ``id`` of ``rows`` in ``store``, with questions of its own domain and of others."""

    place: Place
    store: Store
    id: AgentId
    rows: Rows
    own: Questions
    foreign: Questions
    rates: Rates

    async def search(self, match: Match, filter: Filter | None = None) -> Found:
        wanted = filter or Filter()
        return await self.store.read(lambda tx: tx.search(self.id, "archival", match, wanted, FINGERPRINT))


async def sealing(archive: Archive) -> Figures:
    """The seconds of sealing and merging all rows as they came, and of sealing 50,000 of them."""
    id = await load(archive.store, "sealed", archive.rows.part(STEP + 1))
    seconds = await seal(archive.store, id)
    await archive.store.write(lambda tx: tx.delete_agent(id))
    return {"build s": sum(archive.rates.sealing), "sealing 50k s": seconds}


async def vectors(archive: Archive) -> Figures:
    """The nearest 200 of each question: times, and how many of the exact ones they are."""
    found: Figures = {}
    for name, questions in (("", archive.own), ("foreign ", archive.foreign)):
        exact = nearest(archive.rows, questions.vectors, CANDIDATES)
        await _near(archive, questions.vectors[0])
        had: list[Numbers] = []
        times = [await _timed(lambda v=vector: _near(archive, v), had) for vector in questions.vectors]
        found |= _spread(f"{name}vectors", times)
        for most in (10, CANDIDATES):
            pairs = zip(exact, had, strict=True)
            shares = [np.isin(ought[:most], near[:most]).mean() for ought, near in pairs]
            found[f"{name}recall@{most}"] = float(np.mean(shares))
        found[f"{name}fewest"] = float(min(map(len, had)))
    return found


async def _near(archive: Archive, vector: Floats, filter: Filter | None = None) -> Numbers:
    """The numbers of the nearest rows, best first."""
    return _by_score(await archive.search(Match(vector=vector, floor=_EVERY), filter), "cosine")


def _by_score(found: Found, column: str) -> Numbers:
    """The numbers of rows that may be shown, at most so many candidates, best first."""
    scores = np.where(found.may_show & found.matched, getattr(found, column), -np.inf)
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
    return found.number[order[np.isfinite(scores[order])]][:CANDIDATES]


async def words(archive: Archive) -> Figures:
    """Real questions by words alone: times, and how many of the ten best by exact BM25 are found."""
    texts = [text for text in archive.own.texts if units_of(text)]
    exact = exact_bm25(archive.rows, texts)

    async def found_for(text: str) -> Numbers:
        return _by_score(await archive.search(Match(units_of(text))), "lexical")

    await found_for(texts[0])
    had: list[Numbers] = []
    times = [await _timed(lambda t=text: found_for(t), had) for text in texts]
    shares = [share_of_best(ought, near.tolist(), 10) for ought, near in zip(exact, had, strict=True)]
    return {**_spread("words", times), "words top 10": float(np.mean(shares))}


async def whole(archive: Archive) -> Figures:
    """A whole search by words and vector, up to the ranking; the question's vector is given."""
    retriever = Retriever(archive.store, serving(Given(archive.own.by_text)))

    async def ranked(text: str) -> Any:
        return (await retriever.search(archive.id, "archival", text, Filter()))[:5]

    await ranked(archive.own.texts[0])
    return _spread("search", [await _timed(lambda t=text: ranked(t), []) for text in archive.own.texts])


async def cold(archive: Archive) -> Figures:
    """The first page after the server was stopped and started, and the database opened anew."""
    await archive.store.close()
    archive.store = archive.place.open()
    retriever = Retriever(archive.store, serving(Given(archive.own.by_text)))
    text = archive.own.texts[1]
    return {
        "cold s": await _timed(lambda: retriever.search(archive.id, "archival", text, Filter()), []) / 1e3
    }


async def filters(archive: Archive) -> Figures:
    """The rows returned with filters of 1 % and .1 %, as a share of what ought to be: the least of all."""
    return {"filtered returned": await _returned(archive, archive.rows.size, np.empty(0, np.int64))}


async def _returned(archive: Archive, size: int, gone: Numbers) -> float:
    least = 1.0
    for tags in ((), (PERCENT,), (PERMILLE,)):
        every = 1 if not tags else 100 if tags == (PERCENT,) else 1000
        matching = size // every - int((gone % every == 0).sum())
        for vector in (*archive.own.vectors[:20], *archive.foreign.vectors[:20]):
            near = await _near(archive, vector, Filter(tags=tags))
            assert not np.isin(near, gone).any(), "a row that was deleted"
            assert not (near % every).any(), "a row that the filter does not let pass"
            least = min(least, len(near) / max(1, min(CANDIDATES, matching)))
    return least


async def dead(archive: Archive) -> Figures:
    """The same in a second archive, a part of the first, of which 30 % were deleted; and its recall."""
    size = min(archive.rows.size, 100_000)
    rows = archive.rows.part(size)
    id = await load(archive.store, f"dying-{size}", rows)
    await seal(archive.store, id)
    draws = np.random.default_rng(11)
    gone = np.sort(draws.choice(np.arange(1, size + 1), int(_DEAD * size), replace=False))
    deleted = await _delete(archive.store, id, gone.tolist())
    second = Archive(archive.place, archive.store, id, rows, archive.own, archive.foreign, archive.rates)
    found = {"deleted/s": deleted, "dead returned": await _returned(second, size, gone)}
    exact = nearest(rows, archive.own.vectors, 10, gone)
    near = [(await _near(second, vector))[:10] for vector in archive.own.vectors]
    found["dead recall@10"] = float(
        np.mean([np.isin(*pair).mean() for pair in zip(exact, near, strict=True)])
    )
    await archive.store.write(lambda tx: tx.delete_agent(id))
    return found


async def writing(archive: Archive) -> Figures:
    """Passages with vectors a second, a thousand a transaction, into the archive as it stands; then they are
    deleted. Beside it the slowest of the rates while it was loaded."""
    _, last = await owner(archive.store, MAIN)
    begin = time.perf_counter()
    for first in range(1, _WRITTEN + 1, BATCH):
        await add(archive.store, archive.id, archive.rows, first, first + BATCH - 1)
    rate = _WRITTEN / (time.perf_counter() - begin)
    await _delete(archive.store, archive.id, range(last + 1, last + _WRITTEN + 1))
    return {"written/s": rate, "loaded/s, slowest": min(archive.rates.each, default=rate)}


async def _delete(store: Store, id: AgentId, numbers: Sequence[int]) -> float:
    """Delete passages, some in each transaction; return how many a second."""
    begin = time.perf_counter()
    for first in range(0, len(numbers), _DELETED):
        some = numbers[first : first + _DELETED]
        await store.write(lambda tx, some=some: [tx.delete_passage(id, number) for number in some])
    return len(numbers) / (time.perf_counter() - begin)


async def _timed(work: Callable[[], Coroutine[Any, Any, Any]], results: list[Any]) -> float:
    """Milliseconds; the result joins ``results``."""
    begin = time.perf_counter()
    results.append(await work())
    return 1e3 * (time.perf_counter() - begin)


def _spread(name: str, times: Sequence[float]) -> Figures:
    p50, p95 = np.percentile(times, (50, 95)).tolist()
    return {f"{name} p50": p50, f"{name} p95": p95}
