"""Functions the model may call, and the executor that checks and runs its calls.

A Python function becomes a schema through its type hints and docstring. Whatever goes wrong with a call
becomes text for the model: what is wrong and what to do. Which functions there are is not decided here
(see ``syscalls``); committing results is the agent's business.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, cast, get_type_hints, overload

import anyio
import anyio.to_thread
from json_repair import repair_json
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from pagefault.errors import FunctionError
from pagefault.models import FunctionSchema
from pagefault.storage import Transaction
from pagefault.types import Message, Style

HEARTBEAT = "request_heartbeat"
_FIELD = "of_"  # before a parameter's name: ``json``, ``copy`` or ``_x`` mean something else to pydantic

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call came to. ``rows`` go to the log before the result; ``sources`` are the ids of what was
    read from external memory (such a result is not indexed again)."""

    text: str
    rows: tuple[Message, ...] = ()
    sources: tuple[str, ...] = ()
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """A callable function.

    ``kind``: a ``memory`` function is synchronous, takes the ``Transaction`` its result commits in, and
    has no other effect; a ``query`` only reads; a ``tool`` acts outside and is run at most once unless it
    is ``idempotent``. ``timeout`` is in seconds.
    """

    name: str
    schema: FunctionSchema
    arguments: type[BaseModel]
    call: Callable[..., Any]
    kind: Literal["memory", "query", "tool"] = "tool"
    idempotent: bool = False
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call whose arguments are parsed and valid."""

    function: Function
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """What ``tool`` remembers of its arguments until the function is registered."""

    idempotent: bool = False
    timeout: float | None = None


@overload
def tool(function: F, /) -> F: ...
@overload
def tool(*, idempotent: bool = False, timeout: float | None = None) -> Callable[[F], F]: ...
def tool(
    function: Callable[..., Any] | None = None, /, *, idempotent: bool = False, timeout: float | None = None
) -> Any:
    """Mark a typed function, sync or async, as a tool; its docstring is its description.

    ``idempotent``: may be run again after a crash. ``timeout``: seconds, else the agent's setting.
    """

    def mark(marked: Callable[..., Any]) -> Callable[..., Any]:
        vars(marked)["__pagefault__"] = ToolOptions(idempotent, timeout)
        return marked

    return mark(function) if function is not None else mark


def describe(call: Callable[..., Any], kind: Literal["memory", "query", "tool"] = "tool") -> Function:
    """Derive a function from a callable; ``TypeError`` if a parameter has no type hint."""
    options: ToolOptions = getattr(call, "__pagefault__", ToolOptions())
    name = call.__name__
    hints = get_type_hints(call, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(call).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{name}(): a function for the model cannot take *{parameter.name}.")
        if parameter.name not in hints:
            raise TypeError(f"{name}(): parameter {parameter.name} needs a type hint.")
        if hints[parameter.name] is Transaction:
            continue
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[_FIELD + parameter.name] = (hints[parameter.name], Field(default, alias=parameter.name))
    arguments = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    parameters = cast(dict[str, Any], _compact(arguments.model_json_schema()))
    schema = FunctionSchema(name, inspect.cleandoc(call.__doc__ or name), parameters)
    return Function(name, schema, arguments, call, kind, options.idempotent, options.timeout)


def _compact(schema: Any) -> Any:
    """A JSON schema without what a model does not need: titles, null defaults, the extra-keys flag."""
    if isinstance(schema, dict):
        items = cast(dict[str, Any], schema).items()
        return {
            key: {k: _compact(v) for k, v in value.items()} if key == "properties" else _compact(value)
            for key, value in items
            if not (key == "title" and isinstance(value, str))
            and key != "additionalProperties"
            and not (key == "default" and value is None)
        }
    if isinstance(schema, list):
        return [_compact(item) for item in cast(list[Any], schema)]
    return schema


def _with_heartbeat(schema: FunctionSchema) -> FunctionSchema:
    properties = {**schema.parameters.get("properties", {}), HEARTBEAT: {"type": "boolean"}}
    return replace(schema, parameters={**schema.parameters, "properties": properties})


@dataclass(frozen=True, slots=True)
class FunctionExecutor:
    """The functions of one agent. ``listed`` ones have no schema in the prompt: their names stand in
    ``describe_function`` and they are run by ``call_function`` (for agents with many tools). ``schemas`` is
    what the prompt offers, in order of registration."""

    functions: Mapping[str, Function]
    style: Style = "memgpt"
    timeout: float = 60.0
    listed: frozenset[str] = field(default_factory=frozenset[str])
    schemas: tuple[FunctionSchema, ...] = field(init=False)

    def __post_init__(self) -> None:
        offered = [f.schema for f in self.functions.values() if f.name not in self.listed]
        schemas = map(_with_heartbeat, offered) if self.style == "memgpt" else offered
        object.__setattr__(self, "schemas", tuple(schemas))

    @staticmethod
    def of(functions: Iterable[Function], style: Style, timeout: float) -> FunctionExecutor:
        """An executor with every schema in the prompt; ``ValueError`` for two functions of one name."""
        table: dict[str, Function] = {}
        for function in functions:
            if function.name in table:
                raise ValueError(f"There are two functions named {function.name}; rename one.")
            table[function.name] = function
        return FunctionExecutor(table, style, timeout)

    def with_listed(self, names: frozenset[str]) -> FunctionExecutor:
        """The same functions with those of ``names`` reached by ``call_function`` only."""

        def describe_function(name: str) -> str:
            return json.dumps(self._find(name).schema.parameters, ensure_ascii=False)

        describe_function.__doc__ = f"The parameters of a further function: {', '.join(sorted(names))}."

        def call_function(name: str, arguments: dict[str, Any]) -> str:
            """Call a further function; see describe_function."""
            raise FunctionError(f"{name} cannot be called with {arguments!r}.")  # prepare() unwraps calls

        extra = [describe(describe_function, "query"), describe(call_function, "query")]
        return replace(self, functions={**self.functions, **{f.name: f for f in extra}}, listed=names)

    def prepare(self, name: str, raw: str) -> Prepared:
        """Find the function, then parse, repair and validate the arguments; ``FunctionError`` if not."""
        function = self._find(name)
        values = parse_arguments(name, raw)
        values.pop(HEARTBEAT, None)
        if self.listed and name == "call_function" and isinstance(values.get("arguments"), dict):
            return self.prepare(str(values.get("name")), json.dumps(values["arguments"]))
        try:
            valid = function.arguments.model_validate(values)
        except ValidationError as error:
            raise FunctionError(_explain(function, error)) from None
        fields = function.arguments.model_fields
        return Prepared(function, {key.removeprefix(_FIELD): getattr(valid, key) for key in fields})

    async def run(self, prepared: Prepared) -> Outcome:
        """Run a query or a tool within its time; every failure is an outcome."""
        function = prepared.function
        seconds = function.timeout or self.timeout
        value: Any = None
        try:
            with anyio.move_on_after(seconds) as scope:
                if inspect.iscoroutinefunction(function.call):
                    value = await function.call(**prepared.arguments)
                else:
                    value = await anyio.to_thread.run_sync(
                        lambda: function.call(**prepared.arguments), abandon_on_cancel=True
                    )
        except FunctionError as error:
            return Outcome(str(error), failed=True)
        except Exception as error:  # noqa: BLE001  an outside tool may raise anything; the model is told
            return Outcome(f"{function.name} failed: {type(error).__name__}: {error}", failed=True)
        if scope.cancelled_caught:
            late = (
                f"{function.name} did not finish within {seconds:g} s; whether it had an effect is unknown."
            )
            return Outcome(late, failed=True)
        return value if isinstance(value, Outcome) else Outcome(as_text(value))

    def _find(self, name: str) -> Function:
        if function := self.functions.get(name):
            return function
        near = get_close_matches(name, self.functions, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise FunctionError(f"There is no function {name}.{hint} Functions: {', '.join(self.functions)}.")


def as_text(value: object) -> str:
    """A function's return value as the model reads it: text as it is, else JSON, None as ``Done.``"""
    if value is None:
        return "Done."
    if isinstance(value, str):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    return json.dumps(value, ensure_ascii=False, default=str)


