"""The kinds of embedder: `embedders`. It looks at settings, environment, database; it asks no server."""

from __future__ import annotations

from typing import Any

from pagefault.build import DATABASE, EMBEDDERS, make_embedder
from pagefault.cli.render import table
from pagefault.cli.session import Session
from pagefault.errors import EmbedderSetupError, UsageError
from pagefault.kernel import Kernel
from pagefault.storage import Transaction


def list_all(session: Session) -> None:
    """One line to a kind, the set one marked; how far the vectors of each have come, if there are any."""
    chosen = session.installation.embedder
    made = _vectors(session)
    kinds = {chosen: EMBEDDERS.get(chosen, "as set")} | EMBEDDERS | dict.fromkeys(made.keys() - EMBEDDERS, "")
    missing = {name: _missing(name) for name in kinds}
    data = [
        {"name": name, "is": what, "set": name == chosen, "missing": missing[name], "vectors": made.get(name)}
        for name, what in kinds.items()
    ]
    rows = [
        [
            f"{'*' if name == chosen else ' '} {name}",
            missing[name] or f"ready: {what}",
            _progress(made.get(name)),
        ]
        for name, what in kinds.items()
    ]
    session.show(data, table(rows))


def _progress(vectors: dict[str, Any] | None) -> str:
    if vectors is None:
        return ""
    of_all = f"{vectors['rows']:,} of {vectors['of']:,} rows"
    return f"{of_all}, in service" if vectors["in_service"] else of_all


def _vectors(session: Session) -> dict[str, dict[str, Any]]:
    """By embedder: how many rows have its vectors, of how many, and whether it is the one in service."""
    if not session.installation.database and not (session.folder / DATABASE).exists():
        return {}
    found: dict[str, dict[str, Any]] = {}

    def look(tx: Transaction) -> None:
        for record in tx.embedders():
            rows, of = tx.embedded(record.fingerprint)
            name = record.name or record.fingerprint
            found[name] = {"rows": rows, "of": of, "in_service": record.in_service}

    async def work(kernel: Kernel) -> None:
        await kernel.store.read(look)

    session.run(work)
    return found


def _missing(name: str) -> str | None:
    """The sentence that says what is missing and how to mend it; None if nothing is."""
    try:
        make_embedder(name)
    except (EmbedderSetupError, UsageError) as error:
        return str(error)
    return None
