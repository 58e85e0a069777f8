"""Formulas as one line of text, ``(dy)/(dx) = x^2``, from the parts that MathML and Office's markup share.

A part is named as in MathML. Left out: matrices beyond rows and commas, and how a formula looks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["formula_part"]

_PLAIN = re.compile(r"[\w.,°′″∞]*|\([^()]*\)")
_WORDS = {"mfrac", "mtable", "mtr", "mlabeledtr", "mfenced"}
_SCRIPTS = {"msub": "_", "munder": "_", "msup": "^", "mover": "^"}
_BOTH = {"msubsup", "munderover"}


def formula_part(tag: str, parts: Sequence[str]) -> str:
    """Return the text of a part of a formula, given the texts of the parts in it."""
    parts = [part.strip() if tag != "mtext" else part for part in parts]
    if tag == "mfrac" and len(parts) == 2:
        return f"{_grouped(parts[0])}/{_grouped(parts[1])}"
    if tag in _SCRIPTS and len(parts) == 2:
        return f"{parts[0]}{_script(_SCRIPTS[tag], parts[1])}"
    if tag in _BOTH and len(parts) == 3:
        return f"{parts[0]}{_script('_', parts[1])}{_script('^', parts[2])}"
    if tag == "msqrt":
        return f"√{_grouped(_row(parts), always=True)}"
    if tag == "mroot" and len(parts) == 2:
        degree = f"{parts[1]}" if parts[1] else ""
        return f"{degree}√{_grouped(parts[0], always=True)}"
    if tag == "mtable":
        return f"[{'; '.join(filter(None, parts))}]"
    if tag in ("mtr", "mlabeledtr"):
        return ", ".join(parts)
    return _row(parts)


def _row(parts: Sequence[str]) -> str:
    return "".join(parts)


def _grouped(text: str, *, always: bool = False) -> str:
    """Return a text in parentheses if it is more than a number, a name or something in parentheses."""
    if _PLAIN.fullmatch(text) and not (always and not text.startswith("(")):
        return text
    return f"({text})"


def _script(mark: str, text: str) -> str:
    if not text:
        return ""
    return f"{mark}{text}" if len(text) == 1 or _PLAIN.fullmatch(text) else f"{mark}({text})"
