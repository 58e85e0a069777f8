"""Values as text: lines, tables, sizes, outputs, JSON. Left out: printing, and any layout of a command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime, tzinfo
from typing import Any

from pagefault.quoting import visible
from pagefault.types import Output, Role
from pagefault.views.agents import ContextSizes
from pagefault.views.history import LogRow

_BAR = 24  # characters of the gauge's bar


def plain(text: str) -> str:
    """Text with its control characters written out, so that no stored text can control the terminal."""
    return visible(text)


def fold(text: str) -> str:
    """Text on one line."""
    return plain(" ".join(text.split()))


def clip(text: str, width: int = 100) -> str:
    """Text on one line of at most ``width`` characters; a cut is marked."""
    line = fold(text)
    return line if len(line) <= width else f"{line[: width - 1]}…"


def counted(count: int, noun: str) -> str:
    """``1 page``, ``1,000 pages``"""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns as wide as they need; wide characters count double."""
    rows = [[" ".join(plain(cell).splitlines()) for cell in row] for row in rows]
    sizes = [[_width(cell) for cell in row] for row in rows]
    widths = [max(column) for column in zip(*sizes, strict=True)]
    lines = (
        "  ".join([cell + " " * (width - size) for cell, size, width in zip(row, own, widths, strict=True)])
        for row, own in zip(rows, sizes, strict=True)
    )
    return "\n".join([line.rstrip() for line in lines])


def _width(cell: str) -> int:
    if cell.isascii():
        return len(cell)
    from rich.cells import cell_len

    return cell_len(cell)


def showing(shown: int, total: int, page: int, pages: int) -> str:
    """The first line of every list that has pages."""
    return f"Showing {shown} of {total} results (page {page}/{pages})"


def local(at: datetime, zone: tzinfo | None = None) -> str:
    """ISO 8601 with the offset of the zone (by default its own), to the second."""
    return (at.astimezone(zone) if zone else at).isoformat(timespec="seconds")


def as_json(value: Any, indent: int | None = None) -> str:
    """A view as JSON: its fields by name, times to the second; no control character stands in it as it is."""
    return visible(json.dumps(value, ensure_ascii=False, indent=indent, default=_json_value))


def data_of(view: Any) -> dict[str, Any]:
    """The fields of a view by name."""
    return {field.name: getattr(view, field.name) for field in fields(view)}


def _json_value(value: Any) -> Any:
    if is_dataclass(value):
        return data_of(value)
    if isinstance(value, datetime):
        return local(value)
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def gauge(sizes: ContextSizes) -> str:
    """The main context on one line: the share of each part of the window, in tokens."""
    parts = (("█", sizes.instructions), ("▓", sizes.working_context), ("▒", sizes.queue))
    bar = "".join(mark * round(_BAR * size / sizes.window) for mark, size in parts)
    kept = sizes.reserve + sizes.margin
    return (
        f"▕{bar[:_BAR]:░<{_BAR}}▏ instructions {sizes.instructions:,} · working context "
        f"{sizes.working_context:,} · queue {sizes.queue:,} · free {max(0, sizes.free):,} · "
        f"kept for the reply {kept:,} · window {sizes.window:,}"
    )


def output_line(output: Output) -> str:
    """A committed output other than speech, on one line."""
    text = clip(output.text)
    match output.type:
        case "thought":
            return f"thinks: {text}"
        case "called":
            return f"→ {output.name} {text}"
        case "progress":
            return f"… {output.name} {text}"
        case "returned":
            return f"← {text}"
        case "prefetched":
            ids = output.data.get("sources", ())
            return f"remembers: {', '.join(map(str, ids))} ({output.data.get('milliseconds', 0)} ms)"
        case "waiting":
            return f"{text}; `pagefault approval list` shows them whole"
        case "warned":
            return "memory pressure: the agent is warned, so that it can save what matters"
        case "flushed":
            count = output.data.get("messages", "?")
            line = f"flushed: {count} earlier rows are now under the summary, and in recall storage"
            return line + _extracted(str(output.data.get("extracted", "")))
        case "retracted":
            again = "the model is asked again" if output.data.get("again") else "it did not arrive whole"
            return f"(withdrawn; {again})"
        case _:
            return fold(output.text)


def _extracted(why: str) -> str:
    """The note on a summary that the model did not write; empty if it did."""
    return f"; the summary is an extract, because the model did not write it: {fold(why)}" if why else ""


def decision_note(row: LogRow) -> str:
    """The decision on the call of a result, in brackets; empty if nobody was asked."""
    by = f" by {clip(row.decided_by, 40)}" if row.decided_by else ""
    return f" ({row.decision}{by})" if row.decision else ""


def row_line(row: LogRow) -> str:
    """A row of the log on one line: its id, role, time, who spoke and the start of its text."""
    name = f" {row.name}" if row.name and row.role is not Role.USER else ""
    who = f"{row.role}{name} {clip(row.speaker, 40)}".rstrip()
    line = f"{row.id} {row.at:%Y-%m-%d %H:%M} {who}{decision_note(row)}: {clip(row.text)}"
    line += f" ({clip(row.prefetch)})" if row.prefetch else ""
    return line + (" (interrupted)" if row.cut else "") + _extracted(row.extracted)
