"""The prompts of one process: its main context compiled, with the images that are sent in a turn.

Left out: which rows the queue shows (``context``), and asking.
"""

from __future__ import annotations

from dataclasses import replace

from pagefault.agent.program import Program
from pagefault.context import Compiler, MainContext, Queue
from pagefault.context.images_in_view import ImagesInView
from pagefault.context.queue_manager import QueueManager
from pagefault.models import Prompt

__all__ = ["Prompting"]


class Prompting:
    """Compiles what is new of a prompt since the one before."""

    def __init__(self, program: Program, memory: QueueManager) -> None:
        self._program = program
        self._memory = memory
        self._compiler, self._images = Compiler(), ImagesInView(memory.agent, program.store)

    def prompt(self, *, plain: bool = False) -> Prompt:
        """The prompt as it would be sent now; ``plain`` as it says of a prompt."""
        sizes = self._memory.sizes()
        room = max(sizes.reserve // 2, sizes.window - sizes.margin - sizes.prompt)
        context = self._context(self._memory.queue)
        made = self._compiler.prompt(context, min(sizes.reserve, room), self._images.held)
        return replace(made, plain=True) if plain else made

    def part(self, queue: Queue) -> Prompt:
        """The prompt of a part of the queue, in the bytes that the whole has."""
        return Compiler().prompt(self._context(queue), self._memory.budget.reserve, self._images.held)

    async def load_images(self) -> None:
        """Hold the images that the queue shows."""
        await self._images.load(self._memory.queue)

    def drop_images(self) -> None:
        """Between turns only text is held."""
        if self._images.held:
            self._compiler, self._images.held = Compiler(), {}

    def _context(self, queue: Queue) -> MainContext:
        return MainContext(self._program.instructions, self._program.executor.schemas, queue)
