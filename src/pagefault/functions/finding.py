"""Functions found by words, for an agent that has too many to list them in its prompt."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from math import log

from pagefault.functions import Function
from pagefault.storage.terms import terms

__all__ = ["found_functions"]

_MOST = 5  # functions of one answer
_NAME_COUNTS = 3  # times as much as the description
_PARTS = re.compile(r"[_-]+|(?<=[a-z0-9])(?=[A-Z])")


def found_functions(words: str, functions: Sequence[Function]) -> str:
    """The functions that fit the words best, with their parameters, as JSON. A name that is given whole comes
    first; a word that fewer functions have counts for more."""
    wanted = set(_units(words))
    counted = [(_counted(function), function) for function in functions]
    having = {unit: sum(unit in counts for counts, _ in counted) for unit in wanted}

    def score(counts: Counter[str], function: Function) -> float:
        known = (min(counts[unit], _NAME_COUNTS + 1) * log(1 + len(counted) / having[unit])
                 for unit in wanted if having[unit])  # fmt: skip
        return sum(known) + (1e6 if function.name == words.strip() else 0.0)

    ranked = sorted(((score(*each), each[1]) for each in counted), key=lambda pair: (-pair[0], pair[1].name))
    fitting = [function for points, function in ranked if points > 0.0]
    if not fitting:
        return f"No function has one of these words; there are {len(functions):,}. Try other words."
    shown = [
        {"name": each.name, "description": each.schema.description, "parameters": each.schema.parameters}
        for each in fitting[:_MOST]
    ]
    rest = len(fitting) - len(shown)
    more = f"\n({rest:,} more have some of the words; use other or more words.)" if rest > 0 else ""
    return "\n".join(json.dumps(each, ensure_ascii=False) for each in shown) + more


def _counted(function: Function) -> Counter[str]:
    counts = Counter(set(_units(function.schema.description)))
    for unit in set(_units(function.name)):
        counts[unit] += _NAME_COUNTS
    return counts


def _units(text: str) -> list[str]:
    return terms(_PARTS.sub(" ", text))
