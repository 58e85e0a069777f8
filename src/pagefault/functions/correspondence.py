"""Messages from agent to agent: to whom an agent may write, how often, and how far one leads to the next.

A message carries the count of messages it follows from (``Event.hops``); so do the timers that are set on its
account. Two agents that thank each other come to an end by that. Left out: what is done with a message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cache
from typing import cast

from pagefault.clock import Clock
from pagefault.errors import FunctionError
from pagefault.functions import Function
from pagefault.functions.describing import describe
from pagefault.names import could_be_agent_name
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event, EventKind

__all__ = ["Correspondence", "Peers", "peers_of", "sending_function"]

Peers = bool | tuple[str, ...]
"""The agents that one may write to: none, any, or those named; a ``*`` in a name stands for anything."""

_ON, _OFF = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_MINUTE = timedelta(minutes=1)
_SHOWN = 20  # names in an error


def peers_of(value: object) -> object:
    """The value of the setting ``agents`` as it may be written in a variable: ``true``, or ``bo,clara``.

    ``ValueError`` for what no agent can be called: it would be a list that lets nobody be written to.
    """
    if isinstance(value, str):
        if (word := value.strip().lower()) in (*_ON, *_OFF):
            return word in _ON
        value = tuple(name.strip() for name in value.split(",") if name.strip())
    for name in cast("Iterable[object]", value) if isinstance(value, list | tuple) else ():
        if isinstance(name, str) and not could_be_agent_name(name.replace("*", "a")):
            raise ValueError(f"{name!r} cannot be the name of an agent; write true, or names as in bo,team-*")
    return cast(object, value)


@dataclass(frozen=True, slots=True)
class Correspondence:
    """The messages that one agent sends. ``hops`` gives the count of the event being served; at most
    ``most_hops`` messages follow from one another, and ``per_minute`` go to one agent in a minute. ``trace``
    gives the trace of its turn."""

    agent: AgentId
    name: str
    clock: Clock
    peers: Peers
    most_hops: int
    per_minute: int
    hops: Callable[[], int]
    trace: Callable[[], str] = str

    def send_to_agent(self, tx: Transaction, name: str, text: str) -> str:
        """Send a message to another agent's inbox."""
        other = tx.agent(name)
        if other is None or other.id == self.agent or not self._may_write_to(name):
            raise FunctionError(f"There is no other agent {name} to write to; agents: {self._names(tx)}.")
        hops, now = self.hops() + 1, self.clock.now()
        if hops > self.most_hops:
            raise FunctionError(
                f"Not sent: {self.most_hops} messages between agents followed from one another, the most "
                "that may; finish without a further one."
            )
        if tx.count_sent(other.id, self.name, now - _MINUTE) >= self.per_minute:
            raise FunctionError(
                f"Not sent: {name} has had {self.per_minute} messages of yours within a minute, the most "
                "allowed; put what is left into one message, later."
            )
        trace = self.trace()
        tx.post(other.id, Event(EventKind.AGENT, text, sender=self.name, at=now, hops=hops, trace=trace))
        return f"Sent to {name}."

    def _may_write_to(self, name: str) -> bool:
        if isinstance(self.peers, bool):
            return self.peers
        return any(fnmatchcase(name, allowed) for allowed in self.peers)

    def _names(self, tx: Transaction) -> str:
        names = [a.name for a in tx.agents() if a.id != self.agent and self._may_write_to(a.name)]
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        return f"{', '.join(names[:_SHOWN])}{more}" or "(none)"


@cache
def sending_function() -> Function:
    """The function ``send_to_agent``, described once a process and not bound yet."""
    return describe(Correspondence.send_to_agent, "memory", Correspondence)
