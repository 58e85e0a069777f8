"""Sleep: a turn in which an agent that has rested tidies its memory, within bounds, heard by nobody.

What it writes are versions and passages like any others, which ``undo`` takes back. Nothing that others said
is deleted. Left out: when an agent falls asleep (``kernel.sleeping``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo

from pagefault import prompts
from pagefault.context import paging, stamp
from pagefault.functions import Function, Outcome
from pagefault.functions.facts import settle_facts
from pagefault.functions.results import brief
from pagefault.functions.sharing import held_section
from pagefault.literal_query import folded
from pagefault.models.tokens import Counter
from pagefault.quoting import inline
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event, EventKind, Message, Role, Section

__all__ = ["is_sleep", "refusal_asleep", "sleep_text", "tidy"]

_AWAKE = {"send_message", "send_to_agent", "schedule", "unschedule", "archival_delete", "forget"}
"""Memory functions that do more than write down what is known."""

_LOOKED_AT = 400  # rows since the last sleep, the newest, of which the ids are listed
_LINE = 24  # tokens that a listed row's text may take
_LISTED = 1200  # tokens that the list takes at most
_ABOUT = 48  # tokens of the lines about what is listed
_SAID = (Role.USER, Role.ASSISTANT, Role.EVENT)

_UNHEARD = "Nobody hears you now; write what matters into your memory, or stop."
_REFUSED = "Not run: while you rest only functions run that search memory or add to it."


def is_sleep(event: Event | None) -> bool:
    """Return whether the event is one by which an agent tidies its memory."""
    return event is not None and event.kind == EventKind.SLEEP


def refusal_asleep(event: Event | None, function: Function) -> Outcome | None:
    """The result of a call that does not run because the agent sleeps; None if it runs."""
    if not is_sleep(event):
        return None
    if function.name == "send_message":
        return Outcome(_UNHEARD)
    if function.kind == "tool" or function.name in _AWAKE:
        return Outcome(_REFUSED, failed=True, invalid=True)
    return None


def sleep_text(tx: Transaction, agent: AgentId, zone: tzinfo, counter: Counter, page: int) -> str:
    """The text that a sleep begins with: what is to be done, and the ids of what was said since the last one,
    as many of the newest as have room in a ``page``, in tokens."""
    rows, told = _since_last_sleep(tx, agent), prompts.text("sleep")
    lines, room = list[str](), paging.text_size(page) - counter.count(told) - _ABOUT
    left = min(_LISTED, room)
    for row in reversed(rows):
        line = _line(row, zone, counter)
        left -= counter.count(line) + 1
        if left < 0:
            break
        lines.insert(0, line)
    doubles = sorted({name for name, _ in _merged(tx, agent)})
    parts = [told]
    if doubles:
        parts.append(f"Lines that stood twice were taken out of {', '.join(doubles)}.")
    if lines:
        earlier = f" (of {len(rows)}, the newest)" if len(lines) < len(rows) else ""
        parts.append("\n".join([f"Said since you last rested{earlier}:", *lines]))
    return "\n".join(parts)


def _since_last_sleep(tx: Transaction, agent: AgentId) -> list[Message]:
    rows = tx.messages(agent, newest=_LOOKED_AT, appended=False)
    slept = [row.seq for row in rows if row.role is Role.ALERT and row.name == EventKind.SLEEP]
    return [row for row in rows if row.role in _SAID and row.text and row.seq > max(slept, default=0)]


def _line(row: Message, zone: tzinfo, counter: Counter) -> str:
    """``m12 2026-11-20 Fri 18:54 user Ana: the text, cut``"""
    text, *more = paging.split(inline(row.text, 600), _LINE, counter)
    who = f"{row.role} {brief(row.speaker)}".rstrip()
    return f"{row.id} {stamp(row.at, zone)} {who}: {text.rstrip()}{' ...' * bool(more)}"


def tidy(tx: Transaction, agent: AgentId, event: int, zone: tzinfo, now: datetime) -> None:
    """Do what needs no model: take lines that stand twice out of the agent's own sections, as new versions,
    and mark facts that stand twice, or that newer ones contradict."""
    settle_facts(tx, agent, zone, event)
    for _, section in list(_merged(tx, agent)):
        tx.put_section(agent, section, now)


def _merged(tx: Transaction, agent: AgentId) -> Iterable[tuple[str, Section]]:
    """The sections that have a line twice, by name, as they are without the second one."""
    for section in tx.sections(agent):
        text = "\n".join(_once(section.text.split("\n")))
        if text != section.text and not section.read_only and not held_section(tx, agent, section.name):
            yield section.name, replace(section, text=text)


def _once(lines: Sequence[str]) -> list[str]:
    """The lines without those that say, but for case and spaces, what one before them says."""
    seen, kept = set[str](), list[str]()
    for line in lines:
        said = folded(line).strip("-*• ")
        if not said or said not in seen:
            kept.append(line)
        seen.add(said)
    return kept
