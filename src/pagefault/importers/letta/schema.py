"""Letta's agent files (``.af``) as values: v2, v2 in a string, and v1, of which there is one agent in a file.

Only the members that are read are here. Secrets (``secrets``, ``tool_exec_environment_variables``), source
code and the addresses of models are none of them, so nothing behind this module can store or show them. Left
out: messages, one by one (``stored``), and the meaning (``agents``).
"""

from __future__ import annotations

import re
from math import ceil
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pagefault.errors import UsageError
from pagefault.importers.letta.names import CHARACTERS, LIMIT
from pagefault.importers.reading import fields, items_in, objects
from pagefault.models.json_text import read_json
from pagefault.quoting import in_texts, inline

__all__ = [
    "AgentFile", "FileAgent", "FileBlock", "FileDocument", "agent_file", "looks_like_agent_file",
]  # fmt: skip

JsonObject = dict[str, Any]

_KEY = re.compile(r'"([a-z_]{1,40})"\s*:')
_OF_AGENTS = frozenset({"block_ids", "in_context_message_ids", "agent_type", "llm_config"})


def _list(value: object) -> object:
    return [] if value is None else value


def _text(value: object) -> object:
    return "" if value is None else value


def _tags(value: object) -> object:
    """The tags of v2, texts, or of v1, objects that hold one."""
    found = [tag if isinstance(tag, str) else fields(tag).get("tag") for tag in items_in(value)]
    return [tag for tag in found if isinstance(tag, str)]


