"""Vectors that a short command would leave behind: made before it searches or ends, within a bound.

The indexer works in the processes that serve agents; a command that loads or searches serves nobody. Left
out: making the vectors (``kernel.indexer``).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import anyio
from rich.text import Text

from pagefault.cli.render import plain
from pagefault.cli.screens import console
from pagefault.errors import PagefaultError, StorageError
from pagefault.kernel import Kernel
from pagefault.views.agents import EmbedderProgress, embedders

__all__ = ["LOAD_SECONDS", "SEARCH_SECONDS", "complete"]

SEARCH_SECONDS = 3.0
LOAD_SECONDS = 120.0
"""The most that a command spends on vectors: somebody waits for a search, and may stop a load."""

_GRACE = 3.0  # seconds: what a cancelled batch has made is lost
_POLL = 1.0  # seconds between two looks at the progress


async def complete(
    kernel: Kernel,
    seconds: float,
    watch: Callable[[EmbedderProgress], None] = lambda _: None,
    grace: float = _GRACE,
) -> None:
    """Make the vectors that are missing for so many seconds, then say on stderr what waits, also if it is
    cancelled. ``watch`` is given the progress now and then; ``grace`` is for the batch at work at the end."""
    waits = True
    try:
        with anyio.move_on_after(seconds + grace):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_watched, kernel, watch)
                try:
                    waits = not await kernel.settled(seconds)
                except StorageError:  # a database that can only be read is searched as it is
                    waits = False
                except PagefaultError as error:
                    console(stderr=True).print(Text(plain(f"Vectors are not made: {error}"), "yellow"))
                tasks.cancel_scope.cancel()
    finally:
        if waits and (progress := await _in_service(kernel)) and progress.rows < progress.of:
            console(stderr=True).print(Text(_waiting(progress), "dim"))


async def _watched(kernel: Kernel, watch: Callable[[EmbedderProgress], None]) -> None:
    while True:
        await anyio.sleep(_POLL)
        if progress := await _in_service(kernel):
            watch(progress)


async def _in_service(kernel: Kernel) -> EmbedderProgress | None:
    """Its progress; None if none is in service, or the database does not say."""
    with suppress(StorageError):
        return next((each for each in await embedders(kernel) if each.in_service), None)


def _waiting(progress: EmbedderProgress) -> str:
    return (
        f"{progress.of - progress.rows:,} of {progress.of:,} messages and passages have no vector yet and "
        "are found by their words alone; `pagefault run` makes the rest, and each search some."
    )
