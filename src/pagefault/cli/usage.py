"""What was spent: `usage`, by agent, turn, day or model. It reads the log, and asks no provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pagefault.accounting.prices import Price, Prices
from pagefault.cli.render import table
from pagefault.cli.session import Session, zone_for
from pagefault.cli.tally import HEAD, Tally, tally_of
from pagefault.clock import moment
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.storage import RowUsage
from pagefault.types import AgentId, AgentRecord

By = Literal["agent", "turn", "day", "model"]
_WAYS = ("turn", "day", "model")


def prices_of(kernel: Kernel, own: Mapping[str, Price]) -> Prices:
    """What the models of a kernel cost."""
    return Prices(kernel.models.vendor, own)


def usage(session: Session, name: str | None, by: str | None, since: str | None) -> None:
    if by not in (None, *_WAYS):
        raise UsageError(f"{by!r} is no way to add up; write --by {', '.join(_WAYS)}.")
    way = by or "agent"

    async def work(kernel: Kernel) -> None:
        records = [await kernel.record(name)] if name else await kernel.agents()
        prices = prices_of(kernel, session.installation.own_prices)
        found: list[tuple[AgentRecord, str, Tally]] = []
        for record in records:
            found += [
                (record, key, sum_) for key, sum_ in (await spent_by(kernel, record, way, since, prices))
            ]
        session.show(_data(found, way), report(found, way))

    session.run(work)


async def spent_by(
    kernel: Kernel, record: AgentRecord, way: By, since: str | None, prices: Prices
) -> list[tuple[str, Tally]]:
    """What an agent spent, added up by what a way of adding up calls its parts."""
    zone = zone_for(record)
    start = moment(since, kernel.clock.now(), zone) if since else None
    rows = await kernel.store.read(lambda tx: tx.spent(record.id, since=start))
    groups: dict[str, list[RowUsage]] = {} if rows or way != "agent" else {"": []}
    for row in rows:
        for key, part in _parts(row, way, zone):
            groups.setdefault(key, []).append(part)
    return [(key, tally_of(parts, prices)) for key, parts in groups.items()]


def _parts(row: RowUsage, way: By, zone: ZoneInfo) -> list[tuple[str, RowUsage]]:
    """The row under the name of its part; each of its requests for itself if parts are models."""
    if way == "model":
        return [(request.model, replace(row, usage=(request,))) for request in row.usage]
    return [(_key(row, way, row.at.astimezone(zone)), row)]


def _key(row: RowUsage, way: By, at: datetime) -> str:
    if way == "day":
        return at.date().isoformat()
    if way == "turn":  # a flush may fall into a turn or between two; it is told by itself
        return f"m{row.seq} flush" if row.event is None else str(row.event)
    return ""


def _data(found: Sequence[tuple[AgentRecord, str, Tally]], way: By) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = []
    for record, key, tally in found:
        part = {} if way == "agent" else {way: key}
        error = {"error": tally.error, "measured": tally.measured} if way == "model" else {}
        data.append({"agent": record.name, **part, **tally.data, **error})
    return data


def report(found: Sequence[tuple[AgentRecord, str, Tally]], way: By) -> str:
    """For people: a line to each part, then what is to be known of it."""
    if not any(tally.requests for _, _, tally in found):
        return "No request to a model is in the log."
    part = [] if way == "agent" else [way]
    errors = ["our count is off by"] if way == "model" else []
    lines = [["agent", *part, *HEAD, *errors]]
    for record, key, tally in found:
        off = [_off(tally)] if way == "model" else []
        lines.append([record.name, *([key] if part else []), *tally.cells, *off])
    return "\n".join([table(lines), *_remarks([tally for _, _, tally in found])])


def _off(tally: Tally) -> str:
    if tally.error is None:
        return "not known"
    return f"{tally.error:+.1f} % ({tally.measured:,} requests)"


def _remarks(tallies: Sequence[Tally]) -> list[str]:
    unpriced = sorted(set[str]().union(*(tally.unpriced for tally in tallies)))
    remarks = [
        f'No price is known for {name}; set it in config.toml: [prices."{name}"] input = ..., output = ... '
        "(dollars per million tokens)."
        for name in unpriced
    ]
    if estimated := sum(tally.estimated for tally in tallies):
        remarks.append(f"Of {estimated:,} requests no usage was reported; their tokens are counted by us.")
    return remarks


@dataclass(slots=True)
class Meter:
    """What a chat costs: its last turn, and all since ``since``. It reads no row twice; ``seen`` is the last
    one that was there before."""

    kernel: Kernel
    agent: AgentId
    prices: Prices
    since: datetime
    seen: int
    session: Tally = field(default_factory=Tally)

    @classmethod
    async def started(cls, kernel: Kernel, name: str, prices: Prices) -> Meter:
        record = await kernel.record(name)
        return cls(kernel, record.id, prices, kernel.clock.now(), record.last_seq)

    async def line(self) -> str:
        """What was spent since the last look, and in all; empty if no model was asked since."""
        rows = await self.kernel.store.read(lambda tx: tx.spent(self.agent, since=self.since))
        fresh = [row for row in rows if row.seq > self.seen]
        if not fresh:
            return ""
        self.since, self.seen = fresh[-1].at, fresh[-1].seq
        turn = Tally()
        for row in fresh:
            for request in row.usage:
                cost = self.prices.cost(request, row.at)
                turn.add(request, cost)
                self.session.add(request, cost)
        return f"turn: {turn.line} · session: {self.session.line}"
