"""Counting tokens without a tokenizer: a heuristic by character class that prefers to count too many.

The text is cut roughly where byte-pair encoders cut it before they merge (words, digits, punctuation, white
space, one run per script), and each piece has the average cost of such a piece. The costs were measured
against the real ranks with ``benchmarks/token_counter.py``, which prints the error per class of text. For
models that are not OpenAI's a family has the highest cost that any of its tokenizers was found to have, for
before the first completion nothing corrects a count; then the queue's ratio of reported to counted tokens
does. Left out: merging, and asking a server's own tokenizer (``directory.tokenizers``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from itertools import groupby
from typing import Literal, Protocol

__all__ = [
    "CALL_OVERHEAD",
    "MESSAGE_OVERHEAD",
    "PROMPT_OVERHEAD",
    "Counter",
    "Family",
    "HeuristicCounter",
    "counter_for",
    "family_of",
]

MESSAGE_OVERHEAD = 4
"""Tokens around each message of a chat: the role and the marks on both sides of it."""

CALL_OVERHEAD = 8
"""Tokens around each function call of an assistant message, its name and arguments not included."""

PROMPT_OVERHEAD = 3
"""Tokens once per request: the reply is primed with the assistant's role."""

Family = Literal["cl100k", "o200k", "large", "small"]
"""``cl100k``: GPT-3.5, GPT-4. ``o200k``: GPT-4o and later, whose larger vocabulary makes scripts other than
Latin cost about half. ``large``: open models with vocabularies of 128k and more (Qwen, Llama 3, Gemma,
DeepSeek). ``small``: those with 32k to 49k (Llama 2, SmolLM2), and the safe choice for any other model."""


class Counter(Protocol):
    """Counts tokens: ``count`` returns the tokens of a text, 0 for the empty text."""

    def count(self, text: str) -> int: ...


# Short words between spaces in other Latin-script languages and not in English. The words of those languages
# cost more than English ones of the same length; the cost of each marker includes that of its neighbours.
_ROMANCE = (
    "aux como da dans das de del des dos du el elle em en es est et la las le les los mais más não os "
    "para pas pero por pour qu que se ses si sur um uma un una une vous y à é"
)
_OTHERS = (
    "aan akan ale alla att auf av az bahwa bir bu che czy daha dalam dan dari dei della den der deze di "
    "dies dit dla een egy ei ein eine ett että für gli het hogy ile ini inte ist için ja jako je jest "
    "joka kan kun med mit mutta na ne nebo nem nicht nie niet non nu och od oder olarak olla ook op oraz "
    "pe pro przez saat sau se sie się som sono sua tai tidak till und untuk vagy van ve veya von voor "
    "wird worden ya yang za ze zijn zu är és że și"
)


def _alone(words: str) -> str:
    """A pattern for any of ``words`` between spaces, by first letter: three times as fast as a flat one."""
    letters = groupby(sorted(words.split()), key=lambda word: word[0])
    branches = (f"{first}(?:{'|'.join(word[1:] for word in group)})" for first, group in letters)
    return f"(?<= )(?:{'|'.join(branches)})(?= )"


# Look-aheads are bounded and possessive, so that the time is linear in the length of any text.
_PIECES: tuple[tuple[str, str], ...] = (
    ("romance", _alone(_ROMANCE)),
    ("foreign", _alone(_OTHERS)),
    ("hexadecimal", r"(?=[0-9]{0,9}+[a-f]{1,9}+[0-9])[0-9a-f]{8,}+(?![A-Za-z])"),
    (
        "opaque",
        r"(?=[0-9]{0,9}+[A-Za-z]{1,20}+[0-9]{1,9}+[A-Za-z]{1,20}+[0-9])[A-Za-z0-9]{8,}",
    ),  # keys, base64
    ("word", r"[A-Z]?[a-z]+"),
    ("capitals", r"[A-Z]+"),
    ("rule", r"(?P<stroke>[-=*#_~.])(?P=stroke){7,}"),  # a line drawn with one character
    ("joined", r"['(./_-](?=[A-Za-z])"),  # often one token with the word: _name, (name, 's
    ("punctuation", r"[!-/:-@\[-`{-~]+[\r\n]*"),
    ("space", r"\s*[\r\n]+|\s{2,}"),  # a single space belongs to what follows it
    ("number", r"(?<= )[0-9]{1,3}"),  # but not to a number
    ("digits", r"[0-9]{1,3}"),
    ("accented", r"[\xc0-\xc3\xc7-\xd5\xd9-\xdb\xe0-\xe3\xe7-\xf5\xf9-\xfb\u1e00-\u1eff]"),
    ("diacritic", r"[\xc0-\u024f]"),
    ("han", r"[\u3400-\u9fff\uf900-\ufaff]+"),
    ("wide", r"[\u3000-\u303f\uff00-\uff60]"),  # punctuation of Chinese and Japanese
    ("kana", r"[\u3040-\u30ff\uff61-\uff9f]+"),
    ("hangul", r"[\u1100-\u11ff\uac00-\ud7af]+"),
    ("russian", r"[\u0410-\u044f]+"),
    ("cyrillic", r"[\u0400-\u052f]"),
    ("greek", r"[\u0370-\u03ff\u0590-\u05ff\u1f00-\u1fff]+"),  # and Hebrew
    ("arabic", r"[\u0600-\u077f]+"),
    ("thai", r"[\u0e00-\u0eff]+"),
    ("indic", r"[\u0900-\u0dff\u0f00-\u0fff]+"),
    ("typographic", r"[\xa0-\xbf\u2010-\u203a]"),
    ("symbol", r"[\u200b-\u2bff\ufe00-\ufe0f]"),
    ("letters", r"[\u0250-\u2fff\ua000-\uabff]+"),  # every other script of the basic plane
    ("other", r"\S"),  # emoji and the rest
)

