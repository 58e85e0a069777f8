"""What to search memory for: a question's own words, then other words for the same, then names."""

from __future__ import annotations

from pagefault.models.offline.language import Concept, lexicon
from pagefault.models.offline.question_patterns import HINTS
from pagefault.models.offline.questions import Question

__all__ = ["first_query", "named_query", "second_query"]


def first_query(question: Question) -> str:
    """What to search for: the question's own telling words, and how the attribute is usually told."""
    hints = [HINTS[tag.partition(":")[0]][question.chinese] for tag in sorted(question.tags)]
    return " ".join(dict.fromkeys(" ".join((*question.words, *hints)).split())) or question.text


def second_query(question: Question, chinese: bool) -> str:
    """The same in other words, of one language: synonyms and what is broader."""
    words: list[str] = []
    for tag in sorted(question.tags):
        attribute, _, owner = tag.partition(":")
        words += (HINTS[attribute][chinese], *_synonyms(owner.rpartition("/")[2], chinese))
    for need in question.needs:
        if need.weight > 0.2:
            words += [need.surface] if question.chinese == chinese else []
            words += [word for unit in sorted(need.units) for word in _synonyms(unit, chinese)]
    return " ".join(dict.fromkeys(" ".join(words).split())) or question.text


def named_query(question: Question, name: str) -> str:
    """The same, of a relative by name ("my brother Anton" was said somewhere)."""
    hints = [HINTS[tag.partition(":")[0]][question.chinese] for tag in sorted(question.tags)]
    return " ".join((name, *hints))


def _synonyms(unit: str, chinese: bool) -> list[str]:
    concept = lexicon().concepts.get(unit.removeprefix("#"))
    if concept is None:
        return [unit] if unit != "self" and unit.isascii() != chinese else []
    broader = (lexicon().concepts.get(name[1:]) for name in sorted(concept.broader - {unit, "#entity"}))
    wider = [word for above in broader if above and not above.bag for word in _words(above, chinese)[:2]]
    return [*_words(concept, chinese)[:6], *wider]


def _words(concept: Concept, chinese: bool) -> tuple[str, ...]:
    return concept.chinese if chinese else concept.english
