"""Foreign text, made unable to imitate: what users, documents, tools, other agents and memory say.

All frames of ours in a prompt begin a line with ``[``, with ``<`` or with one of a few words. So a line of
foreign text that begins like that gets a visible mark, ``| ``, in front; a control token of a chat template
gets a backslash after its first character (``<\\|im_start|>``), and a tag in the system role has ``&lt;`` for
its first one. Only what is shown changes: the log and the sections keep their text. Left out: names
(``names``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, cast

__all__ = [
    "HalfJoiner",
    "broken",
    "escaped",
    "in_texts",
    "inline",
    "is_invisible",
    "normal",
    "one_word",
    "places",
    "quoted",
    "visible",
    "whole",
]

MARK = "| "
"""Stands before a line of foreign text that begins like a frame."""

_SQUARE = "［﹇⁅⦋⦍⦏⟦〚⌈⌊⸢⸤⹕⹗❲⦗〔〘〖【⟬﹝︹︻︗"
_ANGLE = "＜﹤‹❮❬❰⟨〈〈⧼⦑⦓⦉˂ᐸ≺≮⋖"
_LETTERS = ("аеорсхуіѕјһԁոԝɡԛӏոʏοαερικυνІЅЈАВЕКМНОРСТХУΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
            "aeopcxyisjhdnwgqlnyoaepikuvISJABEKMHOPCTXYABEZHIKMNOPTYX")  # fmt: skip
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"  # letters and symbols that show nothing
_BREAKS = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"

_NAMES = (
    r"s|bos|eos|pad|unk|cls|sep|mask|sys|system|user|assistant|human|model|tools?|functions?|parameters?|invoke|image|think|thinking|"
    r"thought|reasoning|answer|eo[ahmst]|so[pt]|unused\d+|0x[0-9a-f]{2}|__\w+__|working_context|paged_in|"
    r"(?:start|end|begin|im|eot|eom|eos|bos|sot|fim|tool|function|extra_id|image|audio|video|vision|reserved|special|"
    r"file|repo|gh|jupyter|issue|commit|pad|unk|img|python|arg)_\w*|(?:minimax|seed|antml|longcat)[:_]\w+"
)  # of tags that are control tokens or marks of calls somewhere
_TOKEN = re.compile(
    rf"(?i:<(?=\0*+\|\0*+[\w/\"'▁])|<(?=[\w/▁.\0-]{{1,64}}+\|\0*+>)|<(?=\0*+/?+\0*+(?:{_NAMES})\0*+[>\s=])"
    r"|\[(?=\0*+\|\0*+\w))|◁(?=/?\w)|\[(?=\0*+/?+\0*+[a-z]?[A-Z][A-Z_\d\0]{2,40}+\])"
)  # possessive where repetitions meet, so that the time is linear
_TAG = re.compile(r"<(?=[\s\0]*[^\s\0\d<=>-])")
_HEAD = re.compile(
    r"(?i)\[(?!\s*(?:[{\"\]]|-?\d))|<\s*[^\s\d<=>-]"
    r"|#{1,6}\s*(?:system|user|human|assistant|instructions?|input|response)\b"
    r"|(?:system|user|human|assistant|developer|tool|previous summary|messages)\s*:"
    r"|showing\s+\d|page\s+\d+/~?\d|write the new summary"
)  # how lines of ours begin: labels, tags, results, parts of a request for a summary; and of old templates
_PIECES = re.compile(r"(?s).{1,1000}(?=[\0-\x7f]|[^\W\u1160-\u11ff\u3130-\u318f\uff9e-\uffdc]|\Z)|.{1,1000}")


class _Folding(dict[int, str]):
    """Each character as its look-alike of ASCII, for patterns: ends of lines as a new line, white space as a
    space, what shows nothing as a null. One character for one, so that places stay the same."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _folded(chr(code))
        return folded


def _folded(character: str) -> str:
    if character in _BREAKS:
        return "\n"
    if character.isspace():
        return " "
    if is_invisible(character):
        return "\0"
    plain = unicodedata.normalize("NFKC", character)
    return plain if len(plain) == 1 else character


_FOLDING = _Folding(
    {ord(c): "[" for c in _SQUARE}
    | {ord(c): "<" for c in _ANGLE}
    | {ord(c): "]" for c in "］﹈⁆⦌⦎⦐⟧〛⌉⌋❳⦘〕〙〗】⟭﹞"}
    | {ord(c): ">" for c in "＞﹥›❯❭❱⟩〉〉⧽⦒˃ᐳ"}
    | {ord(c): "|" for c in "｜∣ǀ│┃❘"}
    | {ord(c): to for c, to in zip(*_LETTERS, strict=True)}
)


def whole(text: str) -> str:
    """The text as UTF-8 can hold it: halves of a surrogate pair joined, single ones replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def normal(form: Literal["NFC", "NFKC", "NFKD"], text: str) -> str:
    """The text in a normal form, taken in pieces: the library squares the number of marks on one letter."""
    return "".join(unicodedata.normalize(form, piece) for piece in _PIECES.findall(text))


def in_texts(change: Callable[[str], str], value: Any) -> Any:
    """A JSON value with each of its texts, and names of fields, changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value).items()
        return {change(name): in_texts(change, item) for name, item in fields}
    return [in_texts(change, item) for item in cast("list[Any]", value)] if isinstance(value, list) else value


