"""`audit NAME`: what the archival storage of an agent has, and how much of it is junk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pagefault.cli.render import counted, fold
from pagefault.cli.session import Session
from pagefault.kernel import Kernel
from pagefault.views.auditing import AuditItem, MemoryAudit, audit

_SHOWN = 5  # items of a list


def show_audit(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        found = await audit(kernel, name)
        session.show(found, "\n".join(_lines(found)))

    session.run(work)


def _lines(found: MemoryAudit) -> Iterator[str]:
    counts = found.counts
    facts, chunks = counted(counts["facts"], "fact"), counted(counts["chunks"], "chunk")
    yield f"{found.name}: {facts}, {chunks} of documents; {found.share:.1%} junk ({found.junk:,})."
    for each in found.sources[:_SHOWN]:
        of = f" of {fold(each.source)}" if each.source else ""
        yield f"  {each.items:,} from {'the agent' if each.kept == 'agent' else each.kept}{of}"
    yield f"Doubles: {counts['doubles']:,}."
    for group in found.doubles[:_SHOWN]:
        yield f"  {', '.join(group.ids[:_SHOWN])} ({group.count:,}): {group.text}"
    yield from _listed("Superseded", counts["superseded"], found.superseded)
    yield from _listed("Over", counts["ended"], found.ended)
    yield f"Without a letter or a digit: {counts['empty']:,}."
    yield from _listed("Never found in a turn", counts["never_found"], found.never_found)
    yield from _listed("Oldest", len(found.oldest), found.oldest)


def _listed(what: str, count: int, items: Sequence[AuditItem]) -> Iterator[str]:
    yield f"{what}: {count:,}."
    for item in items[:_SHOWN]:
        until = f", until {item.until:%Y-%m-%d}" if item.until else ""
        by = f", by {item.by}" if item.by else ""
        yield f"  {item.id} of {item.at:%Y-%m-%d}{until}{by}: {item.text}"
