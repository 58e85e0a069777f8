"""The patterns by which statements of one language are read, made of its list of facts (``languages``).

Leaves out what is made of what they find (``statements``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from pagefault.retrieval.languages import Language, languages
from pagefault.retrieval.wording import facts_list
from pagefault.storage.terms import UNSPACED

__all__ = ["FactPatterns", "FoundFact", "fact_patterns"]

_OF = "{of}"
_ANY, _NAME = re.compile(r"^.{1,40}$"), re.compile(r"^[^a-z\d][^\d]*$")
_FORMS = {
    "one_phone": (5, 5, _ANY),
    "one_figure": (1, 5, _ANY),
    "one_key": (0, 1, re.compile(r"\d|(?<=.)[^a-z]")),
    "one_mail": (0, 1, re.compile("@")),
    "one_person": (0, 4, _NAME),
    "one_name": (0, 4, _NAME),
    "one_place": (0, 6, re.compile(r"\d|^[^a-z]")),
    "one_date": (0, 6, None),
    "one_word": (0, 4, re.compile("^(?:[^a-z]|an? )")),
    "one_liked": (0, 4, _ANY),
}
"""By the name of a list of things: how many digits a value has at least, how many words at most, and what
else it has; None: a date."""
_NAMES = ("who", "whose", "place", "name", "what", "one", "becomes", "number")


@dataclass(frozen=True, slots=True)
class FoundFact:
    """A sentence taken apart. ``happened``: it says what happened, not what is."""

    attribute: str
    subject: str
    value: str
    happened: bool


class FactPatterns:
    """The patterns of a language. ``unsure``: what no statement may have; ``negation``: what denies it."""

    def __init__(self, language: Language) -> None:
        facts = language.facts
        self.is_spaced = not UNSPACED.match(language.name)
        self.unsure = self._any(facts["unsure"].replace("\n", "|"))
        self.negation = self._any(facts["negation"])
        lead, tail, dates = (self._any(facts[name]).pattern for name in ("lead", "tail", "dates"))
        self._lead = re.compile(rf"^(?:{lead})[\s,:\uff0c]*", re.IGNORECASE)
        self._tail = re.compile(rf"[\s,\uff0c]*(?:{tail})$", re.IGNORECASE)
        self._dates = re.compile(rf"{dates}|\d", re.IGNORECASE)
        self._not = {name: self._any(facts[name]) for name in facts if name.startswith("not_")}
        self._affirmed_as = dict(line.split(": ") for line in facts.get("negated_as", "").splitlines())
        pairs = (line.split(": ") for line in facts_list("read_as")) if self.is_spaced else ()
        self._read_as = [(re.compile(rf"\b{re.escape(w)}\b", re.IGNORECASE), a) for w, a in pairs]
        same = (line.split("|") for line in facts["same_one"].strip().splitlines())
        self._same = {each: first for first, *others in same for each in (first, *others)}
        self._kinds = {name: facts[name].split("|") for name in facts if name.startswith("one_")}
        self._patterns = [self._pattern(line, facts) for line in facts["statements"].strip().splitlines()]

    def _any(self, listed: str) -> re.Pattern[str]:
        """A pattern for any of the phrases that are listed."""
        words = [re.escape(word.replace("_", " ")) for word in listed.split("|") if word.strip()]
        edge = r"\b" if self.is_spaced else ""
        return re.compile(rf"{edge}(?:{'|'.join(words)}){edge}", re.IGNORECASE)

    def _pattern(self, line: str, facts: dict[str, str]) -> tuple[bool, str, re.Pattern[str]]:
        ones = sorted((each for some in self._kinds.values() for each in some), key=len, reverse=True)
        values = {
            "who": f"(?P<who>{facts['who']})",
            "whose": f"(?P<who>{facts['whose']})",
            "place": f"(?P<what>{facts['name']}(?:, {facts['name']})?)",
            "name": f"(?P<what>{facts['name']})",
            "what": r"(?P<what>\S.{0,60})",
            "one": "|".join(ones),
            "becomes": facts["becomes"],
            "number": facts["number"],
        }
        happened = line.startswith("! ")
        attribute, pattern = line.removeprefix("! ").split(": ", 1)
        for name in _NAMES:
            pattern = pattern.replace(f"{{{name}}}", values[name])
        return happened, attribute, re.compile(pattern)

    def bare(self, text: str) -> str:
        """A sentence without what changes nothing before and behind it, without contractions."""
        for pattern, as_ in self._read_as:
            text = pattern.sub(as_, text)
        text = self._tail.sub("", self._lead.sub("", text)).strip()
        return text[:1].upper() + text[1:] if self.is_spaced else text

    def affirmed(self, text: str) -> str:
        """A sentence without its negation."""
        as_ = self._affirmed_as
        without = self.negation.sub(lambda found: as_.get(found.group(), ""), text, count=1)
        return " ".join(without.split())

    def fact(self, text: str) -> FoundFact | None:
        """The sentence taken apart; None if it is of no pattern, or its value is none."""
        for happened, attribute, pattern in self._patterns:
            if found := pattern.fullmatch(text):
                groups = found.groupdict()
                subject = f"{groups['who']} {(groups.get('more') or '').strip()}".strip()
                named = self._named(attribute, groups.get("of") or "", groups["what"].strip())
                return FoundFact(named, subject, groups["what"].strip(), happened) if named else None
        return None

    def _named(self, attribute: str, of: str, value: str) -> str:
        """The attribute's name; empty if it has no such values."""
        if attribute == "home":
            return "" if self._not["not_places"].search(value) or self._dates.search(value) else attribute
        if attribute == "employer" and self._not["not_employers"].match(value):
            return ""
        if attribute != _OF:
            return f"{attribute} {of}".strip().lower()
        of = of.lower()
        kinds = (name for name, some in self._kinds.items() if any(re.fullmatch(each, of) for each in some))
        return self._same.get(of, of) if self._fits(next(kinds), value) else ""

    def _fits(self, kind: str, value: str) -> bool:
        """Return whether a value is one that this kind of thing has."""
        digits, words, form = _FORMS[kind]
        if len(re.findall(r"\d", value)) < digits or len(value.split()) > words:
            return False
        if self._not["not_values"].match(value) or not (form or self._dates).search(value):
            return False
        return form is not _NAME or not self._not["not_names"].search(value)


_patterns_of = cache(FactPatterns)


def fact_patterns(text: str) -> FactPatterns | None:
    """The patterns of the language that a text is in, as far as its letters tell; None if there are none."""
    known = [language for language in languages() if language.facts.get("statements")]
    letters = text.lower()
    found = [language for language in known if language.may_be_of(letters)]
    spaceless = [language for language in found if UNSPACED.match(language.name)]
    return _patterns_of((spaceless or found)[0]) if found else None
