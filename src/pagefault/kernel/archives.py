"""Archives from outside: made, renamed, deleted, attached to agents and detached.

Each change is one transaction with the event by which the agents concerned learn of it; an agent's functions
are those of its attachments from its next event on. What is put into an archive is as for an agent's own
storage (``edits``, with ``shared.Archive`` for its name). Leaves out shared sections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from pagefault.errors import ModelError, NotFoundError, UsageError
from pagefault.functions.archives import ArchivalStorages, AttachedArchive, archival_storages
from pagefault.functions.results import brief
from pagefault.kernel import Kernel
from pagefault.kernel.owners import no_archive, record_of
from pagefault.names import check_shared_name
from pagefault.shared import Attachment, SharedRecord, archive_of, shared_name
from pagefault.storage import Transaction
from pagefault.types import AgentId, AgentRecord, Event, EventKind, Section

__all__ = ["attach", "create", "delete", "detach", "post_to_attached", "rename"]

_LONGEST_DESCRIPTION = 1_000  # characters


async def create(kernel: Kernel, name: str, description: str = "") -> SharedRecord:
    """Make an archive, empty and attached to no agent; ``UsageError`` for a name that is none,
    ``NameTakenError`` if there is one."""
    check_shared_name("archive", name)
    if len(description) > _LONGEST_DESCRIPTION:
        raise UsageError(
            f"The description has {len(description):,} characters; use {_LONGEST_DESCRIPTION:,} at most."
        )
    record = SharedRecord("archive", name, kernel.clock.now(), description)
    return await kernel.store.write(lambda tx: tx.create_shared(record))


async def attach(kernel: Kernel, name: str, agent: str, *, read_only: bool = False) -> bool:
    """Attach an archive to an agent, which can then search it and, unless ``read_only``, write to it. Of an
    attachment that is there ``read_only`` is changed. False if nothing was to be changed; ``UsageError`` if
    the agent's window has no room for what tells it of the archive."""
    now = kernel.clock.now()
    await _check_room(kernel, name, agent)

    def work(tx: Transaction) -> bool:
        record, archive = record_of(tx, agent), _archive(tx, name)
        known = {each.name: each for each in tx.attachments(record.id) if each.kind == "archive"}
        if name in known and known[name].read_only == read_only:
            return False
        tx.attach(record.id, Attachment("archive", name, now, read_only))
        _tell(kernel, tx, record.id, _attached(archive, read_only))
        return True

    changed = await kernel.store.write(work)
    if changed:
        await _take_up(kernel, [agent])
    return changed


async def _check_room(kernel: Kernel, name: str, agent: str) -> None:
    """Raise ``UsageError`` if the agent could not work with the archive attached."""

    def read(tx: Transaction) -> tuple[AgentRecord, list[Section], ArchivalStorages]:
        record, archive = record_of(tx, agent), _archive(tx, name)
        storages, added = archival_storages(tx, record), AttachedArchive(name, archive.id)
        others = (each for each in storages.archives if each.name != name)
        return record, tx.sections(record.id), replace(storages, archives=(*others, added))

    record, sections, storages = await kernel.store.read(read)
    with suppress(ModelError):  # the window of a server that is away is not known
        await kernel.assembly.process(record, sections, storages=storages)


async def post_to_attached(
    kernel: Kernel, archive: AgentId, event: Callable[[str], Event]
) -> tuple[str, ...]:
    """Post an event, made for the name that the archive has then, to every agent to which it is attached, all
    in one transaction, and wake them; return their names. There is nobody if it was deleted."""

    def work(tx: Transaction) -> list[str]:
        if (row := tx.agent_by_id(archive)) is None:
            return []
        name = archive_of(row)
        attached = sorted(tx.attached_to("archive", name))
        for agent in attached:
            _post(tx, agent, event(name))
        return _names(tx, attached)

    names = await kernel.store.write(work)
    await _wake(kernel, names)
    return tuple(names)


async def detach(kernel: Kernel, name: str, agent: str) -> None:
    """Detach an archive from an agent; ``NotFoundError`` if it is not attached."""

    def work(tx: Transaction) -> None:
        record = record_of(tx, agent)
        if not tx.detach(record.id, "archive", name):
            _archive(tx, name)
            raise NotFoundError(f"Archive {name} is not attached to agent {agent}.")
        _tell(kernel, tx, record.id, f"Archive {name} was detached; you can no longer read it.")

    await kernel.store.write(work)
    await _take_up(kernel, [agent])


async def rename(kernel: Kernel, name: str, new: str) -> None:
    """Give an archive another name, which stands in the ids of what is in it from now on; ``NameTakenError``
    if there is one of that name."""
    check_shared_name("archive", new)

    def change(tx: Transaction, archive: AgentId) -> None:
        tx.rename_agent(archive, shared_name("archive", new))

    text = f"Archive {name} is called {new} from now on, also in the ids of what is in it."
    await _change_all(kernel, name, change, text)


async def delete(kernel: Kernel, name: str) -> None:
    """Delete an archive with all that is in it, and detach it from all agents."""
    text = f"Archive {name} was deleted, with all that was in it."
    await _change_all(kernel, name, lambda tx, archive: tx.delete_agent(archive), text)


async def _change_all(
    kernel: Kernel, name: str, change: Callable[[Transaction, AgentId], None], text: str
) -> None:
    """Change an archive, and tell all to whom it is attached, in the order of ids in which all lock."""

    def work(tx: Transaction) -> list[str]:
        archive = _archive(tx, name).id
        attached = tx.attached_to("archive", name)
        for each in sorted([*attached, archive]):
            if each == archive:
                change(tx, archive)
            else:
                _tell(kernel, tx, each, text)
        return _names(tx, attached)

    await _take_up(kernel, await kernel.store.write(work))


def _archive(tx: Transaction, name: str) -> SharedRecord:
    if found := tx.shared("archive", name):
        return found
    raise no_archive(tx, name)


def _tell(kernel: Kernel, tx: Transaction, agent: AgentId, text: str) -> None:
    _post(tx, agent, Event(EventKind.EDITED, text, at=kernel.clock.now()))


def _post(tx: Transaction, agent: AgentId, event: Event) -> None:
    with suppress(NotFoundError):  # it was deleted since it was found attached
        tx.post(agent, event)


def _names(tx: Transaction, agents: Sequence[AgentId]) -> list[str]:
    return [record.name for each in agents if (record := tx.agent_by_id(each))]


async def _take_up(kernel: Kernel, agents: Sequence[str]) -> None:
    for agent in agents:
        kernel.forget(agent)
    await _wake(kernel, agents)


async def _wake(kernel: Kernel, agents: Sequence[str]) -> None:
    for agent in agents:
        with suppress(NotFoundError):  # it was deleted or renamed since
            await kernel.wake(agent)


def _attached(archive: SharedRecord, read_only: bool) -> str:
    rights = " read-only" if read_only else ""
    text = brief(archive.description, 300).replace('"', "'")
    about = f' It says of itself: "{text}".' if text else ""
    return f"Archive {archive.name} was attached{rights}; your archival functions reach it.{about}"
