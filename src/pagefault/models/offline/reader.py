"""Reading: which sentences of found or given texts answer a question best, by overlap and not by meaning.

One mechanism for whatever text there is: turns of a log, messages in a prompt, passages of documents. A
sentence counts for the question's words in it and in its text (rare words more), for the place at which its
text was found, for who says it, for the kind of thing that is asked, and for following a question about the
same. It leaves out where texts come from, and how what was read is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

from pagefault.models.offline.facts import is_question
from pagefault.models.offline.language import fold, runs, sentences, size, units
from pagefault.models.offline.question_patterns import WANTED, Wanted
from pagefault.models.offline.questions import Need, Question
from pagefault.models.offline.reading import Found
from pagefault.models.offline.statement_patterns import FIRST_PERSON, NUMBER, PERSON, TIME

__all__ = ["Read", "best_first", "by_speaker", "is_of_another", "names_speaker", "quoted", "ranked", "wanted"]

_SPEAKER = re.compile(r"^([A-Z][\w'-]*(?: [A-Z][\w'-]*)?|[\u4e00-\u9fff]{2,4})[:：] ?")
_PLACE = re.compile(r"\b(?:in|at|from|to|near|on)\b|[在到去从里]")
_KINDS = {"number": NUMBER, "time": TIME, "year": TIME, "place": _PLACE, "person": PERSON}
_FILLER = re.compile(
    r"^(?:(?:yes|yeah|yep|yup|no|nope|wow|whoa|oh|ah|ha|haha\w*|lol|hmm*|great|good|nice|neat|cool|awesome"
    r"|amazing|wonderful|lovely|thanks?|thank|you|hi|hello|hey|there|bye|sure|right|okay|ok|well|dear|gosh"
    r"|really|absolutely|exactly|definitely|of|course|true|me|too|same|here|that's|it's|that|is|sounds?|very"
    r"|so|for|i|see|congratulations|congrats|sorry)\b\W*)+$"
    r"|^(?:[嗯哦啊哈呀对好是的吧呢]|谢谢|真的|不错|可以|没事|再见|你好)+\W*$"
)

_RANK = 1.0  # of the text found first; the fourth has half of it
_RANK_OF_PASSAGE = 3.0  # of a document, which holds the whole answer where a turn holds a piece
_COVER = 1.0  # of all that is asked, in the sentence
_AROUND = 0.2  # the same, in its text
_REPLY = 0.5  # the same, in the question to which the text replies
_WHO = 0.5  # said by the one who is asked about
_KIND = 0.3  # has the kind of thing that is asked
_TELLS = 0.1  # in the first person
_ASKS = -0.6
_FLOOR = 0.3  # of the best score: what is below it is not quoted
_OTHER = 0.2  # by so much somebody's own words must fit better than another's


@dataclass(frozen=True, slots=True)
class Read:
    """A sentence of a text. ``cover``: the share of what is asked that is in it or in its text. ``own``: said
    by the one who is asked about."""

    text: str
    source: Found
    cover: float
    score: float
    own: bool


def by_speaker(found: Found) -> Found:
    """A turn that names its speaker ("Ana: I have moved."), as said by that speaker."""
    named = None if found.name or found.speaker == "archival" else _SPEAKER.match(found.text)
    return replace(found, text=found.text[named.end() :], name=named[1]) if named else found


def wanted(question: Question) -> Wanted:
    """The kind of thing that is asked for, an attribute's too ("where was he born")."""
    folded = fold(question.text)
    for kind, pattern in WANTED:
        if pattern.search(folded):
            return kind
    return ""


def names_speaker(question: Question, found: Sequence[Found]) -> bool:
    """Whether the question is about somebody who speaks, by name, in these texts."""
    return bool(_called(question, found))


def best_first(question: Question, found: Sequence[Found]) -> list[Found]:
    """Texts that nobody has ranked, by how much of what is asked is in them; of equals the newer first."""
    needs = _weighed(question, found)
    return sorted(found, key=lambda text: (-_covered(needs, text.text), -text.number))


