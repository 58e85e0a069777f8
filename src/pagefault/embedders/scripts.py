"""The script of a text, for embedders that know some scripts only."""

from __future__ import annotations

import re
from functools import cache

__all__ = ["mainly_in"]

_LETTER = re.compile(r"[^\W\d_]")
_RANGES = {
    "latin": "A-Za-zªºÀ-ÖØ-öø-ʯḀ-ỿＡ-Ｚａ-ｚ",
    "cyrillic": "Ѐ-ԯ",
    "arabic": "؀-ۿݐ-ݿࢠ-ࣿﭐ-﷿ﹰ-\ufefc",
    "thai": "ก-๛",
    "wide": "ᄀ-ᇿ々〆\u3040-ヿㄱ-ㆎㇰ-ㇿ㐀-䶿一-鿿가-힣豈-﫿ｦ-ﾟ\U00020000-\U0003ffff",  # CJK
}
_WIDE = re.compile(f"[{_RANGES['wide']}]")
_WIDTH = 4  # letters: as much meaning has a character of Chinese, Japanese or Korean


def mainly_in(text: str, *scripts: str) -> bool:
    """Return True if at least half of a text's letters are of these scripts (``latin``, ``cyrillic``,
    ``arabic``, ``thai``, ``wide``), or it has none."""
    wide = (_WIDTH - 1) * len(_WIDE.findall(text))
    known = len(_of(scripts).findall(text)) + wide * ("wide" in scripts)
    return 2 * known >= len(_LETTER.findall(text)) + wide


@cache
def _of(scripts: tuple[str, ...]) -> re.Pattern[str]:
    ranges = "".join(_RANGES[script] for script in scripts)
    return re.compile(rf"(?=[^\W\d_])[{ranges}]")
