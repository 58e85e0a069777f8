"""The reply to an event: what was committed in its turn, as one value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pagefault.types import Output

__all__ = ["Reply", "reply_of"]

_UNCOMMITTED = ("delta", "retracted")


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to one event, and to no other. ``outputs``: all that was committed in its turn, in order,
    and notices of the model (a retry); empty if an event of the same key was handled before."""

    outputs: tuple[Output, ...]

    @property
    def text(self) -> str:
        """The speech of the agent, empty if it said nothing."""
        return "\n".join(output.text for output in self.outputs if output.type == "said")

    @property
    def alerts(self) -> tuple[str, ...]:
        """The reasons why the turn was cut short: the step limit, a failed model, a cancelled turn."""
        return tuple(output.text for output in self.outputs if output.type == "alerted")

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        alerts = f", alerts={list(self.alerts)!r}" if self.alerts else ""
        return f"Reply({self.text!r}{alerts}, {len(self.outputs)} outputs)"


def reply_of(outputs: Iterable[Output]) -> Reply:
    """The reply made of all outputs of an event."""
    return Reply(tuple(output for output in outputs if output.type not in _UNCOMMITTED))
