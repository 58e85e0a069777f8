"""Words: what language a text is in, where its sentences end, and which concepts its words stand for.

Pure functions over strings. A text becomes a set of units: English stems, and concepts (``#dog``) which
English and Chinese surfaces share, each with what is broader (``beagle`` is also ``#breed``, ``#dog``
and ``#pet``). The words are data, in ``lexicon.txt``: a concept's line is ``name < broader ...: surface,
surface | 表面 表面``, with a star before the name of a bag of different things. English surfaces match by
stem, Chinese ones as substrings, the longest first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

from pagefault.storage.terms import terms

__all__ = [
    "Concept",
    "Mention",
    "clauses",
    "content",
    "fold",
    "is_chinese",
    "is_concept",
    "is_generic",
    "lexicon",
    "narrowest",
    "runs",
    "sentences",
    "size",
    "units",
]

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_SENTENCE = re.compile(
    r"(?<=[.!?…])\s+|(?<=[.!?…][\"')”’])\s+|(?<=[。！？；])(?![”』」）])|(?<=[。！？；][”』」）])|\n+"
)
_LONGEST = 500
_ABBREVIATED = re.compile(r"\b(?:Mr|Ms|Mrs|Dr|St|Prof|Jr|vs|No|e\.g|i\.e|approx|(?<!\d\s)[A-HJ-Z])\.$")
_CLAUSE = re.compile(
    r"[;，；、]\s*|\s+[-–—]+\s+"
    r"|,?\s+(?:and|but|while|whereas)\s+(?=(?:i|i'm|my|we|our|she|he|her|his|they|it|works?|lives?)\b)"
    r"|(?:(?<=wrong)|(?<=mistaken)),\s+|,\s+(?=(?:my|i|i'm|he|she)\b)|,?\s+(?=(?:who|whose) )",
    re.IGNORECASE,
)
_SIMILE = re.compile(
    r"\b(?:sounds?|looks?|feels?|smells?|tastes?|seems?|just|something) like\b"
    r"|(?<!\bi )(?<!\bwe )(?<!you )(?<!they )\blike (?:an?|the)\b"
)
_WEEK = re.compile("星期|礼拜")
_WORD = re.compile(r"[a-z\d](?:[a-z\d]|['-](?=[a-z\d]))*")


@dataclass(frozen=True, slots=True)
class Concept:
    """``broader`` holds the names of everything it is a kind of, itself included, each with its ``#``."""

    name: str
    bag: bool  # the surfaces are different things of one kind, not words for one thing
    broader: frozenset[str]
    english: tuple[str, ...]
    chinese: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mention:
    """A word of a text that says something, where it begins, and the units that it stands for."""

    start: int
    surface: str
    units: frozenset[str]

    @property
    def specific(self) -> str:
        """The narrowest concept; the word where there is none, or only a bag of different things."""
        words = [unit for unit in sorted(self.units) if not unit.startswith("#")]
        return words[0] if words and self._of_a_bag else narrowest(self.units)

    @property
    def _of_a_bag(self) -> bool:
        return any(is_concept(unit) and lexicon().concepts[unit[1:]].bag for unit in self.units)

    @property
    def alternatives(self) -> frozenset[str]:
        """Units of which each says the same: the word and its narrowest concept; of a bag the word only."""
        word = frozenset(unit for unit in self.units if not unit.startswith("#"))
        return word if self._of_a_bag else word | {self.specific}


@dataclass(frozen=True, slots=True)
class Lexicon:
    concepts: Mapping[str, Concept]
    stems: Mapping[str, frozenset[str]]  # a one-word surface's stem -> concept names
    phrases: re.Pattern[str]  # English surfaces of several words
    chinese: re.Pattern[str]
    surfaces: Mapping[str, frozenset[str]]  # phrases and Chinese surfaces -> concept names
    generic: frozenset[str]  # stems that say little about what is asked
    stop: frozenset[str]
    chinese_stop: re.Pattern[str]
    simplified: Mapping[int, str]

    def has_kinds(self, unit: str, units: frozenset[str]) -> bool:
        """Whether a thing of that kind is among the units (a cello, for the concept of instruments)."""
        named = (self.concepts.get(other[1:]) for other in units if other.startswith("#"))
        return any(concept.bag and unit in concept.broader for concept in named if concept)


def _longest_first(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(set(words), key=lambda word: (-len(word), word)))


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^\[([\w-]+)\]\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _concepts(lines: Iterable[str]) -> dict[str, Concept]:
    """A broader concept may be a word with no line of its own."""
    heads = [line.partition(":") for line in lines if line.strip()]
    above = {head.partition("<")[0].strip(" *"): head.partition("<")[2].split() for head, _, _ in heads}

    def broader(name: str) -> frozenset[str]:
        return frozenset({f"#{name}"}).union(*(broader(parent) for parent in above.get(name, ())))

    found: dict[str, Concept] = {}
    for head, _, surfaces in heads:
        name = head.partition("<")[0].strip(" *")
        english, _, chinese = surfaces.partition("|")
        words = tuple(word.strip() for word in english.split(",") if word.strip())
        found[name] = Concept(name, head.startswith("*"), broader(name), words, tuple(chinese.split()))
    return found


