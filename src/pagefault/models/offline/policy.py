"""The next step of the offline model: from a view of the prompt to function calls and speech.

What was tried for the open event is read from its calls and results, so nothing is tried twice, and a
function that is not offered or that failed leads to another one.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from pagefault.models.offline import words
from pagefault.models.offline.answers import QuoteMatch, answer, best_matches, is_sure
from pagefault.models.offline.prompt_view import PREFETCHED, FunctionCall, PromptView, SourcedText, results_in

_SEARCHES = ("memory_search", "recall_search", "archival_search")
_MOST_SEARCHES = 3
_MOST_SAVED = 8  # texts at one memory pressure
_LONGEST_NOTE = 300  # characters of a statement that is noted; search finds longer ones
_NEXT = 8  # rows in which a text that says nothing by itself follows what it is about


@dataclass(frozen=True, slots=True)
class NextStep:
    """Calls to make, and what to say once they are done."""

    calls: tuple[FunctionCall, ...] = ()
    say: str = ""


def next_step(view: PromptView) -> NextStep:
    """The next completion for the open event."""
    event = view.event
    if event.source == "user":
        return _user(view)
    if event.source in ("memory_pressure", "sleep"):
        return NextStep(tuple(_saved(view)))
    if view.has_spoken or event.source in ("alert", "edited"):
        return NextStep()
    if event.source == "login":
        return NextStep(say=f"Welcome back! {view.notes[-1].text if view.notes else ''}".strip())
    return NextStep(say=f"{'Reminder' if event.source == 'timer' else 'Noted'}: {event.text}")


def _user(view: PromptView) -> NextStep:
    text = view.event.text
    if call := _written(view):
        return NextStep((call,), next((step.result or "" for step in view.steps if step.is_of(call)), ""))
    calls = tuple(_notes(view))
    if view.has_spoken:
        return NextStep(calls)
    question = " ".join(piece for piece in words.sentences(text) if words.is_question(piece))
    if not question:
        return NextStep(calls, "记下了。" if words.is_chinese(text) else "Noted.")
    if not words.topics(question) and not words.is_personal(question):
        return NextStep(calls, "I am the offline demo: I note and look up. 我是离线演示：记下并查找。")
    step = _answer(view, question)
    return NextStep((*calls, *step.calls), step.say)


def _written(view: PromptView) -> FunctionCall | None:
    """The call of an offered function that the whole message is written as: ``pay(to="Bo", amount=5)``."""
    try:
        match ast.parse(view.event.text, mode="eval").body:
            case ast.Call(ast.Name(name), [], keywords) if name in view.functions:
                arguments = {each.arg or "": ast.literal_eval(each.value) for each in keywords}
                if "send_message" in view.functions - {name}:
                    arguments["request_heartbeat"] = True
                return FunctionCall(name, json.loads(json.dumps(arguments)))
            case _:
                return None
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        return None


def _answer(view: PromptView, question: str) -> NextStep:
    matches = best_matches(question, _quotables(view, question))
    call = _next_search(view, question, matches) or _opening(view, matches)
    return NextStep((call,)) if call else NextStep(say=answer(question, matches))


def _next_search(view: PromptView, question: str, matches: list[QuoteMatch]) -> FunctionCall | None:
    """A search for the question as it stands; while the best match is weak, in archive and in other words.
    ``recall_search`` stands in where ``memory_search`` is not offered or failed."""
    made = [step for step in view.steps if step.name in _SEARCHES]
    failed = {step.name for step in made if step.failed}
    is_done = len(made) == _MOST_SEARCHES or (_has_looked(view) and is_sure(matches))
    names = [name for name in _SEARCHES if name in view.functions - failed]
    if names[:2] == ["memory_search", "recall_search"]:
        names.remove("recall_search")
    queries = filter(None, (question, words.other_words(question)))
    plans = [FunctionCall(name, {"query": query}) for query in queries for name in names]
    new = [plan for plan in plans if not view.has_made(plan)]
    return new[0] if new and not is_done else None


def _has_looked(view: PromptView) -> bool:
    """Return whether memory was searched for the open event, or what it holds was prefetched."""
    return any(step.name in (*_SEARCHES, PREFETCHED) and not step.failed for step in view.steps)


def _opening(view: PromptView, matches: list[QuoteMatch]) -> FunctionCall | None:
    """A call that opens the passage to be quoted, where the search showed only a part of it."""
    best = matches[0].found if matches else SourcedText(" ")
    call = FunctionCall("archival_read", {"id": best.passage})
    is_cut = best.passage and "…" in (best.text[0], best.text[-1])
    return call if is_cut and call.name in view.functions and not view.has_made(call) else None


def _quotables(view: PromptView, question: str) -> Iterator[SourcedText]:
    """All that may answer: what the prompt holds, what searches found, and the passages that were opened."""
    yield from view.notes
    yield from _with_context([row for row in view.rows if row.source in ("user", "assistant")])
    opened = [step.arguments.get("id") for step in view.steps if step.name == "archival_read"]
    for step in (step for step in view.steps if step.name in (*_SEARCHES, PREFETCHED, "archival_read")):
        found = [one for one in results_in(step) if words.told(one.text) and one.passage not in opened]
        if step.arguments.get("query") == question:
            found = [replace(one, rank=number) for number, one in enumerate(found)]
        yield from _with_context(found)


def _with_context(texts: list[SourcedText]) -> Iterator[SourcedText]:
    """The texts; one that says nothing by itself comes once more, with the one before it."""
    yield from texts
    stated = sorted((text for text in texts if words.told(text.text)), key=lambda text: text.order)
    for one, after in pairwise(stated):
        if words.is_bare(after.text) and 1 <= after.order - one.order <= _NEXT:
            yield replace(after, text=f"{after.text} (before: {one.text})")


def _notes(view: PromptView) -> Iterator[FunctionCall]:
    """Note the event's statement; in archival storage if the working context had no room for it."""
    note = _note(view)
    edits = [step for step in (*view.earlier, *view.steps) if step.name == "working_context_append"]
    has_room = "working_context_append" in view.functions and not any(step.failed for step in edits)
    if not note or any(note == step.text and not step.failed for step in view.steps):
        return
    if has_room:
        yield FunctionCall("working_context_append", {"section": "human", "text": note})
    elif "archival_insert" in view.functions:
        yield FunctionCall("archival_insert", {"text": note})


def _note(view: PromptView) -> str:
    """The note that the event is worth. A text that says nothing by itself ("Actually, it is blue.") is noted
    with what was said before it."""
    text = words.told(view.event.text)
    if len(text) > _LONGEST_NOTE or any(text in note.text for note in view.notes):
        return ""
    if not words.is_bare(text):
        is_statement = words.is_personal(text) and len(words.topics(text)) > 1
        return f"{view.event.day}: {text}" if is_statement else ""
    earlier = (words.told(row.text) for row in reversed(view.rows[:-1]) if row.source == "user")
    before = next((text for text in earlier if words.topics(text)), "")
    return f"{view.event.day}: {text} (before: {before})" if before else ""


def _saved(view: PromptView) -> Iterator[FunctionCall]:
    """Save what the user said in the queue and nobody noted, each text as a passage."""
    kept = "\n".join((*(note.text for note in view.notes), *(step.text for step in view.earlier)))
    said = ((row.day, words.told(row.text)) for row in view.rows if row.source == "user")
    new = [f"{day}: {text}" for day, text in said if len(words.topics(text)) > 1 and text not in kept]
    if not view.steps and "archival_insert" in view.functions:
        yield from (FunctionCall("archival_insert", {"text": line}) for line in new[-_MOST_SAVED:])
