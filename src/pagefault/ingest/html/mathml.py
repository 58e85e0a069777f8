"""A formula of MathML as one line. Left out: annotations, which say the same in another notation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagefault.ingest.formulas import formula_part
from pagefault.ingest.html.tree import TEXT, line_of, walk

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["formula"]

_SKIPPED = frozenset(("annotation", "annotation-xml", "mphantom"))
_INVISIBLE = {"\u2061": " ", "\u2062": "", "\u2063": "", "\u2064": ""}
_SPACED = frozenset("=<>≤≥≠≈→∈+−±×·")


def formula(math: LexborNode) -> str:
    """Return the text of a ``math`` element."""
    parts: list[list[str]] = [[]]

    def enter(node: LexborNode) -> bool:
        tag = node.tag or ""
        if tag == TEXT:
            text = line_of(node.text_content or "")
            parts[-1].append("".join(_INVISIBLE.get(character, character) for character in text))
            return False
        if tag in _SKIPPED or tag[0] in "-!":
            return False
        parts.append([])
        return True

    def leave(node: LexborNode) -> None:
        tag = node.tag or ""
        if tag == TEXT or tag in _SKIPPED or tag[0] in "-!":
            return
        inner = parts.pop()
        text = formula_part(tag, inner)
        if tag == "mo" and text in _SPACED:
            text = f" {text} "
        if text or tag not in ("mrow", "mspace", "mstyle"):
            parts[-1].append(text)

    walk(math, enter, leave)
    return line_of("".join(parts[0]))
