"""The reply that quotes: what was said, by whom, on which day, in the language of the question; and the
answer to a question about documents, in the form that was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from pagefault.models.offline.answers import Answer
from pagefault.models.offline.dates import meant, spelled
from pagefault.models.offline.language import fold, is_chinese, size
from pagefault.models.offline.questions import Question
from pagefault.models.offline.reader import Read, is_of_another, quoted, ranked, wanted
from pagefault.models.offline.reading import Found
from pagefault.models.offline.replies import pick
from pagefault.models.offline.statement_patterns import PRONOUN

__all__ = ["FORM", "in_form", "quote", "retold", "unknown"]

_LONGEST_QUOTE = 40  # words
_RETOLD = 35  # words of all sentences that are quoted together
_LEAST_COVER = 0.2  # of what is asked, for an answer from documents
FORM = re.compile(r"ANSWER: .*DOCUMENT: ")
_NO_ANSWER = "NO ANSWER"
_NOT_FOUND = "INSUFFICIENT INFORMATION"


def _clip(text: str) -> str:
    """At most 40 words, from the start."""
    if size(text) <= _LONGEST_QUOTE:
        return text
    if is_chinese(text):
        return f"{text[: 2 * _LONGEST_QUOTE]}…"
    return f"{' '.join(text.split()[:_LONGEST_QUOTE])}…"


def quote(question: Question, answers: list[Answer]) -> str:
    """The reply: the best sentence, or the first few of a list, with its date, in the question's language."""
    said: list[str] = []
    left = _LONGEST_QUOTE
    for answer in answers[: 4 if question.many else 1]:
        item = answer.evidence
        left -= size(item.text) + 4
        if left < 0 and said:
            break
        text = (
            f"{item.before} {item.text}"
            if PRONOUN.match(fold(item.text)) and size(item.before) < 25
            else item.text
        )
        day = item.at[:10]
        if question.chinese:
            told = (
                f"你{f'在{day}' if day else ''}告诉我"
                if item.speaker == "user"
                else f"我{f'在{day}' if day else ''}说过"
            )
            said.append(f"{told}：“{_clip(text.strip())}”")
        else:
            told = "You told me" if item.speaker == "user" else "I said"
            said.append(f'{told}{f" on {day}" if day else ""}: "{_clip(text.strip())}"')
    return ("；" if question.chinese else " ").join(said)


def unknown(question: Question, told: Iterable[str]) -> str:
    """That nothing is known: as the instructions have it, else in the question's language."""
    if any(_NO_ANSWER in text for text in told):
        return _NO_ANSWER
    return pick("unknown", question.text, question.chinese)


def retold(question: Question, found: Sequence[Found]) -> str:
    """What was said, in as many words as a reply has: the best sentences of the turns found, by speaker;
    empty if nothing was.

    Asked when, with the day that is meant and the day on which it was said.
    """
    read = ranked(question, found)
    if not read or is_of_another(question, read) or (read[0].cover == 0 and not question.presumed):
        return ""
    dated = wanted(question) in ("time", "year")
    chosen = quoted(read, _RETOLD)
    groups = groupby(chosen, key=lambda item: _told(question, item, dated=dated))
    parts = [f"{told}{' '.join(_in_quotes(question, item) for item in items)}" for told, items in groups]
    when = meant(chosen[0].text, chosen[0].source.at) if dated else ""
    return ("；" if question.chinese else " ").join(filter(None, (when and f"{when}.", *parts)))


def _in_quotes(question: Question, item: Read) -> str:
    return f"“{_clip(item.text)}”" if question.chinese else f'"{_clip(item.text)}"'


def _told(question: Question, item: Read, *, dated: bool) -> str:
    source = item.source
    day = source.at[:10] if dated else ""
    if question.chinese:
        who = {"assistant": "我", "user": "你"}.get(source.name or source.speaker, source.name)
        return f"{who}{f'在{day}' if day else ''}说过：" if who else ""
    who = source.name or {"assistant": "I", "user": "You"}.get(source.speaker, "")
    on = f" on {spelled(day)}" if day else ""
    return f"{who} said{on}: " if who else ""


def in_form(question: Question, found: Sequence[Found]) -> str:
    """``ANSWER: ..., DOCUMENT: ...``, the answer being the best sentence; or that the documents have none."""
    read = ranked(question, found)
    if not read or read[0].cover < _LEAST_COVER:
        return _NOT_FOUND
    best = read[0]
    return f"ANSWER: {_clip(best.text).rstrip('.')}, DOCUMENT: {best.source.name or best.source.number}"
