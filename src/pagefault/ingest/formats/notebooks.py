"""Notebooks (IPYNB): text as it stands, code and its output in fences. Left out: pictures and widgets."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from pagefault.errors import UsageError
from pagefault.ingest.html import read_html
from pagefault.ingest.pages import Extracted, clean, markdown_headings, paginate
from pagefault.ingest.plain import decoded_text
from pagefault.ingest.reading import Reading

__all__ = ["notebook"]

_SHOWN = ("text/markdown", "text/plain")  # of the forms of a result, those that are text
_COLOURS = re.compile(r"\x1b\[[\d;]{0,40}m")
_LONGEST = 20_000  # characters of one output


def notebook(data: bytes, reading: Reading) -> Extracted:
    """Read a notebook; its title is that of its metadata, else its first heading."""
    try:
        value: object = json.loads(decoded_text(data, reading))
    except (ValueError, RecursionError):
        raise UsageError(
            "It is no notebook that can be read; open it in Jupyter, and save it again."
        ) from None
    if not isinstance(value, dict):
        raise UsageError("It is no notebook; load it with --as json.")
    found = _Notebook(cast(dict[str, Any], value))
    text = "\n\n".join(found.blocks(reading))
    for kind, count in found.left_out.items():
        reading.note(f"Outputs that are {kind}: {count:,}.")
    headings = markdown_headings(text)
    title = _mapping(found.value.get("metadata")).get("title")
    name = title if isinstance(title, str) else headings[0].path if headings else ""
    return Extracted(name, tuple(paginate(text, headings, markdown=True)), markdown=True)


@dataclass(slots=True)
class _Notebook:
    """The cells in order; ``left_out``: how many outputs are, by the reason."""

    value: dict[str, Any]
    left_out: Counter[str] = field(default_factory=Counter[str])

    def blocks(self, reading: Reading) -> Iterator[str]:
        size = 0
        for cell in self._cells():
            for block in self._cell(cell):
                size += len(block)
                reading.check(size)
                yield block

    def _cells(self) -> Iterator[dict[str, Any]]:
        for sheet in [self.value, *map(_mapping, _listed(self.value.get("worksheets")))]:  # as once was
            yield from map(_mapping, _listed(sheet.get("cells")))

    def _cell(self, cell: dict[str, Any]) -> Iterator[str]:
        text = clean(_joined(cell.get("source", cell.get("input")))).strip("\n")
        if text.strip():
            yield _fenced(text, self._language) if cell.get("cell_type") == "code" else text
        for output in map(_mapping, _listed(cell.get("outputs"))):
            if said := self._output(output):
                yield _fenced(said, "")

    @property
    def _language(self) -> str:
        name = _mapping(_mapping(self.value.get("metadata")).get("language_info")).get("name")
        return name if isinstance(name, str) and name.isalnum() and len(name) < 20 else ""

    def _output(self, output: dict[str, Any]) -> str:
        if output.get("output_type") in ("error", "pyerr"):
            said = f"{output.get('ename', '')}: {output.get('evalue', '')}"
            shown = "\n".join(map(str, _listed(output.get("traceback"))))
            said = _COLOURS.sub("", shown) if shown.strip() else said
        elif "text" in output:
            said = _joined(output["text"])
        else:
            said = self._result(_mapping(output.get("data")))
        said = clean(said).strip("\n")
        if len(said) <= _LONGEST:
            return said
        self.left_out[f"longer than {_LONGEST:,} characters, and cut there"] += 1
        return f"{said[:_LONGEST]} …"

    def _result(self, forms: dict[str, Any]) -> str:
        """Return the text of a result that comes in several forms."""
        if any(kind.startswith("image/") for kind in forms):
            self.left_out["pictures, left out"] += 1
            return ""
        if kind := next(
            (kind for kind in (*_SHOWN, *forms) if kind in forms and kind.startswith("text/")), ""
        ):
            said = _joined(forms[kind])
            return read_html(said, whole=True).text if kind == "text/html" else said
        self.left_out["no text, left out"] += bool(forms)
        return ""


def _fenced(text: str, language: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def _joined(value: object) -> str:
    if isinstance(value, list):
        return "".join(map(str, cast(list[object], value)))
    return value if isinstance(value, str) else ""


def _listed(value: object) -> list[object]:
    return cast(list[object], value) if isinstance(value, list) else []


def _mapping(value: object) -> dict[str, Any]:
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}
