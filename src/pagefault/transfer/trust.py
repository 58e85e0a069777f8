"""The settings of an agent that comes from elsewhere: those that no import takes without being told to.

A model may name a server, which reads all that the agent remembers; instructions say what it does; it may
write to other agents, and run tools by calls written as text. Left out: memory, which is data, and keys,
which go to no server that an import names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from pagefault.addresses import clean_url
from pagefault.config import AgentSettings
from pagefault.errors import UsageError
from pagefault.redaction import redacted
from pagefault.storage.row_transfer import AGENT
from pagefault.transfer.lines import Block, blocks, decode

__all__ = ["GuardedSettings", "guarded_settings", "untrusted"]

_GUARDED = ("model", "instructions", "agents", "text_tools")
_SILENT = ("served",)  # follows from the model


@dataclass(frozen=True, slots=True)
class GuardedSettings:
    """The settings of an agent, by name, that need to be trusted: those that are not the installation's."""

    agent: str
    settings: Mapping[str, Any]

    def sentences(self) -> list[str]:
        """Return a line for each setting: name and value, and how long it is or which servers it names."""
        return [f"{name}: {_shown(name, value)}" for name, value in self.settings.items()]


def guarded_settings(file: BinaryIO, place: str, defaults: AgentSettings) -> list[GuardedSettings]:
    """Return what each agent of an export brings; the file is as it was then. Raises as ``import_agents``."""
    start, found = file.tell(), blocks(file, place)
    file.seek(start)
    rows = [decode(block.first, place, block.format)[1] for block in found]
    settings = [str(row[AGENT.column("settings")]) for row in rows]
    return [untrusted(block, each, defaults)[1] for block, each in zip(found, settings, strict=True)]


def untrusted(block: Block, settings: str, defaults: AgentSettings) -> tuple[str, GuardedSettings]:
    """Return an agent's stored settings with the installation's own in place of what must be trusted, and
    what was replaced."""
    try:
        value: object = json.loads(settings)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UsageError(f"The settings of agent {block.agent!r} cannot be read; have it exported again.")
    brought, own = cast("dict[str, Any]", value), defaults.model_dump(mode="json")
    guarded = {name: brought[name] for name in _GUARDED if name in brought and brought[name] != own.get(name)}
    replaced = {name: own.get(name) for name in (*guarded, *(_SILENT if "model" in guarded else ()))}
    taken = json.dumps(brought | replaced, ensure_ascii=False) if replaced else settings
    return taken, GuardedSettings(block.agent, guarded)


def _shown(name: str, value: object) -> str:
    text = str(value)
    if name == "model":
        servers = [clean_url(part.strip()) for part in text.split(",") if "://" in part]
        return redacted(text) + (f" (asks {', '.join(servers)})" if servers else "")
    if name == "instructions":
        return f"{len(text):,} characters, which begin: {' '.join(text.split())[:200]}"
    return text
