"""Answers: every sentence in view or found is scored against the question, to find the best one.

Evidence is data: nothing in it is obeyed. A sentence answers when it has the asked attribute of the right
owner, or covers what the question names and indispensably what it is about, and is a statement by the
right speaker. Among answers about as good the newest wins: that is how a corrected fact is the fact.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pagefault.models.offline.evidence import KEPT, Evidence, is_own_quote
from pagefault.models.offline.facts import alias, is_question, read
from pagefault.models.offline.language import fold, is_chinese, is_concept, lexicon, runs
from pagefault.models.offline.questions import Need, Question
from pagefault.models.offline.statement_patterns import (
    ELLIPTIC,
    FIRST_PERSON,
    NUMBER,
    PASSING,
    PAST,
    PERSON,
    PRONOUN,
    QUALIFIED_NAME,
    TIME,
)

__all__ = ["Answer", "aliases", "best"]

_PLACE = re.compile(
    r"\b(?:in|at|from|to|on|near|by|under|behind|inside|outside|into|beside|next|above|below|there)\b|在|到"
    r"|去|从|里|上|下面|旁边|来自|隔壁"
)
_CORRECTION = re.compile(
    r"\b(?:actually|correction|instead|no longer|not any ?more|anymore|changed|rescheduled|postponed"
    r"|switched|went up|gave up|raised to|moved to|from now on|i meant|put (?:back|off)|brought forward"
    r"|called off|cancelled|stop|stopped)\b"
    r"|\bnow[.!]?$"
    r"|gone (?:up |down )?to|改[打学喝吃坐用看]|改去|换人|换.{1,4}了|改签|改成|涨到|降到|改到|改为|换成"
    r"|换到|推迟"
    r"|搬[到去]|不.{1,6}了[，,]|提前|更正|其实|不再|不是.*而?是"
)
_YEAR = re.compile(
    r"\b\d{4}\b|[\d〇零一二三四五六七八九]{2,4}年|\byears? ago\b|\b(?:last|next) year\b|[去明前今]年|岁"
    r"|\bwhen i was\b|\bat the age\b"
)
_NEEDED = {"number": NUMBER, "time": TIME, "year": _YEAR, "place": _PLACE}
_OF_MYSELF = re.compile(r"\b(?:i|me|mine|myself)\b|\bmy\b.*\bmy\b|我.*我")
_BYGONE = re.compile(r"\b(?:used to|lived|worked|was an?)\b|以前|曾经")
_LEFT = re.compile(_BYGONE.pattern + r"|\bmoved? (?:[\w ]+ )?from\b|\bmoving,? from\b|住过|从.{1,8}搬")
_NAME_IN = re.compile(r"(?<=[\w,] )[A-ZÀ-Ý][\w-]+")
_REPLACED = frozenset({"job:self", "home:self"})  # what one had before, where a newer was told
_FOREIGN = 0.12  # what it loses in the other language: a search in the question's own comes first
_IN_PASSING = 0.2  # what an answer loses that was said in passing
_BAR = 0.6  # of what is asked, for an answer
_NEVER = 1000.0


@dataclass(frozen=True, slots=True)
class Answer:
    evidence: Evidence
    score: float


def _covers(need: Need, units: frozenset[str], folded: str) -> float:
    said = need.units & units
    if said:
        only_kind = all(unit.startswith("#") and lexicon().has_kinds(unit, units) for unit in said)
        return 0.8 if only_kind and not _is_entity(need) else 1.0
    if "#fav" in need.units and "#like" in units:
        return 0.75
    if not need.surface.isascii() and runs(need.surface, folded):
        return 0.9
    return 0.0


def _is_kind_of(unit: str, kind: str) -> bool:
    return is_concept(unit) and kind in lexicon().concepts[unit[1:]].broader


def _is_told_by_me(folded: str) -> bool:
    return FIRST_PERSON.search(folded) is not None or ELLIPTIC.match(folded) is not None


def _is_else(question: Question, units: frozenset[str]) -> bool:
    """Whether something is told that may be of the kind asked for, and is not known to be of another."""
    kinds = [need for need in question.needs if need.kind]
    asked = {unit for need in question.needs for unit in need.units}
    concepts = [lexicon().concepts[unit[1:]] for unit in units if is_concept(unit)]
    other = any(not concept.broader & (asked | {"#time"}) for concept in concepts)
    return not other and not any(_is_entity(need) for need in kinds) and bool(units - asked)


def _is_entity(need: Need) -> bool:
    return any(_is_kind_of(unit, "#entity") for unit in need.units)


def aliases(question: Question, evidence: Iterable[Evidence]) -> list[str]:
    """The names of those whose attribute is asked, as far as the evidence gives them."""
    owners = {tag.partition(":")[2] for tag in question.tags}
    owners |= {unit for need in question.needs if _is_entity(need) for unit in need.units}
    given = (alias(item.text) for item in evidence if question.about in ("either", item.speaker))
    return sorted({pair[0] for pair in given if pair and pair[1] & owners})


def _score(
    question: Question, tags: frozenset[str], evidence: Evidence, names: frozenset[str] = frozenset()
) -> float:
    """0 for no answer, else up to about 1: the covered share of what was asked.

    ``names`` stand for the relatives and pets that are asked about.
    """
    leaning = evidence.before if PRONOUN.match(fold(evidence.text)) else ""
    reading = read(evidence.text, leaning)
    held = bool(tags & reading.tags)
    if question.tags and not held:
        return 0.0
    folded = fold(f"{leaning} {evidence.text}")
    units = reading.units | read(leaning).units
    covered, total = _coverage(question, evidence, names, units, folded)
    if question.tags:
        covered, total = covered + 2.0 * held, total + 2.0
    elif _off_subject(question, evidence, reading.owners, units, folded):
        return 0.0
    return covered / total - _discount(question, evidence, units, folded) if total and covered > 0 else 0.0


def _coverage(
    question: Question, evidence: Evidence, names: frozenset[str], units: frozenset[str], folded: str
) -> tuple[float, float]:
    """How much of the needs is met, of how much; negative if an indispensable one is not."""
    excused = _corrects(question, evidence)
    done = any(need.verb and need.units & units for need in question.needs)
    named = done and (
        _NAME_IN.search(evidence.text) is not None or (_is_told_by_me(folded) and _is_else(question, units))
    )
    total = covered = 0.0
    focuses = [need for need in question.needs if need.focus]
    if focuses and not question.tags and not any(_covers(need, units, folded) for need in focuses):
        excused = False
    undone = besides = False  # another thing was done; something else than the owner is told
    for need in question.needs:
        got = _covers(need, units, folded) or 0.7 * (need.kind and named)
        if not got and names & units and _is_entity(need):
            got = 1.0
        if need.focus and not got and not (excused and not _is_entity(need)):
            return -_NEVER, 1.0
        undone = undone or (need.verb and not got)
        besides = besides or (got > 0 and not need.focus and not need.verb)
        total, covered = total + need.weight, covered + need.weight * got
    if undone and not besides and not question.tags and not excused:
        return -_NEVER, 1.0
    return covered, total


def _discount(question: Question, evidence: Evidence, units: frozenset[str], folded: str) -> float:
    """What is said in passing, in the other language, or of a second name, counts for less."""
    foreign = question.chinese != is_chinese(evidence.text)
    second = QUALIFIED_NAME.search(folded) is not None or "#nickname" in units
    other_name = "name:self" in question.tags and (foreign or (second and not question.needs))
    passing = not question.tags and PASSING.search(fold(evidence.text)) is not None
    vague = not question.tags and len(question.needs) == 1 and not _is_told_by_me(folded)
    return _IN_PASSING * (passing + other_name + vague) + _FOREIGN * foreign


def _off_subject(
    question: Question, evidence: Evidence, owners: frozenset[str], units: frozenset[str], folded: str
) -> bool:
    """Somebody else's, the opposite of what is asked, or without the number, time or place asked for."""
    asked = frozenset(unit for need in question.needs for unit in need.units)
    own = owners & (asked | {"self", "thing"}) or not owners or _OF_MYSELF.search(folded)
    if (
        question.about == evidence.speaker
        and question.owner == frozenset({"self"})
        and not own
        and (question.wanted != "person")
    ):
        return True
    if "#fav" in asked and "#dislike" in units and "#fav" not in units:
        return True
    if (
        any(need.verb for need in question.needs)
        and any(need.kind for need in question.needs)
        and "self" in question.owner
        and not (owners - {"thing", "other"} or not owners)
    ):
        return True
    return not _has_wanted(question, evidence, asked, units, folded)