Text = Annotated[str, BeforeValidator(_text)]
Texts = Annotated[list[str], BeforeValidator(_list)]
Things = Annotated[list[Any], BeforeValidator(_list)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


def _count(value: object) -> int:
    """The number of secrets, of which nothing else is kept."""
    return len(cast("JsonObject", value)) if isinstance(value, dict | list) else 0


class FileBlock(_Part):
    """A memory block. ``limit``: in characters."""

    id: Text = ""
    label: str
    value: Text = ""
    limit: int | None = None
    description: Text = ""
    read_only: bool = False
    metadata: Annotated[dict[str, Any], BeforeValidator(fields)] = Field(default_factory=dict[str, Any])

    @property
    def tokens(self) -> int | None:
        """The limit in tokens; None if there is none."""
        own = self.metadata.get(LIMIT)
        if isinstance(own, int) and own > 0:
            return own
        return ceil(self.limit / CHARACTERS) if self.limit and self.limit > 0 else None


class FileDocument(_Part):
    """A file. ``content``: its text, if it was exported."""

    id: Text = ""
    source_id: Text = ""
    file_name: Text = ""
    original_file_name: Text = ""
    file_type: Text = ""
    content: str | None = None


class _Named(_Part):
    id: Text = ""
    name: Text = ""


class _Model(_Part):
    model: Text = ""
    model_endpoint_type: Text = ""
    handle: Text = ""
    context_window: int | None = None


class _FileLink(_Part):
    file_id: Text = ""


class _Group(_Part):
    agent_ids: Texts = Field(default_factory=list)
    manager_config: dict[str, Any] = Field(default_factory=dict[str, Any])

    @property
    def kind(self) -> str:
        return str(self.manager_config.get("manager_type", ""))


class FileAgent(_Part):
    """An agent. ``messages``: as in the file, each to be read by ``stored.message_of``."""

    id: Text = ""
    name: Text = ""
    agent_type: Text = ""
    description: Text = ""
    system: Text = ""
    metadata: Annotated[dict[str, Any], BeforeValidator(fields)] = Field(default_factory=dict[str, Any])
    llm_config: Annotated[_Model, BeforeValidator(fields)] = _Model()
    timezone: Text = ""
    tags: Annotated[list[str], BeforeValidator(_tags)] = Field(default_factory=list)
    tool_ids: Texts = Field(default_factory=list)
    block_ids: Texts = Field(default_factory=list)
    source_ids: Texts = Field(default_factory=list)
    folder_ids: Texts = Field(default_factory=list)
    files_agents: Annotated[list[_FileLink], BeforeValidator(_list)] = Field(default_factory=list[_FileLink])
    messages: Things = Field(default_factory=list)
    secrets: Annotated[int, BeforeValidator(_count)] = 0
    tool_exec_environment_variables: Annotated[int, BeforeValidator(_count)] = 0

    @property
    def secret_count(self) -> int:
        return max(self.secrets, self.tool_exec_environment_variables)

    @property
    def model(self) -> str:
        """The handle of its model, ``openai/gpt-4o-mini``; empty if the file names none."""
        config = self.llm_config
        return config.handle or (f"{config.model_endpoint_type}/{config.model}" if config.model else "")

    @property
    def speaks_by_function(self) -> bool:
        """Return whether it speaks by ``send_message``, as all types but the newer ones do."""
        return self.agent_type not in ("letta_v1_agent", "react_agent")


class FileFault(_Part):
    """A part of a file that cannot be read. ``where``: ``blocks.3.value``; ``id``: of the part."""

    where: str
    why: str
    id: str = ""


class AgentFile(_Part):
    """A file of agents, of any version. ``tools``: by id, their names alone; ``skills``: their names;
    ``faults``: of the parts that cannot be read, and are none of the others."""

    agents: list[FileAgent]
    blocks: list[FileBlock] = []
    files: list[FileDocument] = []
    sources: list[_Named] = []
    tools: list[_Named] = []
    groups: list[_Group] = []
    mcp_servers: list[str] = []
    skills: list[str] = []
    faults: list[FileFault] = []

    @property
    def in_order(self) -> list[FileAgent]:
        """The agents, those behind that a group has made, as helpers of the first."""
        helpers = {id for group in self.groups for id in group.agent_ids}
        return sorted(self.agents, key=lambda agent: agent.id in helpers)


def _is_agent_file(value: object) -> bool:
    """Return whether a JSON value is an agent file of any version."""
    if not isinstance(value, dict):
        return False
    values = cast("JsonObject", value)
    if isinstance(values.get("agents"), list):
        return isinstance(values.get("blocks"), list)
    return isinstance(values.get("core_memory"), list) and isinstance(values.get("messages"), list)


def looks_like_agent_file(head: bytes) -> bool:
    """Return whether a file begins like an agent file of any version."""
    text = head.decode("utf-8", "replace").removeprefix("\ufeff").lstrip()
    if text[:1] == '"':
        text = text[1:].replace("\\n", " ").replace('\\"', '"').lstrip()
    if text[:1] != "{":
        return False
    keys = set(_KEY.findall(text))
    if "agents" in keys and not keys.isdisjoint(_OF_AGENTS):
        return True
    return {"core_memory", "agent_type"} <= keys or {"agents", "groups", "blocks"} <= keys


def agent_file(text: str, place: str) -> AgentFile:
    """Read a file; ``UsageError`` if it is none of Letta's, or so damaged that its agents cannot be told
    apart. ``place``: what to call it."""
    value = _json(text, place)
    if isinstance(value, str):  # v2 within a string
        value = _json(value, place)
    if not _is_agent_file(value):
        raise UsageError(f"{place} is no agent file of Letta's; export one from Letta again.")
    values = cast("JsonObject", in_texts(lambda each: each.replace("\0", ""), value))
    file = _v2(values) if isinstance(values.get("agents"), list) else _v1(values)
    if file.faults and not file.agents:
        fault = file.faults[0]
        raise UsageError(f"{place} is damaged at {fault.where} ({fault.why}); export it again.")
    return file


def _json(text: str, place: str) -> object:
    try:
        return read_json(text)
    except ValueError as error:
        why = str(error).splitlines()[0]
        raise UsageError(f"{place} is no whole JSON text ({why}); export it again.") from None


_PARTS: dict[str, type[_Part]] = {
    "agents": FileAgent, "blocks": FileBlock, "files": FileDocument, "sources": _Named, "tools": _Named,
    "groups": _Group,
}  # fmt: skip
"""The lists of a file and what is in them."""


def _v2(values: JsonObject) -> AgentFile:
    faults = list[FileFault]()
    found = {name: _readable(name, kind, values.get(name), faults) for name, kind in _PARTS.items()}
    servers, skills = values.get("mcp_servers"), values.get("skills")
    names = {"mcp_servers": _names(servers, "server_name"), "skills": _names(skills, "name")}
    return AgentFile.model_validate({**found, **names, "faults": faults})


def _readable(name: str, kind: type[_Part], given: object, faults: list[FileFault]) -> list[_Part]:
    """The parts of a list, but for those that cannot be read, each of which costs itself alone."""
    found, items = list[_Part](), items_in(given)
    if given is not None and not isinstance(given, list):
        faults.append(FileFault(where=name, why="Input should be a valid list"))
    for number, each in enumerate(items):
        try:
            found.append(kind.model_validate(each))
        except ValidationError as error:
            fault = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(inline(str(part)) for part in (name, number, *fault["loc"]))
            id = fields(each).get("id")
            faults.append(FileFault(where=where, why=fault["msg"], id=id if isinstance(id, str) else ""))
    return found


def _v1(values: JsonObject) -> AgentFile:
    """A file of v1 as one of v2: blocks and tools with ids."""
    blocks = [{**each, "id": f"block-{n}"} for n, each in enumerate(objects(values["core_memory"]))]
    tools = [{**each, "id": f"tool-{n}"} for n, each in enumerate(objects(values.get("tools")))]
    agent = {
        **values,
        "id": "agent-0",
        "metadata": values.get("metadata_"),
        "block_ids": [each["id"] for each in blocks],
        "tool_ids": [each["id"] for each in tools],
    }
    return _v2({"agents": [agent], "blocks": blocks, "tools": tools})


def _names(things: object, name: str) -> list[str]:
    found = [each.get(name) for each in objects(things)]
    return [each for each in found if isinstance(each, str)]
