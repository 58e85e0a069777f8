"""The seam to servers of tools: what agents are offered of them, and what a person sees and allows.

Left out: the connections themselves, which are an adapter's (``tool_servers``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pagefault.functions import Function
from pagefault.quoting import inline

__all__ = ["OfferedTools", "ServerTool", "ToolServerState", "ToolSource", "unknown_server"]

Permission = Literal["ask", "read-only", "allowed", "changed"]
"""``ask``: a person decides on each call; ``read-only``: it only reads, as its trusted server says;
``allowed``: by name; ``changed``: it was one of these two, and its definition is another now."""


@dataclass(frozen=True, slots=True)
class OfferedTools:
    """The tools of some servers as functions. ``faults``: a sentence for each server, or tool, that is not
    among them; ``version`` changes with any definition."""

    functions: tuple[Function, ...] = ()
    faults: tuple[str, ...] = ()
    version: str = ""


@dataclass(frozen=True, slots=True)
class ServerTool:
    """A tool as its server describes it. ``function``: the name that agents call it by; ``definition``: the
    hash of name, description and schema; ``fault``: why it cannot be offered, if so."""

    name: str
    function: str
    description: str
    definition: str
    permission: Permission
    fault: str = ""


@dataclass(frozen=True, slots=True)
class ToolServerState:
    """A server of tools. ``place``: its command or its address, without secrets; ``fault``: why its tools are
    not known, or not as they are now."""

    name: str
    place: str
    tools: tuple[ServerTool, ...] = ()
    fault: str = ""


class ToolSource(Protocol):
    """The servers of tools of an installation."""

    def attach(self, reload: Callable[[], None], is_running: Callable[[], bool]) -> None:
        """``reload`` has all agents loaded anew; ``is_running``: whether this process runs turns, so that
        servers are worth connecting to before they are called."""
        ...

    def check(self, names: Sequence[str]) -> None:
        """Raise ``UsageError`` if there is no server of one of the names."""
        ...

    async def offered(self, names: Sequence[str], taken: Collection[str]) -> OfferedTools:
        """The tools of servers, as they are known; those that are not known are asked. ``taken``: names that
        functions have already. Never raises for what a server does."""
        ...

    def version(self, names: Sequence[str]) -> str:
        """The ``version`` that ``offered`` would return now."""
        ...

    def names(self) -> tuple[str, ...]: ...

    async def state(self, name: str) -> ToolServerState:
        """A server as it answers now; ``NotFoundError`` if there is none of this name."""
        ...

    async def allow(self, name: str, tool: str, allowed: bool) -> ServerTool:
        """Let calls of a tool run unasked, as it is defined now; or not any more."""
        ...

    async def aclose(self) -> None:
        """End all connections."""
        ...


def unknown_server(name: str, known: Sequence[str]) -> str:
    """The sentence for a name that no server has."""
    there = f"there are {', '.join(known)}" if known else "there is none"
    return f"There is no server of tools {inline(name)}; {there}, each a table [mcp.NAME] of config.toml."
