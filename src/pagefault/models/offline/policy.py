"""What to do next: from a view of the prompt to function calls and speech.

Stateless: what has been tried for the open event is read off its calls and results, so that no call is
made twice and each failure leads to another way. At most five completions an event. It leaves out what a
text means (``facts``, ``questions``) and which evidence is best (``answers``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from pagefault.models.offline.answers import Answer, aliases, best
from pagefault.models.offline.evidence import dated_lines, from_results, in_view, is_own_quote
from pagefault.models.offline.facts import is_question, is_rhetorical, read
from pagefault.models.offline.language import fold, is_chinese, sentences, size
from pagefault.models.offline.noting import (
    NOTES,
    Act,
    Intent,
    at_pressure,
    human_section,
    notes,
    saved_elsewhere,
)
from pagefault.models.offline.queries import first_query, named_query, second_query
from pagefault.models.offline.questions import Question, parse
from pagefault.models.offline.quoting import FORM, in_form, quote, retold, unknown
from pagefault.models.offline.reader import by_speaker, names_speaker
from pagefault.models.offline.reading import Found, View, found_in, text_in
from pagefault.models.offline.replies import is_small_talk, pick

__all__ = ["decide"]

_SEARCHES = ("memory_search", "recall_search", "archival_search")
_MOST_SEARCHES = 3
_OPENED = 2  # documents
_IDENTITY = re.compile(
    r"\b(?:who|what) are you\b|\bwhat can you\b|\bwhat's your\b|你是谁|你是什么|你叫什么|你能做什么"
)
_SMALL_PAGE = 1500  # characters: of pages that small, three fit into any window
_TO_OPEN = "open the conversation"  # what a section asks for that wants more than a greeting
_SHORT = 14  # words of a fact that an opener takes up
_SURE = 0.9  # of what was asked is in the answer: no second search


def decide(view: View) -> Act:
    """The next completion for the open event."""
    return _EVENTS.get(view.event.kind, _other)(view)


def _user(view: View) -> Act:
    if not view.spoken and any(FORM.search(text) for text in (view.event.text, *view.sections.values())):
        return _in_form(view)
    asked = _asked(view)
    noted = any(step.name in NOTES for step in view.steps)
    calls = tuple(saved_elsewhere(view) if noted else notes(view))
    if view.spoken:
        return Act(calls)
    if asked is None:
        text = view.event.text
        return Act(calls, pick("noted" if calls or view.steps else "chat", text, is_chinese(text)))
    way = _by_day if asked.day else _retell if asked.presumed else _answer
    act = way(view, asked)
    return Act((*calls, *act.calls), act.say)


def _asked(view: View) -> Question | None:
    """The question in the open event, if memory is to answer it."""
    text = view.event.text
    pieces = sentences(text)
    asking = [
        piece
        for number, piece in enumerate(pieces, 1)
        if is_question(piece) and (number == len(pieces) or not is_rhetorical(piece))
    ]
    if not asking or all(is_small_talk(sentence) for sentence in asking):
        return None
    return parse(text, view.event.at[:10])


# -- questions -----------------------------------------------------------------------------------------


def _in_form(view: View) -> Act:
    """A question about documents, answered from archival storage: the first ones found are read whole."""
    found, search = _searched(view, "archival_search")
    if search:
        return search
    ids = [f"p{document.number}" for document in found[:_OPENED]]
    opened = {step.text("id"): step.result or "" for step in view.steps if step.name == "archival_read"}
    if "archival_read" in view.functions and not opened.keys() >= set(ids):
        return Act(tuple(Intent("archival_read", {"id": id}, more=True) for id in ids))
    read = [
        replace(document, text=text_in(opened.get(id, "")) or document.text)
        for id, document in zip(ids, found, strict=False)
    ]
    return Act(say=in_form(parse(_question(view)), [*read, *found[len(read) :]]))


def _retell(view: View, asked: Question) -> Act:
    """A question about what was said in a conversation: from the log, without what was retold before."""
    name = "recall_search" if "recall_search" in view.functions else _search(view)
    found, search = _searched(view, name)
    if search:
        return search
    in_queue = (
        Found(number, row.text, row.at, row.kind, row.sender)
        for number, row in enumerate(view.rows[:-1])
        if row.kind in ("user", "assistant")
    )
    told = (by_speaker(text) for text in found or in_queue)
    turns = [text for text in told if text.speaker != "assistant" or not is_own_quote(text.text)]
    return Act(say=retold(asked, turns) or unknown(asked, view.sections.values()))


def _question(view: View) -> str:
    return " ".join(view.event.text.rpartition("Question:")[2].split())


def _searched(view: View, name: str) -> tuple[list[Found], Act | None]:
    """What a search for the question as it stands has found, and the call for its next page, if pages are so
    small that another one fits."""
    query = _question(view)
    steps = [step for step in view.steps if step.name == name and step.text("query") == query]
    pages = [found_in(step.result or "") for step in steps]
    found = [line for lines, _ in pages for line in lines]
    small = sum(len(line.text) for line in found) < _SMALL_PAGE * len(pages)
    if name not in view.functions or (pages and not (pages[-1][1] and small and len(pages) < _MOST_SEARCHES)):
        return found, None
    arguments = {"query": query, "page": len(pages) + 1} if pages else {"query": query}
    return found, Act((Intent(name, arguments, more=True),))


def _answer(view: View, asked: Question) -> Act:
    evidence = in_view(view)
    searches = [step for step in view.steps if step.name in _SEARCHES]
    further = False
    for step in searches:
        lines, more = found_in(step.result or "")
        further = further or (more and step is searches[0])
        if names_speaker(asked, [by_speaker(line) for line in lines]):
            return _retell(view, asked)
        evidence += from_results(lines)
    answers = best(asked, evidence)
    if answers and _is_strong(asked, answers[0], len(searches)):
        return Act(say=quote(asked, answers))
    query = _next_search(view, asked, aliases(asked, evidence), further and (not answers or bool(asked.tags)))
    if query:
        return Act((query,))
    if answers:
        return Act(say=quote(asked, answers))
    if _IDENTITY.search(fold(asked.text)):
        return Act(say=pick("mine", asked.text, asked.chinese))
    return Act(say=unknown(asked, view.sections.values()))


def _is_strong(asked: Question, answer: Answer, searched: int) -> bool:
    """Nothing newer than the queue can be elsewhere; of what else is found, a correction may be, which
    one search for the same words brings up too."""
    if asked.many:
        return False
    return answer.evidence.near or (searched > 0 and answer.score >= _SURE)


def _search(view: View) -> str:
    return next((name for name in _SEARCHES if name in view.functions), "")


def _next_search(view: View, asked: Question, names: list[str], further: bool) -> Intent | None:
    """First the question's own words, then other words, by name, in the other language, on a second page."""
    name = _search(view)
    tried = [
        (step.text("query"), int(step.text("page") or 1)) for step in view.steps if step.name in _SEARCHES
    ]
    if not name or len(tried) >= _MOST_SEARCHES:
        return None
    first = first_query(asked)
    plan = [(first, 1), (second_query(asked, asked.chinese), 1)]
    plan += [(named_query(asked, name), 1) for name in names]
    plan += [(second_query(asked, not asked.chinese), 1)]
    plan += [(first, 2)] if further else []
    query, page = next((item for item in plan if item not in tried), ("", 0))
    if not query:
        return None
    arguments: dict[str, object] = {"query": query} if page == 1 else {"query": query, "page": page}
    return Intent(name, arguments, more=True)


