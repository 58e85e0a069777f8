"""An agent as Markdown for people: its working context, what was said, what it keeps.

Every text that somebody wrote stands in a fence that is longer than any in it, and every name is escaped, so
that a text can neither end its block nor become a heading, a link or HTML, whatever shows the page. Controls
are written as escapes. Thoughts, calls and results are counted, not shown: ``pagefault trace`` shows them.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import date, tzinfo

from pagefault.config import zone_for
from pagefault.exporters.reading import ExportedAgent, Losses, read_agent
from pagefault.kernel import Kernel
from pagefault.quoting import inline, visible
from pagefault.types import Document, Message, Passage, Role, Section

__all__ = ["fenced", "markdown_text"]

_SHOWN = {Role.USER: "user", Role.ASSISTANT: "", Role.EVENT: "event", Role.ALERT: "alert"}
_LOST = {
    Role.THOUGHT: "thoughts", Role.CALL: "calls", Role.RESULT: "results", Role.SUMMARY: "summaries",
    Role.PREFETCH: "lookups of memory",
}  # fmt: skip
_ESCAPED = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&:@/])")
_TICKS = re.compile(r"`+")


def fenced(text: str) -> str:
    """Any text as a block of code, which ends where the text does."""
    shown = visible(text.replace("\r\n", "\n").replace("\r", "\n"))
    fence = "`" * max(3, 1 + max((len(run) for run in _TICKS.findall(shown)), default=0))
    return f"{fence}text\n{shown}\n{fence}\n"


async def markdown_text(kernel: Kernel, name: str, losses: Losses) -> AsyncGenerator[str]:
    """Yield the page of an agent, piece by piece; ``losses`` counts what it does not show. ``NotFoundError``
    before the first piece if there is no such agent."""
    agent = await read_agent(kernel, name)
    zone = zone_for(agent.record)
    yield _head(agent, zone)
    yield "".join(map(_section, agent.sections))
    yield "\n## Conversation\n"
    async with aclosing(_conversation(agent, zone, losses)) as pieces:
        async for piece in pieces:
            yield piece
    if agent.passages:
        yield "\n## Archival storage\n"
    async with aclosing(agent.texts_of(agent.passages)) as passages:
        async for passage in passages:
            yield _passage(passage, zone)
    if agent.documents:
        yield "\n## Documents\n\n" + "".join(map(_document, agent.documents))
    losses.add("texts of documents", len(agent.documents))
    losses.add("timers", agent.timers)
    losses.add("attached archives", len(agent.archives))
    if sentences := losses.sentences():
        yield "\n## Not shown\n\n" + "".join(f"- {each}\n" for each in sentences)


def _head(agent: ExportedAgent, zone: tzinfo) -> str:
    at = agent.kernel.clock.now().astimezone(zone)
    return (
        f"# {_name(agent.record.name)}\n\n"
        f"Exported by pagefault on {at:%Y-%m-%d %H:%M} ({_name(str(zone))}).\n\n## Working context\n"
    )


def _section(section: Section) -> str:
    about = f"{_name(section.description, 200)}\n\n" if section.description else ""
    kind = ", read-only" if section.read_only else ""
    size = f"{section.limit:,} tokens at most{kind}."
    return f"\n### {_name(section.name)}\n\n{about}{size}\n\n{fenced(section.text)}"


async def _conversation(agent: ExportedAgent, zone: tzinfo, losses: Losses) -> AsyncGenerator[str]:
    day: date | None = None
    async with aclosing(agent.rows()) as rows:
        async for row in rows:
            if row.role in _LOST:
                losses.add(_LOST[row.role])
                continue
            at = row.at.astimezone(zone)
            if at.date() != day:
                day = at.date()
                yield f"\n### {day.isoformat()}\n"
            yield f"\n**{_who(agent, row)}**, {at:%H:%M}\n\n{fenced(row.text)}"
            for media in row.meta.media:
                yield f"\n(with {_name(media.name or media.media_type)})\n"


def _who(agent: ExportedAgent, row: Message) -> str:
    if row.role is Role.ASSISTANT:
        return _name(agent.record.name)
    return _name(row.speaker) if row.speaker else _SHOWN[row.role]


def _passage(passage: Passage, zone: tzinfo) -> str:
    tags = "".join(f", {_name(tag)}" for tag in passage.tags)
    title = f", {_name(passage.title, 200)}" if passage.title else ""
    return (
        f"\n**{passage.id}**, {passage.at.astimezone(zone):%Y-%m-%d}{title}{tags}\n\n{fenced(passage.text)}"
    )


def _document(document: Document) -> str:
    pages = "1 page" if document.pages == 1 else f"{document.pages:,} pages"
    return f"- {document.id}: {_name(document.title, 200)} ({pages}), from {_name(document.source, 200)}\n"


def _name(name: str, longest: int = 64) -> str:
    """A name within a line, with everything escaped that Markdown could read."""
    return _ESCAPED.sub(r"\\\1", inline(name, longest))
