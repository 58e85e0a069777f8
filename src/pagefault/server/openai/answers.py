"""The answer to one event as both protocols report it: its speech, why it was cut short, what it waits
for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pagefault.server.problems import Problem
from pagefault.types import CLOSING
from pagefault.views.reply import Reply

__all__ = ["ClientAnswer"]

_LEFT = (
    "The server is stopping; the message is stored and its turn goes on. Ask again with the same "
    "Idempotency-Key, or read the agent's history."
)
_NO_RETRY = {"x-should-retry": "false"}  # a client's own retry would enter the message once more


@dataclass(frozen=True, slots=True)
class ClientAnswer:
    """A reply, read for a client."""

    reply: Reply

    @property
    def is_complete(self) -> bool:
        """Return whether the turn is over, or waits for a decision; else this server only stopped showing
        it."""
        outputs = self.reply.outputs
        return bool(outputs) and outputs[-1].type in CLOSING

    @property
    def cut_short(self) -> str:
        """The reason why the turn was cut short; empty if it was not."""
        ends = [output.text for output in self.reply.outputs if output.type == "alerted"]
        return ends[-1] if ends else ""

    @property
    def notice(self) -> str:
        """The calls that wait for a decision, whole, for a client that shows text alone; empty if there are
        none."""
        outputs = self.reply.outputs
        if not outputs or outputs[-1].type != "waiting":
            return ""
        return "Waiting for approval: " + ", ".join(f"{call} ({call.id})" for call in self.reply.waiting)

    @property
    def text(self) -> str:
        return "\n".join(filter(None, (self.reply.text, self.notice)))

    def failure(self) -> Problem | None:
        """The problem of a turn that ended without a word for the user; None if there is one."""
        if self.reply.text or self.notice:
            return None
        if not self.is_complete:
            return Problem(503, "Left", _LEFT, _NO_RETRY, code="turn_goes_on")
        if self.cut_short:
            return Problem(502, "Turn failed", self.cut_short, _NO_RETRY, code="turn_failed")
        return None

    def facts(self) -> dict[str, Any]:
        """The facts that the protocols have no place for."""
        last = self.reply.outputs[-1] if self.reply.outputs else None
        return {
            "event": last and last.event,
            "position": max((output.position for output in self.reply.outputs), default=0),
            "alerts": list(self.reply.alerts),
            "waiting": [call.id for call in self.reply.waiting],
            "sources": [source.id for source in self.reply.sources],
        }
