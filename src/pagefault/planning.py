"""The plan of an agent: the functions that it is offered, and the division of its window.

Pure: from settings, sections and tools. Left out: the process that is made of it (``assembly``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import ceil

from pagefault import prompts
from pagefault.config import SMALLEST_WINDOW, AgentSettings
from pagefault.context import fixed_tokens
from pagefault.context.policy import Policy
from pagefault.context.queue_manager import Budget
from pagefault.context.seen import fixed_digest
from pagefault.errors import UsageError
from pagefault.functions import Function
from pagefault.functions.executor import FunctionExecutor
from pagefault.functions.offered import own_functions
from pagefault.functions.registry import ToolRegistry
from pagefault.functions.syscalls import PAGED_IN
from pagefault.models.tokens import Counter
from pagefault.quoting import inline
from pagefault.types import Section

__all__ = ["Plan", "check_approval", "plan_of"]

_CLOSE = 0.75  # how alike a name must be to one that there is, to be taken for a slip
_TAGS = 24  # tokens around a section in the prompt
_SERVED = 0.10  # share of the window that the schemas of servers' tools may take
_LEAST_ROOM = 0.20  # share of the window that must be left for the queue when the head is full


@dataclass(frozen=True, slots=True)
class Plan:
    """The division of an agent's window. The executor's functions are not bound to the agent yet."""

    instructions: str
    executor: FunctionExecutor
    budget: Budget


def plan_of(
    settings: AgentSettings,
    window: int,
    sections: Sequence[Section],
    counter: Counter,
    archives: Sequence[str],
    registry: ToolRegistry,
    policy: Policy,
    served: Sequence[Function] = (),
) -> Plan:
    """Divide the window. User tools and those of servers (``served``) are listed where their schemas take too
    much; a head that leaves no room for the queue when the working context is full is refused."""
    full = _full(sections, settings.paged_in_limit(window))
    instructions = settings.instructions or prompts.text(settings.instructions_name(window))
    tools = registry.chosen(settings.tools)
    functions = [*own_functions(settings, archives), *tools, *served]
    made = FunctionExecutor.of(functions, settings.style, settings.tool_timeout)
    executor = whole = replace(made, text_tools=settings.text_tools)
    reserve, margin = settings.reply_reserve(window), int(settings.margin * window)

    def fixed() -> int:
        return fixed_tokens(instructions, executor.schemas, counter)

    def room() -> int:
        return max(0, window - reserve - margin - fixed() - full)

    if fixed_tokens("", [tool.schema for tool in served], counter) > _SERVED * window:
        executor = whole.with_listed(_names(served))
    if room() < 2 * _LEAST_ROOM * window:
        executor = whole.with_listed(_names((*tools, *served)))
    if room() < _LEAST_ROOM * window:
        raise UsageError(
            f"Instructions, functions and working context leave {room():,} of the {window:,} tokens of "
            "the window for messages; shorten the instructions or sections, or use a larger window."
        )
    page = policy.page_limit(room())
    taken = _LEAST_ROOM + settings.margin + (reserve / window if settings.reserve is None else 0.0)
    least = max(SMALLEST_WINDOW, ceil((fixed() + full + (settings.reserve or 0)) / (1.0 - taken)))
    digest = fixed_digest(instructions, executor.schemas)
    return Plan(instructions, executor, Budget(window, reserve, margin, fixed(), page, least, digest))


def _full(sections: Sequence[Section], paged_in: int) -> int:
    """The tokens of all sections when they are full, with that which ``page_in`` makes if it is not there."""
    made = any(section.name == PAGED_IN for section in sections)
    return sum(section.limit + _TAGS for section in sections) + (0 if made else paged_in)


def _names(functions: Sequence[Function]) -> frozenset[str]:
    return frozenset(function.name for function in functions)


def check_approval(settings: AgentSettings, executor: FunctionExecutor, tools: ToolRegistry) -> None:
    """Raise ``UsageError`` if the setting ``approval`` names a function that is not there: nobody would be
    asked. A program without tools does not know those of others, and takes what is like none of its own."""
    served = tuple(f"{server}_" for server in settings.mcp)  # their tools may not be known yet
    for name in (each for each in settings.approval if not each.startswith(served)):
        near = get_close_matches(name, executor.functions, n=1, cutoff=_CLOSE)
        if name not in executor.functions and (tools.chosen(None) or near):
            meant = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(executor.functions)}."
            raise UsageError(f"The setting approval names {inline(name, 64)}, which is no function{meant}")
