"""From items to rows and passages: roles, speakers, dates, and the keys by which they are known again.

Keys are made of ids, places and times, never of what was said. Left out: sections and documents (``target``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from pagefault.errors import UsageError
from pagefault.importers.items import BadRecord, ImportedMessage, ImportedPassage, Omission
from pagefault.importers.report import AgentTally, ImportTally
from pagefault.importers.texts import date_of, plain_text, record_name, speaker_name
from pagefault.kernel.imported import digest_of
from pagefault.kernel.importing import ImportedValue
from pagefault.names import check_text
from pagefault.types import EventKind, Message, Passage, Role

__all__ = ["ValueMaker"]

_ROLES = {
    "user": Role.USER, "assistant": Role.ASSISTANT, "other": Role.EVENT, "event": Role.EVENT,
    "thought": Role.THOUGHT, "call": Role.THOUGHT, "result": Role.THOUGHT,
}  # fmt: skip
_MOST_TAGS = 32
_LONGEST_TAG = 64  # characters


@dataclass(slots=True)
class ValueMaker:
    """Makes the rows and passages of one agent, and counts. ``me``: the person, as speakers are called;
    ``since``: what is older is left out."""

    kind: str
    tally: AgentTally
    whole: ImportTally
    zone: tzinfo
    now: datetime
    me: str = ""
    since: datetime | None = None
    _before: tuple[str, datetime] | None = field(default=None)

    def message(self, item: ImportedMessage) -> ImportedValue | None:
        """The row of a message; None if it is left out, which is counted."""
        text = plain_text(item.text)
        at = self._at(item)
        if not self.is_since(at):
            return None
        if not self._is_said(text, item.session):
            return None
        role, speaker = _ROLES[item.role], ""
        if item.role == "other" or (item.role in ("user", "event") and item.speaker):
            speaker = speaker_name(item.speaker)
            if item.role == "other" and self.me and speaker.casefold() == self.me:
                role = Role.USER
        elif item.role in ("call", "result"):
            text = _function_text(item, text)
        self.tally.speakers[speaker or item.role] += 1
        self.tally.of_user += role is Role.USER
        self.tally.dated(at.astimezone(self.zone))
        row = Message(role, text, at, name=EventKind.APPENDED, speaker=speaker)
        return ImportedValue(row, _key(item, item.session), item.id is not None)

    def passage(self, item: ImportedPassage) -> ImportedValue | None:
        """The passage of an item; None if it is left out, which is counted."""
        at, text = self.utc(date_of(item.at, self.now)) or self.now, plain_text(item.text)
        if not self.is_since(at):
            return None
        if not self._is_said(text, item.title):
            return None
        tags = [plain_text(tag)[:_LONGEST_TAG] for tag in item.tags[:_MOST_TAGS]]
        passage = Passage(
            text, at, tuple(filter(None, dict.fromkeys(tags))), self.kind, title=plain_text(item.title)[:200],
            valid_until=self.utc(item.valid_until),
        )  # fmt: skip
        return ImportedValue(passage, _key(item, ""), item.id is not None)

    def is_since(self, at: datetime) -> bool:
        """Return whether an item is new enough; one that is not is counted."""
        is_earlier = self.since is not None and at < self.since
        self.tally.earlier += is_earlier
        return not is_earlier

    def utc(self, at: datetime | None) -> datetime | None:
        """A time of the file in UTC; None if it is none."""
        try:
            return at and (at if at.tzinfo else at.replace(tzinfo=self.zone)).astimezone(UTC)
        except (OverflowError, ValueError):
            return None

    def _at(self, item: ImportedMessage) -> datetime:
        """The time of a message in UTC; without one, that of the message before it, or now."""
        at = self.utc(date_of(item.at, self.now))
        if at is None:
            self.tally.undated += 1
            is_next = self._before is not None and self._before[0] == item.session
            at = self._before[1] if is_next and self._before else self.now
        self._before = item.session, at
        return at

    def _is_said(self, text: str, where: str) -> bool:
        if not text:
            self.whole.omit(Omission("empty message"))
            return False
        try:
            check_text(text)
        except UsageError as error:
            self.whole.refuse(BadRecord(record_name(where) if where else "message", str(error)))
            return False
        return True


def _key(item: ImportedMessage | ImportedPassage, session: str) -> int:
    if item.id is not None:
        return digest_of("id", session, item.id)
    return digest_of("place", session, item.place or (item.at.isoformat() if item.at else ""))


def _function_text(item: ImportedMessage, text: str) -> str:
    name = record_name(item.name or "a function")
    return f"called {name}({text})" if item.role == "call" else f"{name} returned: {text}"
