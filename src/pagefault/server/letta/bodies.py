"""The bodies that Letta's clients send, as values: the members that are used; others are reported, not
refused.

Left out: the meaning of each (``agents``, ``blocks``, ``inputs``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pagefault.quoting import in_texts, whole

__all__ = [
    "AgentBody", "ArchiveBody", "BlockBody", "FolderBody", "LettaBody", "MessageBody",
    "PassageBody", "PassageSearchBody", "ToolApprovalBody", "TurnBody",
]  # fmt: skip

_LONGEST_LIST = 1000


class LettaBody(BaseModel):
    """Base of the bodies: other members are kept, for the notice that they are not used."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, values: Any) -> Any:
        """Leave out of all texts what no database stores: NUL, and halves of surrogate pairs."""
        try:
            return in_texts(lambda text: whole(text).replace("\0", ""), values)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None

    def unused(self) -> list[str]:
        """The members that were given and are not used here."""
        given = self.model_extra or {}
        return sorted(name for name, value in given.items() if value not in (None, False, [], {}))


class BlockBody(LettaBody):
    """A block, or what to change of one. ``limit``: in characters."""

    label: str | None = Field(default=None, max_length=1000)
    value: str | None = None
    limit: int | None = Field(default=None, ge=1, le=10_000_000)
    description: str | None = Field(default=None, max_length=10_000)
    read_only: bool | None = None
    metadata: Any = None
    tags: Any = None


class AgentBody(LettaBody):
    """An agent to be made, or what to change of one."""

    name: str | None = Field(default=None, max_length=1000)
    agent_type: str | None = None
    description: str | None = Field(default=None, max_length=10_000)
    model: str | None = Field(default=None, max_length=1000)
    system: str | None = None
    tags: list[str] | None = Field(default=None, max_length=_LONGEST_LIST)
    metadata: dict[str, Any] | None = None
    timezone: str | None = Field(default=None, max_length=200)
    context_window_limit: int | None = Field(default=None, ge=1, le=100_000_000)
    memory_blocks: list[BlockBody] | None = Field(default=None, max_length=_LONGEST_LIST)
    block_ids: list[str] | None = Field(default=None, max_length=_LONGEST_LIST)
    folder_ids: list[str] | None = Field(default=None, max_length=_LONGEST_LIST)
    source_ids: list[str] | None = Field(default=None, max_length=_LONGEST_LIST)
    tools: list[str] | None = Field(default=None, max_length=_LONGEST_LIST)
    tool_ids: list[str] | None = Field(default=None, max_length=_LONGEST_LIST)
    tool_rules: list[dict[str, Any]] | None = Field(default=None, max_length=_LONGEST_LIST)
    embedding: Any = None
    include_base_tools: Any = None


class MessageBody(LettaBody):
    """One of the messages of a request: text, or decisions on calls (of the type ``approval``)."""

    type: str | None = None
    role: str | None = None
    content: str | list[Any] | None = None
    name: str | None = None
    otid: str | None = Field(default=None, max_length=255)
    approvals: list[dict[str, Any]] | None = Field(default=None, max_length=_LONGEST_LIST)
    approve: bool | None = None
    approval_request_id: str | None = None
    reason: str | None = None


class TurnBody(LettaBody):
    """Messages for an agent, and how its turn is to be answered."""

    input: str | list[Any] | None = None
    messages: list[MessageBody] | None = Field(default=None, max_length=_LONGEST_LIST)
    streaming: bool | None = None
    stream_tokens: bool | None = None
    include_pings: bool | None = None
    include_return_message_types: list[str] | None = None
    client_tools: list[Any] | None = None
    override_model: str | None = None
    override_system: str | None = None


class PassageBody(LettaBody):
    """A text for archival storage."""

    text: str
    tags: list[str] | None = Field(default=None, max_length=_LONGEST_LIST)
    created_at: datetime | None = None


class PassageSearchBody(LettaBody):
    """A search for passages of an agent or of an archive."""

    query: str | None = None
    agent_id: str | None = None
    archive_id: str | None = None
    tags: list[str] | None = Field(default=None, max_length=_LONGEST_LIST)
    tag_match_mode: Literal["any", "all"] = "any"
    start_date: datetime | None = None
    end_date: datetime | None = None
    limit: int = Field(default=50, ge=1, le=1000)


class ArchiveBody(LettaBody):
    """An archive, or what to change of one."""

    name: str | None = Field(default=None, max_length=1000)
    description: str | None = Field(default=None, max_length=10_000)


class FolderBody(ArchiveBody):
    """A folder, or what to change of one."""


class ToolApprovalBody(LettaBody):
    """The wish that a person decides on each call of a tool, or not any more."""

    requires_approval: bool
