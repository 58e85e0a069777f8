"""Anthropic's memory tool over an agent's memory: for a loop of one's own on Claude.

    runner = client.beta.messages.tool_runner(..., tools=[ClaudeMemoryTool(agent.memory)])

Needs the package ``anthropic`` (the extra ``anthropic`` brings it); nothing of pagefault imports this module.
Leaves out how memory looks as files (``facade.memory_files``).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeVar

from anthropic.lib.tools import (
    BetaAbstractMemoryTool,
    BetaAsyncAbstractMemoryTool,
    BetaFunctionToolResultType,
    ToolError,
)
from anthropic.types.beta import BetaCacheControlEphemeralParam
from anthropic.types.beta import (
    BetaMemoryTool20250818Command as Command,
)
from anthropic.types.beta import (
    BetaMemoryTool20250818CreateCommand as Create,
)
from anthropic.types.beta import (
    BetaMemoryTool20250818DeleteCommand as Delete,
)
from anthropic.types.beta import (
    BetaMemoryTool20250818InsertCommand as Insert,
)
from anthropic.types.beta import (
    BetaMemoryTool20250818RenameCommand as Rename,
)
from anthropic.types.beta import (
    BetaMemoryTool20250818StrReplaceCommand as StrReplace,
)
from anthropic.types.beta import (
    BetaMemoryTool20250818ViewCommand as View,
)
from pydantic import BaseModel, ValidationError

from pagefault.errors import PagefaultError
from pagefault.facade.memory import AsyncMemory
from pagefault.facade.sync import Memory

__all__ = ["AsyncClaudeMemoryTool", "ClaudeMemoryTool"]

CommandT = TypeVar("CommandT", bound=BaseModel)


@contextmanager
def _told() -> Generator[None]:
    """Give the model the sentence of an error."""
    try:
        yield
    except PagefaultError as error:
        raise ToolError(str(error)) from error


def _checked(command: CommandT) -> CommandT:
    """The command, whose values the SDK takes as the model wrote them; ``ToolError`` if one is missing or
    of the wrong type."""
    try:
        return type(command).model_validate(dict(command.__dict__))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ToolError(f"Invalid `{place}` parameter: {first['msg']}.") from None


class ClaudeMemoryTool(BetaAbstractMemoryTool):
    """The tool for ``anthropic.Anthropic``; ``memory`` is that of a ``pagefault.Agent``."""

    def __init__(
        self, memory: Memory, *, cache_control: BetaCacheControlEphemeralParam | None = None
    ) -> None:
        super().__init__(cache_control=cache_control)
        self._memory = memory

    def execute(self, command: Command) -> BetaFunctionToolResultType:
        return super().execute(_checked(command))

    def _run(self, command: str, *arguments: object) -> str:
        with _told():
            return self._memory.file_command(command, *arguments)

    def view(self, command: View) -> str:
        return self._run("view", command.path, command.view_range)

    def create(self, command: Create) -> str:
        return self._run("create", command.path, command.file_text)

    def str_replace(self, command: StrReplace) -> str:
        return self._run("str_replace", command.path, command.old_str, command.new_str)

    def insert(self, command: Insert) -> str:
        return self._run("insert", command.path, command.insert_line, command.insert_text)

    def delete(self, command: Delete) -> str:
        return self._run("delete", command.path)

    def rename(self, command: Rename) -> str:
        return self._run("rename", command.old_path, command.new_path)

    def clear_all_memory(self) -> str:
        return self._run("clear")


class AsyncClaudeMemoryTool(BetaAsyncAbstractMemoryTool):
    """The tool for ``anthropic.AsyncAnthropic``; ``memory`` is ``pf.memory("ana")`` or that of an agent."""

    def __init__(
        self, memory: AsyncMemory, *, cache_control: BetaCacheControlEphemeralParam | None = None
    ) -> None:
        super().__init__(cache_control=cache_control)
        self._memory = memory

    async def execute(self, command: Command) -> BetaFunctionToolResultType:
        return await super().execute(_checked(command))

    async def _run(self, command: str, *arguments: object) -> str:
        with _told():
            return await self._memory.file_command(command, *arguments)

    async def view(self, command: View) -> str:
        return await self._run("view", command.path, command.view_range)

    async def create(self, command: Create) -> str:
        return await self._run("create", command.path, command.file_text)

    async def str_replace(self, command: StrReplace) -> str:
        return await self._run("str_replace", command.path, command.old_str, command.new_str)

    async def insert(self, command: Insert) -> str:
        return await self._run("insert", command.path, command.insert_line, command.insert_text)

    async def delete(self, command: Delete) -> str:
        return await self._run("delete", command.path)

    async def rename(self, command: Rename) -> str:
        return await self._run("rename", command.old_path, command.new_path)

    async def clear_all_memory(self) -> str:
        return await self._run("clear")
