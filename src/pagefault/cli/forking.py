"""`fork`, `diff` and `past`: copies of agents, what memory differs, what was known at a message."""

from __future__ import annotations

from pagefault.cli.agents import section_text
from pagefault.cli.render import clip, fold, row_line
from pagefault.cli.session import Session
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.forking import fork as make_fork
from pagefault.views import agents
from pagefault.views.comparing import Compared, MemoryDifference, SectionDifference, compare
from pagefault.views.past import past_history, past_passages, past_sections

__all__ = ["diff", "fork", "past"]

_SIGNS = {"first": "-", "second": "+"}
_MARKS = {"same": " ", "added": "+", "removed": "-", "changed": "~"}


def fork(session: Session, name: str, new: str, at: str | None) -> None:
    async def work(kernel: Kernel) -> None:
        await make_fork(kernel, name, new, at=at)
        tenant = f" --tenant {kernel.tenant}" if kernel.tenant else ""
        then = f" as it was at {at}" if at else ""
        said = f"Agent {new} is agent {name}{then}; `pagefault chat --agent {new}{tenant}` talks with it."
        session.show(await agents.summary(kernel, new), said)

    session.run(work)


def diff(session: Session, name: str, other: str, at: str | None, other_at: str | None) -> None:
    if name == other and at == other_at:
        raise UsageError("Name another agent, or say --at MESSAGE for what has changed since.")

    async def work(kernel: Kernel) -> None:
        found = await compare(kernel, name, other, at=at, other_at=other_at)
        session.show(found, _text(found))

    session.run(work)


def _text(found: MemoryDifference) -> str:
    if found.is_empty:
        return "\n".join(["There is no difference.", *found.unknown])
    lines = [f"- {_side(found.first)}", f"+ {_side(found.second)}"]
    for section in found.sections:
        lines += ["", *_section(section)]
    for kind, counts in found.counts.items():
        if any(counts):
            lines += ["", f"{kind}s: {counts[0]:,} only in the first, {counts[1]:,} only in the second"]
            lines += [
                f"{_SIGNS[item.side]} {f'[{item.id}] ' if item.id else ''}{fold(item.text)}"
                for item in found.items
                if item.kind == kind
            ]
    return "\n".join([*lines, *found.unknown])


def _side(side: Compared) -> str:
    return f"{side.name} at {side.at}" if side.at else side.name


def _section(section: SectionDifference) -> list[str]:
    only = f" (only in the {section.only})" if section.only else ""
    lines = [f"section {section.name}{only}"]
    for line in section.text.lines:
        if line.kind == "left_out":
            lines.append(f"  … {line.count} lines that are the same")
        elif line.kind == "changed":
            marks = {"same": ("", ""), "added": ("{+", "+}"), "removed": ("[-", "-]")}
            lines.append(
                "~ " + fold("".join(f"{marks[p.kind][0]}{p.text}{marks[p.kind][1]}" for p in line.pieces))
            )
        else:
            lines.append(f"{_MARKS[line.kind]} {fold(''.join(piece.text for piece in line.pieces))}")
    if section.only is None and section.limits[0] != section.limits[1]:
        lines.append(f"  limit: {section.limits[0]} and {section.limits[1]} tokens")
    return lines


def past(session: Session, name: str, at: str, page: int) -> None:
    async def work(kernel: Kernel) -> None:
        sections = await past_sections(kernel, name, at)
        rows = await past_history(kernel, name, at, limit=10)
        passages = await past_passages(kernel, name, at, page=page)
        parts = [section_text(each) for each in sections]
        parts.append("\n".join(["The last messages:", *map(row_line, rows)]))
        shown = [f"[{each.id}] {clip(each.text)}" for each in passages]
        parts.append("\n".join([f"Passages ({passages.total:,}), page {page} of {passages.pages}:", *shown]))
        session.show({"sections": sections, "messages": rows.rows, "passages": passages}, "\n\n".join(parts))

    session.run(work)
