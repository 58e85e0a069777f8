"""Search of recall and archival storage, with filters, and with each part of a score as a bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Response

from pagefault.errors import UsageError
from pagefault.retrieval.hits import PARTS
from pagefault.server.api.values import Name
from pagefault.server.inspector.fields import tags_in
from pagefault.server.inspector.pages import AgentVisit, WebPage
from pagefault.server.problems import problem_of
from pagefault.types import Role
from pagefault.views import archives, memory
from pagefault.views.highlights import TextPart, highlights
from pagefault.views.memory import MessageHit, PassageHit, SearchPage

__all__ = ["routes"]

routes = APIRouter(prefix="/agents/{name}/search")
"""The route of search."""

_PAGE = 10  # results
_SHARES = PARTS[:7]
"""The parts that add up to a score; those behind them are the plain measures they come from."""


@dataclass(frozen=True, slots=True)
class _ScoreBar:
    """A part of a score. ``start`` and ``width``: percent of the largest score of the page; ``index``: its
    place among the parts, for its colour."""

    name: str
    value: float
    start: float
    width: float
    index: int


@dataclass(frozen=True, slots=True)
class _ShownHit:
    """A result as the page shows it. ``whole``: its text with the words marked, None if the excerpt has
    all."""

    hit: MessageHit | PassageHit
    excerpt: list[TextPart]
    whole: list[TextPart] | None
    bars: list[_ScoreBar]
    measures: dict[str, float]


@routes.get("")
async def search_page(
    name: Name,
    page: AgentVisit,
    q: Annotated[str, Query(max_length=2000)] = "",
    tier: Annotated[str, Query(pattern="^(recall|archival)?$")] = "",
    role: Annotated[list[str] | None, Query()] = None,
    speaker: str = "",
    since: str = "",
    until: str = "",
    tags: str = "",
    archive: str = "",
    document: str = "",
    as_of: str = "",
    number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
) -> Response:
    """Search as the agent does; without a query, show everything that passes the filters, newest first."""
    asked = {
        "q": q.strip(), "tier": tier, "speaker": speaker.strip(), "since": since.strip(),
        "until": until.strip(), "tags": tags.strip(), "archive": archive, "document": document.strip(),
    }  # fmt: skip
    roles, found, why, status = tuple(role or ()), None, "", 200
    if any(asked.values()) or roles:
        try:
            found = await _found(name, page, asked, roles, as_of, number)
        except UsageError as error:
            problem = problem_of(error)
            why, status = problem.detail, problem.status_code
    return page.show(
        "search_part.html" if page.is_part else "search.html", status,
        {"hx-retarget": "#results", "hx-reswap": "innerHTML"} if page.is_part else {},
        name=name, asked=asked, roles=roles, all_roles=[each.value for each in Role], why=why,
        found=found, hits=_shown(found, asked["q"]) if found else [], number=number,
        speakers=await memory.speakers(page.kernel, name),
        archives=await archives.archives(page.kernel, name), shares=_SHARES,
        roles_query="".join(f"&role={quote(each)}" for each in roles),
    )  # fmt: skip


async def _found(
    name: str, page: WebPage, asked: dict[str, str], roles: tuple[str, ...], as_of: str, number: int
) -> SearchPage:
    tier: Any = asked["tier"] or None
    return await memory.search(
        page.kernel, name, asked["q"], tier=tier, page=number, size=_PAGE, since=asked["since"] or None,
        until=asked["until"] or None, role=roles,
        tags=tags_in(asked["tags"]),
        as_of=as_of or None, archive=asked["archive"] or None, speaker=asked["speaker"],
        document=asked["document"],
    )  # fmt: skip


def _shown(found: SearchPage, query: str) -> list[_ShownHit]:
    largest = max((hit.score for hit in found), default=0.0)
    return [_shown_hit(hit, query, largest) for hit in found]


def _shown_hit(hit: MessageHit | PassageHit, query: str, largest: float) -> _ShownHit:
    parts, bars, start = hit.parts or {}, list[_ScoreBar](), 0.0
    for index, name in enumerate(_SHARES):
        value = parts.get(name, 0.0)
        if value > 0 and largest > 0:
            width = round(min(100 * value / largest, 100 - start), 2)
            bars.append(_ScoreBar(name, value, round(start, 2), width, index))
            start += width
    is_whole = hit.excerpt == " ".join(hit.text.split()) and "\n" not in hit.text.strip()
    whole = None if is_whole else highlights(hit.text, query)
    measures = {name: value for name, value in parts.items() if name not in _SHARES}
    return _ShownHit(hit, highlights(hit.excerpt, query), whole, bars, measures)
