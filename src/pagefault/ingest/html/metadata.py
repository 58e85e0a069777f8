"""Title, author and date of a page, as it declares them for others. Left out: the text.

A title is, in order, ``og:title``, ``title`` without the name of the site, the first ``h1``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from pagefault.ingest.html.tree import line_of

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["Metadata"]

_TITLES = ("og:title", "twitter:title", "dc.title", "dcterms.title")
_AUTHORS = (
    "author", "article:author", "dc.creator", "dcterms.creator", "parsely-author", "byl", "sailthru.author",
)  # fmt: skip
_DATES = (
    "article:published_time", "datepublished", "date", "dc.date", "dcterms.created", "dc.date.issued",
    "pubdate", "parsely-pub-date", "sailthru.date", "publishdate", "og:article:published_time",
)  # fmt: skip
_PARTS = re.compile(r"\s+[|\u2013\u2014\u00bb\u00b7/>-]\s+|\s+::\s+")  # between the title and the site
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST = 200_000  # characters of linked data
_NAME = 120  # characters of an author
_DEEPEST = 6


class Metadata:
    """Takes the elements of a page that declare something."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}
        self._linked: list[tuple[str, str]] = []

    def take(self, node: LexborNode) -> None:
        """Note a ``meta``, ``script``, ``time`` or ``a`` element."""
        about = {name: value or "" for name, value in node.attributes.items()}
        if node.tag == "meta":
            names = f"{about.get('property', '')} {about.get('name', '')} {about.get('itemprop', '')}"
            for name in names.lower().split():
                self._found.setdefault(name, line_of(about.get("content", "")))
        elif node.tag == "script":
            self._linked += _linked(about.get("type", ""), node.text() or "")
        elif node.tag == "time":
            if "pubdate" in about or about.get("itemprop") == "datePublished":
                self._found.setdefault("datepublished", about.get("datetime", ""))
        elif "author" in about.get("rel", "").split():
            self._found.setdefault("author", line_of(node.text() or "")[:_NAME])

    def title(self, named: str, first: str, *others: str) -> str:
        """Return the title, given the text of ``title``, the first ``h1`` of the content, and other headings;
        one of them that is in ``title`` is the page's, unless it is the name of the site, which ends it."""
        if shared := next(self._values(_TITLES), ""):
            return shared
        if not named:
            return first or others[-1]
        parts = _PARTS.split(named)
        site = parts[-1].casefold() if len(parts) > 1 else ""
        said = [name for name in (first, *others) if name and name.casefold() in named.casefold()]
        if story := [name for name in said if name.casefold() != site]:
            return first if first in story else max(story, key=len)
        longest = max(parts, key=lambda part: len(part.split()))
        return longest if len(longest.split()) >= 3 else next(iter(said), named)

    @property
    def byline(self) -> str:
        """``Author: Ann`` and ``Date: 2024-05-01`` on a line each, as far as they are declared."""
        authors = [*self._values(_AUTHORS), *(value for key, value in self._linked if key == "author")]
        author = next((each for each in authors if each and "://" not in each and len(each) <= _NAME), "")
        dates = [*self._values(_DATES), *(value for key, value in self._linked if key == "datePublished")]
        date = next((found[0] for each in dates if (found := _DATE.search(each))), "")
        lines = (f"{name}: {value}" for name, value in (("Author", author), ("Date", date)) if value)
        return "\n".join(lines)

    def _values(self, names: tuple[str, ...]) -> Iterator[str]:
        return (value for name in names if (value := self._found.get(name, "")))


def _linked(kind: str, source: str) -> Iterator[tuple[str, str]]:
    """Yield authors and dates of a script, if it is linked data (JSON-LD)."""
    if kind.lower() != "application/ld+json":
        return
    try:
        data: object = json.loads(source[:_LONGEST])
    except (ValueError, RecursionError):
        return
    waiting: list[tuple[object, int]] = [(data, 0)]
    while waiting:
        value, depth = waiting.pop()
        if isinstance(value, list) and depth < _DEEPEST:
            waiting += [(each, depth + 1) for each in reversed(cast(list[object], value))]
        elif isinstance(value, dict) and depth < _DEEPEST:
            about = cast(dict[str, Any], value)
            yield from _said(about)
            if "@graph" in about:
                waiting.append((about["@graph"], depth + 1))


def _said(about: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(date := about.get("datePublished"), str):
        yield "datePublished", date
    author: object = about.get("author")
    authors = cast(list[object], author) if isinstance(author, list) else [author]
    names = [
        cast(dict[str, object], each).get("name") if isinstance(each, dict) else each for each in authors[:5]
    ]
    if said := ", ".join(line_of(name) for name in names if isinstance(name, str) and name.strip()):
        yield "author", said
