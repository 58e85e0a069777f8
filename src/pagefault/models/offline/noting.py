"""What is written down, where: the working context first, archival storage for what does not fit.

From a view of the prompt to the calls that note an event's facts, correct older notes, and save from the
queue at memory pressure. It leaves out what is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pagefault.models.offline.evidence import dated_lines
from pagefault.models.offline.facts import is_question
from pagefault.models.offline.keeping import is_durable, slots
from pagefault.models.offline.language import clauses, fold, is_chinese, sentences, size
from pagefault.models.offline.reading import Row, View

__all__ = ["NOTES", "Act", "Intent", "at_pressure", "human_section", "notes", "saved_elsewhere"]

NOTES = ("working_context_append", "working_context_replace", "archival_insert")
_LINES_A_PASSAGE = 6
_MOST_SAVED = 18


@dataclass(frozen=True, slots=True)
class Intent:
    """A call to make. ``more`` asks to be called again at once."""

    name: str
    arguments: Mapping[str, object]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """One completion: calls in order, then speech. Both empty: nothing is left to do."""

    calls: tuple[Intent, ...] = ()
    say: str = ""


def human_section(view: View) -> str:
    kept = [name for name in view.sections if name not in ("persona", "paged_in")]
    return "human" if "human" in kept or not kept else kept[0]


def _dated(row: Row, sentence: str) -> str:
    return f"{row.at[:10]}: {sentence}" if row.at else sentence


def notes(view: View) -> Iterator[Intent]:
    """Calls that note the event's facts: replace the lines they contradict, append the rest."""
    section = human_section(view)
    present = view.sections.get(section, "")
    facts = [
        sentence
        for sentence in sentences(view.event.text)
        if is_durable(sentence) and sentence not in present
    ]
    fresh: list[str] = []
    taken: set[str] = set()
    for sentence in facts:
        line = _contradicted(present, sentence) if "working_context_replace" in view.functions else None
        if line and line not in taken:
            taken.add(line)
            rest = _without(line, slots(sentence))
            new = "\n".join(filter(None, (rest, _dated(view.event, sentence))))
            yield Intent("working_context_replace", {"section": section, "old": line, "new": new})
        else:
            fresh.append(_dated(view.event, sentence))
    if not fresh:
        return
    text = "\n".join(fresh)
    if "working_context_append" in view.functions and not _is_full(view):
        yield Intent("working_context_append", {"section": section, "text": text})
    elif "archival_insert" in view.functions:
        yield Intent("archival_insert", {"text": text, "tags": ["facts"]})


def _contradicted(present: str, sentence: str) -> str | None:
    """The noted line of which the sentence gives a slot anew."""
    own = slots(sentence)
    return next(
        (line for line in present.splitlines() if any(own & slots(text) for _, text in dated_lines(line))),
        None,
    )


def _without(line: str, own: frozenset[str]) -> str:
    """What is left of a noted line without the clauses that have one of the slots."""
    for day, text in dated_lines(line):
        kept = [clause.strip(" .。") for clause in clauses(text) if not own & slots(clause)]
        if kept and any(slots(clause) or is_durable(clause) for clause in kept):
            end = "。" if is_chinese(text) else "."
            return f"{day}: " * bool(day) + ("，" if is_chinese(text) else ", ").join(kept) + end
    return ""


def _is_full(view: View) -> bool:
    """Whether the last append in view was refused."""
    tried = [step for step in view.earlier if step.name == "working_context_append"]
    return bool(tried) and tried[-1].failed


def saved_elsewhere(view: View) -> Iterator[Intent]:
    """What the working context refused goes to archival storage, once; what it contradicts must go too."""
    if "archival_insert" not in view.functions:
        return
    saved = "\n".join(step.text("text") for step in view.steps if step.name == "archival_insert")
    lines: list[str] = []
    for step in view.steps:
        if step.failed and step.name == "working_context_append" and step.text("text") not in saved:
            lines.append(step.text("text"))
        elif step.failed and step.name == "working_context_replace":
            rest, _, line = step.text("new").rpartition("\n")
            if line in saved:
                continue
            lines.append(line)
            if step.text("old") in view.sections.get(step.text("section"), ""):
                shorter = {"section": step.text("section"), "old": step.text("old"), "new": rest}
                yield Intent("working_context_replace", shorter)
    if lines:
        yield Intent("archival_insert", {"text": "\n".join(lines), "tags": ["facts"]})


def at_pressure(view: View) -> Act:
    """Save what the queue holds and no note has: facts first, then what else the user said of themselves."""
    if view.steps or "archival_insert" not in view.functions:
        return Act()
    kept = "\n".join((*view.sections.values(), *(step.text("text") for step in view.earlier)))
    told = [
        (not is_durable(sentence), _dated(row, sentence))
        for row in view.rows
        if row.kind == "user"
        for sentence in sentences(row.text)
        if sentence not in kept and _is_worth_saving(sentence)
    ]
    lines = [line for _, line in sorted(dict.fromkeys(told), key=lambda item: item[0])][:_MOST_SAVED]
    return Act(
        tuple(
            Intent(
                "archival_insert",
                {"text": "\n".join(lines[start : start + _LINES_A_PASSAGE]), "tags": ["facts"]},
            )
            for start in range(0, len(lines), _LINES_A_PASSAGE)
        )
    )


def _is_worth_saving(sentence: str) -> bool:
    if is_durable(sentence):
        return True
    first_person = re.search(r"\b(?:i|my|we|our)\b|[我咱]", fold(sentence))
    return first_person is not None and not is_question(sentence) and 6 <= size(sentence) <= 40
