"""An agent as Letta's agent file (``.af``, v2), in pieces of JSON: sections as blocks, the log as messages,
documents as files.

As much as Letta's schema has a place for; ``metadata.left_out`` names the rest. No address of a server and no
key is written. The instructions are in it only if they are the agent's own, because ours name our functions.
Left out: reading such a file (``importers.letta``).
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from pagefault import __version__
from pagefault.exporters.agent_messages import MessageWriter
from pagefault.exporters.reading import ExportedAgent, Losses, read_agent
from pagefault.importers.letta.kept import kept_of, label_of, redacted_values
from pagefault.importers.letta.names import CHARACTERS, LIMIT, handle_of
from pagefault.kernel import Kernel
from pagefault.types import Document, Section

__all__ = ["agent_file_text"]

JsonObject = dict[str, Any]

_PROVIDERS = {
    **{name: name for name in (
        "openai", "anthropic", "azure", "groq", "ollama", "vllm", "mistral", "together", "bedrock",
        "deepseek", "xai", "openrouter", "lmstudio",
    )},
    "google": "google_ai", "gemini": "google_ai",
}  # fmt: skip
"""The providers that Letta knows, by ours."""

_EMBEDDING: JsonObject = {
    "embedding_endpoint_type": "openai", "embedding_endpoint": "https://api.openai.com/v1",
    "embedding_model": "text-embedding-3-small", "embedding_dim": 1536, "embedding_chunk_size": 300,
    "handle": "openai/text-embedding-3-small", "batch_size": 32,
}  # fmt: skip
"""The embedder that Letta itself begins with; a file whose sources have none cannot be imported there."""

_IN_CONTEXT = 30  # messages, of an agent whose queue is empty
_OWN_FOLDER = "documents"


async def agent_file_text(
    kernel: Kernel, name: str, losses: Losses, *, messages: bool = True
) -> AsyncGenerator[str]:
    """Yield the file of an agent, piece by piece; ``losses`` has then what it has no place for. ``messages``:
    with what was said. ``NotFoundError`` before the first piece if there is no such agent."""
    writer = _Writer(await read_agent(kernel, name), losses, messages)
    async with aclosing(writer.pieces()) as pieces:
        async for piece in pieces:
            yield piece


@dataclass(slots=True)
class _Writer:
    agent: ExportedAgent
    losses: Losses
    with_messages: bool
    _in_queue: list[str] = field(default_factory=list[str])
    _newest: deque[tuple[str, str]] = field(
        default_factory=lambda: deque[tuple[str, str]](maxlen=_IN_CONTEXT)
    )

    async def pieces(self) -> AsyncGenerator[str]:
        sources = sorted({_folder_of(document)[0] for document in self.agent.documents})
        source_ids = {name: f"source-{number}" for number, name in enumerate(sources)}
        yield '{"agents": [' + _dumped(self._about(list(source_ids.values())))[:-1] + ', "messages": ['
        async with aclosing(self._messages()) as messages:
            async for piece in messages:
                yield piece
        yield '], "in_context_message_ids": ' + _dumped(["message-0", *self._in_context()]) + "}], "
        blocks = [
            _block(section, n, self.agent.settings.metadata) for n, section in enumerate(self.agent.sections)
        ]
        yield '"groups": [], "blocks": ' + _dumped(blocks) + ', "files": ['
        for number, document in enumerate(self.agent.documents):
            comma = ", " if number else ""
            yield comma + _dumped(
                self._file(document, number, source_ids, await self.agent.text_of(document))
            )
        yield '], "sources": ' + _dumped([_source(name, id) for name, id in source_ids.items()])
        self._count_losses()
        yield ', "tools": [], "mcp_servers": [], "skills": [], "metadata": ' + _dumped(self._metadata())
        yield f', "created_at": "{self.agent.kernel.clock.now().isoformat()}"' + "}\n"

    def _about(self, sources: list[str]) -> JsonObject:
        agent, settings = self.agent, self.agent.settings
        kept, handle = self._kept(), handle_of(settings.model)
        return {
            "id": "agent-0", "name": agent.record.name, "description": kept.get("description"),
            "agent_type": "memgpt_agent" if settings.style == "memgpt" else "letta_v1_agent",
            "system": settings.instructions, "metadata": kept.get("metadata"), "tags": list(settings.tags),
            "timezone": settings.zone or "UTC", "llm_config": self._model(handle),
            "embedding_config": _EMBEDDING,
            "memory_blocks": [], "tools": [], "tool_ids": [], "tool_rules": None, "folder_ids": None,
            "source_ids": sources, "block_ids": [f"block-{n}" for n in range(len(agent.sections))],
            "include_base_tools": True, "include_default_source": False, "message_buffer_autoclear": False,
            "files_agents": self._links(), "group_ids": [],
        }  # fmt: skip

    def _kept(self) -> JsonObject:
        """The description and metadata that Letta gave, without what looks like a secret."""
        given = kept_of(self.agent.settings.metadata)
        if (kept := redacted_values(given)) != given:
            self.losses.add("secrets in its description or metadata")
        return kept

    def _model(self, handle: str) -> JsonObject | None:
        provider, _, model = handle.partition("/")
        if provider not in _PROVIDERS or not model:
            self.losses.add(f"model that Letta has no provider for ({provider})")
            return None
        kind = _PROVIDERS[provider]
        return {
            "model": model, "model_endpoint_type": kind, "context_window": self.agent.window or 32_000,
            "handle": f"{kind}/{model}", "put_inner_thoughts_in_kwargs": False,
        }  # fmt: skip

    def _links(self) -> list[JsonObject]:
        """The links from the agent to its files; none is open."""
        links = list[JsonObject]()
        sources = sorted({_folder_of(document)[0] for document in self.agent.documents})
        for number, document in enumerate(self.agent.documents):
            folder, name = _folder_of(document)
            links.append({
                "id": f"file_agent-{number}", "agent_id": "agent-0", "file_id": f"file-{number}",
                "source_id": f"source-{sources.index(folder)}", "file_name": f"{folder}/{name}",
                "is_open": False,
                "visible_content": None, "last_accessed_at": document.at.isoformat(), "start_line": None,
                "end_line": None,
            })  # fmt: skip
        return links

    async def _messages(self) -> AsyncGenerator[str]:
        agent = self.agent
        speaks = agent.settings.style == "memgpt"
        writer = MessageWriter(speaks, handle_of(agent.settings.model).partition("/")[2] or None, self.losses)
        first = writer.system(agent.settings.instructions or f"You are {agent.record.name}.", _iso(agent))
        yield _dumped(first)
        if not self.with_messages:
            self.losses.add("messages, left out as was asked", agent.record.last_seq)
            return
        async with aclosing(agent.rows()) as rows:
            async for row in rows:
                for message, seq in writer.take(row):
                    yield self._noted(message, seq)
        for message, seq in writer.end():
            yield self._noted(message, seq)

    def _noted(self, message: JsonObject, seq: int) -> str:
        self._newest.append((message["id"], message["role"]))
        if seq >= self.agent.record.queue.start:
            self._in_queue.append(message["id"])
        return ", " + _dumped(message)

    def _in_context(self) -> list[str]:
        """The messages in the queue; of an empty one the newest, from one of the user's on."""
        if self._in_queue:
            return self._in_queue
        newest = list(self._newest)
        while newest and newest[0][1] != "user":
            newest.pop(0)
        return [id for id, _ in newest]

    def _file(self, document: Document, number: int, sources: dict[str, str], text: str) -> JsonObject:
        folder, name = _folder_of(document)
        return {
            "id": f"file-{number}", "source_id": sources[folder], "file_name": f"{folder}/{name}",
            "original_file_name": name, "file_path": None, "file_type": document.media or "text/plain",
            "file_size": len(text.encode("utf-8", "replace")), "file_creation_date": None,
            "file_last_modified_date": None, "processing_status": "completed", "error_message": None,
            "total_chunks": None, "chunks_embedded": None, "content": text,
        }  # fmt: skip

    def _count_losses(self) -> None:
        agent = self.agent
        self.losses.add("passages of archival storage", len(agent.passages))
        self.losses.add("timers", agent.timers)
        self.losses.add("attached archives", len(agent.archives))

    def _metadata(self) -> dict[str, str]:
        left_out = "; ".join(self.losses.sentences())
        return {"exported_by": f"pagefault {__version__}"} | ({"left_out": left_out} if left_out else {})


def _block(section: Section, number: int, metadata: Any) -> JsonObject:
    return {
        "id": f"block-{number}", "label": label_of(metadata, section.name), "value": section.text,
        "limit": max(section.limit * CHARACTERS, len(section.text)),
        "description": section.description or None,
        "read_only": section.read_only, "metadata": {LIMIT: section.limit}, "is_template": False,
        "hidden": None, "tags": [],
    }  # fmt: skip


def _source(name: str, id: str) -> JsonObject:
    return {
        "id": id, "name": name, "description": None, "instructions": None, "metadata": None,
        "embedding": None, "embedding_chunk_size": None, "embedding_config": _EMBEDDING,
    }  # fmt: skip


def _folder_of(document: Document) -> tuple[str, str]:
    """The folder and the name of a document's file: those that it came with, or its own."""
    kind, _, rest = document.source.partition(":")
    folder, _, name = rest.partition("/")
    if kind == "letta" and folder and name:
        return folder, name
    last = document.source.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return _OWN_FOLDER, f"{document.number}-{last.partition('?')[0] or document.title or 'file'}"


def _iso(agent: ExportedAgent) -> str:
    return agent.record.created.isoformat()


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
