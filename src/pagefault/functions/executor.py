"""The executor: checks and runs the calls of one agent's functions.

Whatever goes wrong with a call becomes text for the model: what is wrong and what to do. Left out: committing
results, which is the agent's business.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache, lru_cache, partial
from types import MethodType
from typing import Any, cast

from pagefault.containment import Fault, barrier, contained, in_thread, sentence_of
from pagefault.errors import FunctionError, PagefaultError, UsageError
from pagefault.functions import Function, Outcome, Prepared, arguments
from pagefault.functions.arguments import HEARTBEAT
from pagefault.functions.describing import describe
from pagefault.functions.finding import found_functions
from pagefault.functions.rendering import collected, outcome_of
from pagefault.functions.tool_context import ToolContext
from pagefault.models import FunctionSchema, plain_name
from pagefault.types import Style

__all__ = ["FunctionExecutor"]

_TEXT_ONLY = (
    "{name} acts outside and was not run: its call was written as text, which may be a quotation. Tell the "
    "user; the setting text_tools lets such calls run."
)
_NAMED = 2_000  # characters of names that stand in the prompt
_CLOSE = 0.85  # how alike a name must be to the only one that is, for a call to run


MakeContext = Callable[[Function], ToolContext[Any]]


@lru_cache(maxsize=1024)
def _with_heartbeat(schema: FunctionSchema) -> FunctionSchema:
    properties = {**schema.parameters.get("properties", {}), HEARTBEAT: {"type": "boolean"}}
    return replace(schema, parameters={**schema.parameters, "properties": properties})


@dataclass(frozen=True, slots=True)
class FunctionExecutor:
    """The functions of one agent. ``listed`` ones have no schema in the prompt: their names stand in
    ``describe_function`` and they are run by ``call_function`` (for agents with many tools). ``schemas`` is
    what the prompt offers, in order of registration. ``text_tools``: a call written as text, which may be a
    quotation, runs a tool too."""

    functions: Mapping[str, Function]
    style: Style = "memgpt"
    timeout: float = 60.0
    listed: frozenset[str] = field(default_factory=frozenset[str])
    text_tools: bool = False
    context: MakeContext = field(default=lambda _: ToolContext())
    schemas: tuple[FunctionSchema, ...] = field(init=False)

    def __post_init__(self) -> None:
        offered = [f for f in self.functions.values() if f.name not in self.listed]
        schemas = (_with_heartbeat(f.schema) if self._may_yield(f) else f.schema for f in offered)
        object.__setattr__(self, "schemas", tuple(schemas))

    @property
    def reads(self) -> frozenset[str]:
        """Return the names of the functions that only read."""
        return frozenset(name for name, each in self.functions.items() if each.kind == "query")

    def _may_yield(self, function: Function) -> bool:
        """Return whether a call may end the turn. A query may not: who asks wants to read the answer."""
        return self.style == "memgpt" and function.kind != "query"

    @staticmethod
    def of(functions: Iterable[Function], style: Style, timeout: float) -> FunctionExecutor:
        """An executor with every schema in the prompt; ``UsageError`` for two functions of one name."""
        table: dict[str, Function] = {}
        for function in functions:
            if function.name in table:
                raise UsageError(f"There are two functions named {function.name}; rename one.")
            table[function.name] = function
        return FunctionExecutor(table, style, timeout)

    def bound(self, context: MakeContext, *owners: object) -> FunctionExecutor:
        """The same functions, methods bound to the instance of their class among ``owners``; ``context``
        makes the context of a call."""
        instances = {type(owner): owner for owner in owners}
        table = {
            name: replace(f, call=MethodType(f.call, instances[f.owner]), owner=None) if f.owner else f
            for name, f in self.functions.items()
        }
        return replace(self, functions=table, context=context)

    def with_listed(self, names: frozenset[str]) -> FunctionExecutor:
        """The same functions with those of ``names`` reached by ``call_function`` only. Where the names
        themselves would take much, they are found by words."""

        def parameters_of(name: str) -> str:
            return json.dumps(self._find(name)[0].schema.parameters, ensure_ascii=False)

        if not names:
            return self
        lookup, finder, unwrapped = _listing_functions()
        about, listed = ", ".join(sorted(names)), [f for f in self.functions.values() if f.name in names]
        if len(about) > _NAMED:
            about = f"Find some of {len(names):,} further functions, with their parameters, by words."
            call = partial(found_functions, functions=listed)
            lookup = replace(finder, schema=replace(finder.schema, description=about), call=call)
        else:
            about = f"The parameters of a further function: {about}."
            lookup = replace(lookup, schema=replace(lookup.schema, description=about), call=parameters_of)
        about = f"Call a further function; see {lookup.name}."
        unwrapped = replace(unwrapped, schema=replace(unwrapped.schema, description=about))
        extra = (lookup, unwrapped)
        return replace(self, functions={**self.functions, **{f.name: f for f in extra}}, listed=names)

    def prepare(self, name: str, raw: str, *, from_text: bool = False) -> Prepared:
        """Find the function, then parse, repair and validate the arguments; ``FunctionError`` if not, or if
        the call is ``from_text`` and such a call may not run the function."""
        function, notes = self._find(name)
        if from_text and function.kind == "tool" and not self.text_tools:
            raise FunctionError(_TEXT_ONLY.format(name=function.name))
        values, repaired = arguments.read(function.name, raw, function.arguments)
        values.pop(HEARTBEAT, None)
        if self.listed and function.name == "call_function" and isinstance(values.get("arguments"), dict):
            inner = json.dumps(values["arguments"])
            return self.prepare(str(values.get("name")), inner, from_text=from_text)
        try:
            with barrier():  # types of a tool's parameters may bring validators of their own
                valid, adapted = arguments.validate(function.name, values, function.arguments)
        except Fault as fault:
            raise FunctionError(f"The arguments of {function.name} could not be read: {fault}") from fault
        return Prepared(function, valid, values, (*notes, *repaired, *adapted))

    async def run(self, prepared: Prepared) -> Outcome:
        """Run a query or a tool within its time; every failure is an outcome."""
        function = prepared.function
        seconds = function.timeout or self.timeout
        try:
            outcome = await contained(function.name, _call(prepared, self.context(function)), seconds)
        except FunctionError as error:
            return Outcome(str(error), failed=True)
        except PagefaultError as error:
            why = str(error) if isinstance(error, Fault) else sentence_of(error)
            return Outcome(f"{function.name} failed: {why}", failed=True)
        except TimeoutError:
            late = (
                f"{function.name} did not finish within {seconds:g} s; whether it had an effect is unknown."
            )
            return Outcome(late, failed=True)
        return replace(outcome, heartbeat=function.kind == "query")

    def _find(self, name: str) -> tuple[Function, tuple[str, ...]]:
        """The function of this name, or the only one that can be meant, and then a note that says so."""
        if function := self.functions.get(name):
            return function, ()
        plain = plain_name(name)
        meant = [f for f in self.functions.values() if plain_name(f.name) == plain]
        if not meant:  # a slip of the pen; never for what acts outside
            inner = {plain_name(f.name): f for f in self.functions.values() if f.kind != "tool"}
            meant = [inner[near] for near in get_close_matches(plain, inner, n=2, cutoff=_CLOSE)]
        if len(meant) == 1:
            return meant[0], (f"(There is no {name}; this is {meant[0].name}.)",)
        near = get_close_matches(plain, self.functions, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        names = [each for each in self.functions if each not in self.listed]
        if self.listed and len(", ".join(self.listed)) <= _NAMED:
            names = list(self.functions)
        raise FunctionError(f"There is no function {name}.{hint} Functions: {', '.join(names)}.")


async def _call(prepared: Prepared, context: ToolContext[Any]) -> Outcome:
    with context.running_call.running():
        return await _called(prepared, context)


async def _called(prepared: Prepared, context: ToolContext[Any]) -> Outcome:
    """Call the function, in a thread unless it is asynchronous; its value is made text in one, too."""
    function = prepared.function
    named = {**prepared.arguments, **dict.fromkeys(function.contexts, context)}
    call = partial(function.call, *(named.pop(name) for name in function.positional), **named)
    is_async = inspect.iscoroutinefunction(function.call)
    value = await call() if is_async else await in_thread(lambda: _rendered(call()))
    if isinstance(value, Awaitable):
        value = await cast("Awaitable[object]", value)
    if isinstance(value, AsyncIterator):
        value = await collected(cast("AsyncIterator[object]", value))
    is_plain = value is None or isinstance(value, str | Outcome)
    return outcome_of(value) if is_plain else await in_thread(outcome_of, value)


def _rendered(value: object) -> object:
    """The outcome of a value that is there already; the value if it must be awaited."""
    must_wait = isinstance(value, Awaitable | AsyncIterator)
    return cast("object", value) if must_wait else outcome_of(value)


@cache
def _listing_functions() -> tuple[Function, Function, Function]:
    """The functions by which listed ones are reached, described once a process; ``with_listed`` gives one of
    the first two its call and its description, ``prepare`` unwraps calls of the third."""

    def describe_function(name: str) -> str:
        raise NotImplementedError(name)

    def find_functions(words: str) -> str:
        raise NotImplementedError(words)

    def call_function(name: str, arguments: dict[str, Any]) -> str:
        """Call a further function; see describe_function."""
        raise FunctionError(f"{name} cannot be called with {arguments!r}.")

    whole = describe(call_function, "query")
    return describe(describe_function, "query"), describe(find_functions, "query"), whole
