"""Formulas as one line of text, ``dy/dx = x^2``, from the parts that MathML and Office's markup share.

A part is named as in MathML. Left out: how a formula looks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

__all__ = ["formula_part"]

_PLAIN = re.compile(r"[\w.,°′″∞]*|\([^()]*\)")


def formula_part(tag: str, parts: Sequence[str]) -> str:
    """Return the text of a part of a formula, given the texts of the parts in it."""
    parts = list(parts) if tag == "mtext" else [part.strip() for part in parts]
    count, write = _WRITERS.get(tag, (0, "".join))
    return write(parts) if count in (0, len(parts)) else "".join(parts)


def _fraction(parts: Sequence[str]) -> str:
    return f"{_grouped(parts[0])}/{_grouped(parts[1])}"


def _below(parts: Sequence[str]) -> str:
    return f"{parts[0]}{_script('_', parts[1])}"


def _above(parts: Sequence[str]) -> str:
    return f"{parts[0]}{_script('^', parts[1])}"


def _both(parts: Sequence[str]) -> str:
    return f"{_below(parts[:2])}{_script('^', parts[2])}"


def _square_root(parts: Sequence[str]) -> str:
    return _root(["".join(parts), ""])


def _root(parts: Sequence[str]) -> str:
    inner = parts[0] if parts[0].startswith("(") and _PLAIN.fullmatch(parts[0]) else f"({parts[0]})"
    return f"{parts[1]}√{inner}"


def _table(parts: Sequence[str]) -> str:
    return f"[{'; '.join(filter(None, parts))}]"


# By tag: how many parts it has, 0 for any number, and how they are written.
_WRITERS: dict[str, tuple[int, Callable[[Sequence[str]], str]]] = {
    "mfrac": (2, _fraction),
    "msub": (2, _below),
    "munder": (2, _below),
    "msup": (2, _above),
    "mover": (2, _above),
    "msubsup": (3, _both),
    "munderover": (3, _both),
    "msqrt": (0, _square_root),
    "mroot": (2, _root),
    "mtable": (0, _table),
    "mtr": (0, ", ".join),
    "mlabeledtr": (0, ", ".join),
}


def _grouped(text: str) -> str:
    """Return a text in parentheses if it is more than a number, a name or something in parentheses."""
    return text if _PLAIN.fullmatch(text) else f"({text})"


def _script(mark: str, text: str) -> str:
    return f"{mark}{text if len(text) == 1 else _grouped(text)}" if text else ""
