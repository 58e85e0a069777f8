"""A prompt that holds its texts itself: passages or a conversation and a question, and no functions.

A passage is ``[n] (title) text``, a turn ``[2023-05-08 Mon 13:56] Ana: text``, a summary's line whatever it
is; the question stands behind ``Question:``. It leaves out how texts are read.
"""

from __future__ import annotations

import re

from pagefault.models import Prompt
from pagefault.models.offline.reading import Found

__all__ = ["given"]

_QUESTION = re.compile(r"^Question:[ \n]*(.+)\Z", re.MULTILINE | re.DOTALL)
_PASSAGE = re.compile(r"^\[(?P<number>\d+)\] (?:\((?P<title>.*?)\) )?(?P<text>.*)$")
_TURN = re.compile(
    r"^(?:- )?(?:\[?(?P<day>\d{4}-\d\d-\d\d)(?: \w{3})?(?: (?P<time>\d\d:\d\d))?[^\]:]*(?:\] ?|: ))?"
    r"(?:(?P<who>[^\W\d][\w .'-]{0,30}?): )?(?P<text>.*)$"
)
_ROLES = ("user", "assistant")


def given(prompt: Prompt) -> tuple[str, tuple[Found, ...]] | None:
    """The question and the texts, in their order; None if the prompt asks nothing."""
    if prompt.functions or not prompt.messages:
        return None
    asked = _QUESTION.search(prompt.messages[-1].text)
    if asked is None:
        return None
    texts = [message.text for message in prompt.messages if message.role != "system"]
    texts[-1] = texts[-1][: asked.start()]
    lines = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    return asked[1].strip(), tuple(
        _line(number, line) for number, line in enumerate(lines) if line[-1] != ":"
    )


def _line(number: int, line: str) -> Found:
    if passage := _PASSAGE.match(line):
        return Found(int(passage["number"]), passage["text"], "", "archival", passage["title"] or "")
    turn = _TURN.match(line)
    assert turn is not None  # it matches any line
    at, who = f"{turn['day'] or ''} {turn['time'] or ''}".strip(), turn["who"] or ""
    role = who.lower() if who.lower() in _ROLES else "user" if who else ""
    return Found(number, turn["text"], at, role, "" if role == who.lower() else who)
