"""Conversations that were held elsewhere: their messages are appended to an agent's recall storage.

No turn is taken and no model is asked: the messages are found by searching from then on, and are never in the
queue, in a summary or in an output. Each batch is one transaction, at any time, whoever runs a turn of the
agent. Left out: reading them (``views.history``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from functools import partial
from hashlib import sha256
from types import MappingProxyType

from pagefault.clock import When, time_of
from pagefault.config import zone_for
from pagefault.errors import NotFoundError, QuotaError, UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.owners import no_agent
from pagefault.names import check_sender, check_text, system_key
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event, EventKind, Message, Role

__all__ = ["APPENDED_ROLES", "Appended", "AppendedMessage", "append", "store_appended"]

APPENDED_ROLES: Mapping[str, Role] = MappingProxyType(
    {"user": Role.USER, "assistant": Role.ASSISTANT, "event": Role.EVENT, "system": Role.EVENT}
)
"""The roles of messages that can be appended, and their roles in the log."""

_MOST_ROWS = 500  # in a transaction
_MOST_CHARACTERS = 2_000_000  # in a transaction, unless one message has more
_LONGEST_KEY = 512  # characters
_NAMED = 64  # characters of a key in an error


@dataclass(frozen=True, slots=True)
class AppendedMessage:
    """A message that was said elsewhere. ``role``: one of ``APPENDED_ROLES``; ``speaker``: the name of who
    spoke, if the role does not say it; ``at``: when, as a time in the agent's zone if it names none, None:
    now. ``key``: names the message, which is then appended once, however often it is given."""

    text: str
    role: str = "user"
    speaker: str = ""
    at: When = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """The ids of messages in the log, in the order in which they were given; ``added``: how many are new."""

    ids: tuple[str, ...]
    added: int


@dataclass(slots=True)
class _Group:
    """Messages that have one key, or none. ``first``: the number of the first in the log, once that is known;
    ``event``: keeps the key."""

    rows: Sequence[Message]
    event: Event | None = None
    first: int = 0


async def append(
    kernel: Kernel, name: str, messages: Sequence[AppendedMessage], *, key: str | None = None
) -> Appended:
    """Append messages to an agent's recall storage, in their order, whatever their dates.

    ``key`` names them all: given again with the same messages it appends those that are missing, if any, and
    returns the ids of all. Up to 500 messages are one transaction; of more, a call that fails has appended
    whole batches. ``UsageError``, and nothing is appended, for a message that none can be, and for a key that
    other messages have; ``QuotaError`` if the tenant may have no more rows.
    """
    if key is not None and any(message.key is not None for message in messages):
        raise UsageError("Give a key for all messages or keys of messages, not both.")
    record, now = await kernel.record(name), kernel.clock.now()
    zone = zone_for(record)
    rows = [_row(message, number, now, zone) for number, message in enumerate(messages, 1)]
    ids, added = list[str](), 0
    for number, (first, last) in enumerate(_batches(rows)):
        groups = _groups(messages[first:last], rows[first:last], now, key, number)
        work = partial(_append, record.id, name, groups)
        added += await kernel.store.write(work)
        ids += [f"m{group.first + place}" for group in groups for place in range(len(group.rows))]
    if added:
        kernel.indexer.wake()
    return Appended(tuple(ids), added)


def _row(message: AppendedMessage, number: int, now: datetime, zone: tzinfo) -> Message:
    """The message as a row, not numbered yet."""
    try:
        role = APPENDED_ROLES.get(message.role)
        if role is None:
            raise UsageError(f"{message.role!r} is not a role; roles are {', '.join(APPENDED_ROLES)}.")
        if not message.text.strip():
            raise UsageError("The text is empty; leave the message out.")
        check_text(message.text)
        if message.speaker:
            check_sender(message.speaker)
        at = time_of(message.at, now, zone) or now
    except UsageError as error:
        raise UsageError(f"Message {number}: {error}") from None
    return Message(role, message.text, at, name=EventKind.APPENDED, speaker=message.speaker)


def _groups(
    messages: Sequence[AppendedMessage], rows: Sequence[Message], now: datetime, key: str | None, number: int
) -> list[_Group]:
    """The messages of a batch, the one of this ``number``, by their keys; one that is there twice is one."""
    if key is not None:
        part = f"#{number}" if number else ""
        return [_Group(rows, _event(system_key(f"append:{_checked(key)}{part}"), messages, now))]
    groups, by_key = list[_Group](), dict[str, _Group]()
    for message, row in zip(messages, rows, strict=True):
        group = _Group([row])
        if message.key is not None:
            group.event = _event(system_key(f"said:{_checked(message.key)}"), [message], now)
            same = by_key.setdefault(message.key, group)
            _compare(same.event, group.event)
            group = same
        groups.append(group)
    return groups


def _checked(key: str) -> str:
    if not 0 < len(key) <= _LONGEST_KEY or not key.isprintable():
        raise UsageError(f"{key[:_NAMED]!a} cannot be a key; use 1 to {_LONGEST_KEY} printable characters.")
    return key


def _event(key: str, messages: Sequence[AppendedMessage], now: datetime) -> Event:
    """The event that keeps a key, with a digest of what was given under it."""
    given = [[each.role, each.speaker, each.text, str(each.at or "")] for each in messages]
    digest = sha256(json.dumps(given).encode()).hexdigest()
    return Event(EventKind.APPENDED, digest, key, at=now)


def _compare(known: Event | None, given: Event) -> None:
    """Raise ``UsageError`` if a key is known for other messages."""
    if known is None or (known.kind, known.text) != (given.kind, given.text):
        key = (given.key or "").partition(":")[2][:_NAMED]
        raise UsageError(f"The key {key!a} was given with other messages before; give these another key.")


def _batches(rows: Sequence[Message]) -> Iterator[tuple[int, int]]:
    """The bounds of the batches: the same for the same messages, so that a key finds those that are done."""
    first = size = 0
    for place, row in enumerate(rows):
        if place - first == _MOST_ROWS or (size and size + len(row.text) > _MOST_CHARACTERS):
            yield first, place
            first, size = place, 0
        size += len(row.text)
    if first < len(rows):
        yield first, len(rows)


def _append(agent: AgentId, name: str, groups: Sequence[_Group], tx: Transaction) -> int:
    """Append the groups that are new, and return the number of their rows."""
    try:
        fresh = [group for group in _each_once(groups) if not _is_known(tx, agent, group)]
        stored = store_appended(tx, agent, [row for group in fresh for row in group.rows]) if fresh else []
    except NotFoundError:
        raise no_agent(name) from None
    end = stored[0].seq if stored else 0
    for group in fresh:
        group.first, end = end, end + len(group.rows)
        if group.event:
            tx.set_event(agent, group.event.id, "done", group.first, attempts=len(group.rows))
    return len(stored)


def _each_once(groups: Sequence[_Group]) -> Iterator[_Group]:
    yield from {id(group): group for group in groups}.values()


def _is_known(tx: Transaction, agent: AgentId, group: _Group) -> bool:
    """Look whether the key of a group was stored before, and store it if not."""
    if group.event is None:
        return False
    known = tx.post(agent, group.event)
    _compare(known, group.event)
    group.event, group.first = replace(group.event, id=known.id), known.started or 0
    return known.state == "done"


def store_appended(tx: Transaction, agent: AgentId, rows: Sequence[Message]) -> list[Message]:
    """Append rows that were said elsewhere. If the queue is empty it starts behind them, so that they are not
    read to see that."""
    tx.check_quota("rows")
    stored = tx.append(agent, rows)
    record = tx.agent_by_id(agent)
    if record and record.queue.start == stored[0].seq:
        tx.save_queue(agent, replace(record.queue, start=stored[-1].seq + 1))
    limit = (quota := tx.quota()) and quota.rows if record and record.tenant else None
    if record and limit is not None and tx.count("rows") > limit:
        raise QuotaError(record.tenant, "rows", limit)
    return stored
