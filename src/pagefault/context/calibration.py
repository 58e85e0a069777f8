"""Calibration by reported tokens: the ratio that corrects all counts, and the detection of cut prompts.

A ratio belongs to a model, and an agent has one ratio. So a change of model starts from the requests to
the new one in this agent's log, and a fallback model must not pull the ratio up and down. The evidence of one
request is in ``accounting.usage``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pagefault.accounting.usage import LARGEST_RATIO, SMALLEST_RATIO, measured_ratio
from pagefault.message_meta import RequestUsage
from pagefault.storage import Transaction
from pagefault.types import AgentId

_LOOK_BACK = 20  # rows with requests to a model from which its ratio is taken
_FADES = 0.95  # what is left of it after a request of which nothing was reported
_NOISE = 0.02  # share of the ratio by which it must move to be worth it

_CUT_OFF = 0.6  # reported tokens per expected one below which a prompt may have been cut off
_LEAST_CUT = 512  # tokens that must be missing for that
_KEEPS_UP = 0.25  # reported tokens per counted one that a prompt grew by, where nothing is cut off
_LEAST_GROWTH = 256  # tokens by which it must have grown to tell
_LEAST_WINDOW = 1024  # tokens; who reports fewer reports what was not in its cache


@dataclass(slots=True)
class Calibration:
    """Moves the ratio by reports. ``models``: those in the settings, the wanted one first."""

    models: Sequence[str] = ()
    _stand_ins: float = 0.0  # the largest ratio of those who answered in its place

    def moved(self, old: float, request: RequestUsage) -> float:
        """The ratio after a request: up at once, down by halves, because too small a prompt is harmless and
        too large a one is not. Where nothing is reported a ratio above 1 can only come from refusals, which
        may have had other reasons, and fades. A prompt with images says nothing of what is counted here.

        The prompt must fit whoever answers, as the window is that of the smallest: a model that stands in
        only raises the ratio, and the wanted one then does not lower it below that again.
        """
        seen = request.ratio
        if request.images:
            return old
        if seen is None:
            return round(max(1.0, _FADES * old), 3) if old > 1.0 else old
        stands_in = len(self.models) > 1 and request.model != self.models[0]
        if stands_in:
            self._stand_ins = max(self._stand_ins, seen)
        floor = old if stands_in else min(old, self._stand_ins)
        moved = max(floor, seen if seen > old else (old + seen) / 2)
        ratio = round(min(LARGEST_RATIO, max(SMALLEST_RATIO, moved)), 3)
        return ratio if abs(ratio - old) > _NOISE * old else old


@dataclass(slots=True)
class Truncation:
    """Detects a server that cuts prompts silently: its reports do not grow with the prompts.

    A report that falls short of one that kept up may also mean that that one was wrong. So a first one is
    only a suspicion; what is reported of a prompt that has grown further decides.
    """

    _kept_up: tuple[int, int] | None = None  # counted and reported of the last request whose report kept up
    _suspect: tuple[int, int] | None = None  # the same of the first one since then that fell short

    def suspects(self, counted: int, reported: int, ratio: float) -> bool:
        """Return whether a report falls short of its prompt. ``counted`` is uncalibrated; a ``ratio`` that
        refusals have raised is no reason to expect more."""
        if reported < _LEAST_WINDOW:
            return False
        if self._kept_up and counted < self._kept_up[0]:  # a flush
            self._kept_up = self._suspect = None
        if self._suspect:
            short = not _keeps_up(self._suspect, counted, reported)
        elif self._kept_up:
            grown = counted - self._kept_up[0]
            short = grown >= _LEAST_GROWTH and not _keeps_up(self._kept_up, counted, reported)
            if not short and not _keeps_up(self._kept_up, counted, reported):
                return False  # too little to tell
        else:
            expected = counted * min(1.0, ratio)
            short = reported < _CUT_OFF * expected and expected - reported > _LEAST_CUT
        if short:
            self._suspect = self._suspect or (counted, reported)
        else:
            self._kept_up, self._suspect = (counted, reported), None
        return short

    def window(self, prompt: int, counted: int, reported: int, served: int | None) -> int | None:
        """The window, if a ``prompt`` (calibrated) whose report fell short was cut off; None if it was not.

        It is what the server says it ``served``; if it does not say, the larger of two reports, the second
        of a prompt that has grown since the first.
        """
        if served is not None and served >= prompt:
            self._kept_up, self._suspect = (counted, reported), None
            return None
        before = self._suspect or (counted, reported)
        if served is None and counted - before[0] < _LEAST_GROWTH:
            return None
        self._kept_up = self._suspect = None
        return served or max(before[1], reported)


def _keeps_up(before: tuple[int, int], counted: int, reported: int) -> bool:
    """Return whether a report grew with its prompt since another one."""
    grown = counted - before[0]
    return grown > 0 and reported - before[1] >= _KEEPS_UP * grown


def start_from_log(tx: Transaction, agent: AgentId, model: str) -> None:
    """Set an agent's ratio to what its newest requests to ``model`` tell, 1.0 if there are none."""
    record = tx.agent_by_id(agent)
    if record is None:
        return
    spent = tx.spent(agent, model=model, newest=_LOOK_BACK)
    made = [request for row in spent for request in row.usage if request.model == model]
    tx.save_queue(agent, replace(record.queue, ratio=measured_ratio(made) or 1.0))
