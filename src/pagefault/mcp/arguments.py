"""The arguments of the tools, which come from outside: the schemas that clients read, and their check.

The docstring of each is the description of its tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pagefault.errors import UsageError
from pagefault.quoting import in_texts, inline, whole

__all__ = ["ToolArguments", "checked_arguments", "schema_of"]

LONGEST_TEXT = 100_000  # characters; longer ones are documents
_LONGEST_QUERY = 2_000
_LONGEST_KEY = 200

Query = Annotated[str, Field(min_length=1, max_length=_LONGEST_QUERY, description="Words or a question.")]
Cursor = Annotated[
    str | None, Field(max_length=64, description="The cursor of the page before; none for the first.")
]
MemoryId = Annotated[str, Field(min_length=1, max_length=100, description="As results show it, e.g. p7.")]
MemoryText = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
RetryKey = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=_LONGEST_KEY,
        pattern=r"^[\x21-\x7e]+$",
        description="Any word of yours; a call that is repeated with it is done once.",
    ),
]


class ToolArguments(BaseModel):
    """The arguments of a tool; ones it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


ArgumentsT = TypeVar("ArgumentsT", bound=ToolArguments)


def checked_arguments(tool: str, kind: type[ArgumentsT], given: Mapping[str, Any] | None) -> ArgumentsT:
    """The arguments of a call as values; ``UsageError`` says what is wrong with the first wrong one."""
    try:
        return kind.model_validate(in_texts(whole, dict(given or {})))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = inline(".".join(map(str, first["loc"])), 64) or "the arguments"
        known = ", ".join(kind.model_fields) or "no arguments"
        raise UsageError(f"{tool}: {place}: {inline(first['msg'], 160)}; it takes {known}.") from None
    except RecursionError:
        raise UsageError(f"{tool}: the arguments are nested too deeply; flatten them.") from None


def schema_of(kind: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a model, without the titles that repeat its names."""
    schema = kind.model_json_schema()
    schema.pop("description", None)
    return cast("dict[str, Any]", _untitled(schema))


def _untitled(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value).items()
        return {name: _untitled(it) for name, it in fields if name != "title" or not isinstance(it, str)}
    return [_untitled(it) for it in cast("list[Any]", value)] if isinstance(value, list) else value
