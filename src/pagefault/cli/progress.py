"""A progress bar on stderr, for commands on the database."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, nullcontext

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from pagefault.cli.render import plain
from pagefault.cli.screens import console

__all__ = ["Bar", "progress"]


class Bar:
    """``transfer.Watch`` as a bar, one for what is going on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None)

    def begin(self, what: str, total: int) -> None:
        self._progress.reset(self._task, description=plain(what), total=total)

    def advance(self, rows: int) -> None:
        self._progress.advance(self._task, rows)

    def reach(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)


@contextmanager
def progress() -> Generator[Bar]:
    """On stderr, gone when done; nothing is drawn where nobody looks."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console(stderr=True), transient=True)
    with bar if bar.console.is_terminal else nullcontext():
        yield Bar(bar)
