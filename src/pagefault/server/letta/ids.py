"""Ids of Letta's form (``agent-<uuid>``) for what has a number here, and back; nothing of it is stored.

The UUID, of version 4 by its form, holds three numbers: the owner's, the thing's in it, and a part of that.
An id that never was one of ours names nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal
from uuid import UUID

from pagefault.errors import NotFoundError
from pagefault.quoting import inline
from pagefault.types import AgentId

__all__ = ["IdKind", "LettaId", "letta_id", "read_id", "section_number"]

IdKind = Literal[
    "agent", "archive", "block", "file", "folder", "message", "passage", "run", "step", "tool"
]  # fmt: skip

_OWNER, _NUMBER, _PART = 60, 50, 12  # bits
_VERSION, _VARIANT = 0x4 << 76, 0x2 << 62


@dataclass(frozen=True, slots=True, order=True)
class LettaId:
    """The numbers in an id. ``owner``: of the agent, archive or shared section; ``number``: of the thing in
    it, 0 for the owner itself; ``part``: of one row that is several messages for Letta."""

    owner: AgentId
    number: int = 0
    part: int = 0


def letta_id(kind: IdKind, owner: int, number: int = 0, part: int = 0) -> str:
    """The id of a thing."""
    high, low = owner & ((1 << 48) - 1), owner >> 48
    value = high << 80 | _VERSION | low << 64 | _VARIANT | number << _PART | part
    return f"{kind}-{UUID(int=value)}"


def read_id(kind: IdKind, text: str) -> LettaId:
    """The numbers in an id; ``NotFoundError`` if it has another form."""
    prefix, _, rest = text.partition("-")
    try:
        value = UUID(rest).int if prefix == kind and len(rest) == 36 else 0
    except ValueError:
        value = 0
    if value & (0xF << 76) != _VERSION or value & (0x3 << 62) != _VARIANT:
        raise no_such(kind, text)
    low = value & ((1 << 62) - 1)
    owner = value >> 80 | ((value >> 64) & 0xFFF) << 48
    return LettaId(AgentId(owner), low >> _PART, low & ((1 << _PART) - 1))


def no_such(kind: IdKind, text: str) -> NotFoundError:
    """The error for an id that names nothing."""
    return NotFoundError(f"There is no {kind} {inline(text, 64)}; list what there is.")


def section_number(name: str) -> int:
    """The number that stands for the name of a section, or of a tool, in an id."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) >> (64 - _NUMBER)
