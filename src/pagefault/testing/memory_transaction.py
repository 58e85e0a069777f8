"""The transaction of the in-memory store; every change is logged so that it can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Self

from pagefault.message_meta import meta_of, values_of
from pagefault.storage import Filter, Found, Match, RowUsage, UsageTotal
from pagefault.storage.rows import speakers_of
from pagefault.storage.terms import message_terms
from pagefault.storage.usage import add_up
from pagefault.testing.memory_agents import MemoryAgents
from pagefault.testing.memory_approvals import MemoryApprovals
from pagefault.testing.memory_erasing import MemoryErasing
from pagefault.testing.memory_forking import MemoryForking
from pagefault.testing.memory_outbox import MemoryOutbox
from pagefault.testing.memory_search import (
    SearchRow,
    document_of,
    find_rows,
    is_indexed,
    passes,
    session_numbers,
    title_of,
)
from pagefault.testing.memory_tables import turned_over
from pagefault.testing.memory_vectors import MemoryVectors
from pagefault.testing.memory_withdrawing import MemoryWithdrawing
from pagefault.types import (
    SEARCHED_BY_DEFAULT,
    AgentId,
    Message,
    Passage,
    QueueState,
    Role,
    Section,
    Tier,
)

__all__ = ["MemoryTransaction"]


class MemoryTransaction(
    MemoryForking, MemoryAgents, MemoryOutbox, MemoryWithdrawing, MemoryErasing, MemoryApprovals,
    MemoryVectors,
):  # fmt: skip
    """``pagefault.storage.Transaction`` on dictionaries."""

    def within(self, tenant: str, by: str = "") -> Self:
        bound = copy(self)
        bound.tenant, bound.by = tenant, by
        return bound

    def confined(self, tenant: str, by: str = "") -> Self:
        return self.within(tenant, by)

    # recall storage
    def append(
        self, agent: AgentId, rows: Sequence[Message], queue: QueueState | None = None
    ) -> list[Message]:
        owner = self._agent(agent)
        first = owner.record.last_seq + 1
        stored: list[Message] = []
        for seq, row in enumerate(rows, first):
            completion = first if row.completion == 0 else row.completion
            message = replace(
                row, seq=seq, completion=completion, meta=meta_of(turned_over(values_of(row.meta)))
            )
            self._changes.put(owner.messages, seq, message)
            self._index(owner, "recall", seq, message_terms(row.text, row.meta))
            stored.append(message)
        self._set_record(agent, last_seq=first + len(rows) - 1)
        if queue:
            self.save_queue(agent, queue)
        return stored

    def speakers(self, agent: AgentId) -> list[str]:
        owner = self._database.agents.get(agent)
        return speakers_of(owner.messages.values()) if owner else []

    def message(self, agent: AgentId, seq: int) -> Message | None:
        owner = self._database.agents.get(agent)
        return owner.messages.get(seq) if owner else None

    def messages(
        self,
        agent: AgentId,
        *,
        first: int = 1,
        last: int | None = None,
        roles: Sequence[Role] | None = None,
        event: int | None = None,
        newest: int | None = None,
        appended: bool = True,
        withdrawn: bool = False,
    ) -> list[Message]:
        owner = self._database.agents.get(agent)
        if owner is None:
            return []
        end = owner.record.last_seq if last is None else min(last, owner.record.last_seq)
        found = [
            message
            for message in map(owner.messages.__getitem__, range(max(first, 1), end + 1))
            if (roles is None or message.role in roles)
            and (event is None or message.event == event)
            and (appended or not message.is_appended)
            and (withdrawn or message.withdrawn is None)
        ]
        return found if newest is None else found[max(len(found) - newest, 0) :]

    def completion_row(self, agent: AgentId, seq: int, *, behind: bool = False) -> Message | None:
        rows = [row for row in self.messages(agent) if row.completion == row.seq]
        if behind:
            return next((row for row in rows if row.seq > seq), None)
        return next((row for row in reversed(rows) if row.seq <= seq), None)

    def spent(
        self,
        agent: AgentId,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        model: str | None = None,
        newest: int | None = None,
    ) -> list[RowUsage]:
        return self._spent(self.messages(agent), since, until, model, newest)

    def _spent(
        self,
        rows: Sequence[Message],
        since: datetime | None,
        until: datetime | None,
        model: str | None = None,
        newest: int | None = None,
    ) -> list[RowUsage]:
        found = [
            RowUsage(row.seq, row.at, row.event, row.role, row.usage)
            for row in rows
            if row.usage
            and (since is None or row.at >= since)
            and (until is None or row.at < until)
            and (model is None or model in [request.model for request in row.usage])
        ]
        found.sort(key=lambda spent: (spent.at, spent.seq))
        return found if newest is None else found[max(len(found) - newest, 0) :]

    def usage_totals(
        self,
        agent: AgentId,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        step: timedelta = timedelta(hours=1),
    ) -> list[UsageTotal]:
        return add_up(self._spent(self.messages(agent, withdrawn=True), since, until), step)

    def withdrawn_usage(
        self,
        agent: AgentId,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        step: timedelta = timedelta(hours=1),
    ) -> list[UsageTotal]:
        undone = [row for row in self.messages(agent, withdrawn=True) if row.withdrawn is not None]
        return add_up(self._spent(undone, since, until), step)

    def usage_of_all(self, since: datetime, tenant: str | None = None) -> list[UsageTotal]:
        owners = self._database.agents.items()
        agents = [id for id, owner in owners if tenant is None or owner.record.tenant == tenant]
        rows = [row for agent in agents for row in self.messages(agent, withdrawn=True)]
        return add_up(self._spent(rows, since, None))

    # working context
    def sections(self, agent: AgentId) -> list[Section]:
        owner = self._database.agents.get(agent)
        newest = [versions[-1][1] for versions in owner.sections.values()] if owner else []
        return [section for section in newest if section.limit]

    def put_section(self, agent: AgentId, section: Section, at: datetime) -> Section:
        owner = self._agent(agent)
        versions = owner.sections.get(section.name, [])
        stored = replace(section, version=len(versions) + 1, born=owner.record.last_seq)
        self._changes.put(owner.sections, section.name, [*versions, (at, stored)])
        return stored

    def section_history(self, agent: AgentId, name: str) -> list[tuple[datetime, Section]]:
        owner = self._database.agents.get(agent)
        return list(owner.sections.get(name, ())) if owner else []

    def sections_at(self, agent: AgentId, at: datetime) -> list[tuple[datetime, Section]]:
        owner = self._database.agents.get(agent)
        kept = [[each for each in of if each[0] <= at] for of in owner.sections.values()] if owner else []
        return [versions[-1] for versions in kept if versions]

    # search
    def search(self, agent: AgentId, tier: Tier, match: Match, filter: Filter, fingerprint: str) -> Found:
        owner = self._database.agents.get(agent)
        if owner is None:
            return find_rows([], match)
        items = [(number, item) for number, item in self._rows(owner, tier) if is_indexed(item)]
        default = [isinstance(item, Passage) or item.role in SEARCHED_BY_DEFAULT for _, item in items]
        times = [(item.at, known) for (_, item), known in zip(items, default, strict=True)]
        sessions = session_numbers(times) if tier == "recall" else [document_of(item) for _, item in items]
        rows = [
            SearchRow(
                number,
                item.at,
                item.text,
                owner.units.get((tier, number), []),
                owner.vectors.get((fingerprint, tier, number)),
                owner.vectors.get((match.elsewhere.fingerprint, tier, number)) if match.elsewhere else None,
                item.speaker if isinstance(item, Message) else "",
                isinstance(item, Message) and item.role == Role.ASSISTANT,
                session,
                known,
                passes(item, number, session, filter),
            )
            for (number, item), session, known in zip(items, sessions, default, strict=True)
        ]
        return find_rows(rows, match)

    def texts(self, agent: AgentId, tier: Tier, numbers: Sequence[int]) -> dict[int, str]:
        owner = self._database.agents.get(agent)
        rows = () if owner is None else self._rows(owner, tier)
        return {
            number: f"{title_of(item)} {item.text}"
            for number, item in rows
            if number in numbers and item.withdrawn is None
        }
