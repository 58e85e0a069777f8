"""Settings of an agent as keyword arguments, for editors and type checkers.

The settings themselves, with their checks and defaults, are ``config.AgentSettings``; a test holds the two
together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from pagefault.keep_settings import KeptKind

__all__ = ["AgentOptions", "OtherOptions", "SectionOptions"]


class SectionOptions(TypedDict, total=False):
    """A section of the working context; ``name`` is needed. ``limit`` is in tokens, or, below 1, a share of
    the window."""

    name: str
    description: str
    limit: int | float
    text: str
    read_only: bool


class OtherOptions(TypedDict, total=False):
    """The settings of an agent without ``model`` and ``tools``: sizes in tokens, times in seconds, thresholds
    as shares of the room. docs/library.md describes each."""

    window: int | None
    served: int | None
    style: Literal["memgpt", "native"]
    zone: str
    instructions: str | None
    prompt: Literal["auto", "short", "long"]
    sections: Sequence[SectionOptions] | None
    reserve: int | None
    margin: float
    warn: float
    flush: float
    evict: float
    summary: float
    page: float
    mcp: Sequence[str]
    tags: Sequence[str]
    max_steps: int
    warning_steps: int
    sleep_after: float | None
    sleep_steps: int
    sleep_tokens: int
    sleep_cost: float | None
    calling: Literal["auto", "native", "text", "json"]
    text_tools: bool
    images: bool | None
    thinking: Literal["off", "low", "medium", "high"] | int | None
    temperature: float | None
    patience: float
    daily_tokens: int | None
    daily_cost: float | None
    tool_timeout: float
    approval: Sequence[str]
    approval_timeout: float | None
    turn_timeout: float
    fold_at_once: bool
    timers: bool
    agents: bool | Sequence[str]
    max_hops: int
    agent_rate: int
    documents: bool
    prefetch: float | None
    prefetch_tokens: int
    keep: Mapping[KeptKind, str]
    metadata: Mapping[str, Any]


class AgentOptions(OtherOptions, total=False):
    """All settings of an agent. ``model``: its name, or several with commas between them. ``tools``: the
    names of those that it is offered; None: all."""

    model: str
    tools: Sequence[str] | None
