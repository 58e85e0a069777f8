"""The tables, once, for every SQL back end. SQLAlchemy Core; no ORM, no engine, no queries.

Times are whole microseconds since 1970 in UTC: sortable, lossless. JSON is text. ``number`` and ``seq``
count per agent from 1 and are never used again; ``id`` counts over all agents in the order of arrival. What
only one back end has (a lexical index, a vector type of its own) is in that back end and its migrations.
"""

from pagefault.storage.schema import approvals, forgetting, index, media, queues, sharing, tenancy
from pagefault.storage.schema.columns import metadata
from pagefault.storage.schema.memory import agents, messages

__all__ = [
    "agents", "approvals", "forgetting", "index", "media", "messages", "metadata", "queues", "sharing",
    "tenancy",
]  # fmt: skip
