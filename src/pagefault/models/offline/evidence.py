"""Evidence: the sentences that an answer may be found in, from the prompt itself and from search results.

Each sentence with the one before it, its speaker and its date. It leaves out which of them answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from pagefault.models.offline.keeping import slots
from pagefault.models.offline.language import sentences
from pagefault.models.offline.reading import Found, View

__all__ = ["KEPT", "OWN", "Evidence", "dated_lines", "from_results", "in_view", "is_own_quote", "pieces_of"]

OWN = "assistant: "  # before what the agent said, in a summary
_LINE = re.compile(r"(?:^|(?<=\s))(?:- )?(?P<day>\d{4}-\d\d-\d\d)(?: \d\d:\d\d)?: ")
_OWN_QUOTE = re.compile(
    r"^(?:You told me|You said|I said|Noted|Got it|你.{0,16}告诉我|[你我].{0,16}说过|I don't know|我不知道)"
)
_QUEUE = 10**12
KEPT = _QUEUE - 1  # a note in the working context of what has one value: it is kept up to date


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence, the one before it, who said it (``user`` or ``agent``), and when (``at`` is local).

    ``number`` orders what is of one day: log numbers, and the queue's rows above them. A note has none of
    its own: it is as old as the same words in the log, else the newest of its slot, else the oldest.
    """

    text: str
    before: str
    speaker: str
    at: str
    number: int | None = None

    @property
    def near(self) -> bool:
        """Whether it is in the queue, so that nothing elsewhere is newer."""
        return self.number is not None and self.number >= _QUEUE


@lru_cache(maxsize=4096)
def _split(text: str) -> tuple[tuple[str, str], ...]:
    pieces = sentences(text)
    return tuple(zip(pieces, ["", *pieces], strict=False))


def pieces_of(text: str, speaker: str, at: str, number: int | None = None) -> Iterator[Evidence]:
    """The sentences of one text as evidence."""
    for sentence, before in _split(text):
        yield Evidence(sentence, before, speaker, at, number)


def dated_lines(text: str) -> Iterator[tuple[str, str]]:
    """Notes as the model writes them, ``2026-11-20: sentence``, one or more a text: (day, sentence)."""
    cuts = list(_LINE.finditer(text))
    if text[: cuts[0].start() if cuts else None].strip():
        yield "", text[: cuts[0].start() if cuts else None].strip()
    for cut, after in zip(cuts, [*cuts[1:], None], strict=False):
        yield cut["day"], text[cut.end() : after.start() if after else None].strip()


def is_own_quote(text: str) -> bool:
    """Whether the agent's words are about what was said, or that nothing was: no evidence of their own."""
    return _OWN_QUOTE.match(text) is not None


def in_view(view: View) -> list[Evidence]:
    """What the prompt itself holds: notes, the summary, the queue with the open event."""
    found: list[Evidence] = []
    for name, section in view.sections.items():
        for line in section.splitlines():
            for day, text in dated_lines(line):
                speaker, number = "agent" if name == "persona" else "user", KEPT if slots(text) else None
                found += pieces_of(text, speaker, day, number)
    for line in view.summary.splitlines():
        for day, text in dated_lines(line):
            own = text.startswith(OWN)
            found += pieces_of(text.removeprefix(OWN), "agent" if own else "user", day)
    for index, row in enumerate(view.rows):
        if row.kind in ("user", "assistant"):
            found += pieces_of(
                row.text, "agent" if row.kind == "assistant" else "user", row.at, _QUEUE + index
            )
    return found


def from_results(lines: Iterable[Found]) -> list[Evidence]:
    """What searches brought back; notes in archival storage keep their own dates."""
    found: list[Evidence] = []
    for line in lines:
        if line.speaker == "archival":
            for day, text in dated_lines(line.text):
                found += pieces_of(text, "user", day or line.at)
        else:
            found += pieces_of(
                line.text, "agent" if line.speaker == "assistant" else "user", line.at, line.number
            )
    return found
