"""An agent's settings from what Letta's clients send, with a notice for each wish that is not granted. Pure.

Letta lets a client name any model, tool and size; here the installation decides. What is not there is left
out, and the answer says so.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from pagefault.errors import UsageError
from pagefault.importers.letta.kept import kept_of
from pagefault.importers.letta.names import CHARACTERS, section_name
from pagefault.importers.limits import SHARE, fitted
from pagefault.quoting import inline
from pagefault.server.letta.bodies import AgentBody, BlockBody
from pagefault.server.letta.ids import letta_id, section_number

__all__ = ["Wishes", "declared", "setting_values", "stored_style"]

JsonObject = dict[str, Any]

_LEAST = 16  # tokens of a section
_OWN = frozenset(
    {
        "send_message", "memory", "core_memory_append", "core_memory_replace", "memory_insert",
        "memory_replace", "memory_rethink", "memory_finish_edits", "memory_apply_patch",
        "archival_memory_insert", "archival_memory_search", "conversation_search", "open_files",
        "grep_files", "semantic_search_files",
    }
)  # fmt: skip
"""Letta's functions for which every agent here has some of its own."""

_NOT_REPORTED = frozenset({"hidden", "project_id", "project", "embedding_config", "llm_config", "agent_type"})


@dataclass(slots=True)
class Wishes:
    """The wishes of a client. ``tools``: the program's, by name; ``notices``: of what was not granted."""

    tools: Sequence[str] = ()
    notices: list[str] = field(default_factory=list[str])

    def report(self, sentence: str) -> None:
        self.notices.append(sentence)

    def chosen(self, body: AgentBody) -> list[str]:
        """The tools named that are there."""
        ids = {letta_id("tool", 0, section_number(name)): name for name in self.tools}
        names = [*(body.tools or ()), *(ids.get(id, id) for id in body.tool_ids or ())]
        if missing := [inline(n) for n in dict.fromkeys(names) if n not in self.tools and n not in _OWN]:
            self.report(f"There are no tools {', '.join(missing)} here; they are left out.")
        return [name for name in dict.fromkeys(names) if name in self.tools]

    def asked(self, body: AgentBody) -> list[str]:
        """The functions whose calls a person is to decide on."""
        rules = body.tool_rules or []
        if other := sorted({str(r.get("type")) for r in rules} - {"requires_approval"}):
            self.report(f"Tool rules of the type {inline(', '.join(other))} are not kept here.")
        names = (rule.get("tool_name") for rule in rules if rule.get("type") == "requires_approval")
        return [name for name in dict.fromkeys(names) if isinstance(name, str) and name]


def setting_values(body: AgentBody, old: Mapping[str, Any], wishes: Wishes) -> JsonObject:
    """The settings that the body asks for, over the ``old`` values; without model and sections."""
    given = {"zone": body.timezone, "window": body.context_window_limit, "tags": body.tags}
    values: JsonObject = {name: value for name, value in given.items() if value is not None}
    if body.agent_type is not None:
        values["style"] = stored_style(body.agent_type)
    if body.system is not None:
        values["instructions"] = body.system.strip() or None
    if body.tools is not None or body.tool_ids is not None:
        values["tools"] = wishes.chosen(body)
    if body.tool_rules is not None:
        values["approval"] = wishes.asked(body)
    if kept := _kept(body):
        metadata = dict(old.get("metadata") or {})
        values["metadata"] = metadata | {"letta": kept_of(metadata) | kept}
    if unused := [inline(name) for name in body.unused() if name not in _NOT_REPORTED]:
        wishes.report(f"There is nothing here for {', '.join(unused)}.")
    return values


def _kept(body: AgentBody) -> JsonObject:
    """The members that are kept as they are, as far as they were given."""
    given = {"description": body.description, "metadata": body.metadata}
    return {name: value for name, value in given.items() if value is not None}


def stored_style(agent_type: str) -> str:
    """The style of speech of a type of agent."""
    return "memgpt" if agent_type.startswith("memgpt") else "native"


def declared(
    blocks: Sequence[BlockBody], window: int, count: Callable[[str], int], wishes: Wishes
) -> list[JsonObject]:
    """The sections for these blocks; limits that the window has no room for are lowered."""
    made, needed, wanted = list[JsonObject](), list[int](), list[int]()
    for block in blocks:
        made.append(_declared(block, {each["name"] for each in made}))
        size = count(block.value or "")
        needed.append(max(_LEAST, size + size // 8))
        wanted.append(max(needed[-1], ceil((block.limit or window // 3) / CHARACTERS)))
    granted = fitted(needed, wanted, int(window * SHARE))
    for section, block, wish, limit in zip(made, blocks, wanted, granted, strict=True):
        section["limit"] = limit
        if limit < wish and block.limit is not None:
            wishes.report(
                f"The limit of {section['name']} is {limit * CHARACTERS:,} characters; the window has no "
                f"room for {block.limit:,}."
            )
    return made


def _declared(block: BlockBody, taken: Container[str]) -> JsonObject:
    """The section for a block, without its limit."""
    name, text = section_name(block.label or ""), block.value or ""
    if name in taken:
        raise UsageError(f"Two blocks would be called {name}; give one another label.")
    if block.limit is not None and len(text) > block.limit:
        raise UsageError(f"The value of {name} has {len(text):,} characters, over its limit; shorten it.")
    about = block.description or _ABOUT.get(name, "")
    return {"name": name, "description": about, "text": text, "read_only": bool(block.read_only)}


_ABOUT = {"persona": "who you are", "human": "facts about the user"}
