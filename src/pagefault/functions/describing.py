"""From a callable to a function for the model: a schema through its type hints and docstring.

A callable is a function or a method, bound or of a class, a ``functools.partial`` or an object with
``__call__``, each sync or async. Left out: how its docstring is read (``docstrings``).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any, cast, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema

from pagefault.containment import Fault, barrier
from pagefault.errors import ArgumentTypeError
from pagefault.functions import Function, FunctionKind
from pagefault.functions.arguments import FIELD, HEARTBEAT
from pagefault.functions.docstrings import read_docstring
from pagefault.functions.tool_context import is_tool_context
from pagefault.functions.tools import ALL_ARGUMENTS, CONTEXT_NAMES, ToolOptions
from pagefault.models import FunctionSchema
from pagefault.storage import Transaction

__all__ = ["RESERVED", "JsonSchema", "compact_schema", "describe"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # as every provider takes it
RESERVED = ("call_function", "describe_function", "find_functions")
"""The names of the functions by which others are reached."""


class JsonSchema(GenerateJsonSchema):
    """A schema without the defaults that are not JSON, about which pydantic would warn."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  as its base has it


def describe(
    call: Callable[..., Any], kind: FunctionKind = "tool", owner: type | None = None, hidden: str = ""
) -> Function:
    """Derive a function from a callable; ``ArgumentTypeError`` if a parameter has no type hint.
    ``owner``: the class, if it is a method that is not bound yet; ``hidden``: a parameter with a default that
    the model is not offered."""
    code = _code_of(call)
    options = _options_of(call, code)
    name = options.name or _name_of(call)
    if kind == "tool":
        _check_name(name)
    parameters = _parameters(name, call, code, owner)
    contexts = tuple(p for p, (hint, _) in parameters.items() if is_tool_context(hint))
    given = {*contexts, hidden, *(p for p, (hint, _) in parameters.items() if hint is Transaction)}
    offered = {p: v for p, v in parameters.items() if p not in given}
    if HEARTBEAT in offered:
        raise ArgumentTypeError(f"{name}(): {HEARTBEAT} is a parameter of every function; rename it.")
    _check_predicate(name, options.approval, offered)
    takes, about = _model(name, offered), inspect.cleandoc(options.description or code.__doc__ or name)
    schema = _schema(name, takes, defaults=kind == "tool")  # what our defaults do is said in the descriptions
    if kind == "tool":
        about, described = read_docstring(about, offered)
        _add_descriptions(schema, offered, described)
    positional = tuple(p for p, (_, v) in parameters.items() if v.kind is v.POSITIONAL_ONLY)
    return Function(
        name, FunctionSchema(name, about or name, schema), takes, call, kind, options.idempotent,
        options.timeout, owner, positional, contexts, options.approval,
    )  # fmt: skip


def _check_predicate(name: str, predicate: Any, offered: dict[str, Any]) -> None:
    """Refuse a predicate that no call could satisfy: it would fail at each one, and so always ask."""
    if not inspect.isroutine(predicate):
        return
    try:
        with barrier():
            hints, parameters = get_type_hints(predicate), inspect.signature(predicate).parameters.values()
    except Fault:
        return  # a type that is not known yet
    contexts = (name for name, hint in hints.items() if is_tool_context(hint))
    known = {*offered, *ALL_ARGUMENTS, *CONTEXT_NAMES, *contexts}
    for each in parameters:
        is_free = each.default is not each.empty or each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        if not is_free and each.name not in known:
            raise ArgumentTypeError(
                f"{name}(): its predicate for approval takes {each.name}, which {name}() does not; "
                "a predicate takes parameters of its function by their names, or all of them as args."
            )


def _unbound(call: Any) -> tuple[Any, dict[str, Any]]:
    """A callable with all that ``functools.partial`` gives it in one, if any, and what that gives by name."""
    inner, given, named = call, (), dict[str, Any]()
    while isinstance(inner, partial):
        outer = cast("partial[Any]", inner)
        inner, given, named = outer.func, (*outer.args, *given), {**outer.keywords, **named}
    return (partial(inner, *given, **named) if inner is not call else call), named


def _code_of(call: Any) -> Any:
    """The function with the code of a callable: that which a partial, a method or an object calls in the end,
    within all decorators that say what they wrap."""
    inner, _ = _unbound(call)
    inner = inner.func if isinstance(inner, partial) else inner
    if isinstance(inner, type):
        raise ArgumentTypeError(
            f"A tool is a function, and {inner.__name__} is a class; give a method of it, or an object with "
            "__call__."
        )
    if not callable(inner):
        raise ArgumentTypeError(
            f"A tool is a function with a name, and {inner!r} is none; write one with def."
        )
    if not inspect.isroutine(inner):
        inner = cast("Any", type(inner)).__call__
    return inspect.unwrap(getattr(inner, "__func__", inner))


