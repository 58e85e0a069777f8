"""The prompt as the offline model sees it: style, working context, summary, rows, the open event's steps.

Parses what ``pagefault.context`` renders, tolerantly: what has no header is taken as a user's message.
Edits of the working context that are still in the queue are applied. It leaves out what anything means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from pagefault.models import Call, Prompt, PromptMessage
from pagefault.types import Style

__all__ = ["Found", "Row", "Step", "View", "found_in", "text_in", "view"]

_HEADER = re.compile(
    r"\[(?P<kind>[^\W\d]\w*)(?: (?P<sender>[^\]]*?))? (?P<day>\d{4}-\d\d-\d\d)"
    r"(?: \w+)?(?: (?P<time>\d\d:\d\d))?[^\]]*\] ?"
)
_SECTION = re.compile(r"<(?P<name>[\w-]+)(?: [^>]*)?>\n?(?P<text>.*?)\n?</(?P=name)>", re.DOTALL)
_WORKING = re.compile(r"<working_context(?: [^>]*)?>(.*)</working_context>", re.DOTALL)
_SUMMARY = "[summary of earlier messages]"
_SHOWN = re.compile(r"^\[shown: .*\]$", re.MULTILINE)
_TOTAL = re.compile(r"Showing (\d+) of (\d+) results \(page (\d+)/(\d+)\)")
_RESULT = re.compile(
    r"^\[(?P<tier>recall|archival) [mp](?P<id>\d+) (?P<day>\d{4}-\d\d-\d\d)"
    r"(?: \w+)?(?: (?P<time>\d\d:\d\d))?(?P<more>[^\]]*)\] (?P<text>.*)$",
    re.MULTILINE,
)
_PLACE = re.compile(r"(?:, p\. \d+)?(?: #.*)?$")  # behind a title: the page and the tags


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the queue. ``kind`` is the header's word, or ``assistant`` for speech; ``at`` is local."""

    kind: str
    text: str
    at: str = ""
    sender: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A call and what came back; ``result`` is None while nothing has."""

    name: str
    arguments: Mapping[str, object]
    result: str | None

    @property
    def failed(self) -> bool:
        return self.result is not None and self.result.startswith("Error: ")

    def text(self, argument: str) -> str:
        return str(self.arguments.get(argument, ""))


@dataclass(frozen=True, slots=True)
class View:
    """``rows`` end with the open event; ``steps`` are the calls since it, ``earlier`` those before."""

    style: Style
    functions: frozenset[str]
    sections: Mapping[str, str]
    summary: str
    rows: tuple[Row, ...]
    earlier: tuple[Step, ...]
    steps: tuple[Step, ...]
    spoken: bool
    calls: int

    @property
    def event(self) -> Row:
        return self.rows[-1]


@dataclass(frozen=True, slots=True)
class Found:
    """One line of a search result. ``speaker``: a recall role, or ``archival``; ``number``: its id's;
    ``name``: who speaks, or the title of the document, where there is one."""

    number: int
    text: str
    at: str
    speaker: str
    name: str = ""


def found_in(result: str) -> tuple[tuple[Found, ...], bool]:
    """The lines of a search result, and whether there are further pages."""
    header = _TOTAL.search(result)
    lines = tuple(_found(match) for match in _RESULT.finditer(result))
    return lines, header is not None and int(header[3]) < int(header[4])


def text_in(result: str) -> str:
    """The text of a page that was read, without its label; empty if nothing was."""
    return result.partition("\n")[2]


def _found(match: re.Match[str]) -> Found:
    at = f"{match['day']} {match['time'] or ''}".strip()
    if match["tier"] == "archival":
        title = _PLACE.sub("", match["more"]).strip()
        return Found(int(match["id"]), match["text"], at, "archival", title)
    role, _, name = match["more"].strip().partition(" ")
    return Found(int(match["id"]), match["text"], at, role or "user", name)


def _row(message: PromptMessage) -> Row:
    text = _SHOWN.sub("", message.text).strip()
    header = _HEADER.match(text)
    if header is None:
        return Row("user", text)
    at = f"{header['day']} {header['time'] or ''}".strip()
    return Row(header["kind"], text[header.end() :].strip(), at, header["sender"] or "")


def _arguments(call: Call) -> Mapping[str, object]:
    try:
        parsed: object = json.loads(call.arguments)
    except ValueError:
        return {}
    return cast(Mapping[str, object], parsed) if isinstance(parsed, dict) else {}


def _sections(system: str, edits: list[Step]) -> dict[str, str]:
    working = _WORKING.search(system)
    found = {
        match["name"]: match["text"].strip() for match in _SECTION.finditer(working[1] if working else "")
    }
    for edit in edits:
        name, text = edit.text("section"), found.get(edit.text("section"), "")
        if edit.name == "working_context_append" and edit.text("text") not in text:
            found[name] = f"{text}\n{edit.text('text')}".strip()
        elif edit.name == "working_context_replace" and edit.text("old") in text:
            found[name] = text.replace(edit.text("old"), edit.text("new"), 1)
    return found


def view(prompt: Prompt) -> View:
    """Read the prompt. There is always an open event: an empty alert if nothing else is there."""
    functions = frozenset(schema.name for schema in prompt.functions)
    style: Style = "memgpt" if "send_message" in functions else "native"
    system = prompt.messages[0].text if prompt.messages and prompt.messages[0].role == "system" else ""
    results = {message.call_id: message.text for message in prompt.messages if message.role == "tool"}
    rows: list[Row] = []
    steps: list[tuple[int, Step]] = []  # with the number of rows before each
    opened, summary, calls, at = 0, "", 0, ""
    for message in prompt.messages:
        if message.role == "user" and message.text.startswith(_SUMMARY):
            summary = message.text.removeprefix(_SUMMARY).strip()
        elif message.role == "user":
            row = _row(message)
            rows.append(row)
            at = row.at or at
            answered = any(earlier.kind == "assistant" for earlier in rows[opened:])
            if row.kind != "alert" or opened == 0 or answered:
                opened = len(rows)
        elif message.role == "assistant":
            if style == "native" and message.text:
                rows.append(Row("assistant", message.text, at))
            for call in message.calls:
                calls += 1
                step = Step(call.name, _arguments(call), results.get(call.id))
                steps.append((len(rows), step))
                if call.name == "send_message" and not step.failed:
                    rows.append(Row("assistant", step.text("message"), at))
    edits = [step for _, step in steps if step.result is not None and not step.failed]
    return View(
        style=style,
        functions=functions,
        sections=_sections(system, edits),
        summary=summary,
        rows=tuple(rows[:opened]) or (Row("alert", ""),),
        earlier=tuple(step for position, step in steps if position < opened),
        steps=tuple(step for position, step in steps if position >= opened),
        spoken=any(row.kind == "assistant" for row in rows[opened:]),
        calls=calls,
    )
