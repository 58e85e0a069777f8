"""`undo`: the last turns of an agent withdrawn, and the report of it as text."""

from __future__ import annotations

from pagefault.cli.render import counted, fold
from pagefault.cli.session import Session
from pagefault.kernel import Kernel
from pagefault.kernel.withdrawing import UndoReport
from pagefault.kernel.withdrawing import undo as withdraw

__all__ = ["undo", "undo_text", "undone_lines"]


def undo(session: Session, name: str, turns: int, to: str | None) -> None:
    """Withdraw the last turns, or all behind a position."""

    async def work(kernel: Kernel) -> None:
        report = await withdraw(kernel, name, to=to, turns=turns)
        session.show(report, undo_text(report))

    session.run(work)


def undo_text(report: UndoReport) -> str:
    """A report whole."""
    whole = f"{report.asked} is in the middle of a turn, which goes as a whole." if report.asked else ""
    done = f"Withdrawn: {counted(report.turns, 'turn')}, {counted(report.rows, 'row')} behind {report.point}."
    kept = f"Not undone: {fold('; '.join(report.not_undone))}." if report.not_undone else ""
    return "\n".join(filter(None, [done, whole, *undone_lines(report), kept]))


def undone_lines(report: UndoReport) -> list[str]:
    """The lines on memory that is as it was."""
    parts = (
        ("Sections as they were", report.sections),
        ("Passages withdrawn", report.passages),
        ("Timers withdrawn", report.timers),
    )
    return [f"{what}: {', '.join(names)}." for what, names in parts if names]
