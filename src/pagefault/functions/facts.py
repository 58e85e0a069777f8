"""A fact put into archival storage beside those there: once, and in the place of what it contradicts.

One transaction, which whoever comes later waits for. What is compared are texts (``retrieval.wording``) and
statements (``retrieval.statements``); nothing is asked of a model or an embedder here. Chunks of documents
are not compared. Leaves out vectors, which outside of turns may say that two texts are alike
(``kernel.facts``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from pagefault.errors import UsageError
from pagefault.quoting import whole
from pagefault.retrieval.statements import Statement, contradict, read_statement
from pagefault.retrieval.wording import are_turned, is_dated, key_of_words, words_of
from pagefault.storage import Transaction
from pagefault.storage.tidying import FactKeys, FactSpan
from pagefault.types import AgentId, Passage

__all__ = [
    "FactRules",
    "KeptFact",
    "edited_fact",
    "keep_fact",
    "kept_line",
    "keyed",
    "marks_of",
    "settle_facts",
    "superseded_by",
]

_KEYED_AT_ONCE = 200  # facts without keys that are read when another is stored: some 20 ms at most


@dataclass(frozen=True, slots=True)
class FactRules:
    """The circumstances of a new fact. ``is_dated``: its time was named, so that one of another day is
    another fact; ``zone``: of these days. ``is_shared``: its storage is that of several agents, where "I" is
    nobody. ``near``: numbers of facts whose vectors say the same, the words being in another order; None:
    tell first which facts are to be compared. ``always``: store it whatever is there."""

    zone: tzinfo = UTC
    is_dated: bool = False
    is_shared: bool = False
    near: Collection[int] | None = ()
    always: bool = False


@dataclass(frozen=True, slots=True)
class KeptFact:
    """A fact as it is stored, new or the one that was there. ``replaced``: the numbers of those whose place
    it takes. It may have been superseded at once, by one of a later time (``passage.superseded``).
    ``turned``: nothing was stored yet, for these have the same words in another order."""

    passage: Passage
    is_new: bool
    replaced: tuple[int, ...] = ()
    turned: tuple[Passage, ...] = ()


def keep_fact(tx: Transaction, owner: AgentId, fact: Passage, rules: FactRules) -> KeptFact:
    """Store a fact unless it is there, and mark what it contradicts; ``NotFoundError`` if there is no such
    owner."""
    fact = keyed(fact)
    if unread := tx.unkeyed_passages(owner, _KEYED_AT_ONCE):
        tx.key_passages(owner, {each.number: _keys(each.text) for each in unread})
    alike = [] if rules.always else tx.alike_passages(owner, _keys(fact.text))
    for old in alike:
        if _is_double(fact, old, rules):
            return KeptFact(old, False)
    if rules.near is None and (turned := _turned(alike, fact.text)):
        return KeptFact(fact, False, turned=turned)
    (stored,) = tx.insert_passages(owner, [fact])
    return _in_place(tx, owner, stored, [old for old in alike if _is_contradicted(stored, old, rules)])


def settle_facts(tx: Transaction, owner: AgentId, zone: tzinfo, event: int | None) -> None:
    """Compare facts that were stored without that, as by an import, with all others, some of them at a time:
    mark the later one of two that say the same, and the older of two that contradict each other. ``event``:
    the turn in which this is done, which takes the marks away when it is undone."""
    unread = tx.unkeyed_passages(owner, _KEYED_AT_ONCE)
    tx.key_passages(owner, {each.number: _keys(each.text) for each in unread})
    rules = FactRules(zone)
    for fact in (keyed(replace(each, event=event)) for each in unread):
        alike = [each for each in tx.alike_passages(owner, _keys(fact.text)) if not each.superseded]
        if fact.number not in {each.number for each in alike}:  # it was marked for one before it
            continue
        others = [each for each in alike if each.number != fact.number]
        older = [each for each in others if (each.begins, each.number) < (fact.begins, fact.number)]
        if doubles := [each for each in older if _is_double(fact, each, rules)]:
            tx.supersede_passage(owner, fact.number, doubles[0].number, None, event)
        else:
            _in_place(tx, owner, fact, [each for each in others if _is_contradicted(fact, each, rules)])


def _in_place(tx: Transaction, owner: AgentId, new: Passage, others: Sequence[Passage]) -> KeptFact:
    """Mark the facts that a new one contradicts, and the new one if some of them are of a later time."""
    replaced = tuple(old.number for old in others if old.begins <= new.begins)
    for number in replaced:
        tx.supersede_passage(owner, number, new.number, new.begins, new.event)
    if later := sorted((old.begins, old.number) for old in others if old.begins > new.begins):
        ended, by = later[0]
        tx.supersede_passage(owner, new.number, by, ended, new.event)
        new = replace(new, superseded=by, ended=ended)
    return KeptFact(new, True, replaced)


def superseded_by(
    tx: Transaction, owner: AgentId, old: int, new: int, since: datetime | None = None, *, same: bool = False,
    event: int | None = None,
) -> Passage:  # fmt: skip
    """Mark a fact as superseded by another one and return it. ``since``: when, None: from when the other one
    holds; ``same``: both say the same, so it has no end; ``event``: in whose turn, which takes the mark away
    when it is undone. ``UsageError`` if one is not there, or the other one would follow itself."""
    spans = {span.number: span.superseded for span in tx.fact_spans(owner)}
    follows: int | None = new
    while follows is not None and follows != old:
        follows = spans.get(follows)
    if follows == old:
        raise UsageError(f"p{new} is superseded by p{old} itself; restore p{new} first.")
    by = tx.passage(owner, new)
    ended = None if by is None or same else since or by.begins
    tx.supersede_passage(owner, old, new, ended, event)
    if by is None or (marked := tx.passage(owner, old)) is None:
        raise UsageError(f"There is no fact p{old if by else new} to supersede, or to supersede by.")
    return marked


def marks_of(tx: Transaction, owner: AgentId, number: int) -> list[FactSpan]:
    """The facts that are superseded by one, and this one if it is superseded itself."""
    marked = [span for span in tx.fact_spans(owner) if span.superseded]
    return [span for span in marked if number in (span.number, span.superseded)]


def edited_fact(
    tx: Transaction, owner: AgentId, fact: Passage, old: int, marks: Sequence[FactSpan]
) -> Passage:
    """Store a fact anew that had another number, with the marks that it had, and return it."""
    stored = tx.insert_passage(owner, keyed(replace(fact, number=0)))
    for span in marks:
        number, by = (stored.number if each == old else each or 0 for each in (span.number, span.superseded))
        tx.supersede_passage(owner, number, by, span.ended)
    return stored


def keyed(fact: Passage) -> Passage:
    """The fact with its keys, its text as it is stored."""
    text = whole(fact.text)
    keys = _keys(text)
    return replace(fact, text=text, same=keys.same, about=keys.about)


def _holds_at(fact: Passage, at: datetime) -> bool:
    """Return whether a fact has no end by then."""
    return fact.ends is None or fact.ends > at


def _turned(facts: Sequence[Passage], text: str) -> tuple[Passage, ...]:
    """Those of facts that have the words of a text in another order."""
    words = words_of(text)
    return tuple(fact for fact in facts if are_turned(words, words_of(fact.text)))


def kept_line(kept: KeptFact, zone: tzinfo, archive: str = "") -> str:
    """The line that says what was done with a fact."""
    where = f"{archive}/" if archive else ""
    ended = kept.passage.ended
    id, until = f"{where}p{kept.passage.number}", ended and f"{ended.astimezone(zone):%Y-%m-%d}"
    if not kept.is_new:
        return f"{id} has this already; nothing was added."
    said = f"Saved as {id}."
    if kept.replaced:
        olds = ", ".join(f"{where}p{number}" for number in kept.replaced)
        said += f" It takes the place of {olds}: until {kept.passage.begins.astimezone(zone):%Y-%m-%d}."
    if kept.passage.superseded:
        said += f" It held until {until}: {where}p{kept.passage.superseded} is newer and says otherwise."
    return said


def _keys(text: str) -> FactKeys:
    statement = read_statement(text)
    return FactKeys(key_of_words(words_of(text)), statement.key if statement else None)


def _is_double(new: Passage, old: Passage, rules: FactRules) -> bool:
    """Return whether a fact is there: with its tags, its times and its origin."""
    limits = ((new.valid_from, old.valid_from), (new.valid_until, old.valid_until))
    if any(asked not in (None, there) for asked, there in limits) or not set(new.tags) <= set(old.tags):
        return False
    if (new.title, new.source) != (old.title, old.source) or not _holds_at(old, new.begins):
        return False
    days = {each.at.astimezone(rules.zone).date() for each in (new, old)}
    if len(days) > 1 and (rules.is_dated or is_dated(new.text)):
        return False
    return _says_the_same(new, old, rules)


def _says_the_same(new: Passage, old: Passage, rules: FactRules) -> bool:
    if words_of(new.text) == words_of(old.text) or old.number in (rules.near or ()):
        return True
    said, there = read_statement(new.text), read_statement(old.text)
    return bool(said and there and said.is_same(there) and _have_one_speaker(said, new, old, rules))


def _is_contradicted(new: Passage, old: Passage, rules: FactRules) -> bool:
    """Return whether an old fact and a new one cannot both hold from the later one's time on."""
    if new.about is None or new.about != old.about or new.valid_until or old.valid_until:
        return False
    said, there = read_statement(new.text), read_statement(old.text)
    if said is None or there is None or not contradict(said, there):
        return False
    return _have_one_speaker(said, new, old, rules)


def _have_one_speaker(said: Statement, new: Passage, old: Passage, rules: FactRules) -> bool:
    """Return whether "I" is the same person in both: unknown where several write, or tags and origin
    differ."""
    of = [(set(each.tags), each.title, each.source) for each in (new, old)]
    return not said.is_own or (not rules.is_shared and of[0] == of[1])
