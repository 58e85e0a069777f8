"""The facts that the log keeps of a message beside its text, and the usage of the requests that led to it.

Their form as JSON values is ``values_of``, which the log stores (``storage.rows``) and outputs show. Leaves
out prices and sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from pagefault.media import Media, media_of

__all__ = [
    "NO_META",
    "PLAIN",
    "MessageMeta",
    "RequestUsage",
    "SeenContext",
    "StopName",
    "Usage",
    "meta_of",
    "values_of",
]


PLAIN = "plain"
"""The name of the alert that asks the model for an answer in plain text; its turn goes on."""


class StopName(StrEnum):
    """The names of alerts that end a turn before the model does."""

    CANCELLED = "cancelled"
    MAX_STEPS = "max_steps"
    MODEL_FAILED = "model_failed"
    TRUNCATED = "truncated"  # its server cuts prompts to less than the agent needs
    SLEPT = "slept"  # a sleep has used up what it may
    STOPPED = "stopped"  # anything else: time, calls in vain, a fault


@dataclass(frozen=True, slots=True)
class SeenContext:
    """The main context that a model saw when it answered.

    Sizes are calibrated tokens. ``first`` and ``last`` are the log numbers of the oldest row in the queue and
    of the newest row in the log; ``summary`` and ``pinned`` are as in ``QueueState``. ``usable``: the window
    without what is kept for the reply; ``head`` and ``fixed``: digests of the working context, and of
    instructions and functions, by which they are recognised (``context.seen``). These three are at their
    defaults in what earlier versions wrote.
    """

    window: int = 0
    instructions: int = 0
    working_context: int = 0
    queue: int = 0
    first: int = 0
    last: int = 0
    summary: int | None = None
    pinned: int | None = None
    usable: int = 0
    head: str = ""
    fixed: str = ""


@dataclass(frozen=True, slots=True)
class MessageMeta:
    """The facts about a message, by role; a field at its default says nothing.

    First row of a completion: ``saw``; ``notes``, the repairs of the completion; ``echo``, JSON values that
    the provider wants to have sent back (see ``models.Completion``).
    Call: ``cut``, it was truncated at the limit of tokens of one reply; ``surplus``, its completion has more
    calls than are run; ``from_text``, it was read from text. Speech: ``cut``, its turn was cancelled while
    it streamed.
    Any row: ``pages``, the pages of a long text, of which the prompt shows the first; else 0. ``media``, the
    images and files that come with it; ``images``, the first so many of them that are images are shown.
    Result: ``failed``; ``invalid``, the model wrote the call wrongly; ``heartbeat``, control goes back to the
    model; ``sources``, the ids of the items that the result quotes; ``decision``, what a person decided on
    the call (``approved``, ``refused``, ``expired``), and ``decided_by``, who that was.
    Prefetch: ``sources``; ``milliseconds``, the time that it took.
    Event: ``skipped``, why nothing was prefetched for it; ``stop``, as of an alert: it was only overheard.
    Alert: ``stop``, it ends the turn; the row's ``name`` is a ``StopName``. ``point``, of the alert that rows
    were withdrawn: the row behind which they were.
    Summary: ``messages``, the number of rows under it; ``through``, the newest of these; ``warned``, whether
    the model was warned before; ``extracted``, why the model did not write it.
    """

    saw: SeenContext | None = None
    notes: tuple[str, ...] = ()
    echo: Mapping[str, Any] | None = None
    cut: bool = False
    pages: int = 0
    surplus: bool = False
    from_text: bool = False
    failed: bool = False
    invalid: bool = False
    heartbeat: bool = False
    sources: tuple[str, ...] = ()
    decision: str = ""
    decided_by: str = ""
    milliseconds: int = 0
    skipped: str = ""
    stop: bool = False
    messages: int = 0
    through: int = 0
    warned: bool = False
    extracted: str = ""
    media: tuple[Media, ...] = ()
    images: int = 0
    point: int = 0

    @property
    def shown_images(self) -> tuple[Media, ...]:
        """The images that the prompt shows with the row."""
        if not self.images:  # asked for every row of the queue, at every step
            return ()
        return tuple(media for media in self.media if media.is_image)[: self.images]


NO_META = MessageMeta()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider reported them. ``input`` includes ``cached`` (read from the provider's cache)
    and ``written`` (newly put there); ``output`` includes ``thinking``."""

    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0
    thinking: int = 0


@dataclass(frozen=True, slots=True)
class RequestUsage:
    """The usage of one request that was answered.

    ``model`` is the model that answered, by the name it has in the settings (``openai:gpt-4o-mini``);
    ``answered`` the provider's name for it, if that is another. ``counted``: the prompt by our heuristic,
    uncalibrated. ``estimated``: the provider reported nothing, and ``usage`` is our own count. ``cut``: so
    little was reported that the server may have truncated the prompt. ``images``: the prompt held images,
    whose tokens say nothing of the heuristic.
    """

    model: str
    usage: Usage
    counted: int = 0
    answered: str = ""
    estimated: bool = False
    cut: bool = False
    images: bool = False

    @property
    def ratio(self) -> float | None:
        """Reported tokens per counted one; None where that says nothing of the heuristic."""
        whole = self.counted and self.usage.input and not (self.estimated or self.cut or self.images)
        return self.usage.input / self.counted if whole else None


def values_of(meta: MessageMeta) -> dict[str, Any]:
    """The fields that say something, as JSON values; ``notes`` stand within ``saw``."""
    values = {name: value for name in _PLAIN if (value := getattr(meta, name))}
    if meta.saw is not None:
        saw = asdict(meta.saw)
        saw = {"from": saw.pop("first"), "to": saw.pop("last"), **saw}
        values["saw"] = saw | ({"notes": list(meta.notes)} if meta.notes else {})
    if meta.sources:
        values["sources"] = list(meta.sources)
    if meta.media:
        values["media"] = [asdict(each) for each in meta.media]
    return values


def meta_of(values: Mapping[str, Any]) -> MessageMeta:
    """The meta that ``values_of`` gave; keys that earlier versions wrote are ignored."""
    known: dict[str, Any] = {name: values[name] for name in _PLAIN if name in values}
    if (saw := values.get("saw")) is not None:
        named = {"first": saw.get("from", 0), "last": saw.get("to", 0), **saw}
        known["saw"] = SeenContext(**{name: named[name] for name in _SEEN if name in named})
        known["notes"] = tuple(saw.get("notes", ()))
    media = tuple(media_of(each) for each in values.get("media", ()))
    return MessageMeta(**known, sources=tuple(values.get("sources", ())), media=media)


_PLAIN = tuple(f.name for f in fields(MessageMeta) if f.name not in ("saw", "notes", "sources", "media"))
_SEEN = tuple(f.name for f in fields(SeenContext))
