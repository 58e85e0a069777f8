"""The main context in a few words, for the log: which rows a queue has, and digests of what stands before it.

Left out: finding it again (``views.seen``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2s

from pagefault.models import FunctionSchema
from pagefault.types import Message, Role

__all__ = ["fixed_digest", "head_digest", "queue_rows"]


@lru_cache(maxsize=256)
def head_digest(head: str) -> str:
    """The digest of a rendered working context, 12 hexadecimal digits."""
    return blake2s(head.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def fixed_digest(instructions: str, functions: Sequence[FunctionSchema]) -> str:
    """The digest of what never changes in a prompt: system instructions and function schemas."""
    schemas = [[each.name, each.description, each.parameters] for each in functions]
    return head_digest(json.dumps([instructions, schemas]))


def queue_rows(rows: Sequence[Message]) -> tuple[Message, ...]:
    """The rows that the queue has of a part of the log: summaries stand before it, and what was prefetched
    is gone once a summary, or a row that says so, follows."""
    ends = (row for row in rows if row.role is Role.SUMMARY or (row.role is Role.PREFETCH and not row.shown))
    dropped = max((row.seq for row in ends), default=0)
    return tuple(
        row
        for row in rows
        if row.role is not Role.SUMMARY and (row.role is not Role.PREFETCH or row.seq > dropped)
    )
