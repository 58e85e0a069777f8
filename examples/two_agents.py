"""Two agents in one process that write to each other.

It runs by itself with a scripted model, on a home that is thrown away. For a real one leave Parts out and
add "model": "openai:gpt-4o-mini" to the settings.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from pagefault.assembly import Parts
from pagefault.build import open_kernel
from pagefault.config import parse_settings
from pagefault.models import Prompt
from pagefault.testing.models import Item, ScriptedModel, call, say


def answer(prompt: Prompt) -> Item:
    """What a model might do, by the event that it sees last: `[agent ana 2026-11-22 Sun 18:04] text`."""
    event = prompt.messages[-1].text
    if event.startswith("[user"):
        return [call("send_to_agent", name="cook", text="What is for dinner?"), say("I am asking the cook.")]
    if event.startswith("[agent ana"):
        return [call("send_to_agent", name="ana", text="Soup.")]
    return [say("There will be soup.")]


async def main() -> None:
    with TemporaryDirectory() as home:
        parts = Parts(model=ScriptedModel(answer))
        async with open_kernel(Path(home), parts) as kernel:
            for name in ("ana", "cook"):
                await kernel.create_agent(name, parse_settings({"agents": True}))
            seen = 0
            async for output in kernel.send("ana", "What will we eat?"):
                seen = output.position
                if output.type == "said":
                    print(f"ana: {output.text}")
            await kernel.idle()  # the cook answers, and ana is woken by the answer
            for output in await kernel.outputs("ana", after=seen):
                if output.type == "said":
                    print(f"ana: {output.text}")


anyio.run(main)
