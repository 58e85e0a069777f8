"""Names that stand in the frames of a prompt: of agents, of senders, of kinds of events; how long a text is.

A name that could pass for another, or for a part of a frame, is refused with a sentence. Scripts and
look-alikes are those of Unicode's UTS 39. Left out: names that are
stored already, which ``shown_sender`` shows.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import Any, cast

from pagefault.errors import UsageError
from pagefault.quoting import inline, is_invisible, normal
from pagefault.shared import SharedKind, is_shared
from pagefault.types import EventKind

__all__ = [
    "check_agent_name",
    "check_kind",
    "check_look_alike",
    "check_plain_name",
    "check_sender",
    "check_shared_name",
    "check_stored_name",
    "check_tenant",
    "check_text",
    "could_be_agent_name",
    "import_key",
    "is_import_key",
    "shown_kind",
    "shown_sender",
    "system_key",
]

LONGEST = 64  # characters
LONGEST_TEXT = 1_000_000  # characters

_KIND = re.compile(r"[a-z][a-z0-9_]{0,63}")
_RESERVED = frozenset(
    {
        "user", "human", "assistant", "system", "developer", "tool", "event", "recall", "archival", "summary",
        "summary_request",
        "shown", "showing", "earlier", "page", "result", "returned", "called", "thought", "prefetched",
    }
)  # fmt: skip  # as labels, rows and results begin
_SECTION = re.compile(r"[a-z][a-z0-9_]{0,31}")
_PLAIN = re.compile(r"[A-Za-z0-9][\w.-]{0,63}", re.ASCII)
_HIDDEN_MARKS = "\u034f\u17b4\u17b5\u180f"  # combining, and show nothing
_BETWEEN = r"\s?[-‐‑–—−./]\s?"
_DATE = re.compile(rf"\d{{4}}{_BETWEEN}\d{{1,2}}{_BETWEEN}\d{{1,2}}|(?<![\w:])\d{{1,2}}\s?:\s?\d\d(?![\w:])")
_WRITTEN_TOGETHER = (
    frozenset({"LATIN", "HAN", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "HAN", "HANGUL"}),
    frozenset({"LATIN", "HAN", "BOPOMOFO"}),
)  # UTS 39, highly restrictive


def system_key(text: str) -> str:
    """The key of an event that the system makes, which no request can have: those are printable."""
    return f"\x1f{text}"


def import_key(text: str) -> str:
    """The key of an event that keeps what was imported."""
    return system_key(f"import:{text}")


def is_import_key(key: str | None) -> bool:
    """Return whether an event of this key keeps what was imported: digests of names, which outlast it."""
    return key is not None and key.startswith(import_key(""))


def check_agent_name(name: str) -> None:
    """Raise ``UsageError`` if no agent can be called that."""
    if _PLAIN.fullmatch(name):
        return
    if not could_be_agent_name(name):
        raise UsageError(
            f"{name!r} cannot be an agent's name; use up to {LONGEST} letters, digits, dots and dashes."
        )
    if unicodedata.normalize("NFKC", name) != name:
        raise UsageError(
            f"{name!a} cannot be an agent's name; it has characters that look like others or show nothing."
        )
    scripts = _scripts(name)
    if len(scripts) > 1 and not any(scripts <= together for together in _WRITTEN_TOGETHER):
        mixed = " and ".join(sorted(script.capitalize() for script in scripts))
        raise UsageError(
            f"{name!a} cannot be an agent's name, because it mixes {mixed} letters, which look alike; use "
            "one script."
        )


def check_tenant(name: str) -> None:
    """Raise ``UsageError`` if no tenant can be called that. The default one has the empty name."""
    if name:
        check_plain_name("tenant", name)


def check_plain_name(what: str, name: str) -> None:
    """Raise ``UsageError`` if no tenant or key, as ``what`` says, can be called that."""
    if not _PLAIN.fullmatch(name):
        raise UsageError(
            f"{name!a} cannot be a {what}'s name; use up to {LONGEST} ASCII letters, digits, dots and dashes."
        )


def check_shared_name(kind: SharedKind, name: str) -> None:
    """Raise ``UsageError`` if no archive or shared section can be called that. The name of an archive stands
    before the ids of what is found (``manuals/p7``), so it is of plain letters; that of a shared section is
    one of any section."""
    if kind == "section" and not _SECTION.fullmatch(name):
        raise UsageError(
            f"{name!a} cannot be the name of a shared section; use up to 32 small letters of English, digits "
            "and underscores, a letter first."
        )
    if not _PLAIN.fullmatch(name):
        raise UsageError(
            f"{name!a} cannot be the name of an archive; use up to {LONGEST} letters of English, digits, "
            "dots, dashes and underscores."
        )


def check_stored_name(name: str) -> None:
    """Raise ``UsageError`` if neither an agent nor an archive or shared section can be stored under that."""
    if not is_shared(name):
        return check_agent_name(name)
    kind, _, own = name.partition(":")
    check_shared_name("archive" if kind == "archive" else "section", own)


def could_be_agent_name(name: str) -> bool:
    """Return True if a name is as long as one of an agent, and has no other characters."""
    return 0 < len(name) <= LONGEST and name[0].isalnum() and all(map(_fits, name))


def _fits(character: str) -> bool:
    if unicodedata.category(character) in ("Mn", "Mc"):
        return "VARIATION" not in unicodedata.name(character, "") and character not in _HIDDEN_MARKS
    return (character.isalnum() and not is_invisible(character)) or character in "_.-"


def check_look_alike(name: str, others: Iterable[str]) -> None:
    """Raise ``UsageError`` if a name looks like one of ``others`` that is another. Names of ASCII alone do
    not look alike: who writes them can tell them apart."""
    if name.isascii():
        return
    seen = _skeleton(name)
    for other in others:
        if other != name and _skeleton(other) == seen:
            raise UsageError(f"{name!a} looks like the agent {other!r}; choose another name.")


def check_kind(kind: str) -> None:
    """Raise ``UsageError`` for a kind of event that cannot be posted."""
    if not _is_kind(kind) or kind in (EventKind.PRESSURE, EventKind.APPENDED, EventKind.SLEEP):
        raise UsageError(f"{kind!r} is not a kind of event to post; use a word like door_opened.")


def check_sender(sender: str) -> None:
    """Raise ``UsageError`` if no sender of events can be called that."""
    if not _is_sender(sender):
        raise UsageError(
            f"{sender!a} cannot be a sender; use up to {LONGEST} characters on one line, without brackets, "
            "braces, dates and what is invisible."
        )


def check_text(text: str) -> None:
    """Raise ``UsageError`` for the text of an event that is too long to post."""
    if len(text) > LONGEST_TEXT:
        raise UsageError(
            f"The text has {len(text):,} characters, and a message or event takes {LONGEST_TEXT:,}; load it "
            "as a document (`pagefault load FILE`), or send it in parts."
        )


def shown_kind(kind: str) -> str:
    """The kind of a stored event as its label shows it."""
    return kind if _is_kind(kind) else "event"


def shown_sender(sender: str) -> str:
    """The sender of a stored event as its label shows it."""
    return sender if _is_sender(sender) else _DATE.sub("…", inline(sender, LONGEST))


def _is_kind(kind: str) -> bool:
    return _KIND.fullmatch(kind) is not None and kind not in _RESERVED


def _is_sender(sender: str) -> bool:
    plain = normal("NFKC", sender)
    return 0 < len(sender) <= LONGEST and inline(sender, LONGEST) == sender and not _DATE.search(plain)


# The library reads its tables when it is imported, so that is done for names that are not plain ASCII only.


def _scripts(name: str) -> set[str]:
    from confusable_homoglyphs import categories  # pyright: ignore[reportMissingTypeStubs]

    alias = cast("Any", categories).alias
    return {str(alias(character)) for character in name} - {"COMMON", "INHERITED"}


def _skeleton(name: str) -> str:
    return "".join(map(_prototype, unicodedata.normalize("NFD", name)))


@cache
def _prototype(character: str) -> str:
    """The character that stands for all that look like this one."""
    from confusable_homoglyphs import confusables  # pyright: ignore[reportMissingTypeStubs]

    data = cast("dict[str, list[dict[str, str]]]", cast("Any", confusables).confusables_data)
    alike = data.get(character, [])
    if len(alike) != 1:  # many look like it
        return character
    other = alike[0]["c"]
    return min(character, other) if len(data.get(other, [])) == 1 else other
