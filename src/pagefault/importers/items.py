"""The items that an importer yields: who is imported, what was said, known and kept, and what is left out.

Frozen values; every text in them is foreign. They come in the order in which they are to be stored: an agent
before what it has, its sections before its messages. Timers, tools and secrets have no item: what a file has
of these is an ``Omission``, by name alone. Left out: writing them (``runner``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pagefault.types import Style

__all__ = [
    "BadRecord",
    "ImportItem",
    "ImportedAgent",
    "ImportedDocument",
    "ImportedMessage",
    "ImportedPassage",
    "ImportedRole",
    "ImportedSection",
    "Omission",
    "Remark",
]

ImportedRole = Literal["user", "assistant", "other", "event", "thought", "call", "result"]
"""The person of the agent; the agent; somebody by name, who may be the person (``--me``);
something that nobody said, as a login; what the agent thought, what it called (``name`` is the function), and
what that returned."""


@dataclass(frozen=True, slots=True)
class ImportedAgent:
    """An agent begins; the items behind it are its own. ``model`` with its ``window`` in tokens,
    ``instructions`` and ``tags``, which keys may be for, are suggestions, taken only if they are trusted.
    ``zone``: an IANA time zone; ``style``: how it speaks; ``kept``: values that are kept in its metadata,
    under the kind. A file without one is imported into the agent that the caller names."""

    name: str
    model: str = ""
    instructions: str = ""
    zone: str = ""
    style: Style | None = None
    window: int | None = None
    tags: tuple[str, ...] = ()
    kept: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class ImportedSection:
    """A section of the working context. ``name``: any text, of which a name is made; ``limit`` in tokens,
    None: as the text needs."""

    name: str
    text: str
    description: str = ""
    limit: int | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ImportedMessage:
    """A message of a conversation.

    ``at``: when, in the zone of the options if it names none; None: not known, it gets the time of the
    message before it. ``session``: names the conversation, the same each time it is read. ``id``: names the
    message within it, if the format has one: one of an id that is known is the same. Without an id, one is
    the same if it has the same ``place``, speaker and text; no place: its time is one. ``name``: of the
    function that was called.
    """

    text: str
    role: ImportedRole = "other"
    speaker: str = ""
    at: datetime | None = None
    session: str = ""
    id: str | None = None
    place: str | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class ImportedPassage:
    """A text for archival storage; ``id`` and ``place`` as of a message, within the whole file.
    ``valid_until``: when it ceases to hold."""

    text: str
    at: datetime | None = None
    tags: tuple[str, ...] = ()
    title: str = ""
    id: str | None = None
    place: str | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class ImportedDocument:
    """A document with its bytes. ``source`` names it, the same each time; ``file``: a file's name, for its
    kind; ``at``: when it was sent, None if that is not known."""

    source: str
    data: bytes
    title: str = ""
    file: str = ""
    tags: tuple[str, ...] = ()
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Omission:
    """Something that is not imported, by its kind (``tool``, ``secret``, ``branch``, ``attachment`` ...) and,
    where that says no secret, its name; ``count``: how many of them."""

    kind: str
    name: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence for the person who imports: how something was read that could be read otherwise."""

    text: str


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record that cannot be read. ``where``: ``line 12``, ``message 3 of chat 7``; ``why``: a sentence."""

    where: str
    why: str


ImportItem = (
    ImportedAgent
    | ImportedSection
    | ImportedMessage
    | ImportedPassage
    | ImportedDocument
    | Omission
    | Remark
    | BadRecord
)
