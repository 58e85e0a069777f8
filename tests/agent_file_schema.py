"""Letta's schema of an agent file (v2), as its import checks it (0.16.7): our own reading, for the tests.

Members that it does not know are faults here, though it takes some of them. Ids are file-local, references
lead to what is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = ["faults_of"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Content(_Strict):
    type: Literal["text", "reasoning"]
    text: str | None = None
    reasoning: str | None = None
    is_native: bool | None = None
    signature: str | None = None


class _Function(_Strict):
    name: str = Field(min_length=1)
    arguments: str


class _Call(_Strict):
    id: str = Field(min_length=1)
    type: Literal["function"]
    function: _Function


class _Return(_Strict):
    tool_call_id: str = Field(min_length=1)
    status: Literal["success", "error"]
    stdout: list[str] | None
    stderr: list[str] | None
    func_response: str | None


class _Message(_Strict):
    type: Literal["message"]
    id: str
    role: Literal["user", "assistant", "system", "tool"]
    content: list[_Content]
    name: str | None
    otid: None
    sender_id: None
    batch_item_id: None
    group_id: None
    model: str | None
    agent_id: str
    tool_calls: list[_Call] | None
    tool_call_id: str | None
    tool_returns: list[_Return]
    created_at: datetime
    approve: None
    approval_request_id: None
    denial_reason: None
    approvals: list[Any]


class _Model(_Strict):
    model: str
    model_endpoint_type: Literal[
        "openai", "anthropic", "google_ai", "azure", "groq", "ollama", "vllm", "mistral", "together",
        "bedrock", "deepseek", "xai", "openrouter", "lmstudio",
    ]  # fmt: skip
    context_window: int
    handle: str
    put_inner_thoughts_in_kwargs: bool


class _Embedding(_Strict):
    embedding_endpoint_type: str
    embedding_endpoint: str
    embedding_model: str
    embedding_dim: int
    embedding_chunk_size: int
    handle: str
    batch_size: int


class _Link(_Strict):
    id: str
    agent_id: str
    file_id: str
    source_id: str
    file_name: str
    is_open: bool
    visible_content: None
    last_accessed_at: datetime
    start_line: None
    end_line: None


class _Agent(_Strict):
    id: str
    name: str
    description: str | None
    agent_type: Literal["memgpt_agent", "letta_v1_agent"]
    system: str | None
    metadata: dict[str, Any] | None
    tags: list[str]
    timezone: str
    llm_config: _Model | None
    embedding_config: _Embedding
    memory_blocks: list[Any]
    tools: list[str]
    tool_ids: list[str]
    tool_rules: None
    folder_ids: None
    source_ids: list[str]
    block_ids: list[str]
    include_base_tools: bool
    include_default_source: bool
    message_buffer_autoclear: bool
    files_agents: list[_Link]
    group_ids: list[str]
    messages: list[_Message]
    in_context_message_ids: list[str]


class _Block(_Strict):
    id: str
    label: str
    value: str
    limit: int = Field(le=2**31 - 1)
    description: str | None
    read_only: bool
    metadata: dict[str, int]
    is_template: bool
    hidden: None
    tags: list[str]


class _File(_Strict):
    id: str
    source_id: str
    file_name: str
    original_file_name: str
    file_path: None
    file_type: str
    file_size: int
    file_creation_date: None
    file_last_modified_date: None
    processing_status: Literal["completed"]
    error_message: None
    total_chunks: None
    chunks_embedded: None
    content: str


class _Source(_Strict):
    id: str
    name: str
    description: None
    instructions: None
    metadata: None
    embedding: None
    embedding_chunk_size: None
    embedding_config: _Embedding


class _AgentFile(_Strict):
    agents: list[_Agent]
    groups: list[Any]
    blocks: list[_Block]
    files: list[_File]
    sources: list[_Source]
    tools: list[Any]
    mcp_servers: list[Any]
    skills: list[Any]
    metadata: dict[str, str]
    created_at: datetime


def faults_of(value: Any) -> list[str]:
    """What is wrong with a file; nothing if Letta takes it."""
    try:
        file = _AgentFile.model_validate(value)
    except ValidationError as error:
        return [f"{each['loc']}: {each['msg']}" for each in error.errors()]
    return list(_astray(file))


def _astray(file: _AgentFile) -> Iterator[str]:
    kinds = {"agent": file.agents, "block": file.blocks, "file": file.files, "source": file.sources}
    ids = {kind: [each.id for each in things] for kind, things in kinds.items()}
    ids["message"] = [message.id for agent in file.agents for message in agent.messages]
    for kind, found in ids.items():
        yield from (f"{id} is no id" for id in found if not re.fullmatch(rf"{kind}-\d+", id))
        if len(set(found)) != len(found):
            yield f"an id of a {kind} is there twice"
    for agent in file.agents:
        yield from (f"{id} is not there" for id in {*agent.block_ids} - {*ids["block"]})
        yield from (f"{id} is not there" for id in {*agent.source_ids} - {*ids["source"]})
        yield from (f"{id} is not there" for id in {*agent.in_context_message_ids} - {*ids["message"]})
        yield from (
            f"{link.file_id} is not there" for link in agent.files_agents if link.file_id not in ids["file"]
        )
        yield from (f"{link.agent_id} is another" for link in agent.files_agents if link.agent_id != agent.id)
        yield from _unanswered(agent)
    yield from (
        f"{each.source_id} is not there" for each in file.files if each.source_id not in ids["source"]
    )


def _unanswered(agent: _Agent) -> Iterator[str]:
    """Providers refuse a call without its result behind it, and a result without its call."""
    calls = [call.id for message in agent.messages for call in message.tool_calls or ()]
    answers = [message.tool_call_id for message in agent.messages if message.role == "tool"]
    if sorted(calls) != sorted(str(each) for each in answers):
        yield f"calls {calls} have the results {answers}"
