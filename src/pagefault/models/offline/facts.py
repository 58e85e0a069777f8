"""First-person statements: whose they are, and which attribute they give.

A statement's tags are ``attribute:owner`` (``home:self``, ``name:#dog``, ``job:#sister``), from patterns in
English and Chinese; a question has tags of the same form (``questions``), and an answer is found where
they meet. It leaves out anything about what is asked, and any text but the sentence and the one before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from pagefault.models.offline.language import Mention, clauses, content, fold, narrowest, units
from pagefault.models.offline.statement_patterns import (
    ALIAS,
    APPOSED,
    BARE_AGE,
    ELLIPTIC,
    FULL_NAME,
    I_AM,
    IMPLIED,
    IS_AGED,
    NAME,
    NAME_SUBJECT,
    NAMED,
    NOT_QUESTION_ZH,
    QUALIFIED_NAME,
    QUESTION_EN,
    QUESTION_ZH,
    SO_NAMED,
    STATEMENTS,
    SUBJECT,
    UNNAMED,
    ZH_BETWEEN,
    ZH_NAME_SUBJECT,
)
from pagefault.storage.terms import terms

__all__ = [
    "Reading",
    "Subject",
    "alias",
    "is_question",
    "is_rhetorical",
    "read",
    "subject",
]


@dataclass(frozen=True, slots=True)
class Subject:
    """Who a clause is about: ``self`` (the speaker), or the units of a relative, a pet, a thing, a name.

    ``mentioned`` is what a later "he" or "it" stands for.
    """

    owner: frozenset[str] = frozenset({"self"})
    mentioned: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reading:
    """A statement as understood: its units, its ``attribute:owner`` tags, the owners of its clauses."""

    units: frozenset[str]
    tags: frozenset[str]
    owners: frozenset[str]


_HOLDER = re.compile(r"(?<!my )(?<!our )\b([a-z]+)'s (?:[a-z]+ )?$")
_WHERE = re.compile(r" (?:in|at|near|on|from) .*")
_BESIDE = re.compile(r" (?:in|at|near|on|for|from|by|of|i|we|that|which|who) .*")


def is_question(sentence: str) -> bool:
    """Whether the sentence asks, with or without its question mark."""
    folded = fold(sentence).strip(" \"'”’)").strip()
    if folded.endswith(("?", "？")):
        return True
    if QUESTION_EN.search(folded):
        return not folded.endswith("!") and not re.match(r"what an?\b|how \w+[.…]$", folded)
    last = re.split("[，,]", folded.rstrip("。.!！~"))[-1]
    return bool(QUESTION_ZH.search(last)) and not NOT_QUESTION_ZH.search(folded)


def is_rhetorical(sentence: str) -> bool:
    """A bare phrase with a question mark, as in "My wife? No, I'm single."."""
    folded = fold(sentence).rstrip("?？ ")
    return len(folded.split()) <= 3 and not QUESTION_EN.search(folded) and not QUESTION_ZH.search(folded)


def _entities(folded: str) -> list[Mention]:
    return [mention for mention in content(folded) if "#entity" in mention.units]


def _owned(folded: str, entity: Mention, entities: list[Mention]) -> frozenset[str]:
    """The entity's units; of "my sister's dog" the dog's, each marked with the sister."""
    for owner in entities:
        between = folded[owner.start + len(owner.surface) : entity.start]
        if owner.start < entity.start and re.fullmatch(r"'s? (?:[\w-]+ )?|(?:家)?的|家", between):
            return frozenset(f"{owner.specific}/{unit}" for unit in entity.units - {"#entity"})
    holder = _HOLDER.search(folded[: entity.start])
    if holder and content(holder[1]):
        return frozenset(f"{content(holder[1])[0].specific}/{unit}" for unit in entity.units - {"#entity"})
    return entity.units - {"#entity"}


def _owned_by(folded: str, owner: Mention, entities: list[Mention]) -> frozenset[str]:
    """The units of what belongs to ``owner``, if the text goes on to it ("my sister's dog"), else its own."""
    later = [_owned(folded, entity, entities) for entity in entities if entity.start > owner.start]
    return next(
        (own for own in later if any(unit.startswith(f"{owner.specific}/") for unit in own)), owner.units
    )


def _unnamed(folded: str, before: Subject) -> frozenset[str]:
    """Of a clause without a person: somebody else, a thing, or whom the clause before was about."""
    found = UNNAMED.match(folded)
    if found is None:
        return before.owner
    if found.group() == "there" and _entities(folded):
        return frozenset({"self"})
    return frozenset({"thing" if found["thing"] or found["around"] else "other"})


def subject(clause: str, before: Subject) -> Subject:
    """Who the clause is about: the first of "I", "my sister", "she", a name; else the one before."""
    folded = fold(clause)
    entities = _entities(folded)
    mentioned = _owned(folded, entities[-1], entities) if entities else before.mentioned
    named = NAME_SUBJECT.match(clause)
    if named and named.group(1).lower() not in ("home", "work") and units(fold(named.group(1))):
        return Subject(units(fold(named.group(1))), mentioned)
    found = SUBJECT.search(folded)
    chinese = ZH_NAME_SUBJECT.match(folded)
    if chinese and found is None and units(chinese[1]) == frozenset((chinese[1],)):
        return Subject(frozenset({chinese[1]}), frozenset({chinese[1]}))
    if found is None:
        return Subject(_unnamed(folded, before), mentioned)
    if ELLIPTIC.match(folded):
        return Subject(mentioned=mentioned)
    third = found.lastgroup in ("third", "zhthird")
    if (third or found.group() == "me") and found.start() > 0 and UNNAMED.match(folded):
        return Subject(_unnamed(folded, before), mentioned)
    if third:
        other = "thing" if found.group() in ("it", "its", "它") else "other"
        somebody = before.owner if before.owner != frozenset({"self"}) else frozenset({other})
        return Subject(before.mentioned or somebody, before.mentioned or mentioned)
    if found.lastgroup in ("mine", "zhmine"):
        for entity in entities:
            between = folded[found.end() : entity.start]
            near = (
                re.fullmatch(r"(?: [\w-]+){0,2} ", between)
                if found.lastgroup == "mine"
                else ZH_BETWEEN.match(between)
            )
            if entity.start >= found.end() and near:
                named_as = SO_NAMED.match(clause[entity.start + len(entity.surface) :])
                names = units(fold(named_as[1] or named_as[2])) if named_as else frozenset[str]()
                return Subject((_owned_by(folded, entity, entities) | names) - {"#entity"}, mentioned)
    return Subject(frozenset({"self"}), mentioned)


