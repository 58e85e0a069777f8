"""The values that a form shows: what is typed, chosen and ticked. Left out: buttons, passwords."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagefault.ingest.html.tree import TEXT, line_of, walk

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["form_value"]

_SILENT = frozenset(("hidden", "password", "submit", "button", "reset", "image", "file"))


def form_value(node: LexborNode) -> str:
    """Return what an ``input`` or a ``select`` shows; empty if that is nothing."""
    about = node.attributes
    if node.tag == "select":
        return ", ".join(_chosen(node))
    kind = (about.get("type") or "").lower()
    if kind in ("checkbox", "radio"):
        return "☒ " if "checked" in about else "☐ "
    return "" if kind in _SILENT else line_of(about.get("value") or "")


def _chosen(select: LexborNode) -> list[str]:
    """Return the chosen options of a list, or its first one if it shows that."""
    options: list[tuple[bool, list[str]]] = []

    def enter(node: LexborNode) -> bool:
        if node.tag == "option":
            options.append(("selected" in node.attributes, []))
        elif node.tag == TEXT and options:
            options[-1][1].append(node.text_content or "")
        return True

    walk(select, enter, lambda _: None)
    chosen = [texts for is_chosen, texts in options if is_chosen]
    if not chosen and options and "multiple" not in select.attributes:
        chosen = [options[0][1]]
    return [line for texts in chosen if (line := line_of("".join(texts)))]
