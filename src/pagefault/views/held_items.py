"""One thing that is held of a person, as a value. Left out: how such things are found (``held``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

__all__ = ["HeldItem", "HeldKind", "HeldWhy"]

HeldKind = Literal[
    "event", "message", "section", "passage", "document", "page", "timer", "approval", "grant", "outgoing",
    "setting",
]  # fmt: skip
"""The kinds of what is held."""

HeldWhy = Literal["sent", "answered", "attached", "decided", "names"]
"""The ways in which a thing is a person's."""


@dataclass(frozen=True, slots=True)
class HeldItem:
    """One thing that is held of a person.

    ``why``: they ``sent`` or ``attached`` it, it was ``answered`` to them, they ``decided`` it, or it
    ``names`` them. ``owner``: the agent, or what agents share by its stored name (``archive:manuals``);
    ``id``: by which it is known there (``m12``, ``p7``, ``d1``, the name of a section ...). ``at``: in the
    agent's zone.
    ``text``: of a page or a row the whole, unless ``part``: the lines that name them. ``about`` has what else
    is stored with it.
    """

    kind: HeldKind
    why: HeldWhy
    owner: str
    id: str
    at: datetime | None
    text: str
    part: bool = False
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def line(self) -> dict[str, Any]:
        """The item as JSON values, without what is empty."""
        at = self.at and self.at.isoformat()
        values = {"kind": self.kind, "why": self.why, "owner": self.owner, "id": self.id, "at": at}
        values |= {"text": self.text, "part": self.part, **self.about}
        return {name: value for name, value in values.items() if value or name == "text"}
