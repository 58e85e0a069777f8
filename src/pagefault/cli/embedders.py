"""The kinds of embedder: `embedders`. It looks at settings, environment, database; it asks no server."""

from __future__ import annotations

from pagefault.build import DATABASE, EMBEDDERS, make_embedder
from pagefault.cli.render import table
from pagefault.cli.session import Session
from pagefault.errors import EmbedderSetupError, UsageError
from pagefault.kernel import Kernel
from pagefault.views.agents import EmbedderProgress, embedders


def list_all(session: Session) -> None:
    """One line for each kind, the set one marked, with the progress of those that have made vectors."""
    chosen = session.installation.embedder
    made = _progress(session)
    kinds = {chosen: EMBEDDERS.get(chosen, "as set")} | EMBEDDERS | dict.fromkeys(made.keys() - EMBEDDERS, "")
    missing = {name: _missing(name) for name in kinds}
    data = [
        {
            "name": name,
            "is": about,
            "set": name == chosen,
            "missing": missing[name],
            "vectors": _vectors(made.get(name)),
        }
        for name, about in kinds.items()
    ]
    rows = [
        [
            f"{'*' if name == chosen else ' '} {name}",
            missing[name] or f"ready: {about}",
            _line(made.get(name)),
        ]
        for name, about in kinds.items()
    ]
    session.show(data, table(rows))


def _vectors(progress: EmbedderProgress | None) -> dict[str, object] | None:
    if progress is None:
        return None
    return {"rows": progress.rows, "of": progress.of, "in_service": progress.in_service}


def _line(progress: EmbedderProgress | None) -> str:
    if progress is None:
        return ""
    of_all = f"{progress.rows:,} of {progress.of:,} rows"
    return f"{of_all}, in service" if progress.in_service else of_all


def _progress(session: Session) -> dict[str, EmbedderProgress]:
    """The embedders that have made vectors, by name; none without a database."""
    if not session.installation.database and not (session.folder / DATABASE).exists():
        return {}
    found: dict[str, EmbedderProgress] = {}

    async def work(kernel: Kernel) -> None:
        found.update({progress.name: progress for progress in await embedders(kernel)})

    session.run(work)
    return found


def _missing(name: str) -> str | None:
    """The sentence that names what is missing and how to get it; None if nothing is."""
    try:
        make_embedder(name)
    except (EmbedderSetupError, UsageError) as error:
        return str(error)
    return None