def _options_of(call: Any, code: Any) -> ToolOptions:
    """The options by which a callable is marked, or the function that it calls in the end."""
    marks = (getattr(each, "__pagefault__", None) for each in (call, code))
    return next((mark for mark in marks if isinstance(mark, ToolOptions)), ToolOptions())


def _name_of(call: Any) -> str:
    """The name of a callable; of an object that of its class, as functions are written."""
    inner, _ = _unbound(call)
    inner = inner.func if isinstance(inner, partial) else inner
    if isinstance(name := getattr(inner, "__name__", None), str):
        return name
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(inner).__name__).lower()


def _parameters(
    name: str, call: Any, code: Any, owner: type | None
) -> dict[str, tuple[Any, inspect.Parameter]]:
    """The parameters by name, each with its type; without those that a partial gives by name."""
    whole, given = _unbound(call)
    try:
        every = list(inspect.signature(whole).parameters.values())[1 if owner else 0 :]
    except (ValueError, TypeError):
        raise ArgumentTypeError(
            f"{name}(): its parameters are not known, or a partial gives others; write a function around it."
        ) from None
    parameters = [parameter for parameter in every if parameter.name not in given]
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ArgumentTypeError(
                f"{name}(): a function for the model cannot take *{parameter.name}; name its parameters (a "
                "decorator keeps them by functools.wraps)."
            )
        if parameter.annotation is parameter.empty:
            raise ArgumentTypeError(f"{name}(): parameter {parameter.name} needs a type hint.")
    written = {parameter.name: parameter.annotation for parameter in parameters}
    hints = cast("Any", SimpleNamespace(__annotations__=written))
    try:
        with barrier():
            types = get_type_hints(hints, getattr(code, "__globals__", {}), include_extras=True)
    except Fault as fault:
        raise ArgumentTypeError(
            f"{name}(): its type hints cannot be read ({fault}); define what they name at the top of the "
            "module, and import it there for more than type checkers."
        ) from fault
    return {parameter.name: (types[parameter.name], parameter) for parameter in parameters}


def _check_name(name: str) -> None:
    """Raise ``ArgumentTypeError`` for a name that no provider takes, or that is one of ours."""
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise ArgumentTypeError(
            f"{name!r} cannot be the name of a tool; give it one of up to 64 letters, digits, _ and - with "
            '@tool(name="...").'
        )


def _model(name: str, offered: dict[str, tuple[Any, inspect.Parameter]]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for parameter, (hint, written) in offered.items():
        default = ... if written.default is written.empty else written.default
        fields[FIELD + parameter] = (hint, Field(default, alias=parameter))
    try:
        with barrier():
            return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    except Fault as fault:
        raise _no_json(name, fault) from fault


def _schema(name: str, takes: type[BaseModel], *, defaults: bool) -> dict[str, Any]:
    try:
        with barrier():
            whole = takes.model_json_schema(schema_generator=JsonSchema)
    except Fault as fault:
        raise _no_json(name, fault) from fault
    return cast("dict[str, Any]", compact_schema(whole, defaults=defaults))


def _no_json(name: str, fault: Fault) -> ArgumentTypeError:
    cause = fault.__cause__
    why = cause.message if isinstance(cause, PydanticUserError) else str(fault)
    first = why.strip().partition("\n")[0].partition(". Set ")[0].rstrip(".")
    return ArgumentTypeError(
        f"{name}(): a type of its parameters cannot come as JSON ({first}); take text, numbers, lists, "
        "dataclasses or pydantic models."
    )


def _add_descriptions(schema: dict[str, Any], offered: dict[str, Any], described: dict[str, str]) -> None:
    """Describe the parameters that do not describe themselves: by their hints, else by the docstring."""
    for parameter, property in schema.get("properties", {}).items():
        if text := _described(offered[parameter][0]) or described.get(parameter, ""):
            property.setdefault("description", text)


def _described(hint: Any) -> str:
    """The text in ``Annotated[int, "how many"]``."""
    metadata = hint.__metadata__ if get_origin(hint) is Annotated else ()
    return next((each for each in metadata if isinstance(each, str)), "")


_VALUES = ("default", "enum", "const", "examples")


def compact_schema(schema: Any, *, defaults: bool) -> Any:
    """A JSON schema without what a model does not need: titles, the extra-keys flag, null or all defaults."""
    compact = partial(compact_schema, defaults=defaults)
    if isinstance(schema, list):
        return [compact(item) for item in cast(list[Any], schema)]
    if not isinstance(schema, dict):
        return schema
    items = cast(dict[str, Any], schema).items()
    kept = {key: value for key, value in items if _is_needed(key, value, defaults)}
    inner = {key: value if key in _VALUES else compact(value) for key, value in kept.items()}
    if properties := kept.get("properties"):  # by name, of which one may be `title`
        inner["properties"] = {name: compact(value) for name, value in properties.items()}
    return inner


def _is_needed(key: str, value: object, defaults: bool) -> bool:
    if key == "default":
        return defaults and value is not None
    return not isinstance(value, {"title": str, "additionalProperties": bool}.get(key, ()))
