"""The database itself: `pagefault db` with its commands. No kernel is opened."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pagefault import __version__
from pagefault.build import DATABASE, database_versions, open_distribution, open_transfer
from pagefault.cli.progress import progress
from pagefault.cli.render import plain, table
from pagefault.cli.screens import console
from pagefault.cli.session import Session
from pagefault.config import AgentSettings
from pagefault.errors import UsageError
from pagefault.exporters.new_file import new_file
from pagefault.privacy import keep_private
from pagefault.storage.row_transfer import FileDatabase
from pagefault.tenancy import AgentKey
from pagefault.transfer import (
    Finding,
    GuardedSettings,
    Moved,
    check,
    checked_words,
    copy_agents,
    export_agents,
    guarded_settings,
    import_agents,
    repair,
    traces_in,
)

_ABSENT = "The database and the other files of the home do not hold it."
_ABSENT_FROM_SERVER = "No row, no index and no file of the home holds it."
_REWRITTEN = "To write the tables anew, without what was removed: --repair (VACUUM FULL)."


def migrate(session: Session, only_look: bool) -> None:
    """Bring the database up to date, or exit with 1 if it is not and one only looks."""
    place = _home_of(session)
    found, newest = database_versions(place)
    if found == newest:
        said = f"The database is at {newest}, the newest version."
    elif only_look:
        said = f"The database is {_at(found)}, the newest version is {newest}; run pagefault db migrate."
    else:
        open_transfer(place, make=True).close()
        said = f"The database was {_at(found)} and is now at {newest}."
    session.show({"from": found, "to": newest}, said)
    if only_look and found != newest:
        raise SystemExit(1)


def examine(session: Session, fix: bool) -> None:
    """Check the database, and with ``fix`` repair rows that follow from others; exit with 1 on any error."""
    with closing(open_transfer(_home_of(session))) as database, progress() as bar:
        found = check(database, bar)
        repaired = [finding for finding in found if finding.derived] if fix else []
        if repaired:
            repair(database, repaired)
            found = check(database, bar)
    data = {"findings": list(map(_finding, found)), "repaired": list(map(_finding, repaired))}
    lines = [_line(finding) for finding in found] or ["No error was found."]
    lines += ["Errors of indexes and counts can be repaired: pagefault db check --repair."] * any(
        finding.derived for finding in found
    )
    session.show(data, "\n".join([*(f"repaired: {_line(finding)}" for finding in repaired), *lines]))
    if found:
        raise SystemExit(1)


def damage_in(session: Session) -> str:
    """The first fault that a check finds, in a sentence without its full stop; empty if there is none."""
    with closing(open_transfer(_home_of(session))) as database, progress() as bar:
        found = check(database, bar)
    return _line(found[0]).rstrip(".") if found else ""


def look_for_deleted(session: Session, fix: bool, words: Sequence[str]) -> None:
    """Look for deleted words in the database and the files of the home; exit with 1 if one is there. ``fix``:
    first write the database anew."""
    lines = sys.stdin.buffer.read().decode("utf-8", "replace").splitlines() if "-" in words else []
    wanted, place = checked_words([*(word for word in words if word != "-"), *lines]), _home_of(session)
    with closing(open_transfer(place)) as database:
        places, unseen = database.traces(wanted, rewrite=fix)
        found = [Finding(None, what) for what in places]
        own = {f"{DATABASE}{part}" for part in ("", "-wal", "-shm", "-journal")}
        found += [Finding(None, what) for what in traces_in(session.folder, wanted, own)]
        absent = _ABSENT if isinstance(database, FileDatabase) else _ABSENT_FROM_SERVER
    data = {"findings": list(map(_finding, found)), "repaired": [], "unseen": unseen}
    lines = [*map(_line, found)] or [absent]
    lines += [f"Not looked at: {what}" for what in unseen]
    lines += [_REWRITTEN] if unseen and not fix else []
    session.show(data, "\n".join(lines))
    if found:
        raise SystemExit(1)


def distribute(session: Session, only_look: bool) -> None:
    """Spread the database over the nodes of Citus, or say what there is to move."""
    with closing(open_distribution(_home_of(session), make=not only_look)) as distribution, progress() as bar:
        found = distribution.plan()
        rows, size = (sum(table.rows for table in found.tables), sum(table.bytes for table in found.tables))
        if found.tables and not only_look:
            bar.begin("rows", rows)
            distribution.move(bar.advance)
    nodes = f"{len(found.nodes)} nodes ({', '.join(found.nodes)})"
    said = f"The database is distributed over {nodes}; there is nothing to move."
    if found.tables:
        shown = [[each.name, f"{each.rows:,}", f"{each.bytes:,}"] for each in found.tables]
        done = f"{rows:,} rows ({size:,} bytes) {'would be' if only_look else 'were'} moved to {nodes}."
        said = f"{table([['table', 'rows', 'bytes'], *shown])}\n{done}"
    tables = {each.name: {"rows": each.rows, "bytes": each.bytes} for each in found.tables}
    session.show({"nodes": found.nodes, "tables": tables, "dry_run": only_look}, said)


def backup(session: Session, target: Path) -> None:
    """Copy a file while agents run; of a server's database, export all agents."""
    with closing(open_transfer(_home_of(session))) as database, new_file(target) as part, progress() as bar:
        if isinstance(database, FileDatabase):
            bar.begin("pages", 1)
            database.backup(part, bar.reach)
        else:
            with part.open("wb") as file:
                export_agents(database, [], file, __version__, bar)
    size = target.stat().st_size
    session.show({"backup": str(target), "bytes": size}, f"{target} is written ({size:,} bytes).")


