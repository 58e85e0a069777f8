"""Repetitions in a log, as two processes in one turn would leave: of openings, results, answers.

Rows are looked at in their order, and little is held of them: a number for each event and each result.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pagefault.types import Role

__all__ = ["Repeats"]


@dataclass(slots=True)
class Repeats:
    """The rows that say something again. ``results``: messages; the others: events."""

    results: list[int] = field(default_factory=list[int])
    openings: list[int] = field(default_factory=list[int])
    answers: list[int] = field(default_factory=list[int])
    _opened: set[int] = field(default_factory=set[int])
    _answered: set[int] = field(default_factory=set[int])
    _called: Counter[tuple[int, str | None]] = field(default_factory=Counter[tuple[int, "str | None"]])
    _returned: set[int] = field(default_factory=set[int])
    _alone: tuple[int, int] | None = None  # event and completion of speech without a call, until now
    _last: int | None = None  # the completion of the last call

    def add(self, row: dict[str, Any]) -> None:
        """Look at the next row of the log."""
        role, event, completion = row["role"], row["event"], row["completion"]
        if completion is None:
            if event is not None and role in (Role.USER, Role.EVENT):
                _note(event, self._opened, self.openings)
        elif role == Role.CALL:
            self._called[completion, row["call_id"]] += 1
            self._last = completion
            if self._alone and self._alone[1] == completion:
                self._alone = None
        elif role == Role.RESULT:
            self._result(row["seq"], (completion, row["call_id"]))
        elif role == Role.ASSISTANT and event is not None and completion != self._last:
            self.end(unless=completion)
            self._alone = (event, completion)

    def end(self, unless: int = 0) -> None:
        """Count the speech that no call of its completion followed, unless it is of this one."""
        if self._alone and self._alone[1] != unless:
            _note(self._alone[0], self._answered, self.answers)
            self._alone = None

    def _result(self, seq: int, call: tuple[int, str | None]) -> None:
        if call in self._called:
            self._called[call] -= 1
            if not self._called[call]:
                del self._called[call]
        elif hash(call) in self._returned:
            self.results.append(seq)
        self._returned.add(hash(call))


def _note(event: int, seen: set[int], again: list[int]) -> None:
    if event in seen:
        again.append(event)
    seen.add(event)
