"""The memory functions: how the model edits its working context and reads and writes external memory.

Their docstrings are what the model reads, so they are short. Effects go through the transaction in which
the call's result commits. What they find is shown as data, with its id, its date and where it is from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from functools import cache
from typing import Any, Protocol

from pagefault.clock import Clock, moment, next_due
from pagefault.context import stamp
from pagefault.errors import FunctionError, NotFoundError, UsageError
from pagefault.functions import Function, FunctionKind, Outcome
from pagefault.functions.archives import ArchivalStorages, number
from pagefault.functions.correspondence import sending_function
from pagefault.functions.describing import describe
from pagefault.functions.facts import FactRules, keep_fact, kept_line
from pagefault.functions.results import Results, find_row, label_of
from pagefault.functions.section_edits import SectionEdit
from pagefault.functions.sharing import FORGET, send
from pagefault.functions.working_context import WorkingContext
from pagefault.literal_query import LiteralQuery
from pagefault.models.tokens import Counter
from pagefault.quoting import inline, quoted
from pagefault.retrieval import Ranking, Retriever, excerpt
from pagefault.storage import Filter, Store, Transaction
from pagefault.types import (
    SEARCHED_BY_DEFAULT,
    AgentId,
    Message,
    Passage,
    Role,
    Schedule,
    Section,
)

PAGED_IN = "paged_in"
_LABEL = 24  # tokens that a paged-in line's id, date and source take
_NEIGHBOURS = 3  # rows shown on either side of a short message


class ServedTurn(Protocol):
    """The turn in which functions are called."""

    def opened(
        self,
    ) -> int | None: ...  # the log number of its event: search does not find the question itself
    def served(self) -> int | None: ...  # the id of its event
    def hops(self) -> int: ...  # the messages between agents that its event follows from


@dataclass(frozen=True, slots=True)
class Syscalls:
    """The memory functions of one agent.

    ``paged_in_limit`` is the size in tokens of the section that ``page_in`` fills.
    """

    agent: AgentId
    name: str
    store: Store
    retriever: Retriever
    clock: Clock
    zone: tzinfo
    zone_name: str
    counter: Counter
    results: Results
    sections: WorkingContext
    paged_in_limit: int
    turn: ServedTurn

    @property
    def storages(self) -> ArchivalStorages:
        """The archival storages that the agent reaches."""
        return self.results.storages

    # speech

    def send_message(self, tx: Transaction, message: str) -> Outcome:  # noqa: ARG002
        """Say something to the user."""
        if not message.strip():
            raise FunctionError("message is empty; call send_message with what you want to say.")
        return Outcome("Sent.", rows=(Message(Role.ASSISTANT, message, self.clock.now()),))

    # working context

    def working_context_append(self, tx: Transaction, section: str, text: str) -> str:
        """Add a line to a section."""
        return self.sections.edit(tx, section, SectionEdit("append", text.strip()))

    def working_context_replace(self, tx: Transaction, section: str, old: str, new: str) -> str:
        """Replace old, which must occur once; empty new deletes it."""
        return self.sections.edit(tx, section, SectionEdit("replace", new.strip(), old))

    def page_in(self, tx: Transaction, id: str, section: str = PAGED_IN) -> str:
        """Keep a found item in the working context."""
        passage = id.startswith("p") or "/" in id
        item = self.storages.passage(tx, id) if passage else find_row(tx, self.agent, id)
        if section == PAGED_IN and all(s.name != PAGED_IN for s in tx.sections(self.agent)):
            fresh = Section(PAGED_IN, "excerpts you paged in", self.paged_in_limit)
            tx.put_section(self.agent, fresh, self.clock.now())
        room = max(16, self.sections.section(tx, section).limit // 2 - _LABEL)
        line = f"[{id} {label_of(item, self.zone)}] {excerpt(item.text, '', room, self.counter)}"
        return self.sections.edit(tx, section, SectionEdit("page_in", line, id))

    def page_out(self, tx: Transaction, id: str) -> str:
        """Drop it from there."""
        for section in tx.sections(self.agent):
            lines = section.text.split("\n")
            if not section.read_only and any(line.startswith(f"[{id} ") for line in lines):
                return self.sections.edit(tx, section.name, SectionEdit("page_out", old=id))
        raise FunctionError(f"{id} is not paged in.")

    # recall storage

    async def memory_search(self, query: str, page: int = 1) -> Outcome:
        """Search recall and archival storage."""
        recall = await self._found(query, Filter(before=self.turn.opened()), page)
        archival = await self._archival(query, Filter(), page)
        return await self._shown(recall.merged(archival), query, page)

    async def recall_search(self, query: str, page: int = 1) -> Outcome:
        """Search the message log."""
        hits = await self._found(query, Filter(before=self.turn.opened()), page)
        return await self._shown(hits, query, page)

    async def recall_search_by_date(self, start: str, end: str, page: int = 1) -> Outcome:
        """Messages between two ISO dates or times, oldest first."""
        span = Filter(since=self._moment(start), until=self._moment(end, end=True), before=self.turn.opened())
        hits = await self._found("", span, page)
        return await self._shown(hits[::-1], "", page)

    async def _found(self, query: str, only: Filter, page: int) -> Ranking:
        return await self.retriever.search(self.agent, "recall", query, only, again=page > 1)

    async def _archival(self, query: str, only: Filter, page: int, archive: str = "") -> Ranking:
        owners = await self.store.read(lambda tx: self.storages.owners(tx, archive))
        return await self.retriever.search(self.agent, "archival", query, only, owners=owners, again=page > 1)

    async def _shown(self, hits: Ranking, query: str, page: int) -> Outcome:
        return await self.store.read(lambda tx: self.results.fetch(tx, hits, query, page))

    async def recall_read(self, id: str, page: int = 1) -> Outcome:
        """Read a message and its neighbours, page by page."""

        def read(tx: Transaction) -> Outcome:
            row = find_row(tx, self.agent, id)
            if page > 1 or self.results.is_long(row.text):
                return self.results.text_page(row, page)
            far = 4 * _NEIGHBOURS
            span = tx.messages(self.agent, first=row.seq - far, last=row.seq + far, roles=SEARCHED_BY_DEFAULT)
            near = [*[r for r in span if r.seq < row.seq][-_NEIGHBOURS:], row]
            return self.results.around(row, near + [r for r in span if r.seq > row.seq][:_NEIGHBOURS])

        return await self.store.read(read)

    # archival storage

    def archival_insert(self, tx: Transaction, text: str, tags: list[str] = [], archive: str = "") -> str:  # noqa: B006
        """Save to archival storage."""
        if not text.strip():
            raise FunctionError("text is empty; give the text to save.")
        passage = Passage(text, self.clock.now(), tuple(dict.fromkeys(t.strip("# ") for t in tags)))
        storage = self.storages.writable(tx, archive)
        if self.storages.sends(tx, storage, passage):
            self.sections.sent()
            return f"Sent to {archive}, where it gets its id."
        if storage.id == self.agent:  # in an archive this number would be any attached agent's
            passage = replace(passage, event=self.turn.served())
        try:
            kept = keep_fact(tx, storage.id, passage, FactRules(self.zone, is_shared=bool(storage.name)))
        except NotFoundError:
            raise FunctionError(f"Archive {archive} was deleted; nothing was saved.") from None
        return kept_line(kept, self.zone, storage.name)

    async def archival_search(
        self,
        query: str,
        tags: list[str] = [],  # noqa: B006
        page: int = 1,
        archive: str = "",
    ) -> Outcome:
        """Search archival storage; all tags must be there."""
        only = Filter(tags=tuple(t.strip("# ") for t in tags))
        return await self._shown(await self._archival(query, only, page, archive), query, page)

    async def archival_read(self, id: str, page: int = 1) -> Outcome:
        """Read a passage, page by page."""
        return await self.store.read(lambda tx: self.results.text_page(self.storages.passage(tx, id), page))

    def archival_delete(self, tx: Transaction, id: str) -> str:
        """Delete a passage."""
        if self.storages.delete(tx, id, self.clock.now()):
            return f"{id} is deleted."
        self.sections.sent()
        return f"{id} will be deleted soon."

    def forget(self, tx: Transaction, text: str) -> str:
        """Forget all that contains text, for good: messages, passages, everywhere."""
        try:
            LiteralQuery(text)
        except UsageError as error:
            raise FunctionError(str(error)) from None
        send(tx, self.agent, self.name, FORGET, self.clock.now(), text=text)
        self.sections.sent()
        return "All that contains it will be forgotten when this turn is over."

    # events to come

    def schedule(self, tx: Transaction, note: str, when: str = "", cron: str = "") -> str:
        """Set a timer: when (ISO time, or +2h, +30m, +1d) or a cron line; note is what it will say."""
        if bool(when) == bool(cron):
            raise FunctionError("Give either when or cron.")
        now = self.clock.now()
        due = next_due(cron, now, self.zone) if cron else self._moment(when, ahead=True)
        if due <= now:
            raise FunctionError(f"{when} is in the past; it is {stamp(now, self.zone)}.")
        timer = Schedule(
            note, due, self.zone_name, cron or None, hops=self.turn.hops(), event=self.turn.served()
        )
        made = tx.add_schedule(self.agent, timer)
        return f"Scheduled as {made.id}; due {stamp(due, self.zone)}."

    def unschedule(self, tx: Transaction, id: str) -> str:
        """Remove a timer."""
        if not tx.remove_schedule(self.agent, number(id, "t")):
            raise FunctionError(f"There is no schedule {id}; see list_schedules.")
        return f"{id} is removed."

    async def list_schedules(self) -> Outcome:
        """The timers that are set."""
        found = await self.store.read(lambda tx: tx.schedules(self.agent))
        return Outcome("\n".join(map(self._timer, found)) or "No timers are set.", framed=True)

    def _timer(self, timer: Schedule) -> str:
        cron = f" ({inline(timer.cron)})" if timer.cron else ""
        return f"[{timer.id} {stamp(timer.due, self.zone)}{cron}] {quoted(timer.note, opens_line=False)}"

    def _moment(self, text: str, *, end: bool = False, ahead: bool = False) -> datetime:
        return moment(text, self.clock.now(), self.zone, end=end, ahead=ahead)


@cache
def memory_functions(
    *, speech: bool, timers: bool, agents: bool, archives: bool = False, forgets: bool = False
) -> tuple[Function, ...]:
    """The functions offered to an agent, in the order of the prompt, described once a process and not bound
    yet. ``speech``: send_message; ``archives``: the parameter ``archive``; ``forgets``: forget, of which a
    person decides on each call."""
    memory: list[Callable[..., str | Outcome]] = [
        Syscalls.working_context_append, Syscalls.working_context_replace,
        Syscalls.archival_insert, Syscalls.archival_delete, Syscalls.page_in, Syscalls.page_out,
    ]  # fmt: skip
    queries: list[Callable[..., Awaitable[str | Outcome]]] = [
        Syscalls.memory_search, Syscalls.recall_search, Syscalls.recall_search_by_date, Syscalls.recall_read,
        Syscalls.archival_search, Syscalls.archival_read,
    ]  # fmt: skip
    if speech:
        memory.insert(0, Syscalls.send_message)
    if timers:
        memory += [Syscalls.schedule, Syscalls.unschedule]
        queries.append(Syscalls.list_schedules)
    sending = (sending_function(),) if agents else ()
    if forgets:
        sending += (replace(_described(Syscalls.forget, "memory", ""), approval=True),)
    hidden = "" if archives else "archive"
    described = (_described(f, "query", hidden) for f in queries)
    return (*(_described(f, "memory", hidden) for f in memory), *sending, *described)


def naming_archives(functions: Iterable[Function], names: Sequence[str]) -> tuple[Function, ...]:
    """The functions with the names of the archives attached in the description of ``archival_search``."""
    about = f" Attached archives, searched too: {', '.join(names)}."
    return tuple(
        replace(f, schema=replace(f.schema, description=f.schema.description + about))
        if f.name == "archival_search" and names
        else f
        for f in functions
    )


@cache
def _described(method: Callable[..., Any], kind: FunctionKind, hidden: str) -> Function:
    return describe(method, kind, Syscalls, hidden)
