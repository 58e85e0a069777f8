"""Shared sections from outside: made, edited and deleted; agents are attached to them and detached.

Each agent is changed in a transaction of its own, and learns of it by an event. Its copy of the text is a
section of its working context and counts in its window. Left out: how an edit gets to the copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from pagefault.config import AgentSettings
from pagefault.errors import FunctionError, NotFoundError, UsageError
from pagefault.functions.archives import archival_storages
from pagefault.functions.section_edits import fitting
from pagefault.functions.sharing import held_section, shared_texts, text_of, update_copy, write_shared
from pagefault.functions.syscalls import PAGED_IN
from pagefault.kernel import Kernel
from pagefault.kernel.owners import no_section
from pagefault.kernel.sections import SMALLEST, check_version, without
from pagefault.models.tokens import Counter
from pagefault.names import check_shared_name, check_text
from pagefault.shared import Attachment, SharedRecord
from pagefault.storage import Transaction
from pagefault.types import AgentRecord, Event, EventKind, Section

__all__ = ["attach", "delete", "detach", "edit", "share", "size_of"]

_LIMIT = 200  # tokens
_LONGEST_DESCRIPTION = 1_000  # characters


async def share(
    kernel: Kernel,
    name: str,
    agents: Sequence[str],
    *,
    description: str | None = None,
    limit: int | None = None,
    text: str | None = None,
    read_only: bool = False,
) -> SharedRecord:
    """Make a shared section and attach these agents to it; ``read_only``: they cannot change it.

    If the first agent has a section of this name, it becomes the shared one, with what is not given here.
    ``UsageError``, and nothing is stored, if the name is taken or an agent has no room for it.
    """
    check_shared_name("section", name)
    if name == PAGED_IN:
        raise UsageError(f"{PAGED_IN} is where each agent keeps what it pages in; choose another name.")
    check_text(text or "")
    records = [await kernel.record(each) for each in agents]
    first = next(iter(records), None)
    own = await kernel.store.read(lambda tx: _own(tx, first, name))
    section = _section(own or Section(name, "", _LIMIT), description, limit, text)
    _check(section, kernel.deliverer.counter)
    for record in records:
        await _check_room(kernel, record, section, adopted=record == first)
    settings = await without(kernel, first.name, name) if first and own else None
    now = kernel.clock.now()

    made = await kernel.store.write(
        lambda tx: _make(tx, section, first, settings, read_only, now, is_new=text is not None)
    )
    for each in agents[:1]:
        await _reload(kernel, each)
    for each in agents[1:]:
        await attach(kernel, name, each, read_only=read_only)
    return made


def size_of(kernel: Kernel, text: str) -> int:
    """The tokens of a text as a shared section counts them, whichever model its agents have."""
    return kernel.deliverer.counter.count(text)


def _make(
    tx: Transaction, section: Section, first: AgentRecord | None, settings: AgentSettings | None,
    read_only: bool, now: datetime, *, is_new: bool,
) -> SharedRecord:  # fmt: skip
    """Make the section and attach the first agent, whose own section it was if there are ``settings`` without
    that; ``is_new``: the text is not that of the agent's own."""
    if first and settings:
        tx.save_settings(first.id, settings.model_dump(mode="json"))  # locked: its text is the last one
    own = None if is_new else _own(tx, first, section.name)
    made = tx.create_shared(SharedRecord("section", section.name, now, section.description))
    tx.put_section(made.id, replace(section, text=own.text) if own else section, now)
    if first:
        _attach(tx, first, made, read_only, now, adopted=settings is not None)
    return made


def _section(base: Section, description: str | None, limit: int | None, text: str | None) -> Section:
    """The section to share: what is given, else what the base has."""
    return Section(
        base.name,
        base.description if description is None else description,
        base.limit if limit is None else limit,
        base.text if text is None else text,
    )


async def attach(kernel: Kernel, name: str, agent: str, *, read_only: bool = False) -> None:
    """Attach an agent, or change whether it may edit; it finds the text in its working context.

    ``UsageError`` if it has a section of this name, or no room for it.
    """
    record = await kernel.record(agent)
    section = await kernel.store.read(lambda tx: text_of(tx, _existing(tx, name)))
    await _check_room(kernel, record, section)
    now = kernel.clock.now()
    await kernel.store.write(lambda tx: _attach(tx, record, _existing(tx, name), read_only, now))
    await _reload(kernel, agent)


async def detach(kernel: Kernel, name: str, agent: str) -> None:
    """Detach an agent; the section goes from its working context. ``NotFoundError`` if it is not attached."""
    record, now = await kernel.record(agent), kernel.clock.now()
    await kernel.store.write(lambda tx: _detach(tx, record, name, "is not shared with you any more", now))
    await _reload(kernel, agent)


async def edit(kernel: Kernel, name: str, text: str, *, version: int | None = None) -> None:
    """Replace the text of a shared section. When this returns, every agent that can be written to has it.
    ``version``: as for ``sections.edit_section``, of the shared text."""
    check_text(text)
    counter, now = kernel.deliverer.counter, kernel.clock.now()

    def work(tx: Transaction) -> None:
        shared = _existing(tx, name)
        tx.delivered(shared.id, shared.id)  # locked, before its version is read
        (stored,) = tx.sections(shared.id)
        check_version(tx, shared.id, stored, version)
        section = replace(text_of(tx, shared), text=text)
        _check(section, counter)
        write_shared(tx, shared, section, now)

    await kernel.store.write(work)
    await kernel.deliverer.deliver()


