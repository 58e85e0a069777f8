"""A daemon that reminds: it serves an agent's timers, and hands on what the agent says when they come due.

    python examples/apps/reminders.py                                  # until Ctrl-C or SIGTERM
    pagefault schedule add reminders "Stand up." --cron "0 * * * *"    # in another terminal

A real model sets timers itself when you ask it to (`pagefault chat --agent reminders`).
"""

import asyncio
import signal
from contextlib import suppress

import anyio

import pagefault
from pagefault.config import home_folder


async def deliver(agent: pagefault.AsyncAgent, place: anyio.Path) -> None:
    """Hand on what the agent says, from where the last run came to: nothing is left out. What was handed on
    at the moment of a crash comes again."""
    after = int(await place.read_text()) if await place.exists() else 0
    async for output in agent.listen(after):
        if output.type == "said":
            print(output.text, flush=True)  # a notification, an e-mail, a webhook
        if output.position > after:
            after = output.position
            await place.write_text(str(after))


async def main() -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    async with pagefault.open() as pf, asyncio.TaskGroup() as tasks:
        agent = await pf.agent("reminders", timers=True)
        tasks.create_task(deliver(agent, anyio.Path(home_folder(None), "reminders.position")))
        tasks.create_task(pf.serve())
        print(f"timers: {len(await agent.timers.list())}", flush=True)


with suppress(asyncio.CancelledError, KeyboardInterrupt):
    asyncio.run(main())
