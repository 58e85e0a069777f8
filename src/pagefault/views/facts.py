"""A fact as it was kept: the passage, and what was done with it. Left out: keeping it (``kernel.facts``)."""

from __future__ import annotations

from dataclasses import dataclass

from pagefault.config import zone_for
from pagefault.kernel import Kernel
from pagefault.kernel.facts import RememberedFact
from pagefault.shared import StorageOwner
from pagefault.views.hits import PassageView, passage_fields

__all__ = ["KeptPassage", "kept_passage"]


@dataclass(frozen=True, slots=True)
class KeptPassage(PassageView):
    """A passage as it was kept. ``is_new``: it was not there before; ``said``: a line that says what was
    done; ``replaced``: the ids of those whose place it takes."""

    is_new: bool = True
    said: str = ""
    replaced: tuple[str, ...] = ()


async def kept_passage(kernel: Kernel, name: StorageOwner, kept: RememberedFact) -> KeptPassage:
    """A view of a fact that ``kernel.facts.remember`` has kept."""
    zone = zone_for(await kernel.record(name))
    fields = passage_fields(kept.passage, zone)
    return KeptPassage(**fields, is_new=kept.is_new, said=kept.said, replaced=kept.replaced)
