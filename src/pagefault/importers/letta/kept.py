"""Values of Letta's that have no other place here, in an agent's metadata under ``letta``: description,
metadata, the labels of blocks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pagefault.redaction import redacted

__all__ = ["kept_of", "kept_values", "label_of", "redacted_values"]

_MARK = "[redacted]"
_PROBE = "x9"  # a value that has the form of no secret


def kept_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a file that are kept: those that are not empty, without what looks like a secret."""
    return {name: redacted_values(value) for name, value in given.items() if value}


def kept_of(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are kept in an agent's metadata."""
    kept = metadata.get("letta")
    return dict(cast("Mapping[str, Any]", kept)) if isinstance(kept, dict) else {}


def label_of(metadata: Mapping[str, Any], section: str) -> str:
    """The label of the block that a section was made of; else its name."""
    labels = kept_of(metadata).get("labels")
    label = cast("Mapping[str, Any]", labels).get(section) if isinstance(labels, dict) else None
    return label if isinstance(label, str) and label else section


def redacted_values(value: Any) -> Any:
    """A JSON value without what looks like a secret: by its form, or by the name of its field."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        items = cast("Mapping[str, Any]", value).items()
        return {
            redacted(name): _MARK if _is_secret(name, each) else redacted_values(each) for name, each in items
        }
    return [redacted_values(each) for each in cast("list[Any]", value)] if isinstance(value, list) else value


def _is_secret(name: str, value: object) -> bool:
    """Return whether a field has the name of a secret, and something in it."""
    is_empty = value is None or isinstance(value, bool) or (isinstance(value, str) and not value.strip())
    return not is_empty and redacted(f'{name}="{_PROBE}"') != f'{name}="{_PROBE}"'