async def delete(kernel: Kernel, name: str) -> None:
    """Detach all agents from a shared section and delete it with its history."""
    now = kernel.clock.now()
    shared = await kernel.store.read(lambda tx: _existing(tx, name))
    is_there = True
    while is_there:
        found = await kernel.store.read(lambda tx: _attached(tx, name))
        for record in found:
            await kernel.store.write(
                lambda tx, record=record: _detach(tx, record, name, "was deleted", now, missing_ok=True)
            )
            await _reload(kernel, record.name)

        def work(tx: Transaction) -> bool:
            tx.delivered(shared.id, shared.id)  # locked: nobody is being attached
            if tx.attached_to("section", name):
                return True
            tx.delete_agent(shared.id)
            return False

        is_there = await kernel.store.write(work)


def _existing(tx: Transaction, name: str) -> SharedRecord:
    if shared := tx.shared("section", name):
        return shared
    raise no_section(name)


def _attached(tx: Transaction, name: str) -> list[AgentRecord]:
    return [record for id in tx.attached_to("section", name) if (record := tx.agent_by_id(id))]


def _own(tx: Transaction, agent: AgentRecord | None, name: str) -> Section | None:
    """The agent's own section of this name, which it does not share."""
    if agent is None:
        return None
    found = next((each for each in tx.sections(agent.id) if each.name == name), None)
    return None if held_section(tx, agent.id, name) else found


def _check(section: Section, counter: Counter) -> None:
    """Raise ``UsageError`` for a limit that is too small, or a text or description that is too large."""
    if (length := len(section.description)) > _LONGEST_DESCRIPTION:
        raise UsageError(f"The description has {length:,} characters; use {_LONGEST_DESCRIPTION:,} at most.")
    if section.limit < SMALLEST:
        raise UsageError(f"A limit of {section.limit} tokens is too small; {SMALLEST} is the least.")
    try:
        fitting(section, counter)
    except FunctionError:
        size = counter.count(section.text)
        raise UsageError(
            f"{section.name} would take {size} of {section.limit} tokens; shorten the text."
        ) from None


async def _check_room(
    kernel: Kernel, record: AgentRecord, section: Section, *, adopted: bool = False
) -> None:
    """Raise ``UsageError`` if the agent has another section of this name, or could not work with this one."""

    def read(tx: Transaction) -> list[Section]:
        if not adopted and _own(tx, record, section.name):
            raise _has_own(record, section.name)
        return [each for each in tx.sections(record.id) if each.name != section.name]

    others = await kernel.store.read(read)
    storages = await kernel.store.read(lambda tx: archival_storages(tx, record))
    await kernel.assembly.process(record, [*others, section], storages=storages)


def _has_own(record: AgentRecord, name: str) -> UsageError:
    return UsageError(
        f"Agent {record.name} has a section {name} of its own; to share that one, name the agent first in "
        "`pagefault section share`, else remove it by sections.remove."
    )


def _attach(
    tx: Transaction, agent: AgentRecord, shared: SharedRecord, read_only: bool, now: datetime, *,
    adopted: bool = False,
) -> None:  # fmt: skip
    """Attach an agent and give it the text as it is now; ``adopted``: in place of a section of its own."""
    tx.delivered(shared.id, agent.id)  # locked: no version comes between
    section = text_of(tx, shared)
    if not adopted and _own(tx, agent, shared.name):
        raise _has_own(agent, shared.name)
    if held := held_section(tx, agent.id, shared.name):
        if held.read_only == read_only:
            return
        # edits that it has not had are not lost
        update_copy(tx, shared, section, agent, shared_texts(tx.outgoing(shared.id)), now)
    tx.attach(agent.id, Attachment("section", shared.name, now, read_only))
    tx.put_section(agent.id, replace(section, read_only=read_only, version=0), now)
    tx.set_delivered(agent.id, shared.id, section.version)
    about = f" ({section.description})" if section.description else ""
    may = "you can read it, others may edit it" if read_only else "others may edit it, as you may"
    notice = (
        f"Section {shared.name}{about} of your working context is shared: {may}. It has room for "
        f"{section.limit} tokens and reads: {section.text or '(empty)'}"
    )
    tx.post(agent.id, Event(EventKind.EDITED, notice, at=now))


def _detach(
    tx: Transaction, agent: AgentRecord, name: str, why: str, now: datetime, *, missing_ok: bool = False
) -> None:
    if not tx.detach(agent.id, "section", name):
        if missing_ok:
            return
        raise NotFoundError(f"Agent {agent.name} is not attached to a shared section {name}.")
    for copy in tx.sections(agent.id):
        if copy.name == name:
            tx.put_section(agent.id, replace(copy, limit=0, text="", version=0), now)
            notice = f"The shared section {name} {why}; it read: {copy.text or '(empty)'}"
            tx.post(agent.id, Event(EventKind.EDITED, notice, at=now))


async def _reload(kernel: Kernel, agent: str) -> None:
    """Let the agent be loaded anew at its next event, which is there."""
    kernel.forget(agent)
    await kernel.wake(agent)
