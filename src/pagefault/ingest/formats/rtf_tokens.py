"""The tokens of RTF, and the characters that its character sets, fonts and control words stand for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "ASIDE", "CHARACTERS", "CHARSETS", "CODECS", "SHOWN", "SKIPPED", "WIDE", "RtfGroup", "RtfToken",
    "style_level", "tokens",
]  # fmt: skip

CHARACTERS = {
    "tab": "\t", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’",
    "ldblquote": "“", "rdblquote": "”", "emspace": " ", "enspace": " ", "qmspace": " ",
    "~": " ", "_": "-", "{": "{", "}": "}", "\\": "\\",
}  # fmt: skip
# The character set of a font, by its number in the file.
CHARSETS = {
    0: "cp1252", 77: "mac-roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gb18030", 136: "cp950",
    161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251",
    222: "cp874", 238: "cp1250", 254: "cp437",
}  # fmt: skip
WIDE = frozenset(("cp932", "cp949", "johab", "gb18030", "cp950"))  # a character may be two bytes

_PAGES = (
    *CHARSETS.values(), "cp850", "cp852", "cp866", "cp855", "cp857", "cp860", "cp862", "cp863", "cp864",
    "cp865",
)  # fmt: skip
_RENAMED = {"cp936": "gb18030", "cp10000": "mac-roman", "cp65001": "utf-8", "cp1361": "johab"}
CODECS = _RENAMED | {each: each for each in _PAGES}
# Destinations that are not shown, and those that are although they are marked as new.
SKIPPED = frozenset((
    "fonttbl", "colortbl", "stylesheet", "info", "pict", "objdata", "themedata", "colorschememapping",
    "latentstyles", "datastore", "generator", "listtable", "listoverridetable", "rsidtbl", "xmlnstbl",
    "fldinst", "filetbl", "revtbl", "template", "operator", "nonshppict", "nonesttables", "objclass",
    "objname", "sp", "bkmkstart", "bkmkend",
    "atnid", "atnref", "atndate", "xe", "tc", "private", "passwordhash", "ftnsep", "ftnsepc", "aftnsep",
    "aftnsepc", "mmathPr", "pntxta", "pntxtb", "listname", "list", "listlevel", "listoverride",
))  # fmt: skip
# Destinations that are shown apart from the text, each with the word before it.
ASIDE = {
    "footnote": "", "annotation": "Comment",
    **{f"header{page}": "Header" for page in ("", "l", "r", "f")},
    **{f"footer{page}": "Footer" for page in ("", "l", "r", "f")},
}  # fmt: skip
SHOWN = frozenset(("shpinst", "moMath", "moMathPara", "ud", "nesttableprops", "shptxt", "mmath"))

_TOKEN = re.compile(
    r"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,10})?[ ]?|\\'(?P<byte>[0-9a-fA-F]{2})"
    r"|\\(?P<symbol>[^a-zA-Z])|(?P<brace>[{}])|[\r\n]+|(?P<text>[^\\{}\r\n]+)|\\"
)  # fmt: skip


_HEADING = re.compile(r"(?i)\s*(?:heading|überschrift|titre|título|заголовок|标题|見出し)\s*([1-6])\b")
_NO_PARAGRAPHS = ("cs", "ds", "ts")  # styles of characters, sections and tables


def style_level(kind: str, name: str) -> int:
    """Return the level of the headings that have a style of this name; 0 if it is none of a paragraph."""
    found = _HEADING.match(name) if kind not in _NO_PARAGRAPHS else None
    return int(found[1]) if found else 0


class RtfToken(NamedTuple):
    """``kind``: a group of the expression; ``number`` is None if a control word has none."""

    kind: str
    text: str
    number: int | None = None


@dataclass(slots=True)
class RtfGroup:
    """The state within a pair of braces."""

    skipped: bool = False
    kind: str = ""  # of the destination that it is
    codec: str = "cp1252"
    fallback: int = 1  # characters that stand for one of Unicode, for older readers
    hidden: bool = False
    deleted: bool = False
    in_table: bool = False
    level: int = 0  # of a heading
    style: int = 0
    font: int = 0


def tokens(source: str) -> Iterator[RtfToken]:
    """Yield the tokens of RTF whose bytes were made characters one by one; binary data is left out."""
    place, end = 0, len(source)
    while place < end and (found := _TOKEN.match(source, place)):
        place = found.end()
        kind = found.lastgroup or ""
        if kind in ("word", "number"):
            number = int(found["number"]) if found["number"] else None
            if found["word"] == "bin" and number and number > 0:
                place += number
            else:
                yield RtfToken("word", found["word"], number)
        elif kind:
            yield RtfToken(kind, found[kind])