def ranked(question: Question, found: Sequence[Found]) -> list[Read]:
    """Every sentence of the texts, best first. ``found`` is in the order of relevance."""
    needs = _weighed(question, found)
    whom = _whom(question, found)
    kind = _KINDS.get(wanted(question))
    before = {text.number: text for text in found}
    read: list[Read] = []
    for place, text in enumerate(found):
        around = _covered(needs, f"{text.name} {text.text}")
        replied = _covered(needs, _last_question(before.get(text.number - 1)))
        own = (text.name or text.speaker) in whom
        rank = (_RANK_OF_PASSAGE if text.speaker == "archival" else _RANK) / (1 + place / 3)
        for sentence in sentences(text.text):
            folded = fold(sentence)
            cover = _covered(needs, sentence)
            asks = is_question(sentence)
            score = (
                rank
                + _COVER * cover
                + _AROUND * around
                + _REPLY * replied * (not asks)
                + _WHO * own
                + _KIND * (kind is not None and bool(kind.search(sentence) or kind.search(folded)))
                + _TELLS * (FIRST_PERSON.search(folded) is not None)
                + _ASKS * asks
            )
            read.append(Read(sentence, text, max(cover, around), score, own))
    return sorted(read, key=lambda item: -item.score)


def is_of_another(question: Question, read: Sequence[Read]) -> bool:
    """Whether what is asked about one speaker was told by another: then it is not known of this one."""
    if len(_called(question, [item.source for item in read])) != 1:
        return False
    own = max((item.score - _WHO for item in read if item.own), default=0.0)
    other = max((item.score for item in read if not item.own), default=0.0)
    return own < other + _OTHER


def quoted(read: Sequence[Read], words: int) -> list[Read]:
    """The best sentences that fit into so many words, at least one; what says nothing ("Wow!") is not among
    them."""
    chosen: list[Read] = []
    for item in [item for item in read if not _FILLER.match(fold(item.text))] or read[:1]:
        if item.score < _FLOOR * read[0].score:
            break
        cost = size(item.text)
        if cost <= words or not chosen:
            chosen.append(item)
            words -= cost
    return chosen


def _called(question: Question, found: Sequence[Found]) -> frozenset[str]:
    """The speakers that the question names."""
    asked = units(fold(question.text))
    names = {text.name for text in found if text.name and text.speaker != "archival"}
    return frozenset(name for name in names if units(fold(name)) & asked)


def _whom(question: Question, found: Sequence[Found]) -> frozenset[str]:
    """Who is asked about: the speakers that the question names, else the one whose "your" or "my" it is."""
    own = {"user": "user", "agent": "assistant"}.get(question.about)
    return _called(question, found) or frozenset({own} if own else ())


def _weighed(question: Question, found: Sequence[Found]) -> list[tuple[Need, float]]:
    """What is asked for, each by its weight and by how few of the texts have it; not the speakers' names."""
    have = [units(fold(text.text)) for text in found]
    spoken = frozenset[str]().union(*(units(fold(name)) for name in _called(question, found)))
    return [
        (need, need.weight * log(1 + len(have) / (1 + sum(bool(need.units & own) for own in have))))
        for need in _needs(question)
        if not need.units & spoken
    ]


def _needs(question: Question) -> list[Need]:
    """What is asked for, and the words that no need has, as those of an attribute ("Theo's dog's name")."""
    had = frozenset[str]().union(*(need.units for need in question.needs))
    rest = ((word, units(fold(word))) for word in question.words)
    return [*question.needs, *(Need(own, word, 1.0) for word, own in rest if not own & had)]


def _covered(needs: Sequence[tuple[Need, float]], text: str) -> float:
    total = sum(weight for _, weight in needs)
    if not total or not text:
        return 0.0
    folded = fold(text)
    own = units(folded)
    return sum(weight for need, weight in needs if need.units & own or _runs(need, folded)) / total


def _runs(need: Need, folded: str) -> bool:
    return not need.surface.isascii() and runs(need.surface, folded)


def _last_question(text: Found | None) -> str:
    pieces = sentences(text.text) if text else []
    return pieces[-1] if pieces and is_question(pieces[-1]) else ""
