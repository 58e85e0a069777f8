"""The tables of an agent as they are handed over, and which columns are not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "AGENT",
    "APPROVALS",
    "DELIVERIES",
    "DERIVED",
    "GRANTS",
    "MEDIA",
    "OUTBOX",
    "OWNED",
    "Row",
    "TransferTable",
    "Value",
]

Value = int | float | str | bytes | bool | None
Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class TransferTable:
    """A table as it is handed over: columns and what their values are (or None), without the agent's id.
    ``order``: the column by which rows are handed over, where their order is kept by nothing else; ``batch``:
    the rows that may be in memory at a time."""

    name: str
    columns: Mapping[str, type[int | float | str | bytes]]
    order: str = ""
    batch: int = 200

    def column(self, name: str) -> int:
        """Where in a row the column stands."""
        return list(self.columns).index(name)


AGENT = TransferTable(
    "agents",
    {
        "tenant": str, "created": int, "last_seq": int, "last_passage": int, "last_event": int,
        "last_schedule": int, "last_document": int, "last_outgoing": int, "recall_changes": int,
        "recall_rebuilds": int, "archival_changes": int, "archival_rebuilds": int, "start": int,
        "summary": int, "pinned": int, "head": str, "warned": bool, "ratio": float, "settings": str,
        "hold": str,
    },
)  # fmt: skip
"""The agent's own row, without its name, which may be another where it is restored."""

OUTBOX = TransferTable(
    "outbox", {"number": int, "target": str, "kind": str, "payload": str, "at": int}, order="number"
)
"""The effects of an agent that are on their way to what it shares."""

DELIVERIES = TransferTable("deliveries", {"target": str, "number": int})
"""The last effect that an agent was given of each section that it shares, which has another id elsewhere."""

APPROVALS = TransferTable(
    "approvals",
    {"number": int, "event": int, "name": str, "arguments": str, "asked": int, "expires": int}
    | {"decision": str, "note": str, "changed": str, "decided": int, "person": str},
)
"""The calls of an open turn that a person decides on."""

GRANTS = TransferTable("grants", {"name": str, "at": int, "person": str})
"""The functions that an agent may call without being asked."""

MEDIA = TransferTable(
    "media",
    {"hash": str, "media_type": str, "size": int, "width": int, "height": int, "data": bytes},
    batch=1,
)
"""The bytes that rows of the log and of the inbox refer to."""

OWNED = (
    TransferTable(
        "messages",
        {"seq": int, "role": str, "at": int, "event": int, "completion": int, "tokens": int, "embed": bool}
        | {"call_id": str, "name": str, "speaker": str, "meta": str, "usage": str, "text": str, "shown": str}
        | {"withdrawn": int, "erased": bool},
        order="seq",
    ),
    TransferTable("speakers", {"name": str}),
    # One by one: Citus takes the next number of a sequence once for all rows of a statement.
    TransferTable("sections", {"name": str, "version": int}, order="id", batch=1),
    TransferTable(
        "section_versions",
        {"name": str, "version": int, "at": int, "description": str, "token_limit": int, "text": str}
        | {"read_only": bool, "born": int},
    ),
    TransferTable(
        "passages",
        {"number": int, "at": int, "embed": bool, "tags": str, "source": str, "title": str, "document": int}
        | {"page": int, "section": str, "start": int, "stop": int, "text": str, "born": int, "event": int}
        | {"withdrawn": int, "valid_from": int, "valid_until": int, "superseded": int, "ended": int}
        | {"marked": int, "found": int, "same": int, "about": int},
        order="number",
    ),
    TransferTable("passage_tags", {"number": int, "tag": str}),
    TransferTable("deletions", {"change": int, "number": int}),
    TransferTable("recall_deletions", {"change": int, "number": int}),
    TransferTable("tombstones", {"number": int, "at": int, "person": str, "counts": str}),
    TransferTable(
        "documents",
        {"number": int, "source": str, "title": str, "media": str, "digest": str, "at": int, "pages": int}
        | {"tags": str},
    ),
    TransferTable("document_pages", {"document": int, "page": int, "heading": str, "text": str}),
    TransferTable(
        "inbox",
        {"number": int, "kind": str, "text": str, "key": str, "sender": str, "at": int, "state": str}
        | {"started": int, "rank": int, "attempts": int, "media": str},
    ),
    TransferTable(
        "schedules",
        {"number": int, "due": int, "cron": str, "zone": str, "catch_up": str, "note": str, "event": int}
        | {"withdrawn": int},
    ),
    APPROVALS,
    GRANTS,
    MEDIA,
    TransferTable("attachments", {"target": str, "read_only": bool, "at": int}),
    OUTBOX,
    DELIVERIES,
    TransferTable(
        "vectors",
        {
            "tier": str,
            "fingerprint": str,
            "number": int,
            "part": int,
            "text_hash": bytes,
            "vector": bytes,  # 16-bit floats, little endian
        },
    ),
)
"""The tables of an agent, in the order in which they are restored."""

DERIVED = {
    "agents": {
        "id", "name", "parked", "recall_rows", "recall_units", "archival_rows", "archival_units",
        "lease_fence", "ready", "undecided", "holder", "unembedded", "last_segment", "attachment_changes",
    },
    "messages": {"id", "units"},
    "passages": {"id", "units"},
    "sections": {"id"},
    "inbox": {"parked", "hops", "trace"},
    "deliveries": {"sender"},
    "outbox": {"parked"},
    "schedules": {"parked", "hops"},
}  # fmt: skip
"""Columns that are not handed over: made anew where rows are restored, or another there."""
