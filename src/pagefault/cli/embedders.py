"""The kinds of embedder: `embedders`. It looks at settings and environment; it asks no server."""

from __future__ import annotations

from pagefault.build import EMBEDDERS, make_embedder
from pagefault.cli.render import table
from pagefault.cli.session import Session
from pagefault.errors import EmbedderSetupError, UsageError


def list_all(session: Session) -> None:
    """One line to a kind, the set one marked; no kernel is needed."""
    chosen = session.installation.embedder
    kinds = {chosen: EMBEDDERS.get(chosen, "as set")} | EMBEDDERS
    missing = {name: _missing(name) for name in kinds}
    data = [
        {"name": name, "is": what, "set": name == chosen, "missing": missing[name]}
        for name, what in kinds.items()
    ]
    rows = [
        [f"{'*' if name == chosen else ' '} {name}", missing[name] or f"ready: {what}"]
        for name, what in kinds.items()
    ]
    session.show(data, table(rows))


def _missing(name: str) -> str | None:
    """The sentence that says what is missing and how to mend it; None if nothing is."""
    try:
        make_embedder(name)
    except (EmbedderSetupError, UsageError) as error:
        return str(error)
    return None
