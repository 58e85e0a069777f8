"""Schemas of arguments as foreign servers write them: bounded, and made harmless, or refused with a reason.

A server checks its arguments itself; what a provider does not take may therefore be left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, create_model

from pagefault.errors import UsageError
from pagefault.functions.arguments import FIELD, HEARTBEAT
from pagefault.functions.describing import compact_schema
from pagefault.quoting import escaped, quoted

__all__ = ["Unusable", "arguments_model", "usable_schema"]

_LARGEST = 32_768  # characters as JSON
_DEEPEST = 24  # levels, of which a property takes two
_MOST = 128  # parameters
_PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # as every provider takes it
_NOT_AT_ROOT = frozenset({"oneOf", "anyOf", "allOf", "not", "enum", "const", "if", "then", "else", "$ref"})
_DROPPED = frozenset({"$schema", "$id", "$comment", "$anchor", "$dynamicAnchor", "$vocabulary", "examples"})
_EXACT = frozenset({"enum", "const"})  # a model has to repeat them letter for letter
_KEYED = frozenset({"properties", "$defs", "definitions", "patternProperties", "dependentSchemas"})


class Unusable(UsageError):
    """A tool that no model can be offered; the message is the reason."""


def usable_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema as models are offered it; ``Unusable`` if that cannot be."""
    _check_size(schema)
    if schema.get("type", "object") != "object":
        raise Unusable("Its arguments are no object.")
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        raise Unusable("Its schema has no valid properties.")
    _check_names(cast("dict[str, object]", properties))
    made = {key: value for key, value in schema.items() if key not in _NOT_AT_ROOT}
    made = _harmless({**made, "type": "object", "properties": properties})
    required = made.get("required", [])
    named = [str(each) for each in cast("list[object]", required)] if isinstance(required, list) else []
    made.pop("required", None)
    if named := [each for each in dict.fromkeys(named) if each in made["properties"]]:
        made["required"] = named
    is_open = made.get("additionalProperties")
    compact = cast("dict[str, Any]", compact_schema(made, defaults=True))
    return {**compact, "additionalProperties": True} if is_open is True else compact


def arguments_model(name: str, schema: Mapping[str, Any]) -> type[BaseModel]:
    """The model that reads a call's arguments: the names of parameters and those that are needed; their types
    are the server's business. Where it takes others too, they pass."""
    required, fields = schema.get("required", ()), dict[str, Any]()
    for parameter in schema["properties"]:
        default = ... if parameter in required else None
        fields[FIELD + parameter] = (Any, Field(default, alias=parameter))
    others = schema.get("additionalProperties")
    takes_others = isinstance(others, dict) or others is True or not fields
    return create_model(name, __config__=ConfigDict(extra="allow" if takes_others else "forbid"), **fields)


def _check_size(schema: Mapping[str, Any]) -> None:
    try:
        size = len(json.dumps(schema, ensure_ascii=False))
    except (RecursionError, ValueError, TypeError):
        raise Unusable("Its schema cannot be read.") from None
    if size > _LARGEST:
        raise Unusable(f"Its schema has {size:,} characters; {_LARGEST:,} are taken.")
    for value, depth in _nodes(schema):
        if depth > _DEEPEST:
            raise Unusable(f"Its schema is nested more than {_DEEPEST} levels deep.")
        reference = cast("dict[str, object]", value).get("$ref") if isinstance(value, dict) else None
        if isinstance(reference, str) and not reference.startswith("#"):
            raise Unusable("Its schema refers to another document.")


def _nodes(schema: object) -> Iterator[tuple[Any, int]]:
    """Each value in a JSON value with its depth."""
    waiting: list[tuple[Any, int]] = [(schema, 0)]
    while waiting:
        value, depth = waiting.pop()
        yield value, depth
        if depth > _DEEPEST:
            continue
        if isinstance(value, dict):
            value = list(cast("dict[str, Any]", value).values())
        if isinstance(value, list):
            waiting += ((each, depth + 1) for each in cast("list[Any]", value))


def _check_names(properties: Mapping[str, object]) -> None:
    if len(properties) > _MOST:
        raise Unusable(f"It has {len(properties):,} parameters; {_MOST} are taken.")
    for name in properties:
        if not _PARAMETER.fullmatch(name) or quoted(name) != name:
            raise Unusable("A parameter has a name that models are not offered.")
        if name == HEARTBEAT:
            raise Unusable(f"It has a parameter {HEARTBEAT}, which every function has.")


def _harmless(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with texts that imitate nothing; those that would have to be changed, and need not be, are
    left out."""
    kept = {key: value for key, value in schema.items() if key not in _DROPPED and escaped(key) == key}
    return {key: made for key, value in kept.items() if (made := _value(key, value)) is not None}


def _value(key: str, value: Any) -> Any:
    """The value of a key of a schema; None if it is left out."""
    if key == "description":
        return escaped(str(value))
    if key in _EXACT:
        return _exact(value)
    if key in _KEYED and isinstance(value, dict):
        named = cast("dict[str, Any]", value).items()
        return {name: _within(each) for name, each in named if escaped(name) == name}
    if isinstance(value, str):
        return value if escaped(value) == value else None
    return _within(value) if key != "default" or _is_harmless(value) else None


def _within(value: Any) -> Any:
    if isinstance(value, dict):
        return _harmless(cast("dict[str, Any]", value))
    if isinstance(value, list):
        inner = (_within(each) for each in cast("list[Any]", value))
        return [each for each in inner if not isinstance(each, str) or escaped(each) == each]
    return value


def _exact(value: Any) -> Any:
    if not _is_harmless(value):
        raise Unusable("A value that it takes cannot be shown to a model as it is.")
    return value


def _is_harmless(value: Any) -> bool:
    return all(not isinstance(each, str) or escaped(each) == each for each, _ in _nodes(value)) and all(
        escaped(key) == key for each, _ in _nodes(value) if isinstance(each, dict)
        for key in cast("dict[str, Any]", each)
    )  # fmt: skip
