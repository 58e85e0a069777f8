"""`pagefault export AGENT --as KIND`: an agent as a file for other programs, or for people."""

from __future__ import annotations

import sys

from pagefault.cli.render import plain
from pagefault.cli.screens import console
from pagefault.cli.session import Session
from pagefault.errors import UsageError
from pagefault.exporters import Losses
from pagefault.exporters.new_file import text_output
from pagefault.exporters.writing import FORMS, write_export
from pagefault.kernel import Kernel

__all__ = ["KINDS", "export_agent"]

KINDS = ("pagefault", *FORMS)
"""The forms of an agent's export: our own, Letta's agent file, and Markdown."""


def export_agent(session: Session, name: str, kind: str, target: str) -> None:
    """Write an agent to a file, or to standard output; then the answer goes to stderr."""
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is no form of an export; write one of {', '.join(KINDS)}.")
    if kind == "pagefault":
        from pagefault.cli import database

        return database.export(session, name, target)
    if kind == "af" and target == "-" and sys.stdout.isatty():  # its texts are as they were stored
        raise UsageError("An agent file is not for a terminal; write it to a file, or pipe it on.")
    losses = Losses()

    async def work(kernel: Kernel) -> None:
        await kernel.record(name)  # before a file is made
        with text_output(target) as file:
            losses.counts.update((await write_export(kernel, name, kind, file)).counts)

    session.run(work)
    left_out = losses.sentences()
    lines = [f"Left out: {', '.join(left_out)}."] if left_out else []
    if target == "-":
        console(stderr=True).print(plain("\n".join(lines)), end="\n" if lines else "")
    else:
        said = "\n".join([f"{target} is written.", *lines])
        session.show({"export": target, "as": kind, "left_out": dict(losses.counts)}, said)
