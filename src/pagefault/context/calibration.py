"""The ratio of reported to counted tokens, by which all sizes are corrected: how it moves, where it starts.

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


def start_from_log(tx: Transaction, agent: AgentId, model: str) -> None:
    """Set an agent's ratio to what its newest requests to ``model`` tell, 1.0 if there are none."""
    record = tx.agent_by_id(agent)
    if record is None:
        return
    told = tx.spent(agent, model=model, newest=_LOOK_BACK)
    made = [request for row in told for request in requests(row.usage) if request.model == model]
    tx.save_queue(agent, replace(record.queue, ratio=measured(made) or 1.0))
