"""The reply that quotes: what was said, by whom, on which day, in the language of the question."""

from __future__ import annotations

from pagefault.models.offline.answers import Answer
from pagefault.models.offline.language import fold, is_chinese, size
from pagefault.models.offline.questions import Question
from pagefault.models.offline.statement_patterns import PRONOUN

__all__ = ["quote"]

_LONGEST_QUOTE = 40  # words


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
    for answer in answers[: 4 if question.many or question.presumed else 1]:
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
