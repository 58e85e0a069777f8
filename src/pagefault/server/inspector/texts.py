"""The languages of the pages: English, whose sentences are the keys, and the files of ``texts/``.

Values are put into a sentence by ``str.format``. Left out: what comes from agents, people and errors.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["LANGUAGES", "Translator", "language_of", "texts"]

LANGUAGES: Mapping[str, str] = {"en": "English", "zh": "中文"}
"""The languages by their code, each by its own name."""

_FOLDER = Path(__file__).parent / "texts"


@cache
def texts(language: str) -> Mapping[str, str]:
    """The sentences of a language by the English ones; of English none."""
    files = sorted((_FOLDER / language).glob("*.toml"))
    return {key: text for file in files for key, text in tomllib.loads(file.read_text("utf-8")).items()}


@dataclass(frozen=True, slots=True)
class Translator:
    """The sentences of one language, called with the English one and its values. ``one``: the English
    sentence for ``n=1``."""

    language: str

    def __call__(self, text: str, one: str = "", **values: Any) -> str:
        found = texts(self.language).get(text) if self.language != "en" else None
        if found is None:
            found = one if one and values.get("n") == 1 else text
        return found.format(**values) if values else found


def language_of(cookie: str | None, accepted: str) -> str:
    """The language of a visitor: the one chosen, else the first of ``Accept-Language`` that there is."""
    if cookie is not None and cookie in LANGUAGES:
        return cookie
    wanted: list[tuple[float, str]] = []
    for part in accepted[:1000].split(","):
        name, _, rest = part.strip().partition(";")
        code = name.strip().lower()[:2]
        if code in LANGUAGES:
            wanted.append((_weight(rest), code))
    return max(wanted, key=lambda each: each[0], default=(1.0, "en"))[1]


def _weight(parameter: str) -> float:
    try:
        return float(parameter.strip().removeprefix("q=") or 1)
    except ValueError:
        return 0.0
