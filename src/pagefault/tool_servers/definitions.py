"""A tool as its server defines it: a value, its hash, and the function that a model may call."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, cast

from pagefault.functions import Function
from pagefault.models import FunctionSchema
from pagefault.quoting import escaped, whole
from pagefault.tool_servers.schemas import Unusable, arguments_model, usable_schema

__all__ = ["HASH", "ToolDefinition", "checked", "definition_of", "function_names", "tool_function"]

_LONGEST_NAME = 64  # characters, as every provider takes it
_LONGEST = 4_000  # characters of a description as models read it
_LONGEST_KEPT = 32_768  # characters of a description
_SHOWN = 200  # characters of the description of a tool that is not offered
HASH = 16
"""The hexadecimal digits of a definition's hash."""


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """A tool of a server. ``schema``: of its arguments, as the server gives it; ``hash``: of name,
    description and schema; ``fault``: why it cannot be offered, or empty."""

    name: str
    description: str
    schema: Mapping[str, Any]
    read_only: bool = False
    idempotent: bool = False
    fault: str = ""
    hash: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        said = json.dumps([self.name, self.description, self.schema], sort_keys=True)
        object.__setattr__(self, "hash", sha256(said.encode()).hexdigest()[:HASH])

    @property
    def size(self) -> int:
        """The characters that it takes as JSON."""
        return len(json.dumps([self.name, self.description, self.schema], ensure_ascii=False))


def definition_of(stored: object) -> ToolDefinition | None:
    """The definition that ``dataclasses.asdict`` gave, read from a file; None if it is none."""
    if not isinstance(stored, dict):
        return None
    values = cast("dict[str, object]", stored)
    name, description, schema = (values.get(key) for key in ("name", "description", "schema"))
    if not (isinstance(name, str) and isinstance(description, str) and isinstance(schema, dict)):
        return None
    read_only, idempotent = (bool(values.get(key)) for key in ("read_only", "idempotent"))
    fault = str(values.get("fault", ""))
    return ToolDefinition(name, description, cast("dict[str, Any]", schema), read_only, idempotent, fault)


def function_names(server: str, tools: Sequence[str], taken: Collection[str]) -> dict[str, str]:
    """The names of functions by the names of tools: ``SERVER_tool``, of characters and length that every
    provider takes. Where two would be alike, or one is taken, the name ends with a hash of the tool's own."""
    plain = {tool: re.sub(r"[^A-Za-z0-9_-]", "_", f"{server}_{tool}") for tool in tools}
    shared = Counter(plain.values())
    return {
        tool: name
        if len(name) <= _LONGEST_NAME and shared[name] == 1 and name not in taken
        else f"{name[: _LONGEST_NAME - 9]}_{sha256(f'{server}/{tool}'.encode()).hexdigest()[:8]}"
        for tool, name in plain.items()
    }


def tool_function(
    definition: ToolDefinition,
    name: str,
    call: Callable[..., Any],
    *,
    approval: bool | Callable[..., object],
    idempotent: bool,
    timeout: float,
) -> Function:
    """The function by which agents call a tool; ``Unusable`` if no model can be offered it."""
    if definition.fault:
        raise Unusable(definition.fault)
    schema = usable_schema(definition.schema)
    about = _about(definition.description) or f"The tool {escaped(definition.name)}."
    return Function(
        name, FunctionSchema(name, about, schema), arguments_model(name, schema), call,
        idempotent=idempotent, timeout=timeout, approval=approval, definition=definition.hash,
    )  # fmt: skip


def checked(definition: ToolDefinition, room: int) -> ToolDefinition:
    """The definition or, if it cannot be offered, its name and the fault, without what may be large.
    ``room``: the characters that it may take."""
    try:
        if (length := len(definition.description)) > _LONGEST_KEPT:
            raise Unusable(f"Its description has {length:,} characters; {_LONGEST_KEPT:,} are taken.")
        usable_schema(definition.schema)
        if definition.size > room:
            raise Unusable("The definitions of its server's tools are too large together.")
    except Unusable as fault:
        return replace(definition, description=definition.description[:_SHOWN], schema={}, fault=str(fault))
    return definition


def _about(description: str) -> str:
    text = whole(description).strip()
    return escaped(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
