"""The tool that talks with the agent itself, and asks its model.

Whoever stops waiting does not end the turn: the same key gets the same reply later.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import anyio

from pagefault.errors import UsageError
from pagefault.kernel.streams import MOST_BEHIND
from pagefault.mcp.access import MemoryAccess
from pagefault.mcp.arguments import MemoryText, RetryKey, ToolArguments
from pagefault.mcp.shown import ToolAnswer, as_data, excerpt_of, named
from pagefault.quoting import quoted, visible
from pagefault.types import CLOSING, UNCOMMITTED, AgentId, Event, EventKind, Output
from pagefault.views.reply import Reply, reply_of

__all__ = ["Report", "SendMessage", "send_message"]

Report = Callable[[int, str], Awaitable[None]]
"""Reports the progress of a call: a number that grows, and a line for a person."""

_FRAME = 200  # tokens beside the text of a reply


class SendMessage(ToolArguments):
    """Send a message to the agent that has this memory and return its reply. It asks the agent's model, which
    may take long; the other tools do not."""

    text: MemoryText
    key: RetryKey = None


async def send_message(access: MemoryAccess, given: SendMessage, report: Report) -> ToolAnswer:
    """Post a message and wait for the reply of its turn, as long as the access says."""
    key = given.key or access.key or f"mcp-{secrets.token_hex(8)}"
    event = Event(EventKind.MESSAGE, given.text, key)
    collected = list[Output]()
    async with access.kernel.posting(access.agent, event, MOST_BEHIND) as (agent, stored, outputs):
        if (stored.kind, stored.text) != (event.kind, event.text):
            raise UsageError("This key was used for another message; choose another key.")
        with anyio.move_on_after(access.seconds):
            async for output in outputs:
                if output.type not in UNCOMMITTED:
                    collected.append(output)
                    await report(len(collected), _step(output))
    return await _answer(access, agent, stored.id, key, collected)


def _step(output: Output) -> str:
    """A line on an output, without its text."""
    doing = {
        "said": "speaks", "called": f"calls {named(output.name or '')}", "returned": "reads the result",
        "thought": "thinks", "done": "is done", "waiting": "waits for a decision",
    }  # fmt: skip
    return f"The agent {doing.get(output.type, 'works')}."


async def _answer(
    access: MemoryAccess, agent: AgentId, event: int, key: str, collected: list[Output]
) -> ToolAnswer:
    about: dict[str, Any] = {"event": event, "key": key}
    if not collected or collected[-1].type not in CLOSING:
        text = f"The agent has the message and is not done; call again with key {key} to wait on."
        return ToolAnswer(text, {**about, "state": "running", "reply": ""})
    reply = await reply_of(access.kernel, agent, collected)
    said = excerpt_of(reply.text, "", access.tokens - _FRAME)
    data = {**about, "state": "waiting" if reply.waiting else "done", "reply": as_data(said)}
    lines = [quoted(visible(said))] if said else ["The agent said nothing."]
    if said != reply.text:
        data["cut"] = True
        lines.append(f"[cut; read_conversation m{_last_speech(collected)} has it whole]")
    return ToolAnswer("\n".join([*lines, *_notices(reply)]), data)


def _last_speech(collected: list[Output]) -> int:
    return max((output.position for output in collected if output.type == "said"), default=0)


def _notices(reply: Reply) -> list[str]:
    """The alerts of a turn, and the calls that wait for a person, a line each."""
    alerts = [f"[alert] {named(alert, 300)}" for alert in reply.alerts[:3]]
    waiting = [
        f"[waiting] A person has to decide on the call {named(call.id)}." for call in reply.waiting[:3]
    ]
    return alerts + waiting
