"""The agents of an agent file as items: each with its sections, its documents and its messages.

Several agents may be in one file; each is one here. Blocks are found by the ids that an agent names, because
labels repeat over a file. A block that no agent names is a document of the first agent, and of what is no
memory (tools, secrets, groups) only names and counts are given. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pagefault.errors import UsageError
from pagefault.importers.items import (
    BadRecord,
    ImportedAgent,
    ImportedDocument,
    ImportedMessage,
    ImportedRole,
    ImportedSection,
    ImportItem,
    Omission,
)
from pagefault.importers.letta.kept import kept_values
from pagefault.importers.letta.messages import StoredMessage, in_order, rows_of
from pagefault.importers.letta.names import model_name
from pagefault.importers.letta.schema import AgentFile, FileAgent, FileBlock, FileDocument
from pagefault.importers.letta.stored import message_of
from pagefault.quoting import inline
from pagefault.types import Role

__all__ = ["items_of", "message_items", "text_document"]

_ROLES: dict[Role, ImportedRole] = {
    Role.USER: "user", Role.EVENT: "event", Role.ASSISTANT: "assistant", Role.THOUGHT: "thought",
    Role.CALL: "call", Role.RESULT: "result",
}  # fmt: skip
_PLAIN = frozenset({".md", ".markdown", ".txt", ".csv", ".json", ".log", ""})
"""The suffixes of files whose text is the file itself; of others Letta keeps what it read in them."""


def items_of(file: AgentFile) -> Iterator[ImportItem]:
    """The items of all agents of a file, an agent after another; the one that no group has made comes
    first."""
    yield from (BadRecord(fault.where, f"it cannot be read ({fault.why})") for fault in file.faults)
    for number, agent in enumerate(file.in_order):
        yield from _Agent(file, agent, is_first=number == 0).items()
    yield from (Omission("group", group.kind) for group in file.groups)
    yield from (Omission("tool server", name) for name in file.mcp_servers)
    yield from (Omission("skill", name) for name in file.skills)


@dataclass(slots=True)
class _Agent:
    file: AgentFile
    agent: FileAgent
    is_first: bool
    omitted: Counter[str] = field(default_factory=Counter[str])

    def items(self) -> Iterator[ImportItem]:
        agent = self.agent
        given = {"description": agent.description, "metadata": agent.metadata}
        if (kept := kept_values(given)) != {name: value for name, value in given.items() if value}:
            self.omitted["secret in its description or metadata"] += 1
        yield ImportedAgent(
            agent.name or "agent",
            model_name(agent.model) if agent.model else "",
            agent.system,
            agent.timezone,
            style="memgpt" if agent.agent_type.startswith("memgpt") else "native",
            window=agent.llm_config.context_window,
            tags=tuple(agent.tags),
            kept=kept,
        )
        yield from self._sections()
        yield from self._documents()
        yield from self._messages()
        yield from self._omissions()

    def _sections(self) -> Iterator[ImportItem]:
        blocks = {block.id: block for block in self.file.blocks}
        unread = {fault.id for fault in self.file.faults}
        for id in self.agent.block_ids:
            if id in blocks:
                yield _section(blocks[id])
            elif id not in unread:
                yield BadRecord(f"block {inline(id)} of {inline(self.agent.name)}", "it is not in the file")

    def _blocks_of_nobody(self) -> Iterator[ImportItem]:
        named = {id for agent in self.file.agents for id in agent.block_ids}
        for block in self.file.blocks if self.is_first else ():
            if block.id not in named and block.value.strip():
                yield text_document("blocks", block.label, block.value)

    def _documents(self) -> Iterator[ImportItem]:
        yield from self._blocks_of_nobody()
        folders = {source.id: source.name for source in self.file.sources}
        for each in self._files():
            name = each.original_file_name or each.file_name or each.id
            folder = folders.get(each.source_id, "") or "files"
            if each.content is None or not each.content.strip():
                yield Omission("file without text", name)
            else:
                yield text_document(folder, name, each.content)

    def _files(self) -> list[FileDocument]:
        agent = self.agent
        linked, attached = (
            {each.file_id for each in agent.files_agents},
            {*agent.source_ids, *agent.folder_ids},
        )
        is_only = len(self.file.agents) == 1
        return [f for f in self.file.files if is_only or f.id in linked or f.source_id in attached]

    def _messages(self) -> Iterator[ImportItem]:
        read = list[StoredMessage]()
        for number, raw in enumerate(self.agent.messages, 1):
            try:
                read.append(message_of(raw))
            except UsageError as error:
                yield BadRecord(f"message {number} of {inline(self.agent.name)}", str(error))
        yield from message_items(
            in_order(read), self.agent.speaks_by_function, f"letta:{self.agent.name}", self.omitted
        )

    def _omissions(self) -> Iterator[ImportItem]:
        tools = {tool.id: tool.name for tool in self.file.tools}
        yield from (Omission("tool", tools[id]) for id in self.agent.tool_ids if id in tools)
        if self.agent.secret_count:
            yield Omission("secret", "", self.agent.secret_count)
        yield from (Omission(what, "", count) for what, count in self.omitted.items())


def _section(block: FileBlock) -> ImportedSection:
    return ImportedSection(block.label, block.value, block.description, block.tokens, block.read_only)


def text_document(folder: str, name: str, text: str) -> ImportedDocument:
    """A text as a document, which its folder and its name within that identify."""
    name = name.removeprefix(f"{folder}/")  # Letta puts the folder before the name
    suffix = PurePosixPath(name).suffix.lower()
    file = PurePosixPath(name).name or "file"
    return ImportedDocument(
        f"{folder}/{name}",
        text.encode("utf-8", "replace"),
        name,
        f"{PurePosixPath(file).stem}.md" if suffix in (".md", ".markdown") else f"{file}.txt",
    )


def message_items(
    messages: Sequence[StoredMessage], speaks_by_function: bool, session: str, omitted: Counter[str]
) -> Iterator[ImportedMessage]:
    """Messages in their order as items. Ids of a file are of this file alone, so a message is named by its
    time."""
    for row in rows_of(messages, speaks_by_function=speaks_by_function, omitted=omitted):
        yield ImportedMessage(row.text, _ROLES[row.role], row.speaker, row.at, session, name=row.name)
