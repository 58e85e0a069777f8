"""The schema of an answer in JSON mode, exact for each function, and weaker forms for servers that refuse
it.

The first form allows for each function its own arguments and nothing else. Where a server takes no such
schema (``loosened``) the arguments may be any object; OpenAI itself enforces a schema only in a form of its
own (``strict``). Left out: reading the answer (``wrappers.function_calling.json_mode``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from pagefault.models import FunctionSchema

__all__ = ["LONGEST_THOUGHTS", "SchemaFallback", "loosened", "schema_of_answers", "strict"]

LONGEST_THOUGHTS = 200
"""Characters. A weak model fills its whole reply with them otherwise, and its object has no end."""

_REFUSAL = re.compile(
    r"response_format|schema|grammar|\b(invalid|in|for) format\b|structured output", re.IGNORECASE
)
_EXACT, _LOOSE, _NONE = range(3)
_FIELDS = ("thoughts", "function", "arguments")
_NO_CONSTRAINTS = ("title", "default", "examples", "deprecated", "readOnly", "writeOnly")
_NOT_STRICT = (  # keywords that OpenAI does not take, but an answer is valid without
    *_NO_CONSTRAINTS, "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "pattern", "format",
)  # fmt: skip
_STRICT = frozenset(("type", "description", "enum", "const", "properties", "required", "items", "anyOf"))


@lru_cache(maxsize=64)
def schema_of_answers(functions: tuple[FunctionSchema, ...], last: FunctionSchema) -> Mapping[str, Any]:
    """Return the schema of one object ``{thoughts, function, arguments}``: a call of one of the functions, or
    ``last``, by which nothing is called."""
    thoughts = {"type": "string", "maxLength": LONGEST_THOUGHTS}
    return {"anyOf": [_call(each, thoughts) for each in (*functions, last)]}


def _call(function: FunctionSchema, thoughts: Mapping[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {"type": "object"}
    if '"$ref"' not in json.dumps(function.parameters):  # which would point into the schema of the answer
        bare = cast("dict[str, Any]", _bare(function.parameters, _NO_CONSTRAINTS))
        arguments |= {"properties": {}, "additionalProperties": False, **bare}
    name = {"type": "string", "enum": [function.name]}
    return _object((thoughts, name, arguments))


def _object(fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    properties = dict(zip(_FIELDS, fields, strict=True))
    return {
        "type": "object", "properties": properties, "required": list(_FIELDS), "additionalProperties": False,
    }  # fmt: skip


def _bare(schema: Any, words: Iterable[str], *, named: bool = False) -> Any:
    """Return a schema without these keywords. In ``properties`` a key is a name (``named``)."""
    if isinstance(schema, list):
        return [_bare(each, words) for each in cast("list[Any]", schema)]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: value
        if key in ("enum", "const") and not named
        else _bare(value, words, named=_names(key, named))
        for key, value in cast("Mapping[str, Any]", schema).items()
        if named or key not in words
    }


def _names(key: str, named: bool) -> bool:
    return not named and key in ("properties", "$defs", "definitions")


def _calls(schema: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the names and arguments of a schema that ``schema_of_answers`` made; none of any other."""
    calls: list[tuple[str, Mapping[str, Any]]] = []
    for each in schema.get("anyOf", ()):
        properties = each.get("properties", {})
        if tuple(properties) != _FIELDS:
            return []
        calls.append((properties["function"]["enum"][0], properties["arguments"]))
    return calls


def loosened(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema without what servers may not know: any object as the arguments. None if there is no
    such form."""
    if not (calls := _calls(schema)):
        return None
    names = {"type": "string", "enum": [name for name, _ in calls]}
    return _object(({"type": "string"}, names, {"type": "object"}))


def strict(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the schema as OpenAI enforces it: an object at its root, all fields required, what may be left
    out may be null. None if arguments have no such form (an object of any fields, a reference)."""
    if not (calls := _calls(schema)):
        return None
    arguments = [_strict(_bare(each, _NOT_STRICT)) for _, each in calls]
    if None in arguments:
        return None
    names = {"type": "string", "enum": [name for name, _ in calls]}
    return _object(({"type": "string"}, names, {"anyOf": arguments}))


def _strict(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a schema in OpenAI's form, None if it has none. It has keywords that ``_bare`` left."""
    made = {key: value for key, value in schema.items() if key != "additionalProperties"}
    if not made.keys() <= _STRICT or not made.keys() & {"type", "enum", "const", "anyOf"}:
        return None
    if made.get("type") == "object":
        return _strict_object(
            made, is_open=schema.get("additionalProperties", "properties" not in made) is not False
        )
    if "items" in made or made.get("type") == "array":
        items = _strict(made.get("items") or {})
        return None if items is None else made | {"items": items}
    if "anyOf" in made:
        options = [_strict(each) for each in made["anyOf"]]
        return None if None in options else made | {"anyOf": options}
    return made


def _strict_object(schema: dict[str, Any], *, is_open: bool) -> dict[str, Any] | None:
    given, required = cast("dict[str, Any]", schema.get("properties") or {}), schema.get("required") or ()
    properties = {name: _strict(each) for name, each in given.items()}
    if is_open or None in properties.values():
        return None
    known = cast("dict[str, dict[str, Any]]", properties)
    either = {name: each if name in required else _or_null(each) for name, each in known.items()}
    return schema | {"properties": either, "required": list(either), "additionalProperties": False}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    null = {"type": "null"}
    options = cast("list[Any]", schema.get("anyOf") or [schema])
    return {"anyOf": options if null in options else [*options, null]}


@dataclass(slots=True)
class SchemaFallback:
    """The form of schemas that one server takes, as its refusals have shown; ``is_openai``: it is OpenAI's
    own service, which enforces the strict form only."""

    is_openai: bool = False
    _level: int = _EXACT

    def form(self, schema: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, bool]:
        """Return the schema as it is to be sent, None for none, and whether it is the strict form."""
        if self._level == _EXACT and not (self.is_openai and _calls(schema)):
            return schema, False
        if self._level == _EXACT and (form := strict(schema)):
            return form, True
        return (loosened(schema) if self._level < _NONE else None), False

    def adapt(self, said: str, schema: Mapping[str, Any] | None) -> bool | None:
        """Take the next weaker form if the server's sentence refuses the schema; return whether there still
        is one, None if the sentence is about something else."""
        if schema is None or self.form(schema)[0] is None or not _REFUSAL.search(said):
            return None
        is_exact = self._level == _EXACT and (strict(schema) or not self.is_openai)
        self._level = _LOOSE if is_exact and _calls(schema) else _NONE
        return self._level == _LOOSE
