"""The values that cross boundaries: rows of the log, events, outputs, sections, passages, schedules.

Frozen, slotted dataclasses with no behaviour beyond naming themselves. What a module keeps to itself is
defined there, not here. Times are aware UTC datetimes; sizes are tokens unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NewType

from pagefault.media import Media, MediaContent
from pagefault.message_meta import NO_META, MessageMeta, RequestUsage
from pagefault.outputs import CLOSING as CLOSING
from pagefault.outputs import UNCOMMITTED as UNCOMMITTED
from pagefault.outputs import Output as Output
from pagefault.outputs import OutputType as OutputType
from pagefault.passages import Passage as Passage
from pagefault.passages import Place as Place

AgentId = NewType("AgentId", int)

Style = Literal["memgpt", "native"]
"""Protocol of speech: only ``send_message`` speaks (the paper's) or plain assistant text speaks."""

Tier = Literal["recall", "archival"]
"""The two parts of external memory: the message log, and documents and facts."""


class Role(StrEnum):
    """The kind of a row of the log. One row has one role."""

    USER = "user"  # a user message
    EVENT = "event"  # a user interaction, a timer, another agent's message
    ALERT = "alert"  # the system speaking: memory pressure, a step limit, a failed model
    SUMMARY = "summary"  # a recursive summary; the newest one heads the queue
    THOUGHT = "thought"  # the model's plain text where it does not speak
    CALL = "call"  # a function call; ``text`` is its arguments (JSON), ``name`` the function
    RESULT = "result"  # what a call returned
    ASSISTANT = "assistant"  # the agent's speech
    PREFETCH = "prefetch"  # what memory holds on the message before it; not shown: the end of those before it


SEARCHED_BY_DEFAULT = (Role.USER, Role.ASSISTANT, Role.EVENT)
"""The log does not feed on itself: other roles are searched only when asked for."""

SAID_ELSEWHERE = (*SEARCHED_BY_DEFAULT, Role.THOUGHT)
"""The roles of rows that were said, or thought, elsewhere."""


@dataclass(frozen=True, slots=True)
class Message:
    """One row of recall storage, append-only.

    ``text`` is verbatim. ``shown`` is the form the prompt shows, fixed at admission (``""``: the row is
    not in the prompt); ``tokens`` counts that form, uncalibrated. ``event`` is the inbox id of the event
    in whose turn the row was written. ``completion`` is shared by the thought, speech, calls and results
    of one model completion. ``speaker`` is who spoke, where the role does not say it: an event's sender.
    ``usage`` has the requests that were answered since the row before it was committed. ``seq`` is 0 until
    the row is stored. ``withdrawn``: the log number of the row that says that this one was undone; None: it
    counts. ``erased``: it was forgotten, and has no content any more.
    """

    role: Role
    text: str
    at: datetime
    shown: str = ""
    tokens: int = 0
    event: int | None = None
    completion: int | None = None
    call_id: str | None = None
    name: str | None = None
    meta: MessageMeta = NO_META
    seq: int = 0
    speaker: str = ""
    usage: tuple[RequestUsage, ...] = ()
    withdrawn: int | None = None
    erased: bool = False

    @property
    def id(self) -> str:
        """The handle that ``recall_read`` and ``page_in`` accept: ``m`` and the row's number."""
        return f"m{self.seq}"

    @property
    def is_appended(self) -> bool:
        """Return whether the row was said elsewhere: no part of the queue, and of no output."""
        return not self.shown and self.name == EventKind.APPENDED and self.role in SAID_ELSEWHERE


class EventKind(StrEnum):
    """Kinds of event that pagefault itself knows. Any other word is a custom user interaction."""

    MESSAGE = "message"
    OVERHEARD = "overheard"  # said to others: it enters the log, and the model is not asked
    APPENDED = "appended"  # said elsewhere: it enters the log, and not the queue; its event keeps its key
    ALERT = "alert"
    LOGIN = "login"
    UPLOAD_FINISHED = "upload_finished"
    TIMER = "timer"
    AGENT = "agent"  # a message from another agent
    IMAGE = "image"  # an image was attached
    FILE = "file"  # a file was attached: a document in archival storage
    TRANSCRIPT = "transcript"  # what was said in a recording
    EDITED = "edited"  # the working context was edited from outside
    SLEEP = "sleep"  # the agent has rested, and tidies its memory
    PRESSURE = "memory_pressure"  # raised by the queue manager; served before the rest of the inbox


EventState = Literal["pending", "active", "waiting", "done", "parked"]
"""The state of an event: stored, in its turn, in a turn that waits for a decision, over, set aside."""


@dataclass(frozen=True, slots=True)
class Event:
    """One input of an agent. Stored in its inbox before it is acknowledged.

    ``key`` makes posting idempotent: a second event with the same key is not stored. ``started`` is the
    log number of the outside call that was begun and has no result yet; ``attempts`` counts how often its
    turn was begun since it last got on. ``parked``: why it is not served any more. ``hops``: the messages
    between agents that it follows from. ``trace``: the ``traceparent`` of W3C Trace Context of whoever posted
    it. ``media``: the images that come with it; ``contents``: their bytes, of an event that is to be posted.
    Of kind ``appended``: ``started`` is the log number of the first row, ``attempts`` the number of rows.
    """

    kind: str
    text: str = ""
    key: str | None = None
    sender: str | None = None
    at: datetime | None = None
    id: int = 0
    state: EventState = "pending"
    started: int | None = None
    attempts: int = 0
    parked: str = ""
    hops: int = 0
    trace: str = ""
    media: tuple[Media, ...] = ()
    contents: tuple[MediaContent, ...] = field(default=(), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Section:
    """A named part of the working context. ``limit`` is in tokens. ``born``: the last number of the log when
    this version was stored; None: not known."""

    name: str
    description: str
    limit: int
    text: str = ""
    read_only: bool = False
    version: int = 0
    born: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Document:
    """A loaded document. ``source`` is its path or URL and names it; ``digest`` is the SHA-256 of its bytes
    (and of the options of reading, if there were any), hexadecimal; ``media`` its media type; ``pages`` how
    many pages it can be leafed through by; ``archive`` as of a passage."""

    source: str
    title: str
    media: str
    digest: str
    at: datetime
    pages: int
    tags: tuple[str, ...] = ()
    number: int = 0
    archive: str = ""

    @property
    def id(self) -> str:
        """The handle that ``document_open`` accepts: ``d`` and the document's number, behind the name of its
        archive if it is in one."""
        return f"{self.archive}/d{self.number}" if self.archive else f"d{self.number}"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a document: a page of a PDF, a section of other formats. ``number``: from 1."""

    number: int
    heading: str
    text: str


SLEEP_TIMER = 0
"""The number of the schedule by which an agent falls asleep; those that are set have higher ones."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A timer. One-off when ``cron`` is None. ``zone`` is the IANA time zone the cron line is read in.
    ``parked``: why it does not fire any more. ``event``: the event in whose turn it was set, None: from
    outside; ``hops``: as of that event. ``withdrawn``: as of a message; it does not fire."""

    note: str
    due: datetime
    zone: str
    cron: str | None = None
    catch_up: Literal["once", "skip"] = "once"
    number: int = 0
    parked: str = ""
    hops: int = 0
    event: int | None = None
    withdrawn: int | None = None

    @property
    def is_sleep(self) -> bool:
        """Return whether it is the one by which a rested agent falls asleep: no timer that anybody set."""
        return self.number == SLEEP_TIMER

    @property
    def id(self) -> str:
        """The handle that ``unschedule`` accepts: ``t`` and the schedule's number."""
        return f"t{self.number}"


@dataclass(frozen=True, slots=True)
class QueueState:
    """Where the FIFO queue stands in the log: the queue is a view, so this is all there is to it.

    ``start`` is the first log number still in the queue; ``summary`` the row at index 0; ``pinned`` an
    open event that was evicted but stays in view; ``head`` the working context as rendered at the last
    flush; ``warned`` whether this filling has had its warning; ``ratio`` reported tokens per counted one.
    """

    start: int = 1
    summary: int | None = None
    pinned: int | None = None
    head: str = ""
    warned: bool = False
    ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent as stored: its name, which is unique within its ``tenant``, its settings (JSON values, see
    ``config.AgentSettings``), its queue. ``parked``: why none of its turns is run; ``damage``: what of it
    could not be read, and is left out here; ``attachment_changes`` counts how often what is attached to it
    has changed. ``hold``: why nothing of it may be forgotten; empty: it may."""

    name: str
    settings: Mapping[str, Any]
    created: datetime
    queue: QueueState = field(default_factory=QueueState)
    id: AgentId = field(default=AgentId(0))
    last_seq: int = 0
    tenant: str = ""
    parked: str = ""
    damage: str = ""
    attachment_changes: int = 0
    hold: str = ""
