"""What a question asks: about whom, which attribute of whom, which words an answer must cover.

A question becomes a set of tags as ``facts`` gives to statements, needs (units of which an answer must
have one each, some of them indispensable), and the kind of thing it wants (a number, a time, a place).
It leaves out where answers are looked for, and which is best: that is ``answers``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from pagefault.models.offline.facts import Subject, is_question, subject
from pagefault.models.offline.language import (
    Mention,
    clauses,
    content,
    fold,
    is_chinese,
    is_generic,
    narrowest,
    sentences,
    units,
)
from pagefault.models.offline.question_patterns import (
    ABOUT_AGENT,
    ABOUT_USER,
    ASKED,
    BESIDE,
    CALLS_ME,
    COUNTED,
    DAY,
    GAP,
    MAIN_VERB,
    MANY,
    ONE_OF_SEVERAL,
    POSSESSIVE,
    PRESUMED,
    REMINDING,
    REQUEST,
    SPENT,
    SPENT_ZH,
    TALKED,
    TOLD_WHEN,
    WANTED,
    Wanted,
)
from pagefault.models.offline.statement_patterns import PAST, QUALIFIED_NAME
from pagefault.storage.terms import terms

__all__ = ["Need", "Question", "parse"]


@dataclass(frozen=True, slots=True)
class Need:
    """An answer should have one of ``units``. ``focus``: without it, it is no answer.

    ``kind`` is the noun of "which mountain ...", for which a name may stand; ``verb`` the main verb.
    """

    units: frozenset[str]
    surface: str
    weight: float
    focus: bool = False
    kind: bool = False
    verb: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    about: Literal["user", "agent", "either"]
    tags: frozenset[str]
    owner: frozenset[str]
    words: tuple[str, ...]  # what of it is worth searching for
    needs: tuple[Need, ...]
    wanted: Wanted
    counted: str  # what a Chinese question counts (楼 of 几楼)
    many: bool
    presumed: bool  # "remember that time we talked about ..." says that there is an answer
    day: date | None
    chinese: bool


def _asking(text: str) -> tuple[str, str]:
    """The last asking sentence and what stands before it ("remember when we talked about music?"): what
    asks, and all else too where the question itself says that there is an answer."""
    pieces = sentences(text)
    asking = [index for index, piece in enumerate(pieces) if is_question(piece)]
    last = asking[-1] if asking else len(pieces) - 1
    if last > 0 and _telling(pieces[last]) == 0:
        last = max((index for index in asking[:-1]), default=last)
    before = range(last) if PRESUMED.search(fold(text)) else (index for index in asking if index < last)
    return pieces[last], " ".join(pieces[index] for index in before)


def _telling(sentence: str) -> int:
    """How many words of a sentence say what it asks."""
    stripped = REMINDING.sub(" ", fold(sentence))
    return len(content(stripped)) + any(pattern.search(stripped) for pattern in ASKED.values())


def _about(folded: str, stripped: str) -> Literal["user", "agent", "either"]:
    folded = REQUEST.sub(" ", folded)
    if ABOUT_USER.search(folded):
        return "user"
    if ABOUT_AGENT.search(folded):
        return "agent"
    if re.search(r"\b(?:your?|yours|yourself)\b|你", stripped) and not re.search(
        r"\bmy\b|我的|我家", stripped
    ):
        return "agent"
    return "user" if re.search(r"\b(?:i|my|me|mine|our|we)\b|我|咱", stripped) else "either"


def _owner(sentence: str, stripped: str) -> frozenset[str]:
    """Whose attribute is asked: a relative or pet if one is named, a person's name, else the speaker's."""
    entities = [mention for mention in content(stripped) if "#entity" in mention.units]
    who = Subject()
    for clause in clauses(re.sub(r"^who\w* ", "", stripped)):
        who = subject(clause, who)
    if who.owner == frozenset({"self"}):
        named = re.search(r"\b(?:does|is|did|was|has) ([A-Z][a-z]+)\b", sentence)
        if named and named.group(1) != "I":
            return frozenset(terms(named.group(1)))
        chinese = re.match(
            r"([\u4e00-\u9fff]{2,3}?)(?:现在|目前|今年|以前|平时|最近)?(?:是|在|住|做|叫"
            r"|有|喜欢)",
            stripped,
        )
        if (
            chinese
            and content(chinese[1])
            and "我" not in chinese[1]
            and "你" not in chinese[1]
            and not entities
        ):
            return frozenset({chinese[1]})
        if entities and not re.search(r"\b(?:i|my)\b|我", stripped):
            return entities[0].units - {"#entity"}
    return who.owner


def _named(stripped: str, owner: frozenset[str]) -> str:
    """Whose name is asked for: of a relative or pet, of a thing ("the boat"), or the speaker's."""
    mentions = content(stripped)
    entities = [mention for mention in mentions if "#entity" in mention.units]
    if any("/" in unit for unit in owner) or not mentions or CALLS_ME.search(stripped):
        return narrowest(owner)
    if entities:
        holder = re.search(rf"([a-z]+)'s (?:[a-z]+ )?{re.escape(entities[-1].surface)}", stripped)
        own = content(holder[1]) if holder and len(entities) == 1 else ()
        return f"{own[0].specific}/{entities[-1].specific}" if own else entities[-1].specific
    qualified = QUALIFIED_NAME.search(stripped)
    if qualified:
        return f"{narrowest(owner)}/{qualified.group().replace(' ', '')}"
    things = [
        mention
        for mention in content(BESIDE.sub("", SPENT_ZH.sub(" ", stripped)))
        if not re.match(SPENT["name"], mention.surface)
        and not is_generic(mention.surface)
        and mention.surface != "字"
    ]
    return things[-1].specific if things else narrowest(owner)


