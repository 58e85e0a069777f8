"""Functions the model may call: the values that stand for them, their calls and the outcomes of these.

``tools``       marks a Python function as a tool
``describing``  derives a function from a callable
``executor``    checks and runs calls

Which functions there are is not decided here (see ``syscalls``); committing results is the agent's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel

from pagefault.media import MediaContent
from pagefault.models import FunctionSchema
from pagefault.quoting import quoted
from pagefault.types import Message

FunctionKind = Literal["memory", "query", "tool"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a call. ``rows`` go to the log before the result; ``sources`` are the ids of what was
    read from external memory (such a result is not indexed again). ``framed``: the text has frames of ours,
    and what it cites is quoted already; any other text is quoted when it is admitted. ``media``: images and
    files that come with the text."""

    text: str
    rows: tuple[Message, ...] = ()
    sources: tuple[str, ...] = ()
    failed: bool = False
    heartbeat: bool = False  # it gives control back, asked for or not
    invalid: bool = False  # it failed by what the model wrote: no such function, arguments of no use
    framed: bool = False
    media: tuple[MediaContent, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A callable function.

    ``kind``: a ``memory`` function is synchronous, takes the ``Transaction`` its result commits in, and
    has no other effect; a ``query`` only reads; a ``tool`` acts outside and is run at most once unless it
    is ``idempotent``. ``timeout`` is in seconds. ``owner``: the class whose method ``call`` is, until it is
    bound to an instance. ``positional``: the parameters that are not given by name; ``contexts``: those that
    are given the ``ToolContext``. ``approval``: whether a person decides on each call, or a predicate on its
    arguments that says so. ``definition``: the hash of the tool as a server describes it, if one does.
    """

    name: str
    schema: FunctionSchema
    arguments: type[BaseModel]
    call: Callable[..., Any]
    kind: FunctionKind = "tool"
    idempotent: bool = False
    timeout: float | None = None
    owner: type | None = None
    positional: tuple[str, ...] = ()
    contexts: tuple[str, ...] = ()
    approval: bool | Callable[..., object] = False
    definition: str = ""

    @property
    def allowance(self) -> str:
        """The name under which its calls are approved and allowed: with another definition, another one."""
        return f"{self.name}#{self.definition}" if self.definition else self.name


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call whose arguments are parsed and valid. ``values``: the same as JSON values, before that;
    ``notes``: what was read otherwise than written."""

    function: Function
    arguments: Mapping[str, Any]
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notes: tuple[str, ...] = ()

    def noted(self, outcome: Outcome) -> Outcome:
        """Return the outcome with the notes, so that the model learns."""
        notes = (quoted(note, opens_line=False) for note in self.notes)
        return replace(outcome, text=" ".join((outcome.text, *notes))) if self.notes else outcome
