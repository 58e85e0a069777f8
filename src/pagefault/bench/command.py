"""`pagefault bench TASK`: from options to a folder with results, with a progress bar.

Leaves out the command line's grammar (``cli.grammar.bench``) and the report.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pagefault.accounting.prices import Prices
from pagefault.bench.callers import CALLERS, Hiding
from pagefault.bench.generating import generate
from pagefault.bench.judge import ModelJudge
from pagefault.bench.pools import file_name
from pagefault.bench.recording import Ledger
from pagefault.bench.reference import ReferencePolicy
from pagefault.bench.results import RunFolder, Settings
from pagefault.bench.running import Judge, TaskRun
from pagefault.bench.showing import show
from pagefault.bench.strategies import Strategy, shared_by, strategies_named
from pagefault.bench.tasks import Item, Options, Task, task_named
from pagefault.build import catalogue_of, make_embedder, open_kernel
from pagefault.config import Installation, home_folder, load_installation, parse_settings
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.models import Model
from pagefault.models.endpoint import ModelOptions, RequestSettings
from pagefault.models.tokens import HeuristicCounter, family_of

__all__ = ["Wanted", "run"]

OFFLINE = "offline"
INTERRUPTED = "Interrupted."
SHIPPED = Path(__file__).parent / "data"
GENERATED = "generated.jsonl"
PAIRS = 20  # that --generate makes, unless a limit says otherwise


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of the command, as given; None or empty: not given."""

    task: str
    out: Path
    data: Path | None = None
    model: str = OFFLINE
    strategies: tuple[str, ...] = ()
    window: int | None = None
    limit: int | None = None
    sets: tuple[str, ...] = ()
    seed: int = 0
    preload: bool = False
    lenient: bool = False
    judge: str = ""
    caller: str = ""
    generate: str = ""
    embedder: str = "minilm"
    max_tokens: int | None = None
    max_cost: float | None = None
    concurrency: int = 4
    home: Path | None = None
    database: str | None = None
    documents: Path | None = None
    documents_database: str = ""


def run(wanted: Wanted, *, as_json: bool = False) -> None:
    """Run a task and print its scores, or all of ``results.json``; exits with 130 if it was interrupted.
    ``UsageError`` for options or data that are wrong."""
    task = task_named(wanted.task)
    found = anyio.run(_run, wanted, task)
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        show(found, task)
    if found["stopped"] == INTERRUPTED:
        raise SystemExit(130)


async def _run(wanted: Wanted, task: Task) -> dict[str, Any]:
    """Run the task; return what ``results.json`` then has."""
    home = home_folder(wanted.home)
    installation = load_installation(home, wanted.database)
    strategies = strategies_named(wanted.strategies or task.strategies, task.sweep)
    data = _data(wanted)
    async with _models(wanted, home, installation) as (model, judge, window, prices):
        if wanted.generate and not data.exists():
            await _generate(wanted, open_kernel(home, installation=installation), model, data)
        options = Options(
            wanted.limit, frozenset(wanted.sets), wanted.seed, window, wanted.lenient,
            documents=wanted.documents,
        )  # fmt: skip
        items = _items(task, data, options)
        settings = Settings(
            wanted.task, wanted.model, window, wanted.seed, _digest(data, wanted.documents),
            tuple(sorted(wanted.sets)), wanted.preload, wanted.lenient, wanted.judge, wanted.embedder,
            str(wanted.data or "shipped"), wanted.caller,
        )  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="pagefault-bench-") as scratch:
            made = _prepared(wanted, task, items, strategies, settings, model, prices, Path(scratch))
            made.judge = judge
            made.scores_answers = model.name != OFFLINE
            await _watched(made)
    shared = dict.fromkeys(file_name(shared_by(item.pool)) for item in items)
    return made.results.write(
        [item.id for item in items], list(shared), made.failed, model.name,
        left_out=options.left_out, stopped=made.stopped,
        caller=asdict(CALLERS[wanted.caller]) if wanted.caller else None,
    )  # fmt: skip


def _data(wanted: Wanted) -> Path:
    """The file or folder to read; ``UsageError`` for options that do not go together."""
    if wanted.judge and wanted.model == OFFLINE:
        raise UsageError("--judge grades answers, and those of the demo model are not scored; give --model.")
    if wanted.caller and wanted.model != OFFLINE:
        raise UsageError("--caller is a rule for the demo model; leave out --model, or --caller.")
    if wanted.caller and wanted.caller not in CALLERS:
        raise UsageError(f"There is no caller {wanted.caller!r}; choose from {', '.join(CALLERS)}.")
    _check_documents(wanted)
    if wanted.generate:
        if wanted.task != "dmr" or wanted.data:
            raise UsageError("--generate makes the data of the task dmr; leave out --data, or --generate.")
        return wanted.out / GENERATED
    data = wanted.data or SHIPPED / {"opener": "dmr"}.get(wanted.task, wanted.task)
    if not data.exists():
        raise UsageError(f"There is no {data}; give a file or a folder with --data.")
    return data


