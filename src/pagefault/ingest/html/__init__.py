"""A page of HTML to Markdown with its title and headings.

    tree.py     the walk over the tree, and the kinds of elements
    survey.py   where the content is
    writer.py   blocks of Markdown;  tables.py: a table's cells under their headings

Two walks without recursion look at each node, so that the time grows with the page. Left out: what stands
around the content of a site.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pagefault.ingest.html.survey import Survey
from pagefault.ingest.html.tree import SKIPPED, walk
from pagefault.ingest.html.writer import Writer
from pagefault.ingest.pages import Heading

__all__ = ["HtmlPage", "declared_encoding", "read_html"]

_DECLARED = re.compile(rb"(?:charset|encoding)\s{0,9}=\s{0,9}[\"']?([\w.:-]{2,40})", re.IGNORECASE)
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

    try:
        tree = LexborHTMLParser(source)
    except SelectolaxError:  # the parser takes any page; a few bytes can ask for a tree of gigabytes
        raise MemoryError from None
    if tree.root is None:
        return HtmlPage("", "", ())
    survey = Survey(whole)
    walk(tree.root, survey.enter, survey.leave)
    root, apart = survey.content(tree.body or tree.root)
    around = frozenset[str]() if apart or whole else _AROUND
    writer = Writer(survey.layouts, (SKIPPED - {"nav"} if whole else SKIPPED) | around)
    walk(root, writer.enter, writer.leave)
    writer.end_block()
    title = writer.first or survey.shared_title or survey.named or survey.first
    return HtmlPage(title, writer.text, tuple(writer.headings))


def declared_encoding(data: bytes) -> str:
    """Return the character set that a page says it is in; empty if it says none."""
    found = _DECLARED.search(data, 0, _PRESCAN)
    return found[1].decode() if found else ""
