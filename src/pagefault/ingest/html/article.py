"""The article of a page: the part that holds its paragraphs, and what in it belongs to the site around it.

A page without some paragraphs, such as a form or a list, has no article, and is all content. The names of
classes that mark what stands around an article are those that Readability (Mozilla) knows. Left out: text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pagefault.ingest.html.tree import SKIPPED, TEXT

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["Article"]

_AROUND = re.compile(
    r"-ad-|ai2html|banner|breadcrumb|combx|comment|community|cover-wrap|disqus|extra|footer|gdpr|legends|menu|"
    r"newsletter|pager|pagination|popup|promo|related|remark|replies|rss|share|shoutbox|sidebar|skyscraper|"
    r"social|sponsor|subscribe|supplemental|toolbar|tags|widget|yom-remote|ad-break|agegate",
    re.IGNORECASE,
)
_MAYBE = re.compile(r"and|article|body|column|content|main|mathjax|shadow|note", re.IGNORECASE)
_ROLES = frozenset((
    "menu", "menubar", "complementary", "navigation", "alert", "alertdialog", "dialog", "banner", "search",
    "contentinfo",
))  # fmt: skip
_HIDDEN = re.compile(r"display\s{0,9}:\s{0,9}none|visibility\s{0,9}:\s{0,9}hidden", re.IGNORECASE)
_INLINE = frozenset((
    "a", "abbr", "b", "bdi", "bdo", "big", "br", "cite", "code", "data", "del", "dfn", "em", "font", "i",
    "ins", "kbd", "label", "mark", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong",
    "sub", "sup", "time", "tt", "u", "var", "wbr",
))  # fmt: skip
_WHOLE = frozenset(("body", "html", "article", "main"))
_DENSE = frozenset(("div", "section", "ul", "ol", "dl", "table", "header", "aside", "p", "form", "figure"))
_PARAGRAPH = 80  # characters of text outside links that make one
_ARTICLE = 500  # characters of paragraphs that make an article
_SHARE = 0.95  # of the paragraphs that its part holds
_LINKS = 0.6  # share of links from which on a block is a menu


@dataclass(slots=True)
class _Element:
    """An element that is open or was left: characters in it, those in links, and those of paragraphs."""

    node: LexborNode
    tag: str
    around: bool
    text: int = 0
    links: int = 0
    good: int = 0
    parts: int = 0  # elements named article or main that have paragraphs
    plain: int = 0  # characters since the last block within it
    children: list[_Element] = field(default_factory=list["_Element"])


class Article:
    """Observes the walk over a page; then ``root`` is where the article is, and ``dropped`` are the elements
    in it that are not part of it, by ``mem_id``. Hidden elements are dropped in any page."""

    def __init__(self) -> None:
        self.dropped: set[int] = set()
        self._open: list[_Element] = []
        self._links = 0  # open links
        self._outside = 0  # open elements that stand around an article
        self._body: _Element | None = None

    def enter(self, node: LexborNode) -> bool:
        """Note an element; False if it is hidden, or never part of an article."""
        tag = node.tag or ""
        if tag == TEXT:
            self._text(node)
            return False
        if tag in SKIPPED or tag == "footer" or tag[0] in "-!":
            return False
        if tag in _INLINE:
            self._links += tag == "a"
            return not self._is_hidden(node)
        if self._is_hidden(node):
            return False
        self._end_paragraph()
        around = tag not in _WHOLE and _is_around(node)
        self._outside += around
        self._open.append(_Element(node, tag, around))
        return True

    def leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if tag in _INLINE:
            self._links -= tag == "a"
        if not self._open or self._open[-1].node.mem_id != node.mem_id:
            return
        self._end_paragraph()
        element = self._open.pop()
        self._outside -= element.around
        if element.tag == "body":
            self._body = element
        elif self._open:
            above = self._open[-1]
            above.text += element.text
            above.links += element.links
            above.good += element.good
            above.parts += element.parts or (element.tag in ("article", "main") and element.good > 0)
            above.children.append(element)

    def _text(self, node: LexborNode) -> None:
        if self._open:
            size = len("".join((node.text_content or "").split()))
            element = self._open[-1]
            element.text += size
            if self._links > 0:
                element.links += size
            else:
                element.plain += size

    def _end_paragraph(self) -> None:
        if self._open:
            element = self._open[-1]
            if element.plain >= _PARAGRAPH and not self._outside:
                element.good += element.plain
            element.plain = 0

    def _is_hidden(self, node: LexborNode) -> bool:
        about = node.attributes
        style = (about.get("style") or "")[:1_000]
        if "hidden" in about or about.get("aria-hidden") == "true" or (style and _HIDDEN.search(style)):
            self.dropped.add(node.mem_id)
            return True
        return False

    def root(self) -> LexborNode | None:
        """Return the smallest element that holds the article; None if the page has none."""
        element = self._body
        if element is None or element.good < _ARTICLE:
            return None
        least = _SHARE * element.good
        while inner := max(element.children, key=lambda each: each.good, default=None):
            if inner.good < least or inner.parts < element.parts:
                break
            element = inner
        self.dropped.update(self._beside(element))
        return element.node

    def _beside(self, root: _Element) -> Iterator[int]:
        """Yield what stands in the article and is not part of it."""
        waiting = list(root.children)
        while waiting:
            element = waiting.pop()
            if element.around or _is_menu(element):
                yield element.node.mem_id
            else:
                waiting += element.children


def _is_menu(element: _Element) -> bool:
    dense = element.links > _LINKS * element.text
    return element.tag in _DENSE and dense and not element.good


def _is_around(node: LexborNode) -> bool:
    about = node.attributes
    if (about.get("role") or "").lower() in _ROLES:
        return True
    names = f"{about.get('class') or ''} {about.get('id') or ''}"[:500]
    return bool(_AROUND.search(names)) and not _MAYBE.search(names)
