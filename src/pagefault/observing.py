"""The hook for observers: what an agent does is reported to them as values, as it begins and as it ends.

Observers are foreign code that runs in the event loop: an error of one costs its report and not the turn,
and it has to return at once. Nothing is reported anywhere unless a program gives an observer
(``assembly.Parts``). Left out: what observers make of the reports (``telemetry``).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal, Protocol, TypeVar

from pagefault.containment import barrier
from pagefault.errors import PagefaultError
from pagefault.models import Completion, ModelWrapper, Prompt, StreamItem
from pagefault.redaction import logger_of
from pagefault.types import AgentId, Event, Tier

__all__ = [
    "Activity",
    "Ending",
    "Observation",
    "ObservedCall",
    "ObservedModel",
    "ObservedRequest",
    "ObservedSearch",
    "ObservedTurn",
    "Observer",
    "Observers",
]

logger = logger_of(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ObservedTurn:
    """The turn of an event, or a part of it: up to where it waits for a decision, or from there on. ``model``
    is the name in the agent's settings."""

    agent: AgentId
    name: str
    model: str
    event: Event


@dataclass(frozen=True, slots=True)
class ObservedRequest:
    """A request to a model, retries and fallback models included: of a turn, or for a summary."""

    agent: AgentId
    model: str
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class ObservedCall:
    """A call of a function. ``id`` is unique within the agent. The call of a ``memory`` function is reported
    when it is committed, ``seconds`` after it was begun."""

    agent: AgentId
    id: str
    function: str
    kind: Literal["memory", "query", "tool"]
    arguments: str
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ObservedSearch:
    """A search in the recall or archival storage of ``owners``, agents and archives."""

    agent: AgentId
    tier: Tier
    owners: tuple[AgentId, ...]
    query: str


Activity = ObservedTurn | ObservedRequest | ObservedCall | ObservedSearch
"""An activity that is reported to observers."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of an activity. ``error`` names the kind of failure, empty for none: the class of an exception,
    the name of the alert that ended a turn, ``cancelled``, ``failed`` or ``invalid`` (a call that the model
    wrote wrongly).

    A turn's ``state`` says whether it is over, waits for a decision, or let a warning go first.
    ``completion`` is that of a request, ``first`` the seconds until its first piece. ``text`` is the result
    of a call, ``count`` the number of rows that a search found.
    """

    error: str = ""
    state: Literal["", "done", "waiting", "deferred"] = ""
    completion: Completion | None = None
    first: float = 0.0
    text: str = ""
    count: int = 0


class Observer(Protocol):
    """An observer of what agents do. Both methods are called in the event loop, must return at once, and may
    be called for many activities at the same time; those of one task are nested."""

    def begin(self, activity: Activity) -> Callable[[Ending], None]:
        """Note that an activity begins; return what is called when it ends, in the same task."""
        ...

    def trace(self) -> str:
        """Return the ``traceparent`` of W3C Trace Context for what is done at the moment, empty if there is
        none. It is stored with an event that is posted."""
        ...


@dataclass(slots=True)
class Observation:
    """An activity that is watched; whoever carries it out sets its ``ending``."""

    ending: Ending = field(default_factory=Ending)


@dataclass(frozen=True, slots=True)
class Observers:
    """The observers of a process, whose errors stay here."""

    each: tuple[Observer, ...] = ()
    _failed: set[int] = field(default_factory=set[int])

    def trace(self) -> str:
        """Return the trace of what is done at the moment, from the first observer that knows one."""
        return next((known for one in self.each if (known := self._safely(one, one.trace))), "")

    @contextmanager
    def watching(self, activity: Activity) -> Generator[Observation]:
        """Report an activity for as long as the context lasts; an exception that leaves it is its error."""
        watch = Observation()
        if not self.each:
            yield watch
            return
        begun = [(one, self._safely(one, one.begin, activity)) for one in self.each]
        try:
            yield watch
        except BaseException as error:
            name = type(error).__name__
            watch.ending = Ending("cancelled" if name in ("CancelledError", "GeneratorExit") else name)
            raise
        finally:
            for one, end in reversed(begun):
                if end is not None:
                    self._safely(one, end, watch.ending)

    def note(self, activity: Activity, ending: Ending) -> None:
        """Report an activity that is over."""
        with self.watching(activity) as watch:
            watch.ending = ending

    def _safely(self, observer: Observer, call: Callable[..., T], *args: object) -> T | None:
        try:
            with barrier():
                return call(*args)
        except PagefaultError as error:
            if id(observer) not in self._failed:  # one that is broken would fill the log
                self._failed.add(id(observer))
                logger.warning("the observer %s failed: %s", type(observer).__name__, error)
            return None


@dataclass(slots=True)
class ObservedModel(ModelWrapper):
    """A model whose requests are reported. ``setting`` is its name in the agent's settings."""

    agent: AgentId
    setting: str
    observers: Observers

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the model's items."""
        begun, first, completion = monotonic(), 0.0, None
        with self.observers.watching(ObservedRequest(self.agent, self.setting, prompt)) as watch:
            async with aclosing(self.model.stream(prompt)) as items:
                async for item in items:
                    first = first or monotonic() - begun
                    if isinstance(item, Completion):
                        completion = item
                        break
                    yield item
            watch.ending = Ending(completion=completion, first=first)
        if completion is not None:  # whoever has it closes this stream, which is not an end of the request
            yield completion
