"""Agents, blocks, passages, folders and files as Letta's JSON values. Pure.

Fields for which there is nothing here have Letta's default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pagefault.config import AgentSettings, settings_of
from pagefault.errors import DamageError
from pagefault.functions import Function
from pagefault.importers.letta.kept import kept_of
from pagefault.importers.letta.names import CHARACTERS, handle_of
from pagefault.server.letta.ids import letta_id, section_number
from pagefault.server.letta.messages import approval_request
from pagefault.shared import SharedRecord
from pagefault.types import AgentId, AgentRecord, Document, Passage, Section
from pagefault.views.stored import AgentMemory

__all__ = [
    "agent_state", "archive_state", "block_id", "block_state", "file_state", "folder_state",
    "passage_state", "settings_shown", "tool_state",
]  # fmt: skip

JsonObject = dict[str, Any]

_EMBEDDING: JsonObject = {
    "embedding_dim": 384, "embedding_endpoint_type": "hugging-face", "embedding_model": "pagefault",
    "embedding_chunk_size": 300, "handle": "pagefault/installation",
}  # fmt: skip


def settings_shown(record: AgentRecord) -> AgentSettings:
    """The settings of an agent; the defaults if they cannot be read."""
    try:
        return settings_of(record)
    except DamageError:
        return AgentSettings()


def agent_state(
    memory: AgentMemory, window: int, tools: Sequence[Function], notices: Sequence[str] = ()
) -> JsonObject:
    """An agent. ``window``: in tokens; ``notices``: what was asked for and is otherwise, as sentences, in a
    member of its own."""
    record, settings = memory.record, settings_shown(memory.record)
    kept, handle = kept_of(settings.metadata), handle_of(settings.model)
    blocks = [block_state(record.id, section, memory.shared) for section in memory.sections]
    asked = frozenset(settings.approval)
    state: JsonObject = _NOTHING | {
        "id": letta_id("agent", record.id),
        "name": record.name,
        "agent_type": "letta_v1_agent" if settings.style == "native" else "memgpt_agent",
        "description": kept.get("description"),
        "tags": list(settings.tags),
        "metadata": kept.get("metadata"),
        "model": handle,
        "system": settings.instructions or "",
        "timezone": settings.zone or "UTC",
        "blocks": blocks,
        "memory": {"blocks": blocks, "file_blocks": [], "prompt_template": ""},
        "tools": [tool_state(tool, asked) for tool in tools],
        "sources": [folder_state(archive) for archive, held in memory.archives if held.read_only],
        "llm_config": _model_state(handle, settings, window),
        "model_settings": {"provider_type": handle.partition("/")[0], "temperature": settings.temperature},
        "tool_rules": [{"type": "requires_approval", "tool_name": name} for name in settings.approval],
        "pending_approval": approval_request(record.id, memory.waiting) if memory.waiting else None,
        "created_at": record.created.isoformat(),
        "updated_at": record.created.isoformat(),
    }
    return state | {"notices": list(notices)} if notices else state


_NOTHING: JsonObject = {
    "embedding": _EMBEDDING["handle"], "embedding_config": _EMBEDDING, "message_ids": None, "secrets": [],
    "tool_exec_environment_variables": [], "identities": [], "identity_ids": [], "enable_sleeptime": False,
    "message_buffer_autoclear": False, "hidden": False,
}  # fmt: skip
"""The members of an agent for which there is nothing here, or the same for all."""


def _model_state(handle: str, settings: AgentSettings, window: int) -> JsonObject:
    provider, _, model = handle.partition("/")
    return {
        "model": model,
        "model_endpoint_type": provider,
        "context_window": window,
        "handle": handle,
        "temperature": settings.temperature,
        "put_inner_thoughts_in_kwargs": False,
    }


def block_id(agent: AgentId, name: str, shared: Mapping[str, SharedRecord]) -> str:
    """The id of an agent's section: the shared one's, or one of its own."""
    if name in shared:
        return letta_id("block", shared[name].id)
    return letta_id("block", agent, section_number(name))


def block_state(agent: AgentId, section: Section, shared: Mapping[str, SharedRecord]) -> JsonObject:
    """A section as a block; ``agent``: whose it is, or the shared section itself."""
    return {
        "id": block_id(agent, section.name, shared),
        "label": section.name,
        "value": section.text,
        "limit": section.limit * CHARACTERS,
        "description": section.description or None,
        "read_only": section.read_only,
        "metadata": {},
        "tags": [],
        "is_template": False,
        "hidden": None,
    }


def passage_state(owner: AgentId, passage: Passage) -> JsonObject:
    """A passage of an agent, or of an archive."""
    document = passage.place.document if passage.place else None
    return {
        "id": letta_id("passage", owner, passage.number),
        "text": passage.text,
        "embedding": None,
        "embedding_config": None,
        "archive_id": letta_id("archive", owner),
        "tags": list(passage.tags),
        "created_at": passage.at.isoformat(),
        "updated_at": passage.at.isoformat(),
        "file_id": document and letta_id("file", owner, document),
        "file_name": passage.title or None,
        "source_id": document and letta_id("folder", owner),
        "metadata": {},
        "is_deleted": False,
    }


def archive_state(archive: SharedRecord) -> JsonObject:
    """An archive."""
    return {
        "id": letta_id("archive", archive.id),
        "name": archive.name,
        "description": archive.description or None,
        "created_at": archive.created.isoformat(),
        "embedding_config": _EMBEDDING,
        "metadata": {},
        "vector_db_provider": "native",
    }


def folder_state(archive: SharedRecord) -> JsonObject:
    """An archive as a folder, whose files are the archive's documents."""
    state = archive_state(archive) | {"id": letta_id("folder", archive.id), "instructions": None}
    return state | {"updated_at": state["created_at"]}


def file_state(archive: AgentId, document: Document, chunks: int | None = None) -> JsonObject:
    """A document of an archive as a file of a folder."""
    return {
        "id": letta_id("file", archive, document.number),
        "source_id": letta_id("folder", archive),
        "folder_id": letta_id("folder", archive),
        "file_name": file_name(document),
        "original_file_name": file_name(document),
        "file_type": document.media,
        "processing_status": "completed",
        "error_message": None,
        "total_chunks": chunks,
        "chunks_embedded": chunks,
        "created_at": document.at.isoformat(),
        "updated_at": document.at.isoformat(),
    }


def file_name(document: Document) -> str:
    """The name of the file that a document came from."""
    return document.source.removeprefix("upload:").rpartition("/")[2] or document.title


def tool_state(tool: Function, asked: Iterable[str] = ()) -> JsonObject:
    """A tool of the program. ``asked``: the functions that settings let a person decide on."""
    schema = tool.schema
    return {
        "id": letta_id("tool", 0, section_number(tool.name)),
        "name": tool.name,
        "description": schema.description,
        "json_schema": {
            "name": tool.name, "description": schema.description, "parameters": dict(schema.parameters),
        },
        "tool_type": "custom",
        "source_type": "python",
        "source_code": None,
        "tags": [],
        "default_requires_approval": tool.approval is not False or tool.name in frozenset(asked),
        "metadata": {},
    }  # fmt: skip
