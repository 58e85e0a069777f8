"""A server that silently cuts prompts: from then on the window is what it serves."""

from __future__ import annotations

from typing import cast

from pagefault.agent.program import Program
from pagefault.agent.turn_writer import TurnWriter

__all__ = ["narrowed"]


async def narrowed(program: Program, writer: TurnWriter, reported: int) -> bool:
    """Return whether the server cut a prompt that fell short: ``reported`` tokens. Then the window is what it
    serves, here and in the settings, and the log says so."""
    memory, record = writer.memory, writer.record
    served = await program.served_window() if program.served_window else None
    window = memory.truncation.window(memory.sizes().prompt, memory.counted, reported, served)
    if window is None:
        return False
    budget = memory.budget
    alert = writer.rows.truncated(program.model.name, budget.window, window, budget.least)
    usable = not alert.meta.stop
    if usable:
        memory.narrow(window)
    settings = cast("dict[str, object]", {**record.settings, "served": window})
    await writer.commit([alert], settings=settings if usable else None)
    return True
