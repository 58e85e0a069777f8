"""What can be asked for in a chat besides talking: what it remembers and what it cost, and a flush.

A slash command is a line that starts with a slash and one word; its answer is a notice, never a message.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pagefault.accounting.prices import Prices
from pagefault.cli.memory import find
from pagefault.cli.render import gauge, row_line
from pagefault.cli.session import zone_for
from pagefault.cli.usage import report, spent_by
from pagefault.errors import PagefaultError
from pagefault.kernel import Kernel
from pagefault.storage import Filter
from pagefault.types import Tier

_COMMAND = re.compile(r"/([A-Za-z]+)(?:\s+(.*))?$", re.DOTALL)
_PAGE = re.compile(r"\s*(?:\|\s*page|--page)\s+(\d{1,9})\s*$")

HELP = """\
/context          the main context as it is: sizes, working context, summary, queue
/memory           the sections of the working context, with use and limit
/recall QUERY     search the message log; `| page 2` at the end turns the page
/archival QUERY   search documents and facts
/usage            what was spent, by model
/flush            flush the queue now
/help             this list
/quit             leave"""


@dataclass(frozen=True, slots=True)
class Slash:
    """The slash commands over one agent. ``tell`` shows text."""

    kernel: Kernel
    name: str
    prices: Prices
    tell: Callable[[str], None]

    async def run(self, line: str) -> bool:
        """Run the line if it is a slash command; False if it is a message."""
        found = _COMMAND.match(line)
        if not found:
            return False
        commands: dict[str, Callable[[str], Awaitable[str]]] = {
            "context": self._context,
            "memory": self._memory,
            "recall": self._recall,
            "archival": self._archival,
            "usage": self._usage,
            "flush": self._flush,
            "help": self._help,
        }
        command = commands.get(found[1].lower())
        try:
            answer = await command((found[2] or "").strip()) if command else self._unknown(found[1])
        except PagefaultError as error:
            answer = str(error)
        if answer:
            self.tell(answer)
        return True

    def _unknown(self, word: str) -> str:
        return f"There is no /{word}; /help lists what there is. Start with a space to say it as a message."

    async def _help(self, _: str) -> str:
        return HELP

    async def _context(self, _: str) -> str:
        process = await self.kernel.process(self.name)
        queue, zone = process.memory.queue, zone_for(process.record)
        lines = [gauge(process.memory.sizes()), "", queue.state.head, ""]
        if queue.summary:
            lines += [f"Summary ({queue.summary.id}):", queue.summary.text, ""]
        if queue.pinned:
            lines.append(f"Pinned: {row_line(queue.pinned, zone)}")
        return "\n".join([*lines, *(row_line(row, zone) for row in queue.rows)])

    async def _memory(self, _: str) -> str:
        process = await self.kernel.process(self.name)
        count, agent = process.memory.counter.count, process.record.id
        sections = await self.kernel.store.read(lambda tx: tx.sections(agent))
        return "\n\n".join(
            f"{s.name} ({count(s.text):,} of {s.limit:,} tokens{', read-only' if s.read_only else ''})\n"
            f"{s.text or '(empty)'}"
            for s in sections
        )

    async def _recall(self, query: str) -> str:
        return await self._find("recall", query)

    async def _archival(self, query: str) -> str:
        return await self._find("archival", query)

    async def _find(self, tier: Tier, text: str) -> str:
        paged = _PAGE.search(text)
        query, page = (text[: paged.start()], int(paged[1])) if paged else (text, 1)
        record = await self.kernel.record(self.name)
        return (await find(self.kernel, record, tier, query.strip(), page, Filter())).text

    async def _usage(self, _: str) -> str:
        record = await self.kernel.record(self.name)
        found = await spent_by(self.kernel, record, "model", None, self.prices)
        return report([(record, key, tally) for key, tally in found], "model")

    async def _flush(self, _: str) -> str:
        return "" if await self.kernel.flush(self.name) else "There is nothing to flush."


def leaves(line: str) -> bool:
    """Whether the line asks to end the chat."""
    return line.strip().lower() in ("/quit", "/exit")
