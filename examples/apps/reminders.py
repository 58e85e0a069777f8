"""A daemon that reminds: it serves an agent's timers, and hands on what the agent says when they come due.

    python examples/apps/reminders.py                                  # until Ctrl-C or SIGTERM
    pagefault schedule add reminders "Stand up." --cron "0 * * * *"    # in another terminal

A real model sets timers itself when you ask it to (`pagefault chat --agent reminders`).
"""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import pagefault
from pagefault.config import home_folder


def position(place: Path) -> int:
    return int(place.read_text()) if place.exists() else 0


def hand_on(output: pagefault.Output, place: Path) -> None:
    """Hand on what the agent says, and record it: in one go, so that Ctrl-C and SIGTERM come before or after.
    What was handed on at the moment of a crash comes again."""
    if output.type == "said":
        print(output.text, flush=True)  # a notification of the desktop; by network: webhooks.py
    new = place.with_suffix(".new")
    new.write_text(str(output.position))
    new.replace(place)


async def deliver(agent: pagefault.AsyncAgent, place: Path) -> None:
    """Hand on all outputs, from where the last run came to: none is left out."""
    after = position(place)
    async for output in agent.listen(after):
        if output.position > after:
            after = output.position
            hand_on(output, place)


async def main() -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    async with pagefault.open() as pf, asyncio.TaskGroup() as tasks:
        agent = await pf.agent("reminders", timers=True)
        print(f"timers: {len(await agent.timers.list())}", flush=True)
        tasks.create_task(deliver(agent, home_folder(None) / "reminders.position"))
        tasks.create_task(pf.serve())


with suppress(asyncio.CancelledError, KeyboardInterrupt):
    asyncio.run(main())
