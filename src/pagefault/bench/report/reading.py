"""Runs as their folders hold them: settings, scores, items. Nothing is written, a run may be under way.

Where ``results.json`` is missing, or says nothing of a strategy that has items, the scores are made from the
items that are done. Leaves out the text of a report: that is ``contents``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, Field, FiniteFloat, TypeAdapter, ValidationError, model_validator

from pagefault.bench.recording import Spent
from pagefault.bench.results import FORMAT, ItemResult, entry
from pagefault.errors import UsageError

__all__ = ["Entry", "Scores", "StoredInterval", "StoredRun", "part_of", "read_runs"]

_DEEPEST = 3  # folders below the one that is given
_NOT_RUNS = {"items", "transcripts"}
_LICENCE = re.compile(r"licen[cs]e", re.IGNORECASE)
_LONGEST_NOTE = 300  # characters
_T = TypeVar("_T")


class StoredInterval(BaseModel):
    """A mean and its 95 % interval."""

    mean: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class Scores(BaseModel):
    """Intervals by measure, over ``n`` items."""

    n: int
    measures: dict[str, StoredInterval]

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, value: object) -> object:
        """The measures stand among the other fields in the file."""
        if not isinstance(value, dict):
            return value
        fields = cast("dict[str, Any]", value)
        measures: dict[str, Any] = {
            name: one for name, one in fields.items() if isinstance(one, dict) and "mean" in one
        }
        return {**fields, "measures": measures}


class Entry(Scores):
    """The entry of a strategy in ``results.json``."""

    parts: dict[str, Scores] = Field(default={})
    does_not_fit: int = 0
    why: str = ""
    failed: dict[str, str] = Field(default={})
    spent: Spent = Field(default_factory=Spent)


class _Made(BaseModel):
    at: str = ""
    pagefault: str = ""
    python: str = ""


class _Stored(BaseModel):
    """``results.json``; unknown fields are ignored."""

    task: str
    model: str
    window: int
    strategies: dict[str, Entry]
    settings: dict[str, Any] = Field(default={})
    items: int | None = None
    left_out: list[str] = Field(default=[])
    stopped: str = ""
    made: _Made = Field(default_factory=_Made)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """One run. ``items`` are those that are done, by strategy; ``wanted``: how many each strategy is asked
    (None: not known). ``finished``: there is a ``results.json``; ``counted``: the strategies that it has.
    ``judging``: the request that a judge got for one item (empty: none did)."""

    folder: Path
    task: str
    model: str
    window: int
    strategies: Mapping[str, Entry]
    items: Mapping[str, tuple[ItemResult, ...]]
    settings: Mapping[str, Any]
    wanted: int | None
    finished: bool
    counted: frozenset[str]
    left_out: tuple[str, ...]
    stopped: str
    at: str
    versions: str
    licence: str
    judging: str


def part_of(run: StoredRun, strategy: str, part: str) -> Scores | None:
    """The scores of a strategy on a part; a run of a single part has them over all its items."""
    entry = run.strategies[strategy]
    if entry.parts:
        return entry.parts.get(part)
    return entry if {item.part for item in run.items.get(strategy, ())} == {part} else None


def read_runs(folder: Path) -> tuple[list[StoredRun], list[str]]:
    """The runs in a folder and below it, by folder, and a sentence on each that cannot be read.
    ``UsageError`` if there is none that can."""
    found, unread = list[StoredRun](), list[str]()
    for path in _folders(folder, _DEEPEST):
        try:
            found.append(_read(path))
        except UsageError as error:
            unread.append(str(error))
    if unread and not found:
        raise UsageError(unread[0])
    if not found:
        raise UsageError(
            f"{folder} holds no run: there is no results.json or settings.json in it or in the folders "
            "below; give a folder that was the --out of a `pagefault bench`."
        )
    return found, unread


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    if not folder.is_dir():
        return
    if any((folder / name).is_file() for name in ("results.json", "settings.json")):
        yield folder
    if depth:
        for below in sorted(path for path in folder.iterdir() if path.is_dir()):
            if below.name not in _NOT_RUNS:
                yield from _folders(below, depth - 1)


def _read(folder: Path) -> StoredRun:
    items = {path.stem: _items(path) for path in sorted((folder / "items").glob("*.jsonl"))}
    stored, finished = _stored(folder), True
    if stored is None:
        settings, finished = _json(folder / "settings.json"), False
        stored = _shaped(_Stored, {**settings, "settings": settings, "strategies": {}}, folder)
    seed = int(stored.settings.get("seed") or 0)
    made_here = {
        name: Entry.model_validate(entry(done, seed))
        for name, done in items.items()
        if done and name not in stored.strategies
    }
    made = stored.made
    versions = [f"pagefault {made.pagefault}"] if made.pagefault else []
    versions += [f"Python {made.python}"] if made.python else []
    return StoredRun(
        folder, stored.task, stored.model, stored.window, {**stored.strategies, **made_here}, items,
        stored.settings, stored.items, finished, frozenset(stored.strategies), tuple(stored.left_out),
        stored.stopped, made.at, ", ".join(versions), _licence(str(stored.settings.get("path", ""))),
        _judging(folder),
    )  # fmt: skip


def _stored(folder: Path) -> _Stored | None:
    file = folder / "results.json"
    if not file.is_file():
        return None
    value = _json(file)
    number = value.get("format", FORMAT)
    if number != FORMAT:
        newer = isinstance(number, int) and number > FORMAT
        fix = "upgrade pagefault" if newer else "run its command again, which asks nothing twice"
        raise UsageError(f"{file} is of format {number!r}, and this pagefault reads format {FORMAT}; {fix}.")
    return _shaped(_Stored, value, file)


def _json(file: Path) -> dict[str, Any]:
    try:
        value: object = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise UsageError(f"{file} is not JSON ({error}); run its command again.") from None
    if not isinstance(value, dict):
        raise UsageError(f"{file} is no JSON object; give the folder of a `pagefault bench`.")
    return cast("dict[str, Any]", value)


def _items(file: Path) -> tuple[ItemResult, ...]:
    """The items of a strategy, the newest of each id; a last line that is being written is ignored."""
    data = file.read_bytes()
    lines = data[: data.rfind(b"\n") + 1].decode("utf-8", "replace").split("\n")
    done = [_shaped(ItemResult, line, file) for line in lines if line]
    return tuple({one.id: one for one in done}.values())


def _shaped(shape: type[_T], value: object, where: Path) -> _T:
    adapter = TypeAdapter(shape)
    try:
        if isinstance(value, str):
            return adapter.validate_json(value)
        return adapter.validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"]) or "the whole"
        raise UsageError(
            f"{where} is not what `pagefault bench` writes today ({place}: {fault['msg'].lower()}); "
            "run its command again, which asks nothing twice."
        ) from None


def _licence(data: str) -> str:
    """The licence of the data as a README beside it has it; empty if none is found."""
    if not data or data == "shipped":
        return ""
    path = Path(data).absolute()
    places = ((path, ""), (path.parent, path.name), (path.parent.parent, path.parent.name))
    found = (_licence_in(folder / "README.md", name) for folder, name in places)
    return next((licence[:_LONGEST_NOTE] for licence in found if licence), "")


def _licence_in(readme: Path, name: str) -> str:
    """In the README of the data itself (no ``name``) the first line on a licence; in that of a folder above,
    the cell for the folder ``name``."""
    if not readme.is_file():
        return ""
    lines = list(islice(readme.read_text("utf-8", "replace").splitlines(), 500))
    if not name:
        return next((line.strip() for line in lines if _LICENCE.search(line)), "")
    table = [[cell.strip() for cell in line.split("|")] for line in lines if line.startswith("|")]
    column = next((n for row in table for n, cell in enumerate(row) if _LICENCE.search(cell)), 0)
    row = next((row for row in table if f"`{name}/" in row[1]), list[str]())
    return row[column] if 0 < column < len(row) else ""


def _judging(folder: Path) -> str:
    for file in sorted((folder / "transcripts").glob("*/* judged.jsonl"))[:1]:
        with file.open(encoding="utf-8") as lines:
            request = json.loads(lines.readline() or "{}")
        return "\n\n".join(str(message.get("text", "")) for message in request.get("messages", []))
    return ""
