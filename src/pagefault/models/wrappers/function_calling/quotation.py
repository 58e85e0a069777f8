"""Quotation: whether a place in an answer is quoted, and whether the model was given the same to read.

A model that repeats a call from a document does not make it. Left out: the forms of calls (``forms``).
"""

from __future__ import annotations

import html
import re
from functools import cached_property

from pagefault.models import Prompt, plain_name
from pagefault.quoting import normal

__all__ = ["PromptData", "begins_line", "is_enclosed"]

_FENCE = re.compile(r"[ \t>]*(?:(?:[*+-]|\d+[.)])[ \t]+)?(`{3,}|~{3,})(.*)")
_ELEMENT = re.compile(r"<(/?)(?:code|pre|blockquote|q|samp|xmp)\b[^>]*>|<!--|-->", re.IGNORECASE)
_CLOSERS = {  # quotation marks that open, each with those that may close it
    '"': '"', "'": "'’", "`": "`", "＂": "＂", "“": "”", "‘": "’", "„": "“”", "‚": "‘’", "‟": "”", "‛": "’",
    "”": "”", "«": "»", "»": "«", "‹": "›", "›": "‹", "「": "」", "『": "』", "｢": "｣", "﹁": "﹂",
    "﹃": "﹄", "《": "》", "〈": "〉", "〝": "〞〟", "❝": "❞", "❛": "❜", "❮": "❯", "⹂": "“”",
}  # fmt: skip
_QUOTE = re.compile("`+|[" + "".join(sorted({*_CLOSERS, *"".join(_CLOSERS.values())})) + "]")
_TWO_WAY = frozenset("\"'”»›")  # open at the beginning of a word only; within or behind one they are others
_DEEPEST = 100  # quotations within each other; nobody closes them all
_UNSEEN = re.compile(
    r"[\s\\\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+"
)
_LINE_MARK = re.compile(r"^\| ", re.MULTILINE)  # of foreign text in a prompt
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_ALIKE = str.maketrans({"▁": "_", "-": "_", **dict.fromkeys("'“”„‟«»", '"')})
_LEAST = 8  # characters of arguments from which on the same ones are no coincidence


class PromptData:
    """All that a prompt gives the model to read but its instructions: messages, results, calls, memory."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt

    def holds(self, mark: str) -> bool:
        """Return True if a mark stands there, in whatever variant of characters, spaces or escapes."""
        return any(_plain(mark) in plain for plain in (self._plain, self._calls))

    def holds_name(self, name: str) -> bool:
        """Return True if an object that names this function stands there."""
        named = rf'(?:name|function|tool)":"[^"]{{0,40}}{re.escape(_plain(plain_name(name)))}'
        return bool(re.search(named, self._plain))

    def holds_arguments(self, arguments: str) -> bool:
        """Return True if the same arguments stand there."""
        given = _plain(arguments)
        return len(given) >= _LEAST and given in self._plain

    def holds_call(self, name: str, arguments: str) -> bool:
        """Return True if the same arguments stand there; of such as are too short to tell, an object that
        names the function."""
        return self.holds_arguments(arguments) or (len(_plain(arguments)) < _LEAST and self.holds_name(name))

    @cached_property
    def _plain(self) -> str:
        messages, instructions = self._prompt.messages, self._prompt.instructions
        texts = [message.text for message in messages]
        if messages and messages[0].role == "system":
            texts[0] = texts[0].removeprefix(instructions)
        return "\n".join(map(_plain, texts))

    @cached_property
    def _calls(self) -> str:
        """The arguments of the model's own calls, which it may make again."""
        calls = (call for message in self._prompt.messages for call in message.calls)
        return "\n".join(_plain(call.arguments) for call in calls)


def _plain(text: str) -> str:
    """Return a text without what can be written in several ways."""
    text = html.unescape(html.unescape(_LINE_MARK.sub("", text)))
    text = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return _UNSEEN.sub("", normal("NFKC", text).casefold().translate(_ALIKE))


def begins_line(text: str, at: int) -> bool:
    """Return True if nothing stands before a place in its line, and its paragraph is no block quotation."""
    before = text[:at]
    above, _, line = before.rpartition("\n")
    if line.strip() or len(line.expandtabs(4)) >= (1 if above else 4):  # within a line, or code
        return False
    paragraph = re.split(r"\n[ \t]*\n", before)[-1]
    return not paragraph.lstrip().startswith(">")


def is_enclosed(text: str, at: int) -> bool:
    """Return True if a fence, a code span, a quotation or an element for one is open at a place."""
    fence, prose = "", list[str]()
    for line in text[:at].split("\n"):
        found = _FENCE.match(line)
        if fence:
            closes = found and found[1].startswith(fence) and not found[2].strip()
            fence = "" if closes else fence
        elif found and not (found[1][0] == "`" and "`" in found[2]):
            fence = found[1]
        else:
            prose.append(line)
    before = "\n".join(prose)
    return bool(fence) or _open_element(before) or _open_quotation(before)


def _open_element(text: str) -> bool:
    last = text.rfind(">") + 1  # behind it no tag ends, so that none is looked for
    opened = text.count("<!--", last)
    for found in _ELEMENT.finditer(text, 0, last):
        opened += -1 if found[1] or found[0] == "-->" else 1
    return opened > 0


def _open_quotation(text: str) -> bool:
    """Return True if a quotation mark was not closed. Code spans and ASCII quotations end with their
    paragraph, and an apostrophe opens nothing."""
    opened: list[str] = []
    for paragraph in re.split(r"\n[ \t]*\n", text):
        opened = [mark for mark in opened if mark not in "'`"]
        for found in _QUOTE.finditer(paragraph):
            mark, before = found[0][0], paragraph[max(0, found.start() - 1) : found.start()]
            if any(mark in _CLOSERS[one] for one in opened):
                while opened and mark not in _CLOSERS[opened.pop()]:
                    pass
            elif _opens(mark, before):
                opened.append(mark)
                if len(opened) > _DEEPEST:
                    return True
    return bool(opened)


def _opens(mark: str, before: str) -> bool:
    """Return True if a quotation mark may open one behind a letter or sign."""
    in_word = before.isdigit() or before.islower() or before.isupper()
    return mark in _CLOSERS and not (mark in _TWO_WAY and in_word)
