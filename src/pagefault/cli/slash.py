"""The slash commands of a chat: memory, files, approvals, usage, undo, and a flush.

A slash command is a line that starts with a slash and one word; its answer is a notice, never a message.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from pagefault.cli.agents import section_text
from pagefault.cli.approvals import call_text
from pagefault.cli.memory import search_text
from pagefault.cli.render import gauge, row_line
from pagefault.cli.undoing import undone_lines
from pagefault.cli.usage import usage_table
from pagefault.errors import PagefaultError
from pagefault.kernel import Kernel
from pagefault.kernel.posting import EventOutputs
from pagefault.kernel.withdrawing import edited, retried, undo
from pagefault.types import Tier
from pagefault.views.agents import context
from pagefault.views.approvals import approvals, grants
from pagefault.views.memory import search, sections
from pagefault.views.usage import usage

_COMMAND = re.compile(r"/([A-Za-z]+)(?:\s+(.*))?$", re.DOTALL)
_PAGE = re.compile(r"(?:\|\s*+page|--page)\s++(\d{1,9})\s*+$")

HELP = """\
/context          the main context as it is: sizes, working context, summary, queue
/memory           the sections of the working context, with use and limit
/recall QUERY     search the message log; `| page 2` at the end turns the page
/archival QUERY   search documents and facts
/attach PATH WORDS  send an image or a file, and say something with it
/approvals        calls that wait for a decision, and functions allowed for good
/usage            tokens and cost, by model
/flush            flush the queue now
/undo [N]         withdraw the last turn, or the last N turns
/retry            withdraw the last answer, and have it given anew
/edit TEXT        say your last message otherwise, and have it answered anew
/help             this list
/quit             leave"""


@dataclass(frozen=True, slots=True)
class Slash:
    """The slash commands over one agent. ``show`` prints an answer; ``attach`` sends the file that a line
    names; ``answered`` shows how an event that is posted again is answered."""

    kernel: Kernel
    name: str
    show: Callable[[str], None]
    attach: Callable[[str], Awaitable[str]]
    answered: Callable[[AbstractAsyncContextManager[EventOutputs]], Awaitable[str]]

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
            "attach": self.attach,
            "approvals": self._approvals,
            "usage": self._usage,
            "flush": self._flush,
            "undo": self._undo,
            "retry": self._retry,
            "edit": self._edit,
            "help": self._help,
        }
        command = commands.get(found[1].lower())
        try:
            answer = await command((found[2] or "").strip()) if command else self._unknown(found[1])
        except PagefaultError as error:
            answer = str(error)
        if answer:
            self.show(answer)
        return True

    def _unknown(self, word: str) -> str:
        return f"There is no /{word}; /help lists what there is. Start with a space to say it as a message."

    async def _help(self, _: str) -> str:
        return HELP

    async def _context(self, _: str) -> str:
        found = await context(self.kernel, self.name)
        lines = [gauge(found.sizes), "", found.working_context, ""]
        if found.summary:
            lines += [f"Summary ({found.summary.id}):", found.summary.text, ""]
        if found.pinned:
            lines.append(f"Pinned: {row_line(found.pinned)}")
        return "\n".join([*lines, *map(row_line, found.queue)])

    async def _memory(self, _: str) -> str:
        return "\n\n".join(map(section_text, await sections(self.kernel, self.name)))

    async def _recall(self, query: str) -> str:
        return await self._find("recall", query)

    async def _archival(self, query: str) -> str:
        return await self._find("archival", query)

    async def _find(self, tier: Tier, text: str) -> str:
        paged = _PAGE.search(text)
        query, page = (text[: paged.start()], int(paged[1])) if paged else (text, 1)
        return search_text(await search(self.kernel, self.name, query.strip(), tier=tier, page=page))

    async def _approvals(self, _: str) -> str:
        calls = await approvals(self.kernel, self.name)
        allowed = ", ".join(grant.name for grant in await grants(self.kernel, self.name))
        lines = list(map(call_text, calls)) or ["No call waits for a decision."]
        return "\n".join([*lines, *([f"Allowed for good: {allowed}"] if allowed else [])])

    async def _usage(self, _: str) -> str:
        return usage_table(await usage(self.kernel, self.name, by="model"), "model")

    async def _flush(self, _: str) -> str:
        return "" if await self.kernel.flush(self.name) else "There is nothing to flush."

    async def _undo(self, turns: str) -> str:
        if turns and not re.fullmatch("[0-9]{1,9}", turns):
            return "Write how many turns to withdraw: /undo 2"
        return "\n".join(undone_lines(await undo(self.kernel, self.name, turns=int(turns or 1))))

    async def _retry(self, _: str) -> str:
        return await self.answered(retried(self.kernel, self.name))

    async def _edit(self, text: str) -> str:
        return await self.answered(edited(self.kernel, self.name, None, text))


def leaves(line: str) -> bool:
    """Return true for a line that asks to end the chat."""
    return line.lower().split(maxsplit=1)[:1] in (["/quit"], ["/exit"])
