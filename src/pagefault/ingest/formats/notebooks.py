"""Notebooks (IPYNB): text as it stands, code and its output in fences. Left out: pictures and widgets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from pagefault.errors import UsageError
from pagefault.ingest.pages import Extracted, clean, markdown_headings, paginate
from pagefault.ingest.plain import decoded_text
from pagefault.ingest.reading import Reading

__all__ = ["notebook"]

_SHOWN = ("text/markdown", "text/plain")  # of the forms of a result, those that are text
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
    if found.pictures:
        reading.note(f"Outputs that are pictures, left out: {found.pictures:,}.")
    headings = markdown_headings(text)
    title = _mapping(found.value.get("metadata")).get("title")
    name = title if isinstance(title, str) else headings[0].path if headings else ""
    return Extracted(name, tuple(paginate(text, headings, markdown=True)), markdown=True)


@dataclass(slots=True)
class _Notebook:
    """The cells in order; ``pictures``: how many outputs are left out."""

    value: dict[str, Any]
    pictures: int = 0

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
        elif "text" in output:
            said = _joined(output["text"])
        else:
            forms = _mapping(output.get("data"))
            if any(kind.startswith("image/") for kind in forms):
                self.pictures += 1
                return ""
            said = next((_joined(forms[kind]) for kind in _SHOWN if kind in forms), "")
        said = clean(said).strip("\n")
        return said if len(said) <= _LONGEST else f"{said[:_LONGEST]} …"


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
