"""Retention: once a day, what is older than an agent's rules say is forgotten, as if a person had asked.

A rule is of the agent's own rows: what it shares, and its forks, have rules of their own or none. An agent
that is held keeps everything. Events that were not served yet, the newest version of a section and the chunks
of documents are not old by themselves. Left out: what forgetting is (``kernel.forgetting``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio

from pagefault.config import settings_of
from pagefault.containment import barrier
from pagefault.errors import InTurnError, OpenTurnError, PagefaultError
from pagefault.keep_settings import KeptKind, kept_for
from pagefault.kernel import Kernel
from pagefault.kernel.forgetting import ForgetReceipt, Selection, forget
from pagefault.kernel.forgetting.asking import with_forgetting
from pagefault.redaction import logger_of
from pagefault.types import AgentId, AgentRecord

__all__ = ["Keeper", "keep_to_rules", "with_retention"]

logger = logger_of(__name__)

_FIRST = 60.0  # seconds until the first look
_LOOK = 900.0  # seconds from one look at all agents to the next
_DAILY = timedelta(days=1)
_BY = "retention"


async def keep_to_rules(kernel: Kernel, name: str) -> tuple[ForgetReceipt, ...]:
    """Forget what the rules of the agent do not let it keep; the receipts of what went. Raises as ``forget``,
    but not for an agent that is held: of that nothing goes."""
    record = await kernel.record(name)
    receipts = list[ForgetReceipt]()
    for until, kinds in _cutoffs(record, kernel.clock.now()).items() if not record.hold else ():
        receipt = await forget(kernel, name, Selection(until=until, kinds=frozenset(kinds)), by=_BY)
        receipts += [receipt] if receipt.total else []
    return tuple(receipts)


def _cutoffs(record: AgentRecord, now: datetime) -> Mapping[datetime, Sequence[KeptKind]]:
    """The kinds of the agent's rules by the time before which they are not kept."""
    found: dict[datetime, list[KeptKind]] = {}
    for kind, age in settings_of(record).keep.items():
        found.setdefault(now - kept_for(age), []).append(kind)
    return found


@dataclass(slots=True)
class Keeper:
    """Keeps all agents of a kernel to their rules, each once a day. One that is in a turn is looked at again
    at the next look; a failure is of that agent alone."""

    kernel: Kernel
    _done: dict[AgentId, datetime] = field(default_factory=dict[AgentId, datetime])

    async def run(self) -> None:
        """Look until cancelled, first when what waited at the start has had its turns."""
        await anyio.sleep(_FIRST)
        while True:
            try:
                with barrier():
                    await self.settled()
            except PagefaultError as error:
                logger.warning("retention waits: %s", error)
            await anyio.sleep(_LOOK)

    async def settled(self) -> int:
        """Look at all agents once; return how many had something that went."""
        records = await self.kernel.scheduler.store.read(lambda tx: tx.agents())
        now, changed = self.kernel.clock.now(), 0
        for record in records:
            last = self._done.get(record.id)
            if record.settings.get("keep") and not record.hold and (last is None or now - last >= _DAILY):
                changed += await self._kept(record, now)
        return changed

    async def _kept(self, record: AgentRecord, now: datetime) -> bool:
        try:
            with barrier():
                receipts = await keep_to_rules(self.kernel.within(record.tenant, _BY), record.name)
        except (InTurnError, OpenTurnError):
            return False
        except PagefaultError as error:
            logger.warning("agent %s is not kept to its rules: %s", record.id, error)
            receipts = ()
        self._done[record.id] = now
        return bool(receipts)


def with_retention(kernel: Kernel) -> Kernel:
    """The kernel, which forgets while it is entered: what agents ask for, and what rules do not let them
    keep."""
    kernel.keepers.append(Keeper(kernel))
    return with_forgetting(kernel)