@cache
def lexicon() -> Lexicon:
    """The word lists, read once."""
    parts = _sections((files("pagefault.models.offline") / "lexicon.txt").read_text("utf-8"))
    concepts = _concepts(parts["concepts"].splitlines())
    surfaces: dict[str, frozenset[str]] = {}
    stems: dict[str, frozenset[str]] = {}
    for concept in concepts.values():
        for word in concept.english:
            whole = not word.isalpha() or word.endswith("ing")  # gardening is not a garden
            target, key = (surfaces, word) if whole else (stems, terms(word)[0])
            target[key] = target.get(key, frozenset()) | concept.broader
        for word in concept.chinese:
            surfaces[word] = surfaces.get(word, frozenset()) | concept.broader
    return Lexicon(
        concepts=concepts,
        stems=stems,
        phrases=re.compile(
            rf"\b(?:{_longest_first(word for word in surfaces if word.isascii())})(?:s|es)?\b"
        ),
        chinese=re.compile(_longest_first(word for word in surfaces if not word.isascii())),
        surfaces=surfaces,
        generic=frozenset(terms(parts["generic"])),
        stop=frozenset(parts["stop"].split()),
        chinese_stop=re.compile(_longest_first(parts["zh-stop"].split())),
        simplified={
            ord(pair[0]): pair[1] for pair in (*parts["traditional"].split(), "’'", "‘'", '“"', '”"')
        },
    )


def narrowest(units: Iterable[str]) -> str:
    """The unit that says most: the concept with the most above it, else the first word."""
    ranked = sorted(units)
    named = [unit for unit in ranked if is_concept(unit.rpartition("/")[2])]
    depth = {unit: len(lexicon().concepts[unit.rpartition("/")[2][1:]].broader) for unit in named}
    return max(named, key=lambda unit: depth[unit]) if named else ranked[0]


def is_concept(unit: str) -> bool:
    """Whether a unit is one of the concepts of the lexicon, and not a word."""
    return unit.startswith("#") and unit[1:] in lexicon().concepts


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """Lower case, simplified characters, plain quotes, one word for "week": the form to match against."""
    return _WEEK.sub("周", text.lower().translate(lexicon().simplified)).replace("每个", "每")


def is_chinese(text: str) -> bool:
    """Whether to answer in Chinese: at least a fifth of the letters are Chinese characters."""
    han = len(_HAN.findall(text))
    return han > 0 and 5 * han >= sum(character.isalpha() for character in text)


def size(text: str) -> int:
    """Words, a Chinese character counting as half a word; about 3/4 of the tokens."""
    han = len(_HAN.findall(text))
    return len(_HAN.sub(" ", text).split()) + (han + 1) // 2


def sentences(text: str) -> list[str]:
    """The sentences of ``text`` in order, stripped and at most 500 characters long.

    A full stop after an abbreviation ends none.
    """
    found: list[str] = []
    for piece in _SENTENCE.split(text):
        stripped = piece.strip()
        if found and _ABBREVIATED.search(found[-1]):
            found[-1] = f"{found[-1]} {stripped}"
        elif stripped:
            found.append(stripped)
    return [whole[start : start + _LONGEST] for whole in found for start in range(0, len(whole), _LONGEST)]


def clauses(sentence: str) -> list[str]:
    """The sentence cut where a new subject may begin."""
    return [piece for piece in _CLAUSE.split(sentence) if piece.strip()]


def is_generic(surface: str) -> bool:
    """Whether a word says little about what is asked."""
    return " " not in surface and not lexicon().generic.isdisjoint(terms(surface)[:1])


@lru_cache(maxsize=8192)
def content(folded: str) -> tuple[Mention, ...]:
    """What a folded text is about, in order.

    An English word stands for its stem and its concepts; a Chinese concept word for its concepts; a run
    of other Chinese characters for itself. Stop words are left out.
    """
    words = lexicon()
    found: list[Mention] = []

    def keep(match: re.Match[str]) -> str:
        surface = match.group()
        singular = next(w for w in (surface, surface[:-1], surface[:-2]) if w in words.surfaces)
        concepts = words.surfaces[singular]
        stem = terms(surface) if surface.isalpha() and surface.isascii() else ()
        found.append(Mention(match.start(), surface, concepts | {singular, *stem}))
        return "\0" * len(surface)

    rest = words.chinese.sub(keep, words.phrases.sub(keep, _SIMILE.sub(_blank, folded)))
    for match in _WORD.finditer(rest):
        surface = match.group().removesuffix("'s")
        if surface in words.stop or not surface:
            continue
        units_of = frozenset(terms(surface))
        for stem in units_of.copy():
            units_of |= words.stems.get(stem, frozenset())
        found.append(Mention(match.start(), surface, units_of))
    for match in re.finditer(r"[\u3400-\u4dbf\u4e00-\u9fff]+", words.chinese_stop.sub(_blank, rest)):
        found.append(Mention(match.start(), match.group(), frozenset((match.group(),))))
    return tuple(sorted(found, key=lambda mention: mention.start))


def _blank(match: re.Match[str]) -> str:
    return "\0" * len(match.group())


@lru_cache(maxsize=8192)
def units(folded: str) -> frozenset[str]:
    """All units of a folded text, those of the words in its phrases included."""
    own = {unit for mention in content(folded) for unit in mention.units}
    return frozenset(
        own.union(*(terms(mention.surface) for mention in content(folded) if " " in mention.surface))
    )


def runs(run: str, folded: str) -> bool:
    """Whether a run of Chinese characters is in the text, at least half of its pairs."""
    if run in folded:
        return True
    pairs = [run[index : index + 2] for index in range(len(run) - 1)]
    return len(pairs) > 1 and 2 * sum(pair in folded for pair in pairs) >= len(pairs)
