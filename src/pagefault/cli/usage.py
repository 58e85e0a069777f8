"""`usage`, and the meter of a chat: tokens and money as text. The sums are ``views.usage``'s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pagefault.cli.render import data_of, table
from pagefault.cli.session import Session
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.views.history import newest
from pagefault.views.usage import Part, Spending, UsageRow, usage_after
from pagefault.views.usage import usage as usage_of

_PARTS = ("turn", "day", "model")
_HEAD = ["requests", "in", "cached", "out", "thinking", "cost"]


def usage(session: Session, name: str | None, by: str | None, since: str | None) -> None:
    """Show the usage of one agent or of all, by agent unless ``by`` names another part."""
    if by not in (None, *_PARTS):
        raise UsageError(f"{by!r} is no way to add up; write --by {', '.join(_PARTS)}.")
    part = by or "agent"

    async def work(kernel: Kernel) -> None:
        rows = await usage_of(kernel, name, by=part, since=since)
        session.show([_data(row, part) for row in rows], usage_table(rows, part))

    session.run(work)


def _data(row: UsageRow, by: Part) -> dict[str, Any]:
    """A row as one object; our error in counting only by model, where it says something."""
    spent = data_of(row.spent)
    if by != "model":
        del spent["error"], spent["measured"]
    return {"agent": row.agent, **({} if by == "agent" else {by: row.part}), **spent}


def usage_table(rows: Sequence[UsageRow], by: Part) -> str:
    """For people: a line for each part, then remarks on prices and estimates."""
    if not any(row.spent.requests for row in rows):
        return "No request to a model is in the log."
    part = [] if by == "agent" else [by]
    errors = ["our count is off by"] if by == "model" else []
    lines = [["agent", *part, *_HEAD, *errors]]
    for row in rows:
        off = [_off(row.spent)] if by == "model" else []
        lines.append([row.agent, *([row.part] if part else []), *_cells(row.spent), *off])
    return "\n".join([table(lines), *_remarks([row.spent for row in rows])])


def _cells(spent: Spending) -> list[str]:
    numbers = (spent.requests, spent.input, spent.cached, spent.output, spent.thinking)
    return [*(f"{number:,}" for number in numbers), money(spent)]


def _off(spent: Spending) -> str:
    if spent.error is None:
        return "not known"
    return f"{spent.error:+.1f} % ({spent.measured:,} requests)"


def _remarks(all_spent: Sequence[Spending]) -> list[str]:
    unpriced = sorted(set[str]().union(*(spent.unpriced for spent in all_spent)))
    remarks = [
        f'No price is known for {name}; set it in config.toml: [prices."{name}"] input = ..., output = ... '
        "(dollars per million tokens)."
        for name in unpriced
    ]
    if estimated := sum(spent.estimated for spent in all_spent):
        remarks.append(f"Of {estimated:,} requests no usage was reported; their tokens are counted by us.")
    return remarks


def money(spent: Spending) -> str:
    """The cost, with a mark if some of it is not known."""
    cost = spent.cost or 0.0
    known = f"${cost:.4f}" if 0 < cost < 1 else f"${cost:,.2f}"
    if not spent.unpriced:
        return known
    return f"{known} + unknown" if cost else "unknown"


def spending_line(spent: Spending) -> str:
    """One line: tokens in and out, and the cost."""
    if not spent.requests:
        return "nothing"
    cached = f" ({100 * spent.cached / spent.input:.0f} % cached)" if spent.cached else ""
    thinking = f" ({spent.thinking:,} thinking)" if spent.thinking else ""
    about = "about " if spent.estimated else ""
    return f"{about}{spent.input:,} in{cached}, {spent.output:,} out{thinking}, {money(spent)}"


@dataclass(slots=True)
class Meter:
    """A chat's cost: of the last turn, and since the start. ``seen``: the newest row already counted."""

    kernel: Kernel
    name: str
    seen: int
    session: Spending = field(default_factory=Spending)

    @classmethod
    async def started(cls, kernel: Kernel, name: str) -> Meter:
        return cls(kernel, name, await newest(kernel, name))

    async def line(self) -> str:
        """The cost since the last look, and in all; empty if no model was asked since."""
        turn, self.seen = await usage_after(self.kernel, self.name, self.seen)
        if not turn.requests:
            return ""
        self.session += turn
        return f"turn: {spending_line(turn)} · session: {spending_line(self.session)}"
