"""The tree of a page: the walk over it, and the kinds of elements.

The tree is selectolax's (Lexbor), which is the one that a browser would make.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pagefault.ingest.pages import clean

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["BLOCKS", "HEADINGS", "LISTS", "NOTES", "SKIPPED", "TEXT", "line_of", "walk"]

TEXT = "-text"
SKIPPED = frozenset((
    "script", "style", "noscript", "template", "iframe", "svg", "head", "nav", "button", "datalist", "object",
))  # fmt: skip
BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog",
    "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "hr",
    "legend", "li", "main", "menu", "ol", "p", "pre", "search", "section", "summary", "td", "textarea", "th",
    "tr", "ul",
))  # fmt: skip
HEADINGS = {f"h{level}": level for level in range(1, 7)}
NOTES = frozenset(("aside", "div", "li", "ol", "section"))  # that may be foot- or endnotes
LISTS = frozenset(("ul", "ol", "menu"))


def walk(root: LexborNode, enter: Callable[[LexborNode], bool], leave: Callable[[LexborNode], None]) -> None:
    """Visit the nodes in order; the children of one are left out if ``enter`` returns False for it."""
    node, top = root, root.mem_id
    while True:
        if enter(node) and (child := node.child) is not None:
            node = child
            continue
        while True:
            leave(node)
            if node.mem_id == top:
                return
            if (sibling := node.next) is not None:
                node = sibling
                break
            if (parent := node.parent) is None:
                return
            node = parent


def line_of(text: str) -> str:
    """Return a text on one line."""
    return " ".join(clean(text).split())
