"""Docstrings of tools: the descriptions of parameters in the forms of Google, NumPy and Sphinx.

A library reads them; what is left of the text describes the function.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Container

from pagefault.containment import Fault, barrier

__all__ = ["read_docstring"]

_PARAMETERS = re.compile(
    r"^(?:args|arguments|parameters|params):[ \t]*\n(?:[ \t].*\n|\n)*"  # Google
    r"|^parameters[ \t]*\n-{3,}[ \t]*\n(?:(?!\S.*\n-{3,}[ \t]*\n).*\n)*"  # NumPy
    r"|^[:@](?:param|parameter|arg|argument|key|keyword|type)\b[^:\n]*:.*\n(?:[ \t]+\S.*\n)*",  # Sphinx
    re.MULTILINE | re.IGNORECASE,
)


def read_docstring(docstring: str, parameters: Container[str]) -> tuple[str, dict[str, str]]:
    """The description of a function, and of those of its parameters that the docstring describes. A docstring
    in none of the forms is the description as it is."""
    text = inspect.cleandoc(docstring)
    if not _PARAMETERS.search(f"{text}\n"):
        return text, {}
    from docstring_parser import parse  # seldom needed

    try:
        with barrier():
            found = parse(f"\n{text}").params
    except Fault:  # it fails with a text that is almost of a form
        return text, {}
    described = {
        name.strip(): " ".join(each.description.split())
        for each in found
        if each.description
        for name in each.arg_name.split(",")
        if name.strip() in parameters
    }
    if not described:
        return text, {}
    rest = _PARAMETERS.sub("\n", f"{text}\n")
    return re.sub(r"\n{3,}", "\n\n", rest).strip(), described
