"""Events that requests post, the same for all protocols: may the caller post it, and was its key used for
another one?"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pagefault.images import MOST_IMAGES
from pagefault.ingest.attaching import images_of
from pagefault.kernel.posting import EventOutputs
from pagefault.kernel.streams import MOST_BEHIND
from pagefault.media import MediaContent
from pagefault.server.auth import Caller
from pagefault.server.problems import Problem
from pagefault.types import AgentId, Event, EventKind

__all__ = ["checked_event", "posted", "posted_outputs", "sent_images"]

_ADDRESSES = ("data:", "http://", "https://")
_KINDS = frozenset({EventKind.MESSAGE, EventKind.OVERHEARD, EventKind.LOGIN})
_ADMIN_KINDS = frozenset({EventKind.ALERT, EventKind.TIMER, EventKind.UPLOAD_FINISHED})


def checked_event(caller: Caller, event: Event) -> Event:
    """The event, if the caller may post it."""
    caller.require("chat")
    if event.key and not event.key.isprintable():  # such are those of the system itself
        raise Problem(
            400, "Wrong request", "The key of an event has printable characters only; choose another."
        )
    if event.sender is not None and not caller.speaks_for_users:
        raise Problem(403, "Forbidden", "This key may not say who the sender is; leave the sender out.")
    if event.kind in _ADMIN_KINDS:
        caller.require("admin")
    elif event.kind in set(EventKind) - _KINDS:
        raise Problem(
            400, "Wrong request",
            f"The system makes events of the kind {event.kind}; write message, overheard, login or a word of "
            "your own.",
        )  # fmt: skip
    return event


async def sent_images(caller: Caller, addresses: Sequence[str], **more: Any) -> tuple[MediaContent, ...]:
    """The images at the addresses that a client sends; a ``Problem``, with ``more`` in it, for what is no
    address: it could name a file of this machine."""
    if len(addresses) > MOST_IMAGES:
        why = f"A message takes up to {MOST_IMAGES} images, and not {len(addresses):,}; send several."
        raise Problem(400, "Wrong request", why, **more)
    lowered = [address[:8].lower() + address[8:] for address in addresses]
    if not all(address.startswith(_ADDRESSES) for address in lowered):
        why = "An image is given by an https: or a data: address; write one."
        raise Problem(400, "Wrong request", why, **more)
    return await images_of(caller.kernel, lowered)


async def posted(caller: Caller, name: str, event: Event, only: AgentId | None = None) -> Event:
    """Post an event to an agent, to ``only`` this one whoever has the name by now, without waiting for its
    turn; return it as stored."""
    stored = await caller.kernel.post(name, event, only)
    _check_repeated(event, stored)
    return stored


@asynccontextmanager
async def posted_outputs(
    caller: Caller, name: str, event: Event, only: AgentId | None = None
) -> AsyncGenerator[EventOutputs]:
    """Post an event to an agent, to ``only`` this one whoever has the name by now; give the agent's id, the
    event as stored, and the outputs of its turn."""
    async with caller.kernel.posting(name, event, MOST_BEHIND, only) as (agent, stored, outputs):
        _check_repeated(event, stored)
        yield agent, stored, outputs


def _check_repeated(event: Event, stored: Event) -> None:
    """Raise a ``Problem`` if the key of an event was used for another one."""
    media = tuple(each.media for each in event.contents)
    sent = event.kind, event.text, event.sender, media
    if event.key and sent != (stored.kind, stored.text, stored.sender, stored.media):
        raise Problem(422, "Key used", "This Idempotency-Key was used for another event; choose another key.")
