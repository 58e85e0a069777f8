"""`pagefault export`: all that is held of a person, as JSON Lines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from pagefault.cli.render import as_json, counted, plain
from pagefault.cli.screens import console
from pagefault.cli.session import Session
from pagefault.exporters.new_file import text_output
from pagefault.kernel import Kernel
from pagefault.views.held import export_lines


def export(session: Session, speaker: str, agents: Sequence[str], target: str) -> None:
    """Write it to a file, or to standard output; then the answer goes to stderr."""
    found = dict[str, int]()

    async def work(kernel: Kernel) -> None:
        async with aclosing(export_lines(kernel, speaker, list(agents) or None)) as lines:
            with text_output(target) as file:
                async for line in lines:
                    found.update(line.get("items", {}))
                    print(as_json(line), file=file)

    session.run(work)
    what = ", ".join(counted(count, kind) for kind, count in found.items()) or "nothing"
    if target == "-":
        console(stderr=True).print(plain(f"Held of {speaker}: {what}."))
    else:
        session.show({"export": target, "items": found}, f"{target} is written; held of {speaker}: {what}.")
