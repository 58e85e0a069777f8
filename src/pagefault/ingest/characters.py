"""Bytes to characters: which character set a document is in.

Left out: telling the single-byte sets of other languages than those of Western Europe apart.
"""

from __future__ import annotations

import codecs
import re

__all__ = ["decode"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIGH = re.compile(rb"[\x80-\xff]+")
_SAMPLE = 100_000  # bytes looked at to guess a character set
# Python's names of the sets that a document may declare; its codecs hold others, which are none of these.
_SETS = re.compile(
    r"utf-8|iso8859-\d+|cp\d+|gb\w+|hz|big5\w*|euc_\w+|shift_jis\w*|koi8-\w|mac-\w+|tis-620|iso2022_\w+|johab"
)
_WIDER = {"iso8859-1": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}  # as browsers read them


def decode(data: bytes, declared: str = "") -> str:
    """Decode bytes: by byte-order mark, else as declared, else UTF-8, else GB 18030 if they look like
    Chinese, else Windows-1252. What cannot be decoded becomes U+FFFD."""
    if encoding := next((name for mark, name in _BOMS if data.startswith(mark)), ""):
        return data.decode(encoding, "replace")
    for encoding in (_known(declared), "utf-8"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode(_older_encoding(data), "replace")


def _known(declared: str) -> str:
    """Return the codec of a declared character set; UTF-8 if there is none."""
    try:
        name = codecs.lookup(declared or "utf-8").name
    except (LookupError, ValueError):
        return "utf-8"
    return _WIDER.get(name, name) if _SETS.fullmatch(name) else "utf-8"


def _older_encoding(data: bytes) -> str:
    """Return GB 18030 if bytes beyond ASCII come in even runs, as two make a Chinese character; accents in
    Windows-1252 come alone."""
    runs = [len(run) for run in _HIGH.findall(data, 0, _SAMPLE)]
    even = sum(length % 2 == 0 for length in runs)
    return "gb18030" if even > 0.9 * len(runs) else "cp1252"