_LONGEST = 64
"""The length from which on a piece costs in proportion to its length."""

# Cost of a piece by its length, from 1 on; the last difference is carried on.
_BY_LENGTH: dict[str, tuple[float, ...]] = {
    "word": (1, 1, 1.03, 1.03, 1.06, 1.12, 1.17, 1.25, 1.3, 1.45, 1.5, 1.7, 2.1, 2.4, 2.8, 3.2),
    "capitals": (1, 1.04, 1.2, 1.4, 1.5, 1.9, 2.1, 2.5),
    "punctuation": (0.95, 1.02, 1.08, 1.5, 1.8, 2.3, 2.6, 3.4, 3.9),
}

# Cost of a piece as (start, per character), for the families in the order of ``Family``.
_LINEAR: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "romance": ((1.7, 0), (1.3, 0)),
    "foreign": ((4.0, 0), (2.4, 0)),
    "hexadecimal": ((0.3, 0.58), (0.3, 0.58)),
    "opaque": ((0, 0.74), (0, 0.7)),
    "rule": ((1.2, 0.02), (1.2, 0.02)),
    "joined": ((0.4, 0), (0.4, 0)),
    "space": ((1, 0), (1, 0)),
    "number": ((2, 0), (2, 0)),
    "digits": ((1, 0), (1, 0)),
    "accented": ((0.6, 0), (0.4, 0)),
    "diacritic": ((1.5, 0), (1.0, 0)),
    "han": ((0, 1.28), (0.1, 0.83)),
    "wide": ((0.7, 0), (0.5, 0)),
    "kana": ((0, 0.95), (0.2, 0.62)),
    "hangul": ((0.1, 1.18), (0.4, 0.59)),
    "russian": ((0.45, 0.45), (0.5, 0.23)),
    "cyrillic": ((2.6, 0), (1.2, 0)),
    "greek": ((0.35, 1.0), (0.3, 0.37)),
    "arabic": ((0.15, 0.86), (0.35, 0.31)),
    "thai": ((0, 0.95), (0, 0.4)),
    "indic": ((0, 1.4), (0.3, 0.32)),
    "typographic": ((1, 0), (1, 0)),
    "symbol": ((2.1, 0), (1.3, 0)),
    "letters": ((0, 2.05), (0.4, 0.34)),
    "other": ((2.5, 0), (1.8, 0)),
}

# For families of many vocabularies: cost over that of cl100k, 1.0 unless it stands here. Each digit is a
# token of its own in Qwen, Gemma, Llama 2 and SmolLM2.
_FACTORS: Mapping[str, Mapping[str, float]] = {
    "large": {
        "punctuation": 1.1, "joined": 1.1, "space": 1.4, "hexadecimal": 1.58, "romance": 1.25,
        "diacritic": 1.2, "han": 0.75, "kana": 0.75, "hangul": 0.78, "russian": 0.84, "cyrillic": 0.84,
        "greek": 1.12, "arabic": 0.6, "thai": 0.65, "indic": 0.85,
    },
    "small": {
        "word": 1.05, "capitals": 1.1, "punctuation": 1.22, "joined": 1.2, "space": 1.5, "hexadecimal": 1.57,
        "opaque": 1.15, "rule": 1.5, "romance": 2.0, "foreign": 1.7, "accented": 1.6, "diacritic": 2.2,
        "han": 1.55, "wide": 1.6, "kana": 1.88, "hangul": 2.35, "russian": 1.75, "cyrillic": 1.45,
        "greek": 1.3, "arabic": 1.42, "thai": 2.1, "indic": 1.05, "typographic": 1.3, "symbol": 1.15,
        "letters": 1.3, "other": 1.15,
    },
}  # fmt: skip
_SINGLE_DIGITS = {"number": (1.0, 1.0), "digits": (0.0, 1.0)}

