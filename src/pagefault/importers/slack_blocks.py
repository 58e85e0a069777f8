"""The blocks of a message of Slack as text with Slack's own marks (``<@U1>``, ``&lt;``).

Rich text, sections, headers and contexts are read, and the captions of images. Left out: styles, buttons and
menus, and the marks themselves, which ``slack`` resolves.
"""

from __future__ import annotations

from typing import Any

from pagefault.importers.texts import listed, mapping, text_field

__all__ = ["block_text"]

_DEEPEST = 6  # rich text, list, section, element
_LINES = ("rich_text_section", "rich_text_preformatted", "rich_text_quote")


def block_text(blocks: object) -> str:
    """The text of a list of blocks, a line each; empty if it has none."""
    return "\n".join(filter(None, (_block(mapping(block), 0) for block in listed(blocks))))


def _block(block: dict[str, Any], depth: int) -> str:
    if depth > _DEEPEST:
        return ""
    kind = text_field(block, "type")
    if kind in _LINES:
        return "".join(_inline(mapping(each)) for each in listed(block.get("elements"))).strip()
    if kind in ("rich_text", "rich_text_list", "context"):
        parts = (_block(mapping(each), depth + 1) for each in listed(block.get("elements")))
        return "\n".join(filter(None, parts))
    texts = [block, block.get("title"), block.get("text"), *listed(block.get("fields"))]
    return "\n".join(filter(None, map(_written, texts)))


def _written(part: object) -> str:
    """The text of an object with the marks in it; plain text is escaped, as such text is."""
    values = mapping(part)
    text = text_field(values, "text", "alt_text")
    return _escaped(text) if text_field(values, "type") == "plain_text" else text


def _inline(element: dict[str, Any]) -> str:
    """An element within a line of rich text."""
    text = element.get("text")
    plain = _escaped(text) if isinstance(text, str) else ""
    kind = text_field(element, "type")
    if kind in ("user", "channel", "usergroup", "broadcast"):
        id = text_field(element, f"{kind}_id", "range")
        return {"user": f"<@{id}>", "channel": f"<#{id}>"}.get(kind, f"<!{id}>") if id else ""
    if kind == "link":
        url = text_field(element, "url")
        return f"<{url}|{plain}>" if plain and url else f"<{url}>" if url else plain
    if kind == "emoji":
        return f":{text_field(element, 'name')}:"
    return plain


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