def copy(session: Session, source: str, target: str, names: Sequence[str]) -> None:
    """Copy agents from one database to another."""
    with (
        closing(open_transfer(_place(source))) as here,
        closing(open_transfer(_place(target), make=True)) as there,
        progress() as bar,
    ):
        moved = copy_agents(here, there, names, bar, session.chosen_tenant)
    _report(session, moved, "There are no agents to copy.")


def export(session: Session, name: str, target: str) -> None:
    """Write an agent to a file, or to standard output; then the answer goes to stderr."""
    tenant = session.chosen_tenant
    if target == "-" and sys.stdout.isatty():  # its texts are as they were stored
        raise UsageError("An export is not for a terminal; write it to a file, or pipe it on.")
    with closing(open_transfer(_home_of(session))) as database, progress() as bar:
        if target == "-":
            moved = export_agents(database, [name], sys.stdout.buffer, __version__, bar, tenant)
            sys.stdout.buffer.flush()
        else:
            with new_file(Path(target)) as part, part.open("wb") as file:
                moved = export_agents(database, [name], file, __version__, bar, tenant)
    if target == "-":
        console(stderr=True).print(plain(_table(moved)))
    else:
        _report(session, moved, "")


def import_(session: Session, source: str, name: str | None, trust: bool) -> None:
    """Store the agents of a file, or of standard input. What they bring is asked about on a terminal."""
    place = "The input" if source == "-" else source
    defaults, tenant = session.installation.agent, session.chosen_tenant
    with _opened(source) as file:
        if not trust and not session.json and sys.stdin.isatty() and sys.stderr.isatty():
            trust = _agreed(guarded_settings(file, place, defaults, tenant))
        with closing(open_transfer(_home_of(session), make=True)) as database, progress() as bar:
            moved = import_agents(
                database, file, place, name, bar, trust=trust, defaults=defaults, tenant=tenant
            )
    _report(session, moved, "", defaults, trust)


def _agreed(brought: Sequence[GuardedSettings]) -> bool:
    """Show what agents bring and ask whether to take it; anything but yes is no."""
    lines = [f"{agent.agent} brings {line}" for agent in brought for line in agent.sentences()]
    if not lines:
        return False
    print(plain("\n".join(lines)), file=sys.stderr)
    question = "Take these settings? They decide who reads its memory, and what it does. [y/N] "
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _home_of(session: Session) -> Path | str:
    keep_private(session.folder)
    return session.installation.database or session.folder / DATABASE


def _place(given: str) -> Path | str:
    return given if "://" in given else Path(given).expanduser()


def _at(version: str | None) -> str:
    return "not there yet" if version is None else f"at {version}"


def _finding(finding: Finding) -> dict[str, Any]:
    return {"agent": finding.agent, "what": finding.what, "derived": finding.derived}


def _line(finding: Finding) -> str:
    return f"{finding.agent}: {finding.what}" if finding.agent else finding.what


def _table(moved: Sequence[Moved]) -> str:
    rows = [
        [
            str(AgentKey(agent.name, agent.tenant)),
            name,
            f"{sum.rows:,}",
            sum.checksum,
            "already there" if agent.known else "",
        ]
        for agent in moved
        for name, sum in agent.tables.items()
    ]
    return table([["agent", "table", "rows", "checksum", ""], *rows])


def _report(
    session: Session,
    moved: Sequence[Moved],
    nothing: str,
    defaults: AgentSettings | None = None,
    trust: bool = False,
) -> None:
    data = [
        {
            "agent": agent.name,
            "tenant": agent.tenant,
            "known": agent.known,
            "tables": {n: {"rows": s.rows, "checksum": s.checksum} for n, s in agent.tables.items()},
            **({"left_out": dict(agent.left_out)} if defaults else {}),
        }
        for agent in moved
    ]
    left_out = [
        f"{AgentKey(agent.name, agent.tenant)}: left out: {line}"
        for agent in moved
        for line in GuardedSettings(agent.name, agent.left_out).sentences()
    ]
    if left_out and defaults and not trust:
        left_out.append(f"The model is {defaults.model}; import with --trust to take what was left out.")
    session.show(data, "\n".join([_table(moved), *left_out]) if moved else nothing)


@contextmanager
def _opened(source: str) -> Generator[BinaryIO]:
    """A file that can be read twice; standard input is first read to its end."""
    if source != "-":
        if not Path(source).is_file():
            raise UsageError(f"{source} is not a file; give one that `pagefault db export` wrote.")
        with Path(source).open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile() as spool:
        shutil.copyfileobj(sys.stdin.buffer, spool)
        spool.seek(0)
        yield spool