def _tags(sentence: str, stripped: str) -> tuple[frozenset[str], frozenset[str], set[str]]:
    """The tags asked for, their owner, and the attributes found."""
    found = {attribute for attribute, pattern in ASKED.items() if pattern.search(stripped)}
    if (
        "name" in found
        and re.search(r"是谁", stripped)
        and not re.search(r"我是谁|[妹姐哥弟妈爸儿女妻夫婆公友事板师东医]是谁", stripped)
    ):
        found.discard("name")
    entities = any("#entity" in mention.units for mention in content(stripped))
    if re.match(r"who\b(?! am i$)", stripped) and not entities:
        found.discard("name")
    if "birthday" in found:
        found -= {"origin", "age"}
    if "name" in found:
        found &= {"name"}
    if ONE_OF_SEVERAL.search(stripped):
        found -= {"home", "job"}
    owner = frozenset({"self"}) if CALLS_ME.search(stripped) else _owner(sentence, stripped)
    if "home" in found and PAST.search(fold(sentence)):
        young = "#childhood" in units(fold(sentence))
        lived = ("past-home", "origin") if young else ("past-home",)
        return frozenset(f"{attribute}:{narrowest(owner)}" for attribute in lived), owner, found
    tags = {
        f"{attribute}:{_named(stripped, owner) if attribute == 'name' else narrowest(owner)}"
        for attribute in found
    }
    return frozenset(tags), owner, found


def _is_focus(stripped: str, mention: Mention, mentions: tuple[Mention, ...], sentence: str) -> bool:
    """Indispensable: what "my" stands before, relatives and pets, names, and likes against dislikes."""
    if mention.units & {"#entity", "#dislike", "#allergy", "#fav"}:
        return True
    several = ONE_OF_SEVERAL.search(stripped)
    if several and several.start() <= mention.start < several.end():
        return True
    if (
        re.search(rf"(?<!^)(?<![.!?] )\b{re.escape(mention.surface.capitalize())}\b", sentence)
        and mention.surface.isascii()
    ):
        return True
    verb = MAIN_VERB.search(stripped)
    done = verb.start("verb") if verb else -1  # in "did my desk cost" it is no part of what is mine
    for found in POSSESSIVE.finditer(stripped):
        start = found.end()
        for other in mentions:
            if other.start < start:
                continue
            if other.start == done or not GAP.match(stripped[start : other.start]):
                break
            if other is mention:
                return True
            start = other.start + len(other.surface)
    return False


def _needs(
    sentence: str, stripped: str, context: str, spent: re.Pattern[str] | None, owner: frozenset[str]
) -> tuple[Need, ...]:
    mentions = content(SPENT_ZH.sub(" ", stripped) if spent else stripped)
    verb = MAIN_VERB.search(stripped)
    found: list[Need] = []
    for mention in mentions:
        called = "#entity" in mention.units and CALLS_ME.search(stripped) is not None
        if called or (spent and (spent.match(mention.surface) or mention.units <= owner | {"#entity"})):
            continue
        generic = is_generic(mention.surface)
        focus = (not generic or ONE_OF_SEVERAL.search(stripped) is not None) and _is_focus(
            stripped, mention, mentions, sentence
        )
        short = len(mention.surface) == 1 and not mention.surface.isascii() and len(mention.units) == 1
        main = (
            not generic
            and verb is not None
            and mention.start in (verb.start("verb"), verb.start("be"), verb.start("last"))
        )
        weight = 0.25 if generic or short else 0.5 if main else 1.0
        kind = re.search(r"\b(?:what|which) $", stripped[: mention.start]) is not None
        found.append(Need(mention.alternatives, mention.surface, weight, focus and not short, kind, main))
    for mention in content(REMINDING.sub(" ", fold(context))):
        if not is_generic(mention.surface) and all(mention.surface != need.surface for need in found):
            found.append(Need(mention.alternatives, mention.surface, 0.2))
    return tuple(found)


def _day(folded: str, today: str) -> date | None:
    """The day that the question is about, if it asks what was talked about then."""
    found = DAY.search(folded)
    if found is None or not TALKED.search(folded):
        return None
    try:
        if found["iso"]:
            return date.fromisoformat(found["iso"])
        now = date.fromisoformat(today)
        if found["month"]:
            return now.replace(month=int(found["month"]), day=int(found["day"]))
    except ValueError:  # no such day, or no clock in the event
        return None
    return now - timedelta(days=found.group() in ("yesterday", "昨天"))


def parse(text: str, today: str = "") -> Question:
    """Understand the last question in a message. ``today`` (ISO) is what "yesterday" is counted from."""
    sentence, context = _asking(text)
    folded = fold(sentence)
    stripped = REMINDING.sub(" ", folded).strip(" ?？。.!！\"'")
    tags, owner, attributes = _tags(sentence, stripped)
    spent = re.compile("|".join(SPENT[attribute] for attribute in sorted(attributes))) if attributes else None
    wanted: list[Wanted] = [kind for kind, pattern in WANTED if pattern.search(folded)]
    return Question(
        text=sentence,
        about=_about(folded, stripped),
        tags=tags,
        owner=owner,
        words=tuple(mention.surface for mention in content(stripped)),
        needs=_needs(sentence, stripped, context, spent, owner),
        wanted="" if tags or not wanted or TOLD_WHEN.search(folded) else wanted[0],
        counted=counted[1] if (counted := COUNTED.search(folded)) else "",
        many=bool(MANY.search(folded)),
        presumed=bool(PRESUMED.search(fold(text))),
        day=_day(folded, today),
        chinese=is_chinese(text),
    )
