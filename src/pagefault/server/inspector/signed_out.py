"""The sessions that visitors ended: a copy of their cookie opens nothing any more, at this process.

Left out: how a session is read from a cookie (``sessions``). Another process does not know of them; a key
that is revoked ends its sessions at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["BrowserSession", "SignedOut"]


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """A session: ``key`` is the digest of the key's secret, ``ends`` in seconds since 1970."""

    id: str
    key: str
    ends: float


@dataclass(slots=True)
class SignedOut:
    """The sessions that ended before their time. Of each key the ids of ``most`` are kept; from then on all
    that were begun before are over, so that whoever ends many makes none of them valid again."""

    lasts: float  # seconds
    most: int = 100
    _ids: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    _before: dict[str, float] = field(default_factory=dict[str, float])  # ends of sessions, by key

    def add(self, session: BrowserSession, now: float) -> None:
        """End a session."""
        self._forget(now)
        ids = self._ids.setdefault(session.key, {})
        ids[session.id] = session.ends
        if len(ids) > self.most:
            del self._ids[session.key]
            self._before[session.key] = now + self.lasts

    def has(self, session: BrowserSession) -> bool:
        """Return whether a session was ended."""
        return session.id in self._ids.get(session.key, ()) or session.ends <= self._before.get(
            session.key, 0.0
        )

    def _forget(self, now: float) -> None:
        """Forget those that would be over by now."""
        self._before = {key: until for key, until in self._before.items() if until > now}
        left = {key: {id: ends for id, ends in ids.items() if ends > now} for key, ids in self._ids.items()}
        self._ids = {key: ids for key, ids in left.items() if ids}