_REGEX = re.compile(" ?(?:" + "|".join(f"(?P<{name}>{pattern})" for name, pattern in _PIECES) + ")")


def _by_length(costs: tuple[float, ...]) -> tuple[float, ...]:
    step = costs[-1] - costs[-2]
    return (0.0, *costs, *(costs[-1] + step * more for more in range(1, _LONGEST + 1 - len(costs))))


def _costs(family: Family, factors: Mapping[str, float]) -> tuple[tuple[float, ...], ...]:
    """Costs by the number of the regex group, then by the length of the piece."""
    table: list[tuple[float, ...]] = [()] * (_REGEX.groups + 1)
    for name, number in _REGEX.groupindex.items():
        factor, costs = factors.get(name, 1.0), tuple[float, ...]()
        if name in _BY_LENGTH:
            costs = _by_length(_BY_LENGTH[name])
        elif name in _LINEAR:
            start, each = _LINEAR[name][1 if family == "o200k" else 0]
            if family in _FACTORS:
                start, each = _SINGLE_DIGITS.get(name, (start, each))
            costs = tuple(start + each * length for length in range(_LONGEST + 1))
        table[number] = tuple(factor * cost for cost in costs)
    return tuple(table)


class HeuristicCounter:
    """Counts 100 characters of English in about 10 microseconds, without data files. ``factors``: the cost of
    classes over that of the family's, in the place of what is known of it."""

    def __init__(self, family: Family = "cl100k", factors: Mapping[str, float] | None = None) -> None:
        self.family = family
        self._costs = _costs(family, _FACTORS.get(family, {}) if factors is None else factors)

    def count(self, text: str) -> int:
        """Return the tokens of ``text``, rounded up."""
        costs = self._costs
        total = 0.0
        for piece in _REGEX.finditer(text):
            group = piece.lastindex or 0
            kind = costs[group]
            start, end = piece.span(group)
            length = end - start
            total += kind[length] if length <= _LONGEST else kind[_LONGEST] * length / _LONGEST
        return math.ceil(total)

    def by_class(self, text: str) -> dict[str, float]:
        """Return the tokens of ``text`` by the class of its pieces."""
        names = {number: name for name, number in _REGEX.groupindex.items()}
        found: dict[str, float] = {}
        for piece in _REGEX.finditer(text):
            group = piece.lastindex or 0
            start, end = piece.span(group)
            length, kind = end - start, self._costs[group]
            cost = kind[length] if length <= _LONGEST else kind[_LONGEST] * length / _LONGEST
            found[names[group]] = found.get(names[group], 0.0) + cost
        return found


counter_for = cache(HeuristicCounter)
"""The counter of a family; always the same one."""

_OURS = re.compile(r"offline|(.*[:/#])?gpt-(3|4(-(\d{4}|32k|turbo|vision))?($|[-:]))")
_O200K = re.compile(r"(^|[:/#])(gpt-(4o|4\.1|4\.5|[5-9]|oss)|chatgpt-|o[1-9]\b)")
_LARGE = re.compile(
    r"(^|[:/#_.-])(qwen-?[2-9.]*|qwq|llama-?[34]|gemma|gemini|deepseek|glm-?[4-9]|kimi|moonshot"
    r"|mistral-(nemo|small|medium|large)|ministral|magistral|devstral|pixtral|command-[ra])"
)


def family_of(model: str) -> Family:
    """Return the vocabulary family of a model by its name in the settings: ``openai:gpt-4o``,
    ``openrouter:openai/o3``, ``URL#gpt-oss-20b``. Of several models the first counts; unknown: small."""
    name = model.lower().partition(",")[0].strip()
    if _O200K.search(name):
        return "o200k"
    if not name or _OURS.match(name):
        return "cl100k"
    return "large" if _LARGE.search(name) else "small"
