"""`pagefault export AGENT --as KIND`: an agent as a file for other programs, or for people."""

from __future__ import annotations

import sys
from contextlib import aclosing

from pagefault.cli.new_file import text_output
from pagefault.cli.render import plain
from pagefault.cli.screens import console
from pagefault.cli.session import Session
from pagefault.errors import UsageError
from pagefault.exporters import Losses, agent_file_text, markdown_text
from pagefault.kernel import Kernel

__all__ = ["KINDS", "export_agent"]

KINDS = ("pagefault", "af", "markdown")
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
    write = agent_file_text if kind == "af" else markdown_text

    async def work(kernel: Kernel) -> None:
        await kernel.record(name)  # before a file is made
        async with aclosing(write(kernel, name, losses)) as pieces:
            with text_output(target) as file:
                async for piece in pieces:
                    file.write(piece)

    session.run(work)
    left_out = losses.sentences()
    lines = [f"Left out: {', '.join(left_out)}."] if left_out else []
    if target == "-":
        console(stderr=True).print(plain("\n".join(lines)), end="\n" if lines else "")
    else:
        said = "\n".join([f"{target} is written.", *lines])
        session.show({"export": target, "as": kind, "left_out": dict(losses.counts)}, said)
