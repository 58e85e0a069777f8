"""Which statements are worth keeping, and which newer one replaces an older.

A slot is what has one value at a time: where somebody lives, a favourite colour, "my X is". It leaves out
where a statement is kept: that is ``noting``.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pagefault.models.offline.facts import is_question, read
from pagefault.models.offline.language import content, fold, narrowest
from pagefault.models.offline.statement_patterns import (
    ELLIPTIC,
    FIRST_PERSON,
    IS,
    KEYED,
    NUMBER,
    PASSING,
    TIME,
    WORTH,
)

__all__ = ["is_durable", "slots"]

_CATEGORIES = frozenset(
    {
        *("#colour", "#food", "#drink", "#film", "#book", "#music", "#song", "#band", "#singer", "#sport"),
        *("#season", "#flower", "#game", "#author", "#fruit", "#vegetable", "#tvshow", "#school", "#hobby"),
        *("#pet", "#animal", "#instrument", "#team"),
    }
)  # of which somebody has one favourite


@lru_cache(maxsize=8192)
def is_durable(sentence: str) -> bool:
    """Whether a user's sentence is a first-person statement worth keeping."""
    folded = fold(sentence)
    if is_question(sentence) or len(folded) < 4:
        return False
    reading = read(sentence)
    if reading.tags or KEYED.search(folded):
        return True
    if reading.owners and reading.owners <= {"thing", "other"} and not ELLIPTIC.match(folded):
        return False
    counted = len(folded) < 100 and NUMBER.search(folded) is not None and "self" in reading.owners
    if ELLIPTIC.match(folded) and (counted or TIME.search(folded)):
        return True
    if not FIRST_PERSON.search(folded) and not re.search(r"\bremember\b|记住|别忘|过敏", folded):
        return False
    dated = TIME.search(folded) is not None and re.search(
        r"\d|\b(?:going|flying|will|booked|next)\b|月|打算|要去", folded
    )
    return bool(WORTH.search(folded) or dated or counted) and (not PASSING.search(folded) or bool(dated))


@lru_cache(maxsize=8192)
def slots(sentence: str) -> frozenset[str]:
    """What the statement gives the one value of; a newer statement with the same slots replaces it."""
    reading = read(sentence)
    folded = fold(sentence)
    found: set[str] = set()
    for attribute in ("home", "job", "age", "birthday", "name"):
        owned = [tag.partition(":")[2] for tag in reading.tags if tag.startswith(f"{attribute}:")]
        if owned:
            found.add(f"{attribute}:{narrowest(owned)}")
    owner = min(reading.owners, default="self")
    if "#fav" in reading.units:
        found |= {f"fav {category} {owner}" for category in reading.units & _CATEGORIES}
    for match in IS.finditer(folded):
        what = content(match["of"] or match["what"] or match["zh"])
        if not found and what:
            found.add(f"is {' '.join(sorted(mention.specific for mention in what))} {owner}")
    return frozenset(found)
