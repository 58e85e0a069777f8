"""Agent files held to Letta's own schema and to what its import makes of them: `letta_schema.py FILE...`.

Run it with the Python of an environment with Letta's server (`pip install 'letta<0.17' asyncpg pgvector`);
pagefault need not be there. Each file is validated as `AgentFileSchema` and checked as its import does (ids,
references), and each agent, message, block, source and file is made as the import makes it, without a
database. Exits with 1 if one is refused.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

_AGENT = "agent-123e4567-e89b-42d3-8456-426614174000"


def _of(module: str, name: str) -> Any:
    return getattr(import_module(f"letta.{module}"), name)


def check(path: Path) -> str:
    """Make of a file what Letta's import makes; return the counts. Raises what Letta raises."""
    file = _of("schemas.agent_file", "AgentFileSchema").model_validate(json.loads(path.read_text("utf-8")))
    manager = _of("services.agent_serialization_manager", "AgentSerializationManager")
    manager._validate_schema(manager.__new__(manager), file)  # its import begins with it
    messages = 0
    for agent in file.agents:
        values = agent.model_dump(exclude={"id", "in_context_message_ids", "messages"})
        _of("schemas.agent", "CreateAgent")(**values | {"tool_ids": [], "source_ids": [], "block_ids": []})
        for message in agent.messages:
            values = message.model_dump(exclude={"id", "type"}) | {"agent_id": _AGENT}
            _of("schemas.message", "Message")(**values).to_letta_messages()
            messages += 1
    for block in file.blocks:
        _of("schemas.block", "Block")(**block.model_dump(exclude={"id"}))
    for source in file.sources:
        values = source.model_dump(exclude={"id", "embedding", "embedding_chunk_size"})
        _of("schemas.source", "Source")(**values)
    for each in file.files:
        _of("schemas.file", "FileMetadata")(**each.model_dump(exclude={"id", "content"}))
    counts = {"agents": len(file.agents), "messages": messages}
    counts |= {"blocks": len(file.blocks), "files": len(file.files)}
    return ", ".join(f"{count} {what}" for what, count in counts.items())


def main(paths: list[str]) -> int:
    """Check files, and print a line for each."""
    refused = 0
    for path in map(Path, paths):
        try:
            print(f"{path.name}: {check(path)}")
        except Exception as error:  # noqa: BLE001  # whatever Letta raises is the answer
            refused += 1
            print(f"{path.name}: refused: {type(error).__name__}: {error}")
    return int(refused > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
