"""What reported tokens tell: the ratio by which all counts are corrected, and that a server cuts prompts.

A ratio belongs to a model, and an agent has one ratio, so a change of model starts from what this agent's log
tells of the new one, and a model that only stands in must not pull it to and fro. What a request tells is in
``models.spending``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pagefault.models.spending import LARGEST_RATIO, SMALLEST_RATIO, Request, measured, requests
from pagefault.storage import Transaction
from pagefault.types import AgentId

_LOOK_BACK = 20  # rows with requests to a model from which its ratio is taken
_FADES = 0.95  # what is left of it after a request of which nothing was reported
_NOISE = 0.02  # share of the ratio by which it must move to be worth it

_CUT_OFF = 0.6  # reported tokens per expected one below which a prompt may have been cut off
_LEAST_CUT = 512  # tokens that must be missing for that
_KEEPS_UP = 0.25  # reported tokens per counted one that a prompt grew by, where nothing is cut off
_LEAST_GROWTH = 256  # tokens by which it must have grown to tell
_PLATEAU = 0.25  # how far two cut-off prompts may differ in size
_LEAST_WINDOW = 1024  # tokens; who reports fewer reports what was not in its cache


@dataclass(slots=True)
class Calibration:
    """How reports move the ratio. ``wanted``: the first of several models in the settings; empty: there are
    no others."""

    wanted: str = ""
    _stand_ins: float = 0.0  # the largest ratio of those who answered in its place

    def moved(self, old: float, request: Request) -> float:
        """The ratio after a request: up at once, down by halves, because too small a prompt is harmless and
        too large a one is not. Where nothing is reported a ratio above 1 can only come from refusals, which
        may have had other reasons, and fades.

        The prompt must fit whoever answers, as the window is that of the smallest: a model that stands in
        only raises the ratio, and the wanted one then does not lower it below that again.
        """
        seen = request.ratio
        if seen is None:
            return round(max(1.0, _FADES * old), 3) if old > 1.0 else old
        stands_in = bool(self.wanted) and request.model != self.wanted
        if stands_in:
            self._stand_ins = max(self._stand_ins, seen)
        floor = old if stands_in else min(old, self._stand_ins)
        moved = max(floor, seen if seen > old else (old + seen) / 2)
        ratio = round(min(LARGEST_RATIO, max(SMALLEST_RATIO, moved)), 3)
        return ratio if abs(ratio - old) > _NOISE * old else old


@dataclass(slots=True)
class Truncation:
    """Whether a server cuts prompts without a word: its reports do not grow with the prompts."""

    _kept_up: tuple[int, int] = (0, 0)  # counted and reported of the last request whose report kept up
    _short: int = 0  # reported of the request before, if that fell short

    def suspects(self, counted: int, reported: int, ratio: float) -> bool:
        """Whether a report falls short of its prompt. ``counted`` is uncalibrated; a ``ratio`` that refusals
        have raised is no reason to expect more."""
        if reported < _LEAST_WINDOW:
            return False
        before, then = self._kept_up
        grown = counted - before
        if not before or grown < 0:  # the first one, or after a flush
            expected = counted * min(1.0, ratio)
            short = reported < _CUT_OFF * expected and expected - reported > _LEAST_CUT
            keeps_up = not short
        else:
            keeps_up = reported - then >= _KEEPS_UP * grown
            short = not keeps_up and grown >= _LEAST_GROWTH
        if keeps_up:
            self._kept_up = (counted, reported)
        self._short = self._short if short else 0
        return short

    def window(self, prompt: int, reported: int, served: int | None) -> int | None:
        """The window, if a ``prompt`` (calibrated) whose report fell short was cut off: ``served`` if the
        server says what it serves, else what it reports, if it does so twice in a row; None if it was not."""
        if served is not None:
            return served if served < prompt else None
        before, self._short = self._short, reported
        again = before > 0 and abs(reported - before) <= _PLATEAU * before
        return max(before, reported) if again else None


def start_from_log(tx: Transaction, agent: AgentId, model: str) -> None:
    """Set an agent's ratio to what its newest requests to ``model`` tell, 1.0 if there are none."""
    record = tx.agent_by_id(agent)
    if record is None:
        return
    told = tx.spent(agent, model=model, newest=_LOOK_BACK)
    made = [request for row in told for request in requests(row.usage) if request.model == model]
    tx.save_queue(agent, replace(record.queue, ratio=measured(made) or 1.0))
