"""`trace`: the steps of a turn as text."""

from __future__ import annotations

from pagefault.cli.render import clip, decision_note, fold, local, row_line
from pagefault.cli.session import Session
from pagefault.cli.usage import spending_line
from pagefault.kernel import Kernel
from pagefault.types import Role
from pagefault.views.history import LogRow
from pagefault.views.trace import ContextSeen, Trace, TraceStep
from pagefault.views.trace import trace as trace_of


def trace(session: Session, name: str, asked: str | None) -> None:
    """Show the turn of an event, named by its number or by a message; else the last user message's."""

    async def work(kernel: Kernel) -> None:
        found = await trace_of(kernel, name, asked)
        session.show(found, _text(found))

    session.run(work)


def _text(trace: Trace) -> str:
    event, totals = trace.event, trace.totals
    heads = {step.rows[0].id: (number, step) for number, step in enumerate(trace.steps, 1)}
    rows = [*trace.between, *(row for step in trace.steps for row in step.rows)]
    lines = [f"Event {event.id} ({event.kind}, {event.state}): {fold(event.text)}"]
    for row in sorted(rows, key=lambda row: int(row.id[1:])):
        if row.id in heads:
            lines += _head(*heads[row.id])
        lines.append(f"  {row_line(row) if row.completion is None else _row_text(row)}")
    lines.append(
        f"In all {totals.steps} steps, {totals.calls} calls ({totals.failed} failed), "
        f"{totals.seconds:.1f} s; spent {spending_line(totals.spent)}."
    )
    lines += ["Recent events:", *(f"  {row.event}: {row_line(row)}" for row in trace.recent)]
    return "\n".join(lines)


def _head(number: int, step: TraceStep) -> list[str]:
    seen = _seen(step.saw) if step.saw else "a context that the log does not record"
    return [f"Step {number}, at {local(step.at)}", f"  saw {seen}; spent {spending_line(step.spent)}"]


def _seen(saw: ContextSeen) -> str:
    summary = f", summary {saw.summary}" if saw.summary else ""
    pinned = f", pinned {saw.pinned}" if saw.pinned else ""
    notes = f"; {fold(' '.join(saw.notes))}" if saw.notes else ""
    return (
        f"{saw.first} to {saw.last}{summary}{pinned}: instructions {saw.instructions:,}, "
        f"working context {saw.working_context:,}, queue {saw.queue:,} of {saw.window:,} tokens{notes}"
    )


def _row_text(row: LogRow) -> str:
    """A row of a completion; calls and speech in full, because they are what is asked about."""
    match row.role:
        case Role.CALL:
            return f"{row.id} → {row.name} {fold(row.text)}"
        case Role.RESULT:
            return f"{row.id} ←{decision_note(row)} {'FAILED ' if row.failed else ''}{clip(row.text, 200)}"
        case Role.ASSISTANT:
            return f"{row.id} said: {fold(row.text)}"
        case _:
            return f"{row.id} {row.role}: {clip(row.text, 200) or '(nothing)'}"
