"""A run's folder: its settings, a line for each item that is done, and what follows from all of them.

    settings.json               what the run is; another run cannot have the same folder
    items/STRATEGY.jsonl        reply, scores, texts seen and tokens of each item
    transcripts/STRATEGY/       every request of each item (``recording``)
    results.json                means and intervals

Leaves out how items are run, and how results are shown.
"""

from __future__ import annotations

import json
import platform
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any

from pagefault.bench.recording import Spent, spent_in
from pagefault.bench.scoring import intervals
from pagefault.errors import UsageError

__all__ = ["FORMAT", "ItemResult", "RunFolder", "Settings", "entry"]

FORMAT = 2
"""Of ``results.json`` and its items; another one is another shape."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a run. ``data``: the digest of the files; ``path``: where they were (it may differ)."""

    task: str
    model: str
    window: int
    seed: int
    data: str
    sets: tuple[str, ...] = ()
    preload: bool = False
    lenient: bool = False
    judge: str = ""
    embedder: str = "minilm"
    path: str = ""
    caller: str = ""


@dataclass(frozen=True, slots=True)
class ItemResult:
    """One item that is done. ``unfit``: why the strategy could not answer it (empty: it could). ``format``: 1
    has no evidence in context."""

    id: str
    part: str
    question: str
    gold: tuple[str, ...]
    reply: str
    scores: Mapping[str, float]
    seen: tuple[str, ...] = ()
    unfit: str = ""
    seconds: float = 0.0
    spent: Mapping[str, Any] = field(default_factory=dict[str, Any])
    format: int = 1


class RunFolder:
    """The folder of a run; made if it is not there. ``UsageError`` if it holds another run."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        file = folder / "settings.json"
        given = json.loads(json.dumps(asdict(settings)))
        if file.is_file():
            before = {"caller": "", **json.loads(file.read_text("utf-8"))}  # older runs had none
            for name, value in given.items():
                if name != "path" and before.get(name) != value:
                    raise UsageError(
                        f"{folder} holds a run whose {name} is {before.get(name)!r}, not {value!r}; "
                        "give another --out, or the same settings to go on with it."
                    )
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{folder} cannot be made ({error.strerror}); give another --out.") from None
        _write(file, given)

    def done(self, strategy: str) -> dict[str, ItemResult]:
        """The items of a strategy that are done, by id. Those of an older format are not: they run again, and
        are answered from their transcripts."""
        file = self._file(strategy)
        if not file.is_file():
            return {}
        data = file.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):  # a line that was cut off when the run was killed
            file.write_bytes(whole)
        lines = [json.loads(line) for line in whole.decode().split("\n") if line]
        return {line["id"]: ItemResult(**line) for line in lines if line.get("format", 1) == FORMAT}

    def add(self, strategy: str, result: ItemResult) -> None:
        """Write down that an item is done."""
        file = self._file(strategy)
        file.parent.mkdir(exist_ok=True)
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(result), ensure_ascii=False) + "\n")

    def transcript(self, strategy: str, name: str) -> Path:
        """Where requests are written down."""
        return self.folder / "transcripts" / strategy / f"{name}.jsonl"

    def _file(self, strategy: str) -> Path:
        return self.folder / "items" / f"{strategy}.jsonl"

    def write(
        self,
        items: Sequence[str],
        shared: Sequence[str],
        failed: Mapping[str, Mapping[str, str]],
        model: str,
        **more: object,
    ) -> dict[str, Any]:
        """Write ``results.json`` over the items of these ids, and return it: every strategy that the folder
        has, those of earlier commands too.

        ``shared``: transcripts of work that several items need. ``failed``: why items have no result, for
        each strategy of this command. ``model``: who answered.
        """
        before = self._failed_before()
        there = sorted(path.stem for path in (self.folder / "items").glob("*.jsonl"))
        names = dict.fromkeys([*before, *failed, *there])
        found = {
            "format": FORMAT,
            "task": self.settings.task,
            "model": model,
            "window": self.settings.window,
            "strategies": {
                name: self._entry(name, items, shared, failed.get(name, before.get(name, {})))
                for name in names
            },
            "items": len(items),
            "settings": asdict(self.settings),
            "made": {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "pagefault": version("pagefault"),
                "python": platform.python_version(),
            },
            **more,
        }
        _write(self.folder / "results.json", found)
        return found

    def _failed_before(self) -> dict[str, dict[str, str]]:
        """The strategies of earlier commands, with what they left over."""
        file = self.folder / "results.json"
        if not file.is_file():
            return {}
        strategies = json.loads(file.read_text("utf-8"))["strategies"]
        return {name: entry.get("failed", {}) for name, entry in strategies.items()}

    def _entry(
        self, strategy: str, items: Sequence[str], shared: Sequence[str], failed: Mapping[str, str]
    ) -> dict[str, Any]:
        done = self.done(strategy)
        left = {id: why for id, why in failed.items() if id in items and id not in done}
        spent = [spent_in(self.transcript(strategy, name)) for name in shared]
        return entry([done[id] for id in items if id in done], self.settings.seed, spent, left)


def entry(
    results: Sequence[ItemResult],
    seed: int,
    shared: Iterable[Spent] = (),
    failed: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    """A strategy's entry in ``results.json``. ``shared``: what work that several items need took."""
    answered = [result for result in results if not result.unfit]
    parts: defaultdict[str, list[ItemResult]] = defaultdict(list)
    for result in answered:
        parts[result.part].append(result)
    found = _means(answered, seed)
    if len(parts) > 1:
        found["parts"] = {part: _means(own, seed) for part, own in parts.items()}
    if len(answered) < len(results):
        found["does_not_fit"] = len(results) - len(answered)
        found["why"] = next(result.unfit for result in results if result.unfit)
    if failed:
        found["failed"] = dict(failed)
    found["spent"] = asdict(_sum([*shared, *(Spent(**r.spent) for r in results)]))
    found["seconds_an_item"] = round(fmean(r.seconds for r in results), 3) if results else 0.0
    return found


def _means(results: Sequence[ItemResult], seed: int) -> dict[str, Any]:
    return {"n": len(results), **intervals([result.scores for result in results], seed)}


def _write(file: Path, value: object) -> None:
    """Whole or not at all, whenever the run is killed."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")
    new.replace(file)


def _sum(spent: Iterable[Spent]) -> Spent:
    total = Spent()
    for one in spent:
        total.add(one)
    return total
