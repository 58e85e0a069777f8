"""A forgetting as people ask for it: a text, ids, a speaker, times in words; planned alone, or done."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

from pagefault.clock import When, time_of
from pagefault.config import zone_for
from pagefault.kernel import Kernel
from pagefault.kernel.forgetting import ForgetReceipt, LiteralQuery, Selection, forget, plan
from pagefault.shared import Outgoing
from pagefault.storage.withdrawing import Tombstone
from pagefault.types import AgentRecord

__all__ = ["ask_to_forget", "tombstones", "with_forgetting"]


async def ask_to_forget(
    kernel: Kernel, name: str, query: str = "", *, ids: Sequence[str] = (), speaker: str = "",
    since: When = None, until: When = None, dry_run: bool = False, by: str = "",
) -> ForgetReceipt:  # fmt: skip
    """Forget what meets all that is given, as ``forget`` does; ``dry_run``: change nothing, and list in
    ``places`` all that would be changed. Times are the agent's; ``until`` is exclusive, except that a date
    without a time is included."""
    zone, now = zone_for(await kernel.record(name)), kernel.clock.now()
    selection = Selection(
        tuple(ids),
        LiteralQuery(query) if query else None,
        speaker,
        time_of(since, now, zone),
        time_of(until, now, zone, end=True),
    )
    if not dry_run:
        return await forget(kernel, name, selection, by=by)
    found = await plan(kernel, name, selection)
    owners = tuple(dict.fromkeys(place.owner for place in found.places))
    return ForgetReceipt(name, now, by, found.counts, owners, found.kept, found.places)


async def tombstones(kernel: Kernel, name: str) -> tuple[Tombstone, ...]:
    """The forgettings of an agent so far: when, at whose word and how many, the oldest first."""
    agent = (await kernel.record(name)).id
    return tuple(await kernel.store.read(lambda tx: tx.tombstones(agent)))


def with_forgetting(kernel: Kernel) -> Kernel:
    """The kernel, which does what agents ask for by their function ``forget``."""

    async def done(agent: AgentRecord, asked: Outgoing) -> None:
        await _forget_asked(kernel.within(agent.tenant, f"agent {agent.name}"), agent, asked)

    kernel.deliverer.asked.forget = done
    return kernel


async def _forget_asked(kernel: Kernel, agent: AgentRecord, asked: Outgoing) -> None:
    """Do it; ``InTurnError`` while a turn of the agent is open. What it has sent goes with the rest."""
    payload: object = json.loads(asked.payload)
    text = cast("dict[str, object]", payload).get("text") if isinstance(payload, dict) else None
    name = (await kernel.store.read(lambda tx: tx.agent_by_id(agent.id)) or agent).name
    await forget(kernel, name, Selection(query=LiteralQuery(text if isinstance(text, str) else "")))
    await kernel.store.write(lambda tx: tx.remove_outgoing(agent.id, asked.number))
