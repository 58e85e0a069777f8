"""The tools of a program, which may come and go while it runs; an agent's settings choose among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from pagefault.errors import NotFoundError, UsageError
from pagefault.functions import Function
from pagefault.functions.describing import RESERVED, describe
from pagefault.functions.documents import document_functions
from pagefault.functions.syscalls import memory_functions
from pagefault.redaction import logger_of

__all__ = ["ToolRegistry", "lacking"]

logger = logger_of(__name__)

_SHOWN = 20  # names in an error


class ToolRegistry:
    """The tools by name, in the order in which they came, which is that of the prompt. Each agent takes them
    as they are when it is loaded; ``version`` counts the changes."""

    def __init__(self, calls: Iterable[Callable[..., Any]] = ()) -> None:
        self.version = 0
        self._tools: dict[str, Function] = {}
        for call in calls:
            self.add(call)

    def add(self, call: Callable[..., Any]) -> Function:
        """Describe a callable and keep it; ``UsageError`` if its name is taken."""
        tool = describe(call)
        if tool.name in self._tools:
            raise UsageError(f"There are two functions named {tool.name}; rename one.")
        if tool.name in _own_names():
            raise UsageError(f"{tool.name} is a function of pagefault itself; rename your tool.")
        self._tools[tool.name] = tool
        self.version += 1
        return tool

    def remove(self, name: str) -> None:
        """Drop a tool; ``NotFoundError`` if there is none of this name."""
        if name not in self._tools:
            raise NotFoundError(f"There is no tool {name!r}; {self._known()}.")
        del self._tools[name]
        self.version += 1

    def chosen(self, names: Sequence[str] | None) -> tuple[Function, ...]:
        """The tools of these names that there are; all, if None."""
        return tuple(tool for tool in self._tools.values() if names is None or tool.name in names)

    def taken(self) -> frozenset[str]:
        """The names that no other tool can have: of these, and of pagefault's own functions."""
        return frozenset(self._tools) | _own_names() | frozenset(RESERVED)

    def missing(self, names: Sequence[str] | None) -> tuple[str, ...]:
        """The names of which there is no tool."""
        return tuple(name for name in names or () if name not in self._tools)

    def check(self, names: Sequence[str] | None) -> None:
        """Raise ``UsageError`` if there is no tool of one of the names. A program without tools, as is the
        command line, cannot say."""
        if self._tools and (missing := self.missing(names)):
            raise UsageError(f"The setting tools is wrong: there is no tool {missing[0]!r}; {self._known()}.")

    def _known(self) -> str:
        names = list(self._tools)
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        return f"the tools are {', '.join(names[:_SHOWN])}{more}" if names else "this program has none"


def lacking(agent: str, names: Sequence[str]) -> str:
    """The notice that an agent's settings name tools that this process does not have, which the log gets."""
    why = f"Agent {agent} goes on without tools that this process does not have: {', '.join(names)}."
    logger.warning("%s", why)
    return why


@cache
def _own_names() -> frozenset[str]:
    """The names of pagefault's own functions, offered to an agent or not."""
    own = memory_functions(speech=True, timers=True, agents=True, archives=True, forgets=True)
    return frozenset(f.name for f in (*own, *document_functions(archives=True)))