def _name_holder(clause: str, marker: int, who: Subject, before: Subject) -> frozenset[str]:
    folded = fold(clause)
    entities = _entities(folded)
    qualified = QUALIFIED_NAME.search(folded)
    if qualified and not entities:
        return frozenset(f"{owner}/{qualified.group().replace(' ', '')}" for owner in who.owner)
    to_me = re.match(
        r"(?:call|called|named) me(?! (?:from|back|at|on|in|to|about|a)\b)"
        r"|name's",
        folded[marker:],
    )
    if to_me and all(entity.start > marker for entity in entities):
        return frozenset({"self"})
    if re.search(r"\b(?:he|she|it|they|him|her|his|its|their|them)\b|[他她它]", folded) and not entities:
        return before.mentioned or who.owner
    head = len(_WHERE.sub("", folded[:marker]))
    earlier = [entity for entity in entities if entity.start < marker]
    earlier = [entity for entity in earlier if entity.start < head] or earlier
    if earlier:
        own = _owned(folded, earlier[-1], entities)
        if who.owner & (own | {"self", "thing", "other"}) or any("/" in unit for unit in own):
            return own
        return frozenset(f"{narrowest(who.owner)}/{unit}" for unit in own)
    if entities:
        return entities[0].units
    if "叫" in folded and before.mentioned and not re.search("[我你]", folded):
        return before.mentioned
    thing = [mention for mention in content(folded) if mention.start < marker]
    if thing and re.search(
        r"(?:\b(?:an?|the|my|our|this|one) (?:[\w-]+ )*|[只家个条所])"
        r"[\w'-]+ (?:which |that |is |was |are )?$",
        folded[:marker],
    ):
        article = max(
            found.end()
            for found in re.finditer(r"\b(?:an?|the|my|our|this|one) |[只家个条所]", folded[:marker])
        )
        head = content(_BESIDE.sub("", folded[article:marker]))
        return head[-1].units if head else thing[-1].units
    return who.owner


def _names(clause: str, who: Subject, before: Subject) -> frozenset[str]:
    """The units of everyone whose name the clause gives."""
    folded = fold(clause)
    holders: set[str] = set()
    marker = NAME.search(folded)
    named = NAMED.search(clause)
    for found in filter(None, (marker, named)):
        holders |= _name_holder(clause, found.start(), who, before)
    if I_AM.search(clause):
        holders.add("self")
    for found in APPOSED.finditer(clause):
        kin = content(fold(next(filter(None, found.groups()))))
        if kin and "#entity" in kin[-1].units:
            holders |= kin[-1].units
    if FULL_NAME.search(clause):
        holders |= {f"{holder}/{part}" for holder in holders for part in ("lastname", "surname")}
    return frozenset(holders)


@lru_cache(maxsize=8192)
def read(sentence: str, before: str = "") -> Reading:
    """Understand one statement; ``before`` is the sentence in front of it, for "his name is Rex"."""
    who = Subject()
    for clause in clauses(before):
        who = subject(clause, who)
    who = Subject(
        mentioned=who.mentioned,
        owner=who.owner if re.match(r"(?:he|she|it|they|他|她|它)", fold(sentence)) else Subject().owner,
    )
    tags: set[str] = set()
    owners: set[str] = set()
    named = frozenset[str]()  # whom the clause before gave a name
    for clause in clauses(sentence):
        last, who = who, subject(clause, who)
        folded = fold(clause)
        owners |= who.owner
        given = {attribute for attribute, pattern in STATEMENTS.items() if pattern.search(folded)}
        if "self" not in who.owner and IS_AGED.search(folded):
            given.add("age")
        own = _names(clause, who, last) - {"thing", "other"}
        tags |= {f"name:{holder}" for holder in own}
        named = own or (frozenset[str]() if SUBJECT.search(folded) else named)
        for attribute in given:
            of_named = attribute == "age" and named and "self" not in named
            owned = (named | who.owner) - {"self"} if of_named else who.owner
            if attribute == "age" and BARE_AGE.match(folded):
                owned = last.mentioned or owned  # "I have a brother, nineteen"
            tags |= {f"{attribute}:{owner}" for owner in owned - {"thing", "other"}}
    implied = (meant for pattern, meant in IMPLIED if pattern.search(sentence))
    return Reading(units(fold(sentence)).union(*implied), frozenset(tags), frozenset(owners))


def alias(sentence: str) -> tuple[str, frozenset[str]] | None:
    """The name that a sentence gives to a relative or pet in passing ("my brother Anton"), and its units."""
    found = ALIAS.search(sentence)
    kin = content(fold(found["kin"] or found["kin2"])) if found else ()
    if found is None or not kin or "#entity" not in kin[-1].units:
        return None
    return terms(found["name"] or found["name2"])[0], kin[-1].units - {"#entity"}
