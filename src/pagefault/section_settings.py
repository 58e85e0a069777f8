"""The settings of a section of the working context, and values that are only kept with settings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from pagefault.types import Section

__all__ = ["Metadata", "SectionSettings"]

_LONGEST = 16_384  # characters
_DEEPEST = 50


class SectionSettings(BaseModel):
    """A section of the working context as declared. ``limit`` is in tokens or, below 1, a share of the
    window; ``text`` is the text that it starts with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")
    description: str = ""
    limit: int | float = Field(default=200, gt=0, lt=2**31)
    text: str = ""
    read_only: bool = False

    @field_validator("limit")
    @classmethod
    def _tokens_or_share(cls, limit: float) -> float:
        if limit >= 1 and (limit < 16 or limit != int(limit)):
            raise ValueError("a limit is 16 or more whole tokens, or a share of the window below 1")
        return int(limit) if limit >= 1 else limit

    def section(self, window: int) -> Section:
        """The section in a window of so many tokens."""
        limit = int(self.limit) if self.limit >= 1 else max(16, round(self.limit * window))
        return Section(self.name, self.description, limit, self.text, self.read_only)


def _small_json(values: dict[str, Any]) -> dict[str, Any]:
    """The values, if they are JSON and short enough to be kept with the settings."""
    try:
        text = json.dumps(values, ensure_ascii=False, allow_nan=False)
        text.encode()  # halves of surrogate pairs
    except (TypeError, ValueError, RecursionError):
        raise ValueError("its values are no JSON values") from None
    if len(text) > _LONGEST:
        raise ValueError(f"it has {len(text):,} characters as JSON, and {_LONGEST:,} is the most")
    if _is_deeper(values, _DEEPEST):
        raise ValueError(f"it has more than {_DEEPEST} levels of values in one another")
    return values


def _is_deeper(value: Any, levels: int) -> bool:
    within = cast("Iterable[Any]", value.values() if isinstance(value, dict) else value)
    is_nested = isinstance(value, dict | list)
    return is_nested and (not levels or any(_is_deeper(each, levels - 1) for each in within))


Metadata = Annotated[dict[str, Any], AfterValidator(_small_json)]
"""Values of a program's own: JSON, at most 16,384 characters and 50 levels of it."""
