"""The grammar of `pagefault bench`: a command for each task, all with the same options; retrieval; report."""

from __future__ import annotations

from collections.abc import Callable
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from pagefault.bench import STRATEGIES, TASKS
from pagefault.cli.options import Database, Home, Json, command_group

__all__ = ["bench"]

bench = command_group()


@bench.command("retrieval")
def bench_retrieval(
    data: Annotated[
        Path | None,
        typer.Option(help="A folder of sets: docs.jsonl.gz, queries.jsonl.gz, qrels.tsv; else shipped ones."),
    ] = None,
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="A set; give it once for each. All by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the scores to this file, as JSON.")
    ] = None,
    ablate: Annotated[bool, typer.Option("--ablate", help="Also without each part of the ranker.")] = False,
    pool: Annotated[bool, typer.Option("--pool", help="Search all groups of a set together.")] = False,
    embedded: Annotated[
        list[float] | None,
        typer.Option(min=0, max=1, help="The share of documents with vectors, the oldest; may be repeated."),
    ] = None,
    embedder: Annotated[str, typer.Option(help="As `pagefault embedders` lists them.")] = "minilm",
) -> None:
    """Measure the quality of search, beside dense, BM25 and their fusion."""
    from pagefault.bench.command import SHIPPED
    from pagefault.bench.retrieval import report

    report.run(
        data or SHIPPED, sets or [], embedder, ablate=ablate, pooled=pool, embedded=embedded or [1], file=out
    )


@bench.command("report")
def bench_report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The --out of a run, or a folder of several.")
    ],
    json: Json = False,
) -> None:
    """Write a page and tables of the scores of one or more runs, with the paper's figures beside them."""
    from pagefault.bench.report import write

    files = [str(file) for file in write(folder)]
    print(dumps(files, ensure_ascii=False) if json else "\n".join(files))


Out = Annotated[Path, typer.Option(help="The folder for results; a run that was interrupted continues.")]
Data = Annotated[
    Path | None, typer.Option(help="A file or folder in the set's own format; else a small shipped one.")
]
Model = Annotated[str, typer.Option(help="offline, or PROVIDER:NAME.")]
Strategies = Annotated[
    str, typer.Option(help=f"One or more of {', '.join(STRATEGIES)}; with commas between them.")
]
Window = Annotated[int | None, typer.Option(help="The context window in tokens.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most this many items (of each part).")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="A part of the task; give it once for each.")]
Seed = Annotated[int, typer.Option(help="Seed of random choices and intervals.")]
Preload = Annotated[
    bool,
    typer.Option("--preload", help="Load conversations into the log; no turns."),
]
Lenient = Annotated[bool, typer.Option("--lenient", help="Skip invalid records.")]
Judge = Annotated[str, typer.Option(help="A model that judges the answers.")]
CallerName = Annotated[
    str, typer.Option("--caller", metavar="strong|weak", help="How reliably the demo searches.")
]
Generate = Annotated[
    str, typer.Option(metavar="AGENT", help="dmr: have the model make the questions from its log.")
]
Embedder = Annotated[str, typer.Option(help="As `pagefault embedders` lists them.")]
MaxTokens = Annotated[int | None, typer.Option(help="Stop after this many tokens.")]
MaxCost = Annotated[float | None, typer.Option(help="Stop after this cost in USD.")]
Documents = Annotated[
    Path | None, typer.Option(metavar="DIR", help="docqa: a folder with docs.jsonl.gz, more documents.")
]
DocumentsDatabase = Annotated[
    str, typer.Option(metavar="URL", help="docqa: a PostgreSQL database to hold the documents; else a file.")
]
Concurrency = Annotated[int, typer.Option(min=1, help="Items in parallel.")]


def _command_of(task: str) -> Callable[..., None]:
    def command(
        out: Out,
        data: Data = None,
        model: Model = "offline",
        strategy: Strategies = "",
        window: Window = None,
        limit: Limit = None,
        sets: Sets = None,
        seed: Seed = 0,
        preload: Preload = False,
        lenient: Lenient = False,
        judge: Judge = "",
        caller: CallerName = "",
        generate: Generate = "",
        embedder: Embedder = "minilm",
        max_tokens: MaxTokens = None,
        max_cost: MaxCost = None,
        concurrency: Concurrency = 4,
        documents: Documents = None,
        documents_database: DocumentsDatabase = "",
        home: Home = None,
        database: Database = None,
        json: Json = False,
    ) -> None:
        from pagefault.bench.command import Wanted, run

        names = tuple(name.strip() for name in strategy.split(",") if name.strip())
        wanted = Wanted(
            task, out, data, model, names, window, limit, tuple(sets or ()), seed, preload, lenient,
            judge, caller, generate, embedder, max_tokens, max_cost, concurrency, home, database,
            documents, documents_database,
        )  # fmt: skip
        run(wanted, as_json=json)

    command.__doc__ = TASKS[task]
    return command


for _task in TASKS:
    bench.command(_task)(_command_of(_task))