def _has_wanted(
    question: Question, evidence: Evidence, asked: frozenset[str], units: frozenset[str], folded: str
) -> bool:
    """Whether the number, time, place or person asked for can be there at all."""
    if question.wanted == "person":
        others = {unit for unit in units - asked - question.owner if _is_kind_of(unit, "#entity")}
        return bool(others) or PERSON.search(evidence.text) is not None
    if question.counted and is_chinese(evidence.text):
        return re.search(rf"[\d一二三四五六七八九十两半]\s*个?{question.counted}", folded) is not None
    needed = _NEEDED.get(question.wanted)
    return needed is None or needed.search(folded) is not None


def _usable(question: Question, evidence: Evidence) -> bool:
    if question.about != "either" and evidence.speaker != question.about:
        return False
    return not is_question(evidence.text) and not (
        evidence.speaker == "agent" and is_own_quote(evidence.text)
    )


def best(question: Question, evidence: Iterable[Evidence]) -> list[Answer]:
    """The answers, best first: the newest of those that are about as good as the best one."""
    evidence = list(evidence)
    attributes = {tag.partition(":")[0] for tag in question.tags}
    names = aliases(question, evidence)
    named = {f"{attribute}:{name}" for attribute in attributes for name in names}
    usable = [item for item in evidence if _usable(question, item)]
    numbers = {fold(item.text): item.number for item in usable if item.number not in (None, KEPT)}
    tags = question.tags | named
    scored = [Answer(item, _score(question, tags, item, frozenset(names))) for item in usable]
    good = [
        answer
        for answer in scored
        if answer.score >= _BAR - (0.1 if _corrects(question, answer.evidence) else 0)
    ]
    top = max((answer.score for answer in good), default=0.0)
    near = [answer for answer in good if answer.score >= top - _slack(question, answer.evidence)]

    def age(answer: Answer) -> tuple[str, int, float]:
        number = numbers.get(fold(answer.evidence.text), answer.evidence.number or 0)
        return answer.evidence.at[:10], number, answer.score

    ranked = sorted(near, key=age, reverse=True)
    if question.tags:
        past = PAST.search(fold(question.text)) is not None
        gone = [bool((_LEFT if past else _BYGONE).search(fold(item.evidence.text))) for item in ranked]
        if past and question.tags & _REPLACED and not any(gone):
            return _distinct(ranked)[:0:-1]  # the oldest: the newest is of today
        order = sorted(range(len(ranked)), key=lambda index: past != gone[index])
        ranked = [ranked[index] for index in order]
    return _distinct(ranked)


def _distinct(answers: Iterable[Answer]) -> list[Answer]:
    seen: dict[str, Answer] = {}
    for answer in answers:
        seen.setdefault(fold(answer.evidence.text), answer)
    return list(seen.values())


def _slack(question: Question, evidence: Evidence) -> float:
    """How far below the best an answer may score and still win by being newer."""
    return 0.5 if _corrects(question, evidence) else 0.15


def _corrects(question: Question, evidence: Evidence) -> bool:
    """Whether this may be the newer version of an answer, in fewer words ("the marathon is now in May")."""
    anchored = bool(question.tags) or question.wanted in ("time", "year")
    anchored = anchored or bool(question.counted) or any(need.focus for need in question.needs)
    liked = any("#fav" in need.units for need in question.needs)
    told = read(evidence.text)
    asked = (need.units for need in question.needs if not TIME.search(need.surface))
    other = told.owners == frozenset({"thing"}) and not any(units & told.units for units in asked)
    return anchored and not liked and not other and _CORRECTION.search(fold(evidence.text)) is not None
