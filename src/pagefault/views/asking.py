"""Arguments of the views as people write them: names, times, ids, roles, tags, pages, sizes.

Wrong ones raise ``UsageError``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar
from zoneinfo import ZoneInfo

from pydantic import ByteSize, TypeAdapter

from pagefault.config import zone_for
from pagefault.context import paging
from pagefault.errors import DamageError, FunctionError, UsageError
from pagefault.quoting import inline
from pagefault.types import AgentRecord, Role
from pagefault.zones import zone_named

__all__ = ["bytes_of", "number_of", "page_of", "roles_of", "tags_of", "zone_shown"]

T = TypeVar("T")

_SIZE = re.compile(r"\d{1,15}(\.\d{1,15})? ?([kmgt]i?)?b?", re.ASCII | re.IGNORECASE)
_TO_BYTES = TypeAdapter(ByteSize)

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


def bytes_of(option: str, text: str) -> int:
    """The bytes of a size: ``100k`` is 100,000, ``1Mi`` or ``1MiB`` 1,048,576."""
    size = text.strip()
    if not _SIZE.fullmatch(size):
        raise UsageError(f"--{option} takes a size in bytes, such as 100k or 10M, not {inline(text, 64)}.")
    return int(_TO_BYTES.validate_python(size if size[-1:].lower() != "i" else f"{size}B"))


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
