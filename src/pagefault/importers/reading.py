"""Whole files of a source as text and JSON, within a bound. Left out: files of any size (``json_items``)."""

from __future__ import annotations

from typing import Any, cast

from pagefault.errors import UsageError
from pagefault.importers.sources import Source
from pagefault.models.json_text import read_json

__all__ = ["fields", "items_in", "json_object", "objects", "whole_bytes", "whole_text"]

_LARGEST = 256 << 20  # bytes of a file that is read as a whole; as values it takes several times as much


def whole_bytes(source: Source, name: str, largest: int = _LARGEST) -> bytes:
    """The bytes of a file; ``UsageError`` if it has more than so many."""
    with source.open(name) as file:
        data = file.read(largest + 1)
    if len(data) > largest:
        raise UsageError(f"{name} has more than {largest >> 20} MB, and is read as a whole; split it.")
    return data


def whole_text(source: Source, name: str) -> str:
    """The text of a file of UTF-8, with replacements for what is none."""
    return whole_bytes(source, name).decode("utf-8-sig", "replace")


def json_object(source: Source, name: str) -> dict[str, Any]:
    """The object of a JSON file; ``UsageError`` if it is none."""
    try:
        value = read_json(whole_text(source, name))
    except ValueError as error:
        raise UsageError(f"{name} is no whole JSON text ({str(error).splitlines()[0]}).") from None
    if not isinstance(value, dict):
        raise UsageError(f"{name} is no JSON object.")
    return cast("dict[str, Any]", value)


def fields(value: object) -> dict[str, Any]:
    """The fields of a JSON object; none of any other value."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def items_in(value: object) -> list[object]:
    """The items of a JSON list; none of any other value."""
    return cast("list[object]", value) if isinstance(value, list) else []


def objects(value: object) -> list[dict[str, Any]]:
    """The objects in a JSON list; none of any other value."""
    return [found for each in items_in(value) if (found := fields(each))]
