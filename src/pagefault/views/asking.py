"""Arguments of the views as people write them: names, times, ids, roles, tags, pages.

Wrong ones raise ``UsageError``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar
from zoneinfo import ZoneInfo

from pagefault.config import zone_for
from pagefault.context import paging
from pagefault.errors import DamageError, FunctionError, UsageError
from pagefault.types import AgentRecord, Role
from pagefault.zones import zone_named

__all__ = ["number_of", "page_of", "roles_of", "tags_of", "zone_shown"]

T = TypeVar("T")

_KINDS = {"m": "a message (m12)", "p": "a passage (p7)", "t": "a timer (t3)", "d": "a document (d1)"}


def zone_shown(record: AgentRecord) -> ZoneInfo:
    """The time zone in which an agent's times are shown; UTC if its settings cannot be read."""
    try:
        return zone_for(record)
    except DamageError:
        return zone_named("UTC")


def number_of(id: str, letter: str) -> int:
    """The number in an id: 12 in ``m12``, where ``letter`` is ``m``."""
    if re.fullmatch(rf"{letter}\d{{1,15}}", id):
        return int(id[1:])
    raise UsageError(f"{id!r} is not the id of {_KINDS[letter]}.")


def roles_of(given: Sequence[str]) -> tuple[Role, ...]:
    """Roles by name, each item one or several with commas between them."""
    words = [word.strip() for item in given for word in item.split(",")]
    if wrong := [word for word in words if word not in list(Role)]:
        raise UsageError(f"{wrong[0]!r} is not a role; roles are {', '.join(Role)}.")
    return tuple(Role(word) for word in words)


def tags_of(given: Sequence[str]) -> tuple[str, ...]:
    """Tags without ``#``, each once: as the agent's own functions store them."""
    return tuple(dict.fromkeys(tag.strip("# ") for tag in given))


def page_of(items: Sequence[T], page: int, size: int) -> tuple[Sequence[T], int]:
    """The items of one page (from 1) and the number of pages; an empty list has one page."""
    try:
        return paging.page_of(items, page, size)
    except FunctionError as error:
        raise UsageError(str(error)) from None
