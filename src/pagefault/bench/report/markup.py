"""Elements of HTML and SVG, by the standard library's element tree, which escapes all text.

That is the template engine of a report: nothing from data or a model is ever put into markup as a string.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

__all__ = ["element"]

_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def element(tag: str, *content: Element | str, **attributes: str | float) -> Element:
    """``class_`` is ``class``; other underscores are hyphens. Control characters and lone surrogates become
    U+FFFD."""
    plain = {name.rstrip("_").replace("_", "-"): _clean(f"{value}") for name, value in attributes.items()}
    made = Element(tag, plain)
    for piece in content:
        if isinstance(piece, Element):
            made.append(piece)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + _clean(piece)
        else:
            made.text = (made.text or "") + _clean(piece)
    return made


def _clean(text: str) -> str:
    return _UNSHOWABLE.sub("\ufffd", text)
