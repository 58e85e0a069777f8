"""Approval: which calls of an agent a person decides on, and how a decision reads for the model.

A call needs a decision if its tool is marked so, by a predicate on its arguments perhaps, or if the agent's
settings name its function; not if that was allowed for good or for the session. Left out: waiting
(``turn_writer``) and deciding (``kernel.deciding``).
"""

from __future__ import annotations

import inspect
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, get_type_hints

from pagefault.approvals import Approval
from pagefault.containment import contained, in_thread
from pagefault.errors import PagefaultError
from pagefault.functions import Function, Outcome, Prepared
from pagefault.functions.tool_context import ToolContext, is_tool_context
from pagefault.functions.tools import ALL_ARGUMENTS, CONTEXT_NAMES
from pagefault.storage import Store
from pagefault.types import AgentId, Message, Output

__all__ = ["Permissions", "SessionGrants", "refusal", "waiting_output", "with_decision"]

SessionGrants = defaultdict[AgentId, set[str]]
"""The functions that each agent may call without being asked while a kernel is open."""

_REFUSED = "Not run: this call was refused{by}. Do not repeat it; tell the user, or do it another way.{note}"
_EXPIRED = "Not run: nobody approved this call in time. Ask the user before you make it again."
_SPEECH = "send_message"


@dataclass(frozen=True, slots=True)
class Permissions:
    """The rules of one agent. ``names``: of functions that need a decision whatever their arguments;
    ``allowed``: those allowed while the kernel is open; ``timeout``: seconds until a call that nobody decided
    on counts as refused."""

    agent: AgentId
    store: Store
    names: frozenset[str] = frozenset()
    allowed: set[str] = field(default_factory=set[str])
    timeout: float | None = None

    @property
    def hold_speech(self) -> bool:
        """Return whether the agent's speech needs a decision: then it is not shown while it streams."""
        return _SPEECH in self.names and _SPEECH not in self.allowed

    def may_ask(self, function: Function) -> bool:
        """Return whether calls of the function may need a decision."""
        return function.allowance not in self.allowed and (
            function.name in self.names or function.approval is not False
        )

    async def asks(self, prepared: Prepared, context: ToolContext[Any], seconds: float) -> bool:
        """Return whether this call needs a decision. A predicate that fails, or takes longer, means: ask."""
        function = prepared.function
        if not self.may_ask(function):
            return False
        grants = await self.store.read(lambda tx: tx.grants(self.agent))
        if any(grant.name == function.allowance for grant in grants):
            return False
        if function.name in self.names or not callable(function.approval):
            return True
        try:
            return bool(
                await contained(
                    function.name, _asked(function.approval, prepared.arguments, context), seconds
                )
            )
        except (PagefaultError, TimeoutError):
            return True

    def request(self, call: Message, event: int, prepared: Prepared, now: datetime) -> Approval:
        """The approval to ask for, with the arguments that the call would be run with."""
        expires = None if self.timeout is None else now + timedelta(seconds=self.timeout)
        arguments = json.dumps(dict(prepared.values))
        return Approval(call.seq, event, prepared.function.allowance, arguments, now, expires)


async def _asked(
    predicate: Callable[..., Any], arguments: Mapping[str, Any], context: ToolContext[Any]
) -> object:
    """The value of a predicate for the arguments that it names, or that it takes as one, and for the context
    if it asks for it; in a thread unless it is asynchronous."""
    parameters = inspect.signature(predicate).parameters.values()
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
    named = {each.name for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)}
    given = {name: dict(arguments) for name in ALL_ARGUMENTS if name in named}
    given |= {name: context for name in CONTEXT_NAMES if name in named}
    given |= {name: value for name, value in arguments.items() if takes_all or name in named}
    hints = get_type_hints(predicate, include_extras=True) if inspect.isroutine(predicate) else {}
    given |= {name: context for name, hint in hints.items() if name in named and is_tool_context(hint)}
    if inspect.iscoroutinefunction(predicate):
        return await predicate(**given)
    value = await in_thread(lambda: predicate(**given))
    return await value if inspect.isawaitable(value) else value


def refusal(approval: Approval) -> Outcome:
    """The outcome of a call that was not approved; the model gets control back."""
    if approval.decision == "expired":
        return Outcome(_EXPIRED, heartbeat=True)
    by = f" by {approval.by}" if approval.by else ""
    note = f" The note to it: {approval.note}" if approval.note else ""
    return Outcome(_REFUSED.format(by=by, note=note), heartbeat=True)


def with_decision(prepared: Prepared, approval: Approval) -> Prepared:
    """An approved call with what the model is to know of the decision."""
    notes = prepared.notes
    if approval.changed is not None:
        shown = json.dumps(json.loads(approval.changed), ensure_ascii=False)
        notes = (*notes, f"(It was approved, and run, with other arguments: {shown}.)")
    if approval.note:
        notes = (*notes, f"(The note to its approval: {approval.note})")
    return replace(prepared, notes=notes)


def waiting_output(event: int, position: int, approvals: list[Approval]) -> Output:
    """The output that closes what the sender of an event hears, until the calls are decided on."""
    open_ones = [each for each in approvals if not each.decision]
    calls = [
        {
            "id": each.id,
            "event": each.event,
            "name": each.function,
            "arguments": json.loads(each.arguments),
            "asked": each.asked.isoformat(),
            "expires": each.expires and each.expires.isoformat(),
        }
        for each in open_ones
    ]
    names = ", ".join(f"{each.function} ({each.id})" for each in open_ones)
    return Output("waiting", f"Waiting for approval: {names}", event, position, data={"approvals": calls})