def _check_documents(wanted: Wanted) -> None:
    if (wanted.documents or wanted.documents_database) and wanted.task != "docqa":
        raise UsageError("--documents and --documents-database are for the task docqa; leave them out.")
    if wanted.documents and not wanted.documents.is_dir():
        raise UsageError(f"There is no folder {wanted.documents}; give one that has docs.jsonl.gz.")


def _items(task: Task, data: Path, options: Options) -> list[Item]:
    items = task.items(data, options)
    if options.parts - {item.part for item in items}:
        every = task.items(data, replace(options, parts=frozenset(), limit=None, left_out=[]))
        known = [part for part in dict.fromkeys(item.part for item in every) if part]
        if unknown := sorted(options.parts.difference(known)):
            fix = f"choose from {', '.join(known)}" if known else "leave out --set"
            raise UsageError(f"{task.name} has no part {unknown[0]!r} in {data}; {fix}.")
    if not items:
        raise UsageError(f"{data} holds nothing that {task.name} can ask; give another --data.")
    return items


async def _generate(wanted: Wanted, kernel: Kernel, model: Model, file: Path) -> None:
    """Pairs from the log of an agent, once: the next run asks the same."""
    counter = HeuristicCounter(family_of(wanted.model))
    try:
        count = wanted.limit or PAIRS
        made = await generate(kernel, wanted.generate, model, counter, count, wanted.seed, file)
    finally:
        await kernel.close()
    print(f"{made} of {count} pairs were made; {file} has them.", file=sys.stderr)


def _prepared(
    wanted: Wanted,
    task: Task,
    items: Sequence[Item],
    strategies: Sequence[Strategy],
    settings: Settings,
    model: Model,
    prices: Prices,
    scratch: Path,
) -> TaskRun:
    embedder = make_embedder(wanted.embedder, wanted.out, threads=os.cpu_count() or 1, keep=True)
    return TaskRun(
        task=task,
        items=items,
        strategies=strategies,
        results=RunFolder(wanted.out, settings),
        model=model,
        ledger=Ledger(wanted.model, prices, wanted.max_tokens, wanted.max_cost),
        counter=HeuristicCounter(family_of(wanted.model)),
        embedder=embedder,
        scratch=scratch,
        concurrency=wanted.concurrency,
        documents_database=wanted.documents_database,
    )


@asynccontextmanager
async def _models(
    wanted: Wanted, home: Path, installation: Installation
) -> AsyncGenerator[tuple[Model, Judge | None, int, Prices]]:
    """The model, the judge if one is wanted, the window to use, and what models cost."""
    catalogue = catalogue_of(home, installation)
    request_settings = RequestSettings(ModelOptions(temperature=0.0))
    try:
        window, _ = await catalogue.window(wanted.model, wanted.window)
        parse_settings({"window": window})  # as an agent may have it
        prices = Prices(catalogue.vendor, installation.own_prices)
        judge = None
        if wanted.judge:
            judge = ModelJudge(catalogue.model(wanted.judge, window, request_settings))
        model = catalogue.model(wanted.model, window, request_settings)
        if wanted.model == OFFLINE and wanted.task == "nested-kv":
            model = ReferencePolicy(window)
        if caller := CALLERS.get(wanted.caller):
            model = Hiding(model, partial(caller.hidden, seed=wanted.seed))
        yield model, judge, window, prices
    finally:
        await catalogue.aclose()


async def _watched(run: TaskRun) -> None:
    """Run with a progress bar on stderr."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[spent]}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        done = sum(
            item.id in have
            for have in (run.results.done(strategy.name) for strategy in run.strategies)
            for item in run.items
        )
        whole = len(run.strategies) * len(run.items)
        bar = progress.add_task(run.task.name, total=whole, completed=done, spent="")

        def watch(ledger: Ledger) -> None:
            spent = ledger.spent
            cost = "cost unknown" if spent.cost is None else f"{spent.cost:.2f} USD"
            progress.update(bar, advance=1, spent=f"{spent.input + spent.output:,} tokens, {cost}")

        run.watch = watch
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_interrupted, run, tasks.cancel_scope)
            await run.run()
            tasks.cancel_scope.cancel()


async def _interrupted(run: TaskRun, scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            run.stopped = INTERRUPTED
            scope.cancel()
            return


def _digest(*places: Path | None) -> str:
    """One digest of files, or of all files of folders."""
    found = hashlib.sha256()
    for place in filter(None, places):
        for path in [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file()):
            found.update(path.read_bytes())
    return found.hexdigest()[:16]
