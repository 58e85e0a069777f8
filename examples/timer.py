"""A timer: the agent sets it, the kernel fires it, the agent speaks without being spoken to.

It runs by itself with a scripted model, on a home that is thrown away. For a real one leave Parts out and
add "model": "openai:gpt-4o-mini" to the settings.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from pagefault import Event, Kernel
from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import parse_settings
from pagefault.testing.models import ScriptedModel, call, say

SCRIPT = [
    [call("schedule", note="the tea is ready", when="+1s"), say("I will call you.")],
    [say("Your tea is ready!")],
]


async def main() -> None:
    with TemporaryDirectory() as home:
        parts = Parts(model=ScriptedModel(SCRIPT))
        async with open_kernel(Path(home), parts) as kernel:
            await kernel.create_agent("ana", parse_settings({"timers": True}))
            await talk(kernel)


async def talk(kernel: Kernel) -> None:
    async with kernel.listen("ana") as outputs, anyio.create_task_group() as tasks:
        await kernel.post("ana", Event("message", "Call me when my tea is ready."))
        tasks.start_soon(kernel.serve)  # fires timers and serves inboxes until it is cancelled
        turns = 0
        async for output in outputs:
            if output.type == "said":
                print(output.text)
            turns += output.type == "done"
            if turns == 2:
                break
        tasks.cancel_scope.cancel()


anyio.run(main)
