"""`sleep`: an agent tidies its memory, and what it did is shown."""

from __future__ import annotations

import anyio

from pagefault.cli.render import counted, output_line
from pagefault.cli.session import Session
from pagefault.kernel.sleeping import sleep as tidy
from pagefault.views.reply import Reply, reply_of

__all__ = ["sleep"]

_SHOWN = ("thought", "called", "returned", "flushed", "alerted", "waiting", "noticed")


def sleep(session: Session, name: str) -> None:
    """Have the agent tidy its memory, and show the calls and what they cost."""

    async def work() -> None:
        async with session.serving(session.installation) as kernel:
            async with tidy(kernel, name) as (agent, _, outputs):
                done = [output async for output in outputs]
            reply = await reply_of(kernel, agent, done)
            session.show({"outputs": reply.outputs, "usage": reply.usage}, _text(reply))

    with session.naming_damage():
        anyio.run(work)


def _text(reply: Reply) -> str:
    spent = reply.usage
    tokens = counted(spent.input + spent.output, "token")
    cost = f", ${spent.cost:,.4f}" if spent.cost else ""
    lines = [output_line(output) for output in reply.outputs if output.type in _SHOWN]
    return "\n".join([*lines, f"Slept: {counted(spent.requests, 'request')}, {tokens}{cost}."])
