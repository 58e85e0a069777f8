"""The target of a name in settings: one model of one provider.

Left out: reading names (``catalogue``).
"""

from __future__ import annotations

from dataclasses import dataclass

from pagefault.models.directory.providers import Provider
from pagefault.models.endpoint import Endpoint

__all__ = ["Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """One model of one provider, and its endpoint."""

    name: str
    provider: Provider
    model: str
    endpoint: Endpoint
