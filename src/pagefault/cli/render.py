"""Values as text: lines, tables, sizes, outputs. What is printed and where is the callers' business."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any

from rich.cells import cell_len

from pagefault.context import Sizes
from pagefault.message_meta import values_of
from pagefault.models import Prompt
from pagefault.types import Message, Output, Role

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BAR = 24  # characters of the gauge's bar


def plain(text: str) -> str:
    """Text without control characters, so that nothing an agent was told can steer the terminal."""
    return _CONTROL.sub("", text)


def fold(text: str) -> str:
    """Text on one line."""
    return plain(" ".join(text.split()))


def clip(text: str, width: int = 100) -> str:
    """Text on one line of at most ``width`` characters; a cut is marked."""
    line = fold(text)
    return line if len(line) <= width else f"{line[: width - 1]}…"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows in columns as wide as they need; wide characters count double."""
    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    )


def local(at: datetime, zone: tzinfo) -> str:
    """ISO 8601 with the zone's offset, to the second."""
    return at.astimezone(zone).isoformat(timespec="seconds")


def gauge(sizes: Sizes) -> str:
    """The main context on one line: what takes how much of the window, in tokens."""
    parts = (("█", sizes.instructions), ("▓", sizes.working_context), ("▒", sizes.queue))
    bar = "".join(mark * round(_BAR * size / sizes.window) for mark, size in parts)
    kept = sizes.reserve + sizes.margin
    return (
        f"▕{bar[:_BAR]:░<{_BAR}}▏ instructions {sizes.instructions:,} · working context "
        f"{sizes.working_context:,} · queue {sizes.queue:,} · free {max(0, sizes.free):,} · "
        f"kept for the reply {kept:,} · window {sizes.window:,}"
    )


def sizes_data(sizes: Sizes) -> dict[str, int]:
    """The main context in calibrated tokens."""
    return {
        "window": sizes.window,
        "instructions": sizes.instructions,
        "working_context": sizes.working_context,
        "queue": sizes.queue,
        "free": sizes.free,
        "reserve": sizes.reserve,
        "margin": sizes.margin,
    }


def prompt_data(prompt: Prompt) -> dict[str, Any]:
    """A prompt as JSON values."""
    messages: list[dict[str, Any]] = []
    for m in prompt.messages:
        calls = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in m.calls]
        fields = {"role": m.role, "text": m.text, "calls": calls, "call_id": m.call_id, "name": m.name}
        messages.append({key: value for key, value in fields.items() if value or key in ("role", "text")})
    functions = [
        {"name": f.name, "description": f.description, "parameters": dict(f.parameters)}
        for f in prompt.functions
    ]
    return {"messages": messages, "functions": functions, "max_tokens": prompt.max_tokens}


def output_data(output: Output) -> dict[str, Any]:
    """An output as JSON values: the lines of ``--json``."""
    return {
        "type": output.type,
        "text": output.text,
        "event": output.event,
        "position": output.position,
        "name": output.name,
        "data": dict(output.data),
    }


def output_line(output: Output) -> str:
    """A committed output other than speech, on one line."""
    text = clip(output.text)
    match output.type:
        case "thought":
            return f"thinks: {text}"
        case "called":
            return f"→ {output.name} {text}"
        case "returned":
            return f"← {text}"
        case "warned":
            return "memory pressure: the agent is warned, so that it can save what matters"
        case "flushed":
            count = output.data.get("messages", "?")
            told = f"flushed: {count} earlier rows are now under the summary, and in recall storage"
            return told + extracted(str(output.data.get("extracted", "")))
        case "retracted":
            return "(taken back; the model is asked again)"
        case _:
            return fold(output.text)


def extracted(why: str) -> str:
    """The remark on a summary that the model did not write, for the reason given; empty without one."""
    return f"; the summary is an extract, because the model did not write it: {fold(why)}" if why else ""


def row_line(row: Message, zone: tzinfo) -> str:
    """A row of the log on one line: its id, role, time and the start of its text."""
    name = f" {row.name}" if row.name and row.role is not Role.USER else ""
    line = f"{row.id} {row.at.astimezone(zone):%Y-%m-%d %H:%M} {row.role}{name}: {clip(row.text)}"
    return line + extracted(row.meta.extracted)


def row_data(row: Message, zone: tzinfo) -> dict[str, Any]:
    """A row of the log as JSON values."""
    return {
        "id": row.id,
        "role": row.role,
        "at": local(row.at, zone),
        "name": row.name,
        "text": row.text,
        "meta": values_of(replace(row.meta, saw=None, notes=())),
    }
