"""An agent written to a file in the form of other programs, or for people. Left out: the forms themselves."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from pagefault.errors import UsageError
from pagefault.exporters.agent_file import agent_file_text
from pagefault.exporters.markdown import markdown_text
from pagefault.exporters.new_file import new_file
from pagefault.exporters.reading import Losses
from pagefault.kernel import Kernel

__all__ = ["FORMS", "ExportKind", "ExportReport", "export_to_file", "write_export"]

ExportKind = Literal["af", "markdown"]

FORMS = {"af": agent_file_text, "markdown": markdown_text}
"""The forms that are read from a running agent, by kind."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """An export. ``left_out``: how much of what the form has no place for, by what it is."""

    agent: str
    kind: str
    path: Path
    left_out: Mapping[str, int]


async def export_to_file(kernel: Kernel, name: str, path: Path | str, kind: ExportKind) -> ExportReport:
    """Write an agent to a new file, whole or not at all; no row of it changes and nothing is sent anywhere.
    ``UsageError`` for a kind that there is not, and if the file is there."""
    target = Path(path)
    if kind not in FORMS:
        raise UsageError(f"{kind!r} is no form of an export; write one of {', '.join(FORMS)}.")
    await kernel.record(name)  # before a file is made
    with new_file(target) as part, part.open("w", encoding="utf-8") as file:
        losses = await write_export(kernel, name, kind, file)
    return ExportReport(name, kind, target, dict(losses.counts))


async def write_export(kernel: Kernel, name: str, kind: str, file: TextIO) -> Losses:
    """Write an agent piece by piece, and return what the form has no place for."""
    losses = Losses()
    async with aclosing(FORMS[kind](kernel, name, losses)) as pieces:
        async for piece in pieces:
            file.write(piece)
    return losses
