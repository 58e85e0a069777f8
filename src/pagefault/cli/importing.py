"""`pagefault import`: what others exported, or we did, into agents of this home."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from pagefault.cli import database
from pagefault.cli.progress import progress
from pagefault.cli.render import counted, fold
from pagefault.cli.session import Session
from pagefault.cli.vectors import SEARCH_SECONDS, complete
from pagefault.errors import UsageError
from pagefault.importers.kinds import OWN
from pagefault.importers.report import AgentImport, ImportedCounts, ImportReport
from pagefault.importers.runner import ImportWishes, import_source
from pagefault.kernel import Kernel
from pagefault.transfer import GuardedSettings, is_export

_SHOWN = 5  # speakers, omissions and bad records of each kind, in text


def wishes(
    agent: str | None, kind: str | None, me: str | None, zone: str | None, since: str | None, trust: bool,
    dry: bool,
) -> ImportWishes:  # fmt: skip
    return ImportWishes(agent, kind, me or "", zone or "", since, trust, dry)


def import_(session: Session, path: str, wanted: ImportWishes) -> None:
    """Import a file; one of our own is stored as `pagefault db import` does."""
    with _given(path) as source:
        if wanted.kind == OWN or (wanted.kind is None and is_export(source)):
            if wanted.me or wanted.zone or wanted.since or wanted.dry:
                raise UsageError(
                    "An export of pagefault is stored whole, as it is; leave out --me, --zone, --since and "
                    "--dry-run."
                )
            return database.import_(session, str(source), wanted.agent, wanted.trust)

        async def work(kernel: Kernel) -> None:
            with progress() as bar:
                report = await import_source(kernel, source, session.installation.agent, wanted, bar)
            if not wanted.dry:
                await complete(kernel, SEARCH_SECONDS)
            session.show(report, "\n".join(_lines(report, wanted)))

        session.run(work)


@contextmanager
def _given(path: str) -> Generator[Path]:
    """The path that was given; standard input as a file."""
    if path != "-":
        yield Path(path).expanduser()
        return
    with tempfile.TemporaryDirectory() as folder:
        spool = Path(folder) / "input"
        with spool.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield spool


def _lines(report: ImportReport, wanted: ImportWishes) -> Iterator[str]:
    done = "would be imported" if report.dry else "imported"
    yield f"{fold(report.source)} ({report.kind}) {done}:"
    for agent in report.agents:
        yield from _agent_lines(agent, wanted)
    if not report.agents:
        yield "  nothing; it has no messages and no memory" + (
            f" as {wanted.kind}; without --as its kind is recognised by its content" if wanted.kind else ""
        )
    yield from map(fold, report.remarks)
    if report.omitted:
        names = dict[str, list[str]]()
        counts = dict[str, int]()
        for each in report.omitted:
            names.setdefault(each.kind, []).extend([each.name] if each.name else [])
            counts[each.kind] = counts.get(each.kind, 0) + each.count
        yield "Not imported: " + "; ".join(
            f"{kind} {_named(count, names[kind])}" for kind, count in counts.items()
        )
    for record in report.bad[:_SHOWN]:
        yield f"Skipped: {record.where}: {record.why}"
    if report.bad_count > _SHOWN:
        yield f"Skipped in all: {counted(report.bad_count, 'record')}."


def _agent_lines(agent: AgentImport, wanted: ImportWishes) -> Iterator[str]:
    yield f"  {agent.agent}{' (new)' if agent.made else ''}: {', '.join(_stored(agent))}"
    if agent.sections:
        yield f"  sections: {', '.join(agent.sections)}"
    if agent.first and agent.last:
        yield f"  from {agent.first:%Y-%m-%d} to {agent.last:%Y-%m-%d}"
    yield from _speaker_lines(agent, wanted)
    if agent.undated:
        undated = counted(agent.undated, "message")
        yield f"  {undated} had no date that can be read, and got that of the one before, or now"
    if agent.earlier:
        yield f"  {counted(agent.earlier, 'item')} from before {wanted.since} stayed out"
    yield from (f"  left out: {line}" for line in GuardedSettings(agent.agent, agent.left_out).sentences())
    if agent.left_out and agent.made and not wanted.trust:
        yield "  a new agent takes what was left out with --trust"


def _speaker_lines(agent: AgentImport, wanted: ImportWishes) -> Iterator[str]:
    speakers = agent.speakers
    if speakers:
        shown = [f"{name} ({count:,})" for name, count in list(speakers.items())[:_SHOWN]]
        more = f" and {len(speakers) - _SHOWN} more" if len(speakers) > _SHOWN else ""
        yield f"  speakers: {', '.join(shown)}{more}"
    if speakers and not agent.of_user:
        yield (
            f"  nobody there is called {wanted.me!a}, so none of them is taken for the user"
            if wanted.me
            else "  none of them is taken for the user; if you are one, import with --me NAME"
        )


def _stored(agent: AgentImport) -> list[str]:
    stored = (("message", agent.messages), ("passage", agent.passages), ("document", agent.documents))
    return [_counts(each, what) for what, each in stored if what == "message" or each != ImportedCounts()]


def _counts(counts: ImportedCounts, what: str) -> str:
    more = [f"{counts.known:,} known"] * bool(counts.known)
    more += [f"{counts.forgotten:,} forgotten before"] * bool(counts.forgotten)
    return counted(counts.added, what) + (f" ({', '.join(more)})" if more else "")


def _named(count: int, names: list[str]) -> str:
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"{count:,}" + (f" ({shown})" if shown else "")