def _by_day(view: View, asked: Question) -> Act:
    """ "What did we talk about yesterday?": the first of the user's sentences of that day."""
    day = str(asked.day)
    name = "recall_search_by_date"
    found = [step for step in view.steps if step.name == name]
    if not found and name in view.functions:
        return Act((Intent(name, {"start": day, "end": day}, more=True),))
    lines, _ = found_in(found[0].result or "") if found else ((), False)
    told = [line.text for line in lines if line.speaker == "user" and not is_question(line.text)]
    told += [
        row.text
        for row in view.rows
        if row.kind == "user" and row.at[:10] == day and not is_question(row.text)
    ]
    if not told:
        return Act(say=unknown(asked, view.sections.values()))
    quoted = "; ".join(f'"{sentences(text)[0]}"' for text in dict.fromkeys(told[:3]))
    return Act(say=pick("day", asked.text, asked.chinese, day, quoted))


# -- other events --------------------------------------------------------------------------------------


def _speaking(kind: str, *fields: str) -> Callable[[View], Act]:
    """An event that is answered by one phrase and nothing else."""

    def act(view: View) -> Act:
        if view.spoken:
            return Act()
        event = view.event
        parts = [event.sender or "another agent" if name == "sender" else event.text for name in fields]
        return Act(say=pick(kind, event.text, is_chinese(event.text), *parts))

    return act


def _login(view: View) -> Act:
    if view.spoken:
        return Act()
    name = _user_name(view)
    last = next((row.text for row in reversed(view.rows[:-1]) if row.kind == "user"), name)
    chinese = is_chinese(last)
    greeting = pick("welcome", last, chinese, f"{'，' if chinese else ', '}{name}" if name else "")
    if any(_TO_OPEN in text for text in view.sections.values()):
        facts = [text for _, text in dated_lines(view.sections.get(human_section(view), ""))]
        told = [text for text in reversed(facts) if size(text) <= _SHORT][:2]
        greeting += pick("opener", last, chinese, " ".join(told)) if told else ""
    return Act(say=greeting)


_GIVEN_NAME = re.compile(
    r"(?:[Nn]ame(?:'s| is|:)|\bI'm|\bI am|[Cc]all me|called|[Tt]his is) ([A-Z][\w'-]+)|(?:叫"
    r"|名字是)([\u4e00-\u9fff]{1,4})"
)


def _user_name(view: View) -> str:
    for line in reversed(view.sections.get(human_section(view), "").splitlines()):
        for _, text in dated_lines(line):
            given = _GIVEN_NAME.search(text)
            if given and "name:self" in read(text).tags:
                return given[1] or given[2]
    return ""


def _silent(view: View) -> Act:  # noqa: ARG001 - one signature for all events
    return Act()


_other = _speaking("event", "text")
_EVENTS: dict[str, Callable[[View], Act]] = {
    "user": _user,
    "memory_pressure": at_pressure,
    "login": _login,
    "timer": _speaking("reminder", "text"),
    "agent": _speaking("agent", "sender"),
    "upload_finished": _speaking("upload", "text"),
    "alert": _silent,
    "edited": _silent,
}
