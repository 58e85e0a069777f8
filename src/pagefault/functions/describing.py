"""From a callable to a function for the model: a schema through its type hints and docstring."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, cast, get_type_hints

from pydantic import ConfigDict, Field, create_model

from pagefault.errors import ArgumentTypeError
from pagefault.functions import Function, FunctionKind
from pagefault.functions.arguments import FIELD
from pagefault.functions.tools import ToolOptions
from pagefault.models import FunctionSchema
from pagefault.storage import Transaction

__all__ = ["describe"]


def describe(
    call: Callable[..., Any], kind: FunctionKind = "tool", owner: type | None = None, hidden: str = ""
) -> Function:
    """Derive a function from a callable; ``ArgumentTypeError`` if a parameter has no type hint.
    ``owner``: the class, if it is a method that is not bound yet; ``hidden``: a parameter with a default that
    the model is not offered."""
    options: ToolOptions = getattr(call, "__pagefault__", ToolOptions())
    if not (name := getattr(call, "__name__", "")):
        raise ArgumentTypeError(
            f"A tool is a function with a name, and {call!r} is none; write one with def."
        )
    hints = get_type_hints(call, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(call).parameters.values())[1 if owner else 0 :]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ArgumentTypeError(f"{name}(): a function for the model cannot take *{parameter.name}.")
        if parameter.name not in hints:
            raise ArgumentTypeError(f"{name}(): parameter {parameter.name} needs a type hint.")
        if hints[parameter.name] is Transaction or parameter.name == hidden:
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[FIELD + parameter.name] = (hints[parameter.name], Field(default, alias=parameter.name))
    takes = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    own = kind != "tool"  # what our defaults do is said in the descriptions
    parameters = cast(dict[str, Any], _compact(takes.model_json_schema(), defaults=not own))
    schema = FunctionSchema(name, inspect.cleandoc(call.__doc__ or name), parameters)
    return Function(name, schema, takes, call, kind, options.idempotent, options.timeout, owner)


def _compact(schema: Any, *, defaults: bool) -> Any:
    """A JSON schema without what a model does not need: titles, the extra-keys flag, null or all defaults."""
    compact = partial(_compact, defaults=defaults)
    if isinstance(schema, dict):
        items = cast(dict[str, Any], schema).items()
        return {
            key: {k: compact(v) for k, v in value.items()} if key == "properties" else compact(value)
            for key, value in items
            if not (key == "title" and isinstance(value, str))
            and key != "additionalProperties"
            and not (key == "default" and (value is None or not defaults))
        }
    if isinstance(schema, list):
        return [compact(item) for item in cast(list[Any], schema)]
    return schema
