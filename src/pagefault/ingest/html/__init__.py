"""A page of HTML to Markdown with its title and headings.

    tree.py      the walk over the tree, and the kinds of elements
    survey.py    which tables are layout, and the content of a page without an article
    article.py   the article of a page, and what belongs to the site around it
    metadata.py  title, author and date as the page declares them
    writer.py    blocks of Markdown;  tables.py: a table's cells under their headings
    forms.py     values that a form shows;  mathml.py: a formula as one line

Walks without recursion look at each node, so that the time grows with the page. Left out: what stands around
the article of a site.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pagefault.ingest.html.article import Article
from pagefault.ingest.html.survey import Survey
from pagefault.ingest.html.tree import SKIPPED, walk
from pagefault.ingest.html.writer import Writer
from pagefault.ingest.pages import Heading

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["HtmlPage", "declared_encoding", "read_html"]

_DECLARED = re.compile(rb"(?:charset|encoding)\s{0,9}=\s{0,9}[\"']?([\w.:-]{2,40})", re.IGNORECASE)
_XHTML = re.compile(
    r"\ufeff?\s*(?:<\?xml|(?:<!doctype[^>]{0,300}>\s*)?<html\s[^>]{0,500}http://www\.w3\.org/1999/xhtml)",
    re.I,
)
_CLOSED = re.compile(r"<([A-Za-z][\w:-]{0,40})((?:\s[^<>]{0,2000})?)/>")  # <title/>, which HTML leaves open
_VOID = frozenset((
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr",
))  # fmt: skip
_PRESCAN = 4096  # bytes in which the character set is declared
_AROUND = frozenset(("footer", "aside"))  # left out unless the content is an element of its own


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """A page's title (empty if it has none), its Markdown, and its headings by offset."""

    title: str
    text: str
    headings: tuple[Heading, ...]


def read_html(source: str, *, whole: bool = False) -> HtmlPage:
    """Read a page. ``whole``: it is a part of a book, without a site's menus around it."""
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    if _XHTML.match(source):
        source = _CLOSED.sub(_closed, source)
    try:
        tree = LexborHTMLParser(source)
    except SelectolaxError:  # the parser takes any page; a few bytes can ask for a tree of gigabytes
        raise MemoryError from None
    if tree.root is None:
        return HtmlPage("", "", ())
    survey, body = Survey(whole), tree.body or tree.root
    walk(tree.root, survey.enter, survey.leave)
    return _whole(body, survey) if whole else _article(tree.root, body, survey)


def _closed(element: re.Match[str]) -> str:
    """Return an element of XHTML that closes itself as HTML closes it, so that it does not hold the rest."""
    name = element[1]
    return element[0] if name.lower() in _VOID else f"<{name}{element[2]}></{name}>"


def _whole(body: LexborNode, survey: Survey) -> HtmlPage:
    """Write all of a page, its navigation too, which is a list of chapters in a book."""
    writer = _written(body, Writer(survey.layouts, SKIPPED - {"nav"}))
    return HtmlPage(writer.first or survey.named or survey.first, writer.text, tuple(writer.headings))


def _article(root: LexborNode, body: LexborNode, survey: Survey) -> HtmlPage:
    """Write the article of a page, or if it has none its content, below author and date."""
    article = Article()
    walk(root, article.enter, article.leave)
    content, skipped = article.root(), SKIPPED | {"footer"}
    if content is None:
        content, apart = survey.content(body)
        skipped = SKIPPED if apart else SKIPPED | _AROUND
    writer = Writer(survey.layouts, skipped, article.dropped)
    if byline := survey.metadata.byline:
        writer.begin(byline)
    _written(content, writer)
    for note in survey.notes:
        if note.mem_id not in writer.seen and not _is_within(note, article.dropped):
            _written(note, writer)
    title = survey.metadata.title(survey.named, writer.first, writer.opening, survey.first)
    return HtmlPage(title, writer.text, tuple(writer.headings))


def _is_within(node: LexborNode | None, dropped: set[int]) -> bool:
    while node is not None and node.mem_id not in dropped:
        node = node.parent
    return node is not None


def _written(root: LexborNode, writer: Writer) -> Writer:
    walk(root, writer.enter, writer.leave)
    writer.end_block()
    return writer


def declared_encoding(data: bytes) -> str:
    """Return the character set that a page says it is in; empty if it says none."""
    found = _DECLARED.search(data, 0, _PRESCAN)
    return found[1].decode() if found else ""
