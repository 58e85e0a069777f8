"""Bytes to characters: which character set a document is in, and how sure that is.

UTF-8 with a few damaged bytes is UTF-8. Other sets are detected by ``chardet``, from the first part that has
bytes beyond ASCII. Left out: text in several character sets.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

__all__ = ["DecodedText", "codec_of", "decode", "decoded", "guess"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIGH = re.compile(rb"[\x80-\xff]")
_ESCAPES = re.compile(rb"\x1b\$(?:[@BA(]|\)[CA])")  # of ISO 2022, which is all ASCII
_WIDE = 4_096  # bytes looked at for UTF-16 without its mark
_SAMPLE = 100_000  # bytes looked at to detect a character set
_SURE = 0.5  # confidence of chardet, from 0 to 1
_NARROW = re.compile(r"(?!utf-16|utf-32).")  # those are, without a mark, more often no text at all
_FAINT = 0.1  # confidence below which a common set is taken
_COMMON = re.compile(
    r"cp125\d|cp874|cp866|cp932|cp949|iso8859-(?:1|2|5|7|9|15)|koi8-[ru]|gb18030|big5\w*|euc_\w+|iso2022_\w+"
)
_LATIN, _FOREIGN = "A-Za-z\u00c0-\u024f", "\u0370-\u06ff\u0e00-\u0e7f\ufb1d-\ufefc"
_MIXED = re.compile(  # two alphabets in one word, and control characters
    f"[{_LATIN}][{_FOREIGN}]|[{_FOREIGN}][{_LATIN}]|[\x80-\x9f]"
)
_CONTROLS = re.compile(rb"[\x00-\x06\x0b\x0e-\x1a]")
_SIGNS = r"\t\n\r -@\[-`{-~\u00a0-\u00bf\u2000-\u206f\u20a0-\u20bf\u3000-\u303f\uff00-\uff20"
_ALPHABETS = re.compile(
    "|".join(
        f"[{_SIGNS}A-Za-z{letters}]*"
        for letters in (
            "\u00c0-\u024f", "\u0370-\u03ff", "\u0400-\u052f", "\u0590-\u05ff", "\u0600-\u06ff",
            "\u0900-\u097f", "\u0e00-\u0e7f", "\u3040-\u30ff\u4e00-\u9fff\uff21-\uffee", "\uac00-\ud7a3",
        )
    )
)  # fmt: skip
_LOST = "\ufffd"
_LOST_BYTES = _LOST.encode()
# Python's names of the sets that a document may declare; its codecs hold others, which are none of these.
_SETS = re.compile(
    r"utf-8|utf-16(?:-[lb]e)?|utf-32(?:-[lb]e)?|iso8859-\d+|cp\d+|gb\w+|hz|big5\w*|euc_\w+|shift_jis\w*|koi8-\w|"
    r"mac-\w+|tis-620|iso2022_\w+|johab|kz1048|ptcp154"
)
_WIDER = {
    "iso8859-1": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949",
    "iso8859-9": "cp1254", "tis-620": "cp874", "iso8859-11": "cp874", "ascii": "utf-8",
}  # fmt: skip
"""As browsers read them: the second has what the first has, and more."""
_SHOWN = {"cp1252": "Windows-1252", "gb18030": "GB 18030", "cp932": "Shift JIS", "cp949": "EUC-KR"}


@dataclass(frozen=True, slots=True)
class DecodedText:
    """A text with the codec that it was decoded by; ``note`` is for the report: a set that was detected, how
    sure that is, and how much could not be decoded. Empty: all is as declared, or UTF-8."""

    text: str
    encoding: str
    note: str = ""


def decode(data: bytes, declared: str = "") -> str:
    """Decode as ``decoded`` does, without its note."""
    return decoded(data, declared).text


def decoded(data: bytes, declared: str = "", chosen: str = "") -> DecodedText:
    """Decode bytes: as chosen, else by byte-order mark, else as declared, else UTF-8, else by the set that is
    detected. What cannot be decoded becomes U+FFFD."""
    if codec := codec_of(chosen):
        codec = "utf-8-sig" if codec == "utf-8" else codec
        return _lossy(data, codec)
    if encoding := next((name for mark, name in _BOMS if data.startswith(mark)), ""):
        return _lossy(data, encoding)
    if wide := _wide(data):
        return _lossy(data, wide)
    said = codec_of(declared)
    for encoding in (said, "utf-8") if _SETS.fullmatch(said) else ("utf-8",):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == said or not _ESCAPES.search(data, 0, _SAMPLE):
            return DecodedText(text, encoding)
    encoding, note = guess(data, said)
    found = _lossy(data, encoding)
    return DecodedText(found.text, encoding, " ".join(filter(None, (note, found.note))))


def codec_of(name: str) -> str:
    """Return the codec of a character set's name, empty if there is none or it is not one of text."""
    try:
        codec = codecs.lookup(name.strip()[:40]).name if name else ""
    except (LookupError, ValueError):
        return ""
    codec = _WIDER.get(codec, codec)
    return codec if _SETS.fullmatch(codec) or codec == "utf-8-sig" else ""


