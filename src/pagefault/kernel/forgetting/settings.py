"""The settings of a plan: texts that people wrote into an agent's settings, without what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from pagefault.kernel.forgetting.texts import texts_in
from pagefault.literal_query import LiteralQuery

__all__ = ["edited_settings", "stubborn_settings"]

_FREE = ("instructions", "metadata", "tags", "sections", "description")
"""The settings that are free text; others name models, tools, files or zones."""

_KEPT = frozenset({"name"})  # of a section, within ``sections``


def edited_settings(settings: Mapping[str, Any], query: LiteralQuery) -> dict[str, object] | None:
    """The settings without what has the query; None if they stay as they are."""
    edited = {
        name: _free(name, value, query) if query.is_in(*texts_in(value)) else value
        for name, value in settings.items()
    }
    return None if edited == dict(settings) else edited


def stubborn_settings(settings: Mapping[str, Any], query: LiteralQuery) -> Iterator[str]:
    """The names of settings that have the query and would not work without it."""
    for name, value in settings.items():
        if query.is_in(*texts_in(_free(name, value, query))):
            yield name


def _free(name: str, value: object, query: LiteralQuery) -> object:
    if name not in _FREE:
        return value
    return _without(value, query, _KEPT if name == "sections" else frozenset())


def _without(value: object, query: LiteralQuery, kept: frozenset[str]) -> object:
    """A JSON value without the lines that have the query, items and names of fields included."""
    if isinstance(value, str):
        return query.without(value)
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, object]", value).items()
        return {
            name: item if name in kept else _without(item, query, kept)
            for name, item in fields
            if name in kept or not query.is_in(name)
        }
    if isinstance(value, list | tuple):
        items = cast("list[object]", value)
        left = (item for item in items if not (isinstance(item, str) and query.is_in(item)))
        return [_without(item, query, kept) for item in left]
    return value