class HalfJoiner:
    """Joins halves of surrogate pairs of text that arrives in pieces. Streams are told apart by a key."""

    def __init__(self) -> None:
        self._waiting: dict[object, str] = {}

    def whole(self, key: object, piece: str) -> str:
        """The text that a piece completes, as ``whole`` makes it."""
        text = self._waiting.pop(key, "") + piece
        if "\ud800" <= text[-1:] <= "\udbff":
            self._waiting[key], text = text[-1], text[:-1]
        return whole(text)


def is_invisible(character: str) -> bool:
    """Return whether a character shows nothing by itself: controls, marks, fillers, the unassigned."""
    kind = unicodedata.category(character)
    return kind[0] == "C" or kind in ("Mn", "Me", "Zl", "Zp") or character in _BLANKS


def quoted(text: str, *, opens_line: bool = True) -> str:
    """Foreign text as a prompt shows it: no line begins like a frame, and no control token stands whole.
    ``opens_line``: it stands at the beginning of a line, not behind a label."""
    text = whole(text)
    folded = text.translate(_FOLDING)
    return _edited(text, [*_line_marks(folded, opens_line), *_token_breaks(folded)])


def broken(text: str) -> str:
    """The model's own text, in whose role lines may begin as they like: without control tokens."""
    text = whole(text)
    return _edited(text, list(_token_breaks(text.translate(_FOLDING))))


def escaped(text: str) -> str:
    """Foreign text as the system role shows it: as ``quoted``, and without any tag."""
    text = whole(text)
    return _edited(text, _system_edits(text))


def places(text: str, wanted: str) -> list[tuple[int, int]]:
    """Where ``wanted`` stands in a text: from which to which character. It may be given as the text is or as
    ``escaped`` shows it."""
    if not wanted or wanted in text:
        return [found.span() for found in re.finditer(re.escape(wanted), text) if wanted]
    edits, shown = sorted(_system_edits(text)), re.finditer(re.escape(wanted), escaped(text))
    spans = ((_stored(edits, f.start(), False), _stored(edits, f.end(), True)) for f in shown)
    return [(start, stop) for start, stop in spans if start < stop]


def inline(text: str, longest: int = 64) -> str:
    """Foreign text as a part of a label: on one line, without brackets and what is invisible, cut if it is
    long."""
    line = " ".join("".join(map(_in_label, whole(text)[: 16 * longest])).split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def _in_label(character: str) -> str:
    if character.isspace():
        return " "
    hidden = unicodedata.category(character)[0] == "C" and character not in _JOINERS
    return "" if hidden or character in _BLANKS else _ROUND.get(_FOLDING[ord(character)], character)


_ROUND = {"[": "(", "]": ")", "{": "(", "}": ")", "<": "(", ">": ")"}
_JOINERS = "\u200c\u200d"  # within words and emoji


def one_word(name: str) -> str:
    """A name that the model may have made up, of a function or a section, as one word."""
    return (
        name if _WORD.fullmatch(name) else re.sub(r"[^\w.-]+", "_", whole(name), flags=re.ASCII)[:64] or "_"
    )


_WORD = re.compile(r"[\w.-]{1,64}", re.ASCII)


def visible(text: str, kept: str = "\n\t") -> str:
    """Text for a terminal: what could control it, or turn its lines around, is written as ``\\u009b``, as
    JSON writes it. Letters of every script, and the joiners within words and emoji, stay."""
    if not _SPECIAL.search(text):
        return text
    return _SPECIAL.sub(lambda found: found[0] if found[0] in kept else _escape(found[0]), whole(text))


# Controls and formats: embeddings, overrides, isolates, marks of direction, separators, tags behind no flag.
_SPECIAL = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\ufffb"
    "\ufffe\uffff\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a]"
    "|(?<![\U0001f3f4\U000e0020-\U000e007e])[\U000e0000-\U000e007f]"
)


def _escape(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _line_marks(folded: str, opens_line: bool) -> Iterator[tuple[int, int, str]]:
    """The marks of the lines that begin like a frame, each as an edit: from, to, and what stands there."""
    start = 0
    for line in folded.split("\n"):
        if (start or opens_line) and _HEAD.match(line.replace("\0", "").lstrip()):
            yield start, start, MARK
        start += len(line) + 1


def _token_breaks(folded: str) -> Iterator[tuple[int, int, str]]:
    for found in _TOKEN.finditer(folded):
        yield found.end(), found.end(), "\\"


def _system_edits(text: str) -> list[tuple[int, int, str]]:
    folded = text.translate(_FOLDING)
    tags = [(found.start(), found.end(), "&lt;") for found in _TAG.finditer(folded)]
    cut = {stop for _, stop, _ in tags}
    breaks = [edit for edit in _token_breaks(folded) if edit[0] not in cut]
    return [*_line_marks(folded, True), *tags, *breaks]


def _edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    if not edits:
        return text
    pieces: list[str] = []
    last = 0
    for start, stop, new in sorted(edits):
        pieces += (text[last:start], new)
        last = stop
    return "".join([*pieces, text[last:]])


def _stored(edits: list[tuple[int, int, str]], shown: int, end: bool) -> int:
    """The place in the text of a place in the text as edited. Within what an edit put there: before it, or
    behind it if ``end``."""
    moved = 0
    for start, stop, new in edits:
        if shown <= start + moved:
            break
        if shown < start + moved + len(new):
            return stop if end else start
        moved += len(new) - (stop - start)
    return shown - moved
