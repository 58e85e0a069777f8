"""Values of Letta's that have no other place here, in an agent's metadata under ``letta``: description,
metadata, the labels of blocks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pagefault.redaction import redacted_values

__all__ = ["kept_of", "kept_values", "label_of"]


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
