"""The context that the tools of one agent are given with each call; what it holds is in ``functions``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pagefault.agent.turn import OpenTurn
from pagefault.context.queue_manager import QueueManager
from pagefault.functions import Function
from pagefault.functions.tool_context import CallProgress, ToolContext
from pagefault.types import AgentRecord, Event, EventKind, Output

__all__ = ["ToolContexts"]


@dataclass(frozen=True, slots=True)
class ToolContexts:
    """Makes the contexts of the calls of the open turn. ``deps``: the program's own value."""

    record: AgentRecord
    turn: OpenTurn
    memory: QueueManager
    emit: Callable[[Output], None]
    deps: object = None

    def __call__(self, function: Function) -> ToolContext[Any]:
        """The context of the call that is to be run now."""
        event = self.turn.event or Event(EventKind.MESSAGE)
        call = self.turn.call()
        position = call.seq if call else 0
        data = {"call": call.id} if call else {}

        def show(text: str) -> None:
            self.emit(Output("progress", text, event.id or None, self.memory.last_seq, function.name, data))

        record = self.record
        key = f"{record.id}-{record.created.timestamp():.6f}-{position}"
        return ToolContext(self.deps, record.name, event, position, key, CallProgress(show))
