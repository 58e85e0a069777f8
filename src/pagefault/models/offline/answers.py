"""The answer to a question: which of the texts in view are quoted, in which order, and how it is said.

Leaves out where the texts come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pagefault.models.offline.prompt_view import SourcedText
from pagefault.models.offline.words import BEINGS, is_chinese, sentences, told, topics

_NEAR = 0.15  # texts that match within this of the best are equal: the newer one comes first
_SURE = (0.5, 0.6)  # of a question's topics are in its answer: if search ranks it first, and otherwise
_RANKED = 3  # results of a search that count although they share no topic with the question
_LONGEST = 300  # characters of a text that is quoted whole
_CHANGE = r"(?i)\b(?:actually|now|no longer|instead|any ?more|changed|moved|went|sold|isn't)\b|\bno,|改|其实"
_BEFORE = r"(?i)\bbefore\b|\bused to\b|\bprevious|以前|之前|原来"
_OWNER = r"\b(?!it|that|s?he|what|there)(\w+)['’]s \w"
_GENERAL = ("name", "favourite")  # topics that weigh half: many texts have them
_EXPECTED = (  # what a question asks for, and what its answer has
    (r"(?i)\bwhen\b|\bhow (?!do|is|are)|几|多|什么时候|哪[天年]", r"\d|day\b|[一二三四五六七八九]"),
    (r"(?i)\bwhere\b|哪里|哪儿", r"\b(?:in|at|to|from|near|on|under)\b|在|到|去"),
    (r"(?i)\bwho\b|\bname|\bcalled|谁|叫什么", r"[\w,;] [A-Z]\w|叫|是"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class QuoteMatch:
    """A text with the part to quote; ``share`` of the question's topics, 0 to 1; ``score`` ranks."""

    found: SourcedText
    quote: str
    share: float
    score: float

    @property
    def time(self) -> tuple[str, float]:
        return self.found.day, self.found.order

    def updates(self, other: QuoteMatch, shared: int = 1) -> bool:
        """Return whether this tells, later, of a change in what the other is about, by so many topics."""
        is_newer = self.time > other.time and bool(re.search(_CHANGE, self.quote))
        return is_newer and len(topics(self.quote) & topics(other.quote)) >= shared


def best_matches(question: str, texts: Iterable[SourcedText]) -> list[QuoteMatch]:
    """The best match, those about as good, and those that tell of a change in it; newest first, or oldest
    where earlier times are asked for. A text is left out that a newer one replaces, or contains."""
    matches = [match for text in texts if (match := _match(question, text))]
    bests = sorted(matches, key=lambda match: -match.score)[:1]
    near = [m for m in matches for best in bests if m.score >= best.score - _NEAR or m.updates(best)]
    near.sort(key=lambda match: match.time, reverse=not re.search(_BEFORE, question))
    kept: list[QuoteMatch] = []
    for match in near:
        kept += [] if _is_replaced(match, kept, near) else [match]
    return kept


def _is_replaced(match: QuoteMatch, newer: list[QuoteMatch], near: list[QuoteMatch]) -> bool:
    better = newer + [other for other in near if other.score >= match.score and other.quote != match.quote]
    past = any(other.updates(match, 2) and other.share >= match.share for other in newer)
    return past or any(match.quote in other.quote for other in better)


def is_sure(matches: list[QuoteMatch]) -> bool:
    return any(match.share >= _SURE[match.found.rank > 0] for match in matches)


def _match(question: str, found: SourcedText) -> QuoteMatch | None:
    """Score a text by the topics it shares, its place in the search, whether it has the kind of thing that is
    asked for, and whether it is about somebody else."""
    wanted, quote = topics(question), told(found.text)
    if len(quote) > _LONGEST:
        pieces = sentences(quote)
        pairs = [" ".join(pieces[at : at + 2]) for at in range(len(pieces))]
        quote = max(pairs, key=lambda pair: _share(wanted, topics(pair)))
    has = topics(quote)
    share = _share(wanted, has)
    if not quote or (not share and found.rank >= _RANKED):
        return None
    score = share + max(0.0, 0.15 - 0.05 * found.rank) - 0.1 * (found.source == "assistant")
    score += 0.2 * any(re.search(asks, question) and re.search(thing, quote) for asks, thing in _EXPECTED)
    others = {topic for topic in has - wanted if topic.startswith(BEINGS)}
    others |= {owner for owner in re.findall(_OWNER, quote) if owner not in question}
    return QuoteMatch(found, quote, share, score - 0.2 * min(2, len(others)))


def _share(wanted: frozenset[str], has: frozenset[str]) -> float:
    """The share of the topics that a text has. Whom the question is about weighs as much as all the rest."""
    whom = {topic for topic in wanted if topic.startswith(BEINGS)}
    weights = {topic: 0.5 if topic in _GENERAL else 1.0 for topic in wanted - whom}
    rest = sum(weights[topic] for topic in weights if topic in has) / max(0.5, sum(weights.values()))
    if not whom & has:
        return 0.2 * rest if whom else rest
    return (1 + rest) / 2 if weights else 1.0


def answer(question: str, matches: list[QuoteMatch]) -> str:
    """The reply: one or two quotations with their dates, or that it is not known."""
    chinese = is_chinese(question)
    if not matches:
        return "我不知道，你还没有告诉过我。" if chinese else "I don't know; you have not told me."
    quoted = " ".join(_quoted(match, chinese=chinese) for match in matches[:2])
    if is_sure(matches):
        return quoted
    return (
        f"我不知道。最接近的是：{quoted}" if chinese else f"I don't know for certain. The nearest: {quoted}"
    )


def _quoted(match: QuoteMatch, *, chinese: bool) -> str:
    source, day = match.found.source, match.found.day
    if chinese:
        who = {"user": "你", "assistant": "我", "event": "有人"}.get(source, f"{source} ")
        return f"{who}在 {day} 说过：“{match.quote}”" if day else f"{who}说过：“{match.quote}”"
    other = f"{source} said" if match.found.order else f"It says in {source}"  # no order: a document's text
    who = {"user": "You told me", "assistant": "I said", "event": "I was told"}.get(source, other)
    return f'{who} on {day}: "{match.quote}"' if day else f'{who}: "{match.quote}"'