def guess(data: bytes, declared: str = "") -> tuple[str, str]:
    """Return the codec of bytes that are not quite UTF-8, and a note on it: the declared one if a few bytes
    only are wrong, UTF-8 if they are, else the one that is detected."""
    sample = _sample(data)
    for encoding in filter(None, ("utf-8", declared)):
        if not _ESCAPES.search(sample) and _is_nearly(sample, encoding):
            return encoding, ""
    codec, name, confidence = _detected(sample.replace(b"\0", b""))
    if confidence < _SURE:
        return codec, f"Its characters are read as {name}, which is not certain; --encoding sets another."
    return codec, f"Its characters are read as {name}."


def _detected(sample: bytes) -> tuple[str, str, float]:
    """Return the codec that ``chardet`` finds most likely, its name and its confidence. A set in which words
    mix alphabets is out, and if nearly nothing tells them apart, a common one is meant."""
    from chardet import detect_all

    all_found = detect_all(sample, ignore_threshold=True)
    named = [(str(each["encoding"] or ""), float(each["confidence"] or 0)) for each in all_found]
    coded = [(codec_of(name), name, confidence) for name, confidence in named]
    found = [(codec, _SHOWN.get(codec, name), sure) for codec, name, sure in coded if _NARROW.match(codec)]
    pure = [each for each in found if not _MIXED.search(sample[:_WIDE].decode(each[0], "replace"))] or found
    return _usual(pure)


def _usual(found: list[tuple[str, str, float]]) -> tuple[str, str, float]:
    """Return the first, or a common one if nearly nothing speaks for it."""
    common = [each for each in found if _COMMON.fullmatch(each[0])]
    first, *_ = [*found, ("cp1252", "Windows-1252", 0.0)]
    return common[0] if common and first[2] < _FAINT else first


def _wide(data: bytes) -> str:
    """Return UTF-16 or UTF-32 of an order if its bytes are those of text in it; else empty."""
    head = data[: _WIDE - _WIDE % 4]
    if len(head) >= 8 and len(data) % 4 == 0:
        if not any(head[2::4]) and not any(head[3::4]):
            return "utf-32-le" if any(head[::4]) else ""
        if not any(head[::4]) and not any(head[1::4]):
            return "utf-32-be"
    return _western(head) or (_other(head) if len(data) % 2 == 0 and _CONTROLS.search(head) else "")


def _other(head: bytes) -> str:
    """Return UTF-16 of an order if it makes letters of one alphabet of bytes that are no text."""
    for codec in ("utf-16-le", "utf-16-be"):
        text = head.decode(codec, "replace").rstrip(_LOST)
        letters = [character for character in text if character.isalpha()]
        if len(letters) >= 4 and 2 * len(letters) >= len(text) and _ALPHABETS.fullmatch(text):
            return codec
    return ""


def _western(head: bytes) -> str:
    """Return UTF-16 of an order if every second byte is zero, as in Western text; else empty."""
    zeros = [head[first::2].count(0) / max(1, len(head) // 2) for first in (0, 1)]
    if len(head) < 8 or min(zeros) > 0.05 or max(zeros) < 0.4:
        return ""
    return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"


def _sample(data: bytes) -> bytes:
    """Return the first part that tells the set."""
    found = _HIGH.search(data) or _ESCAPES.search(data)
    start = max(0, found.start() - 1_000) if found else 0
    return data[start : start + _SAMPLE]


def _is_nearly(sample: bytes, encoding: str) -> bool:
    """Return True if the set decodes many more characters beyond ASCII than it leaves bytes undecoded."""
    text = sample.decode(encoding, "replace")
    lost = text.count(_LOST)
    beyond = sum(character > "\x7f" for character in text) - lost
    return beyond >= (2 if encoding == "utf-8" else 20) * lost


def _lossy(data: bytes, encoding: str) -> DecodedText:
    text = data.decode(encoding, "replace")
    lost = text.count(_LOST)
    if lost and encoding.startswith("utf-8"):
        lost -= data.count(_LOST_BYTES)
    set_of = encoding.removesuffix("-sig")
    note = f"Places that cannot be decoded as {set_of}, where \ufffd stands: {lost:,}." if lost else ""
    return DecodedText(text, encoding, note)
