"""Signals to text and back, as payloads of NOTIFY. What comes back may be anybody's: all of it is checked.

A payload is a JSON array: a version, the sender's id, then one array for each signal. It is shorter than the
8,000 bytes that PostgreSQL allows. Left out: sending and receiving (``signals``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from pagefault.storage.rows import storable
from pagefault.storage.signals import AgentReady, LogGrew, OutputsWanted, Signal, UncommittedOutput
from pagefault.types import UNCOMMITTED, AgentId, Output, OutputType

__all__ = ["LONGEST", "decoded", "encoded"]

LONGEST = 7900
"""The most bytes of a payload; PostgreSQL refuses 8,000."""

_VERSION = 1
_CHARACTERS = 1200  # of a delta in one signal: JSON takes at most 6 bytes for one
_NAME = 120  # characters of an attempt's name at most


def encoded(sender: str, signals: Iterable[Signal]) -> Iterator[str]:
    """Yield payloads that hold the signals, in order; one that holds none if there are none."""
    head = f"[{_VERSION},{json.dumps(sender)}"
    parts, size = [head], len(head) + 1
    for signal in signals:
        for text in map(_text, _cut(signal)):
            bytes = len(text.encode()) + 1
            if size + bytes > LONGEST:
                yield ",".join(parts) + "]"
                parts, size = [head], len(head) + 1
            parts.append(text)
            size += bytes
    if len(parts) > 1 or size == len(head) + 1:
        yield ",".join(parts) + "]"


def decoded(payload: str) -> tuple[str, list[Signal]] | None:
    """The sender and its signals, without those that cannot be read; None if it is no payload of ours."""
    try:
        values: Any = json.loads(payload)
        version, sender, *rows = values
    except (ValueError, TypeError, RecursionError):
        return None
    if version != _VERSION or not isinstance(sender, str):
        return None
    return sender, [signal for row in rows if (signal := _signal(row))]


def _cut(signal: Signal) -> Iterator[Signal]:
    """The signal, or several of an output with a long text."""
    if not isinstance(signal, UncommittedOutput) or len(signal.output.text) <= _CHARACTERS:
        yield signal
        return
    text = signal.output.text
    for at in range(0, len(text) if signal.output.type == "delta" else 1, _CHARACTERS):
        output = replace(signal.output, text=text[at : at + _CHARACTERS])
        yield replace(signal, output=output, start=signal.start + at)


def _text(signal: Signal) -> str:
    return json.dumps(_row(signal), ensure_ascii=False, separators=(",", ":"))


def _row(signal: Signal) -> list[object]:
    match signal:
        case AgentReady(agent, full):
            return ["ready", agent, full]
        case LogGrew(agent, after, position, done):
            return ["grew", agent, after, position, done]
        case OutputsWanted(agent):
            return ["wanted", agent]
        case UncommittedOutput(agent, output, after, start):
            sent = {**output.data, "name": output.name} if output.name else output.data
            data = {key: sent[key] for key in _DATA if key in sent}
            text = storable(output.text)
            return ["output", agent, output.type, text, output.event, output.position, data, after, start]


def _signal(row: Any) -> Signal | None:
    """The signal of a row; None if it is not as ``_row`` makes it."""
    match row:
        case ["ready", agent, full] if _is_id(agent) and isinstance(full, str):
            return AgentReady(AgentId(agent), full)
        case ["grew", agent, after, position, done] if _are_numbers(after, position):
            good = _is_id(agent) and (done is None or _is_id(done))
            return LogGrew(AgentId(agent), after, position, done) if good else None
        case ["wanted", agent] if agent is None or _is_id(agent):
            return OutputsWanted(agent)
        case ["output", agent, *values] if _is_id(agent) and len(values) == 7:
            return _output(AgentId(agent), *values)
        case _:
            return None


def _is_id(value: object) -> bool:
    return type(value) is int and 0 < value < 1 << 63


def _are_numbers(*values: object) -> bool:
    return all(type(value) is int and 0 <= value < 1 << 63 for value in values)


def _output(
    agent: AgentId, kind: Any, text: Any, event: Any, position: Any, data: Any, after: Any, start: Any
) -> UncommittedOutput | None:
    good = kind in _KINDS and isinstance(text, str) and (event is None or _is_id(event))
    if not good or not _are_numbers(position, after, start) or not _is_data(data):
        return None
    name = data.pop("name", None)
    return UncommittedOutput(agent, Output(kind, text, event, position, name, data), after, start)


_KINDS: tuple[OutputType, ...] = tuple(UNCOMMITTED)
_DATA: dict[str, Callable[[object], bool]] = {
    "attempt": lambda value: isinstance(value, str) and len(value) <= _NAME,
    "of": lambda value: value in ("said", "thought", "thinking"),
    "again": lambda value: isinstance(value, bool),
    "call": lambda value: isinstance(value, str) and len(value) <= _NAME,
    "name": lambda value: isinstance(value, str) and len(value) <= _NAME,
}
"""The entries of an output's ``data`` that travel, its name among them, and their checks."""


def _is_data(data: object) -> bool:
    return isinstance(data, dict) and all(key in _DATA and _DATA[key](value) for key, value in data.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
