"""The grammar of `pagefault bench`: a command for each task, all with the same options; retrieval; report."""

from __future__ import annotations

from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from pagefault.bench import STRATEGIES, TASKS
from pagefault.cli.options import Database, Home, Json, grown

__all__ = ["bench"]

bench = grown()


@bench.callback()
def benchmarks() -> None:
    """Benchmarks: the paper's experiments, and how well things are found."""


@bench.command("retrieval")
def bench_retrieval(
    data: Annotated[Path, typer.Option(help="A folder of sets: docs.jsonl.gz, queries.jsonl.gz, qrels.tsv.")],
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="A set; give it once for each. All by default.")
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write the scores to this file.")] = None,
    ablate: Annotated[bool, typer.Option("--ablate", help="Also without each part of the ranker.")] = False,
    pool: Annotated[bool, typer.Option("--pool", help="Search all groups of a set together.")] = False,
    embedder: Annotated[str, typer.Option(help="minilm.")] = "minilm",
) -> None:
    """Measure how well the ranker finds what it should, beside dense, BM25 and their fusion."""
    from pagefault.bench.retrieval import report

    report.run(data, sets or [], embedder, ablate=ablate, pooled=pool, file=json)


@bench.command("report")
def bench_report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The --out of a run, or a folder of several.")
    ],
    json: Json = False,
) -> None:
    """Write a page and a table with the scores of one or more runs, the paper's figures beside them."""
    from pagefault.bench.report import write

    files = [str(file) for file in write(folder)]
    print(dumps(files, ensure_ascii=False) if json else "\n".join(files))


_STRATEGY_HELP = f"One or more of {', '.join(STRATEGIES)}; with commas between them."


def _command_of(task: str) -> Callable[..., None]:
    def command(
        out: Annotated[Path, typer.Option(help="The folder for results; a run that is there goes on.")],
        data: Annotated[
            Path | None,
            typer.Option(help="A file or folder in the set's own format; else a small one of ours."),
        ] = None,
        model: Annotated[str, typer.Option(help="offline, or PROVIDER:NAME.")] = "offline",
        strategy: Annotated[str, typer.Option(help=_STRATEGY_HELP)] = "",
        window: Annotated[int | None, typer.Option(help="The context window in tokens.")] = None,
        limit: Annotated[
            int | None, typer.Option(min=1, help="At most so many items (of each part).")
        ] = None,
        sets: Annotated[
            list[str] | None, typer.Option("--set", help="A part of the task; give it once for each.")
        ] = None,
        seed: Annotated[int, typer.Option(help="For what the data leaves open, and the intervals.")] = 0,
        preload: Annotated[
            bool, typer.Option("--preload", help="Load conversations instead of living through them.")
        ] = False,
        lenient: Annotated[
            bool, typer.Option("--lenient", help="Leave wrong records out and go on with the others.")
        ] = False,
        judge: Annotated[str, typer.Option(help="A model that judges the answers.")] = "",
        generate: Annotated[
            str, typer.Option(metavar="AGENT", help="dmr: have the model make the questions from its log.")
        ] = "",
        embedder: Annotated[str, typer.Option(help="As `pagefault embedders` lists them.")] = "minilm",
        max_tokens: Annotated[int | None, typer.Option(help="Stop when so many tokens are spent.")] = None,
        max_cost: Annotated[float | None, typer.Option(help="Stop when so many USD are spent.")] = None,
        concurrency: Annotated[int, typer.Option(min=1, help="Items at once.")] = 4,
        home: Home = None,
        database: Database = None,
        json: Json = False,
    ) -> None:
        from pagefault.bench.command import Wanted, run

        names = tuple(name.strip() for name in strategy.split(",") if name.strip())
        run(
            Wanted(
                task, out, data, model, names, window, limit, tuple(sets or ()), seed, preload, lenient,
                judge, generate, embedder, max_tokens, max_cost, concurrency, home, database,
            ),
            as_json=json,
        )  # fmt: skip

    command.__doc__ = TASKS[task]
    return command


for _task in TASKS:
    bench.command(_task)(_command_of(_task))
