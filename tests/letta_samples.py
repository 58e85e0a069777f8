"""Small agent files of Letta's, made for the tests: blocks, messages, files and what no import may take."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["SECRET", "SOURCE", "agent", "block", "message", "text", "v1", "v2"]

SECRET = "sk-secret-7f3a91"
SOURCE = "def steal():\n    raise SystemExit('source code ran')"

Json = dict[str, Any]


def block(number: int, label: str, value: str, limit: int = 20_000, **more: Any) -> Json:
    return {
        "id": f"block-{number}",
        "label": label,
        "value": value,
        "limit": limit,
        "description": None,
    } | more


def message(number: int, role: str, *content: Json, at: str = "", **more: Any) -> Json:
    at = at or f"2025-04-02T10:{number:02}:00+00:00"
    return {"id": f"message-{number}", "role": role, "content": list(content), "created_at": at} | more


def text(said: str) -> Json:
    return {"type": "text", "text": said}


def call(id: str, name: str, **arguments: Any) -> Json:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def agent(number: int = 0, name: str = "tern", **more: Any) -> Json:
    return {
        "id": f"agent-{number}",
        "name": name,
        "agent_type": "letta_v1_agent",
        "system": "You are a guide of the harbour.",
        "llm_config": {
            "model": "gpt-4o-mini",
            "model_endpoint_type": "openai",
            "model_endpoint": f"https://user:{SECRET}@example.org/v1",
            "context_window": 32_000,
            "handle": "openai/gpt-4o-mini",
            "api_key": SECRET,
        },
        "timezone": "Europe/Lisbon",
        "tags": ["sample"],
        "block_ids": [],
        "tool_ids": ["tool-0"],
        "messages": [],
        "tool_exec_environment_variables": {"OPENAI_API_KEY": SECRET},
        "secrets": {"OPENAI_API_KEY": SECRET},
    } | more


def v2(*agents: Json, blocks: tuple[Json, ...] = (), **more: Any) -> Json:
    tool = {"id": "tool-0", "name": "look_at_tides", "tool_type": "custom", "source_code": SOURCE}
    made: Json = {
        "agents": list(agents),
        "groups": [],
        "blocks": list(blocks),
        "files": [],
        "sources": [],
        "tools": [tool],
        "mcp_servers": [],
        "metadata": {},
    }
    return made | more


def v1(*messages: Json, blocks: tuple[Json, ...] = (), **more: Any) -> Json:
    variable = {"key": "OPENAI_API_KEY", "value": SECRET}
    made: Json = {
        "agent_type": "memgpt_agent",
        "core_memory": list(blocks),
        "llm_config": {"model": "gpt-4o-mini", "model_endpoint_type": "openai", "context_window": 32_000},
        "messages": list(messages),
        "metadata_": {"team": 7},
        "name": "tern",
        "system": "You are Letta.",
        "tags": [{"tag": "sample"}],
        "tool_exec_environment_variables": [variable],
        "tools": [{"name": "look_at_tides", "source_code": SOURCE, "tool_type": "custom"}],
        "version": "0.6.47",
    }
    return made | more
