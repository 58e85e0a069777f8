"""The error tree, split by who must act; each message is one sentence: what is wrong, then how to fix it.

PagefaultError
├── FunctionError            the model must act: the text goes back to it as a result
├── UsageError               the developer or the person at the terminal must act
│   ├── NotFoundError        a name or an id that is not there
│   │   └── StaleAgentError     the name belongs to another agent by now
│   ├── NameTakenError       another agent has this name
│   ├── InTurnError          the agent is in a turn
│   ├── HeldError            the agent is under a legal hold (and a FunctionError)
│   ├── StaleEditError       a text was changed since the one was read that an edit is based on
│   ├── QuotaError           a tenant has as much as it may; a FunctionError as well
│   └── ArgumentTypeError    an argument of the wrong type; a TypeError as well
└── OperatorError            whoever runs the installation must act
    ├── PluginError          a part that another package offers does not work
    ├── Fault                foreign code raised something that is no error of ours (``containment``)
    ├── DamageError          a stored value of an agent cannot be read
    ├── StorageError         the database cannot be opened, read or written
    │   ├── TurnLostError       another process has taken over the agent's turn
    │   └── TurnHeldError       another process runs the agent's turn
    ├── ParkedError          no turn of the agent is run until it is released
    ├── DailyBudgetSpent     events wait until the day is over or the budget raised
    ├── EmbedderError        texts could not be made vectors; search by words goes on
    │   └── EmbedderSetupError  a wrong name or address, a missing key: retrying will not help
    ├── OutputError          an answer is not of the type that was asked for
    ├── RerankerError        texts could not be scored; the ranking stays as it was
    └── ModelError           the provider failed
        ├── ModelUnavailable    it cannot answer now: retrying may help
        │   └── ModelUnreachable    nothing answers at its address
        ├── ContextLengthExceeded
        │   └── BodyTooLarge        by its bytes, before anything was counted
        ├── ToolsUnsupported    it has no function calling: JSON mode may help
        ├── RequestRefused      it refuses what the prompt holds
        │   └── ImagesUnsupported   it takes no images: the prompt without them may help
        └── ModelSetupError     a wrong name, an invalid key, no credit: retrying will not help
"""

from __future__ import annotations

from datetime import datetime


class PagefaultError(Exception):
    """The base of every error that pagefault raises on purpose."""


class FunctionError(PagefaultError):
    """A function call that cannot be done as asked; the message tells the model what to do instead."""


class UsageError(PagefaultError):
    """A wrong argument, setting or state; the message says how to fix it."""


class NotFoundError(UsageError):
    """No agent, row, passage or schedule of that name or id."""


class StaleAgentError(NotFoundError):
    """An agent was deleted or renamed since it was looked up; the name may be another's now."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Agent {name} was deleted or renamed by another process; look it up again.")


class NameTakenError(UsageError):
    """An agent, an archive or a shared section of this name, as it is stored, exists already."""

    def __init__(self, name: str) -> None:
        kind, _, bare = name.rpartition(":")
        what = {"archive": "an archive", "section": "a shared section"}.get(kind, "an agent")
        super().__init__(f"There is already {what} named {bare!r}; choose another name.")


class InTurnError(UsageError):
    """An act that has to wait until the agent's turn is done."""

    def __init__(self, name: str) -> None:
        super().__init__(f"Agent {name} is in the middle of a turn; try again when it is done.")


class OpenTurnError(InTurnError):
    """The same, of a turn that nobody runs. ``state``: as it stands, and what to do."""

    def __init__(self, name: str, state: str) -> None:
        UsageError.__init__(self, f"A turn of {name} {state}; then try again.")


class HeldError(UsageError, FunctionError):
    """An act by which something of an agent under a legal hold goes. ``done``: as it is not, "deleted"."""

    def __init__(self, name: str, why: str, done: str) -> None:
        super().__init__(f"{name} is held ({why}), so nothing of it is {done}; lift the hold first.")


class StaleEditError(UsageError):
    """An edit of a section that is based on an earlier text. ``section``, ``text`` and ``version``: as it is
    now; nothing was written."""

    def __init__(self, section: str, text: str, version: int) -> None:
        super().__init__(
            f"Section {section} was changed since you read it; look at what it says now, and edit that."
        )
        self.section, self.text, self.version = section, text, version


class QuotaError(UsageError, FunctionError):
    """A tenant has as many agents, rows, documents or bytes of media as it may."""

    def __init__(self, tenant: str, kind: str, limit: int) -> None:
        super().__init__(
            f"The tenant {tenant} has as many {kind.replace('_', ' ')} as it may have ({limit:,}); delete "
            f"some, or raise the limit with `pagefault tenant set {tenant} --{kind.replace('_', '-')} N`."
        )


class ArgumentTypeError(UsageError, TypeError):
    """An argument of the wrong type, or a function without the type hints that a tool needs."""


class OperatorError(PagefaultError):
    """Something outside the program is not as it must be."""


class PluginError(OperatorError):
    """A plug-in cannot be imported or made; the message names it and its package."""


class StorageError(OperatorError):
    """The database cannot be opened, is newer than this code, or refused a write."""


class TurnLostError(StorageError):
    """A write of a turn that another process has taken over; it goes on there, and nothing was written."""


class TurnHeldError(StorageError):
    """A turn that another process, or another part of this one, has begun; nothing was written."""

    def __init__(self, agent: int) -> None:
        super().__init__(f"Agent {agent} is in the middle of a turn; try again when it is done.")


class DamageError(OperatorError):
    """A stored value cannot be read, and so the agent that it is of cannot be loaded."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; `pagefault db check` lists all that is damaged, a backup has it whole.")


class ParkedError(OperatorError):
    """An agent is parked: its turns are not run, what is sent to it is refused."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"Agent {name} is parked: {why} Mend that, then: `pagefault agent release {name}`")


class DailyBudgetSpent(OperatorError):
    """The daily budget of an agent or of the installation is spent; its events wait. ``until``: the end of
    that day."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class EmbedderError(OperatorError):
    """The embedder failed; rows keep waiting for their vectors and are found by their words."""


class EmbedderSetupError(EmbedderError):
    """The embedder cannot work as configured (name, key, address, extra); retrying will not help."""


class OutputError(OperatorError):
    """An answer of the model is not of the type that the program asked for, also when it was asked again.
    ``text``: the answer."""

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text


class RerankerError(OperatorError):
    """The reranker could not score texts; rankings stay as they were."""


class ModelError(OperatorError):
    """The model's provider failed; the turn ends with an alert and nothing is lost."""


class ModelUnavailable(ModelError):
    """The provider is overloaded, out of reach, or broke off; ``retry_after``: seconds it asks to wait."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelUnreachable(ModelUnavailable):
    """There is no connection to the provider: its server does not run, or the address or network is wrong."""


class ToolsUnsupported(ModelError):
    """The model cannot be offered functions; it may still be asked for a JSON object."""


class RequestRefused(ModelError):
    """The provider refuses a prompt for what it holds; the same prompt will be refused again."""


class ImagesUnsupported(RequestRefused):
    """The model takes no images."""


class ContextLengthExceeded(ModelError):
    """The provider says that the prompt is larger than its window, although we counted less."""


class BodyTooLarge(ContextLengthExceeded):
    """A server or a proxy takes no request of so many bytes; images are most of them, where there are any."""


class ModelSetupError(ModelError):
    """The model cannot work as configured (name, key, address, credit); retrying will not help."""