def parse_arguments(name: str, raw: str) -> dict[str, Any]:
    """A call's raw arguments as an object; broken JSON is repaired if that gives one."""
    if not raw.strip():
        return {}
    try:
        value: object = json.loads(raw)
    except ValueError:
        value = repair_json(raw, return_objects=True)
    if isinstance(value, str):  # arguments encoded twice
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise FunctionError(f"The arguments of {name} are not a JSON object; call it again with one.")
    return cast(dict[str, Any], value)


def wants_heartbeat(raw: str) -> bool:
    """Whether a call asks for control back at once."""
    try:
        value = parse_arguments("", raw).get(HEARTBEAT, False)
    except FunctionError:
        return False
    return value is True or (isinstance(value, str) and value.lower() == "true")


def _explain(function: Function, error: ValidationError) -> str:
    faults: list[str] = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "missing":
            faults.append(f"{where} is missing")
        elif fault["type"] == "extra_forbidden":
            faults.append(f"there is no parameter {where}")
        else:
            faults.append(f"{where}: {fault['msg'][:1].lower()}{fault['msg'][1:]}")
    takes = ", ".join(
        str(info.alias) if info.is_required() else f"{info.alias}={info.default!r}"
        for info in function.arguments.model_fields.values()
    )
    return f"{'; '.join(faults)}. {function.name} takes ({takes}); call it again."
