"""The check of what agents share: each is attached to what is there, and its outbox is counted."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import cast

from pagefault.storage.row_transfer import AGENT, OUTBOX, OWNED, TransferRows
from pagefault.tenancy import AgentKey
from pagefault.transfer.values import called, text_faults
from pagefault.types import AgentId

__all__ = ["sharing_faults"]

_TABLES = {table.name: table for table in OWNED}
_ATTACHMENTS, _SECTIONS = _TABLES["attachments"], _TABLES["sections"]


def sharing_faults(
    rows: TransferRows, key: AgentKey, agent: AgentId, there: Collection[AgentKey]
) -> Iterator[str]:
    """Yield a sentence for each fault; ``there``: all that the database has."""
    yield from text_faults(key.name, rows.count(agent, _SECTIONS))
    place = _ATTACHMENTS.column("target")
    for batch in rows.rows(agent, _ATTACHMENTS):
        for row in batch:
            if (
                AgentKey(str(row[place]), key.tenant) not in there
            ):  # an archive that is made later would be open to it
                yield f"It is attached to the {called(str(row[place]))}, which is not there; detach it."
    counted = cast("int", rows.agent(agent)[AGENT.column("last_outgoing")])
    number = OUTBOX.column("number")
    if any(cast("int", row[number]) > counted for batch in rows.rows(agent, OUTBOX) for row in batch):
        yield f"Its outbox goes beyond number {counted}, the last one counted."
    for sender in rows.ahead(agent):
        yield f"More is noted as applied to it than {sender} has sent, so that further changes would be lost."
