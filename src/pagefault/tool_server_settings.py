"""The settings of a server of tools (MCP), in ``config.toml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Template
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from pagefault.errors import UsageError

__all__ = ["ToolServerSettings", "ToolServers"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,23}")
_ALLOWED = re.compile(r"[^#\s][^#]{0,127}(#[0-9a-f]{8,64})?")


class ToolServerSettings(BaseModel):
    """A server of tools, under ``[mcp.NAME]``: a ``command`` that is started here, or a ``url``.

    In ``env`` and in ``headers``, ``$NAME`` stands for the value of an environment variable. ``timeout``:
    seconds that a call may take; ``start_timeout``: until the server has listed its tools. ``tools``: the
    names of those that are offered, all if none is given. ``allow``: tools whose calls nobody has to approve,
    by their names, or as ``NAME#HASH`` with one definition alone. ``trust_hints``: whether the server is
    believed which of its tools only read; None: if it is a command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str = ""
    args: tuple[str, ...] = Field(default=(), repr=False)
    env: dict[str, str] = Field(default={}, repr=False)
    cwd: str = ""
    url: str = Field(default="", repr=False)
    headers: dict[str, str] = Field(default={}, repr=False)
    timeout: float = Field(default=60.0, gt=0.0, allow_inf_nan=False)
    start_timeout: float = Field(default=30.0, gt=0.0, allow_inf_nan=False)
    tools: tuple[str, ...] = Field(default=(), description="names of those offered; empty: all")
    allow: tuple[str, ...] = ()
    trust_hints: bool | None = None

    @model_validator(mode="after")
    def _is_one_server(self) -> ToolServerSettings:
        if bool(self.command) == bool(self.url):
            raise ValueError("give a command or a url, and one of the two")
        if self.url and not re.match(r"https?://[^/\s]", self.url):
            raise ValueError("the url begins with http:// or https://")
        if self.url and (self.args or self.env or self.cwd):
            raise ValueError("args, env and cwd belong to a command, not to a url")
        if self.command and self.headers:
            raise ValueError("headers belong to a url, not to a command")
        for each in self.allow:
            if not _ALLOWED.fullmatch(each):
                raise ValueError("allow lists names of tools, each alone or as NAME#HASH")
        return self

    @property
    def believes_hints(self) -> bool:
        return bool(self.command) if self.trust_hints is None else self.trust_hints

    def filled(self, values: Mapping[str, str], environment: Mapping[str, str], name: str) -> dict[str, str]:
        """``env`` or ``headers`` with the variables that they name; ``UsageError`` if one is not set."""
        try:
            return {key: Template(value).substitute(environment) for key, value in values.items()}
        except (KeyError, ValueError) as error:
            raise UsageError(f"[mcp.{name}] names {error} of the environment, which is not set.") from None


def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a server is named by up to 24 letters, digits, _ and -, a letter first")
    return name


ToolServers = dict[Annotated[str, AfterValidator(_name)], ToolServerSettings]
"""Servers of tools by name."""
