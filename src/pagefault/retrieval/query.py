"""Reading a query: the words to match, the text to embed, and the speaker, time and kind of row it asks for.

Stop words, exactness, names, dates and the share of CJK are decided here, for both stores and all tiers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import islice

from pagefault.quoting import normal
from pagefault.retrieval.asking import Asking, read, states, topic
from pagefault.retrieval.dates import Span, spans
from pagefault.retrieval.languages import Language, languages, plain, spoken
from pagefault.storage.terms import UNSPACED, is_character, terms

__all__ = ["Query", "content_terms", "understand"]

_QUOTED = re.compile(
    r'"([^"]+)"|“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|»([^«»]+)«|「([^「」]+)」|『([^『』]+)』'
)
# Words, or twice as many characters of a script without spaces, beside a quotation that is all that is
# asked; of a key twice.
_ALONE = 2
# A token that looks like a key: a row that does not contain it is not meant. Years, dates, amounts and names
# with a few digits (p53, IL-10, COVID-19) are written in several ways, and are left to BM25.
_KEY = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"  # a UUID
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # an address
    r"|(?<![\w.,:/-])\d{5,}(?![\w.,:/-]*\w)"  # a number longer than a year
    # letters and digits
    r"|(?<![\w])(?=[\w.:/-]*[a-z])(?=[\w.:/-]*\d)[a-z0-9](?:[\w.:/-]*[a-z0-9])?(?![\w])",
    re.IGNORECASE | re.ASCII,
)
_YEAR_OR_ROUND = re.compile(r"\D*(?:1[5-9]|20)\d\d\D*|\d{1,3}000+")  # 1930s, mid-2009, 10000: no keys
_LONGEST = 4_000  # characters of a query that are read; some patterns take the square of its length
_LETTER = r"[^\W\u0e00-\U0003ffff]"  # of a script with spaces
_MOST_NAMED = 20  # people that a query can name
_ROLES = {"user", "assistant", "system"}
_SURE = 2  # stop words of a language by which a text in Latin letters is known to be in it
_ASKS_NOTHING = Asking(False)


@dataclass(frozen=True, slots=True)
class Query:
    """A query as understood.

    ``terms``: lexical units to match, without stop words and names of the participants. ``exact``: sequences
    of units that a row must contain. ``bare``: the text to embed, without those names. ``subject``: the
    participant whose words are asked for, as the caller spells the name, ``""`` for none; ``is_one_named``:
    nobody else is named. ``dates``: the times that are named. ``asks_assistant``: it asks what "you", the
    assistant, said. ``asking``: the kind of answer it wants. ``may_be_english``: known to be in no other
    Latin language.
    """

    text: str
    terms: tuple[str, ...]
    exact: tuple[tuple[str, ...], ...] = ()
    bare: str = ""
    subject: str = ""
    is_one_named: bool = False
    dates: tuple[Span, ...] = ()
    asks_assistant: bool = False
    asking: Asking = _ASKS_NOTHING
    may_be_english: bool = True


def understand(text: str, people: Sequence[str] = (), now: datetime | None = None) -> Query:
    """Read a query. ``people``: the names of those who speak in what is searched. ``now`` (aware): what
    dates are relative to; without it dates are words like others."""
    text = text[:_LONGEST]
    # Quotes, keys and names in compatible forms (full-width, composed or not) are read alike.
    same = normal("NFKC", text)
    named = _named(people, same)
    bare = same if named else text
    for name in named:
        bare = _mention(name).sub(" ", bare)
    bare = " ".join(bare.split()) or text
    asking = read(text)
    if asking.kind == "order":  # the words of such a question are mostly about the asking
        bare = topic(bare) or bare
    content = content_terms(_QUOTED.sub(lambda quoted: f" {quoted[quoted.lastindex or 0]} ", bare))
    return Query(
        text,
        content,
        _exact(same),
        bare,
        _subject(same, named),
        len(named) == 1,
        spans(text, now) if now else (),
        states(text, "said"),
        asking,
        all(language.code == "en" or not language.may_be_of("e") for language in _languages(text)),
    )


def content_terms(text: str) -> tuple[str, ...]:
    """The lexical units of ``text``, each once, without stop words unless it has nothing else."""
    units = list(dict.fromkeys(terms(text := text[:_LONGEST])))
    stop = _stop_words(text)
    return tuple(unit for unit in units if unit not in stop) or tuple(units)


def _languages(text: str) -> list[Language]:
    """The languages of a text. Among those in Latin letters these are the ones of whose stop words it has two
    or more, and more than English ones: "die", "was" and "come" are content elsewhere."""
    known = set((words := plain(text)).split())
    english = next(language for language in languages() if language.code == "en")
    latin, least = english.script, max(_SURE, len(known & english.stop) + 1)
    found = [one for one in spoken(words) if one.script != latin or len(known & one.stop) >= least]
    if least > _SURE or all(one.script != latin for one in found):
        found.append(english)
    return found


def _stop_words(text: str) -> frozenset[str]:
    return frozenset[str]().union(*map(_stop_units, _languages(text)))


@cache
def _stop_units(language: Language) -> frozenset[str]:
    """Stop words as units; of two characters of a script without spaces the pair alone."""
    units = [terms(word) for word in language.stop]
    return frozenset(
        unit for some in units for unit in (some[1:2] if len(some) == 3 and UNSPACED.match(some[0]) else some)
    )


def _exact(text: str) -> tuple[tuple[str, ...], ...]:
    """Keys and quotations bind if little stands beside them; within a longer question they are hints. Of the
    gold rows of HotpotQA's quoting questions only 57 % hold the quotation, of LoCoMo's 40 %."""
    quoted = [next(group for group in found if group) for found in _QUOTED.findall(text)]
    outside = _QUOTED.sub(" ", text)
    keys = [key for key in _KEY.findall(outside) if _is_key(key)]
    if not quoted + keys:
        return ()
    for key in keys:
        outside = outside.replace(key, " ")
    stop = _stop_words(text)
    rest = [unit for unit in terms(outside) if unit not in stop]
    beside = sum(0.5 * is_character(unit) or not UNSPACED.match(unit) for unit in rest)
    binding = [*(quoted if beside <= _ALONE else ()), *(keys if beside <= 2 * _ALONE else ())]
    return tuple(units for item in binding if (units := tuple(terms(item))))


def _is_key(token: str) -> bool:
    """Return True if a token that looks like a key is long enough for one; H3K79me2 and p4010 are not."""
    if token.isdigit() or "@" in token:
        return not _YEAR_OR_ROUND.fullmatch(token)
    letters, digits = sum(map(str.isalpha, token)), sum(map(str.isdigit, token))
    is_code = letters >= 2 and re.search(r"\d{4}", token) is not None
    return (digits >= 5 or is_code) and not _YEAR_OR_ROUND.fullmatch(token)


def _named(people: Sequence[str], text: str) -> list[str]:
    """Return the people named in a text, of many the first; a pattern for each of thousands takes seconds."""
    words = plain(text)
    likely = (name for name in people if name.lower() not in _ROLES and plain(name).strip() in words)
    return list(islice((name for name in likely if _mention(name).search(text)), _MOST_NAMED))


def _mention(name: str) -> re.Pattern[str]:
    """A pattern for a name, with its possessive. A script without spaces may go on next to it; in such a
    script a name has two characters or more, for one is in many words."""
    if UNSPACED.match(name):
        before, behind = ("", "") if len(name) > 1 else (r"(?<!\w)", r"(?!\w)")
    else:
        before, behind = rf"(?<!{_LETTER})", rf"(?!{_LETTER})"
    return re.compile(rf"{before}(?i:{re.escape(normal('NFKC', name))}(?P<own>['’]s?|s)?){behind}")


def _subject(text: str, named: Sequence[str]) -> str:
    """Return the person asked about among those named: of two, the first without a possessive."""
    matches = [(match, name) for name in named if (match := _mention(name).search(text))]
    found = [(match["own"] is not None, match.start(), name) for match, name in matches]
    return min(found)[2] if 0 < len(found) <= 2 else ""
