"""An import: the importer is found, and what it yields is written in batches, in the order in which it comes.

Each batch is one transaction, so an import that was broken off is run again, and goes on. Nothing wakes an
agent, and nothing is sent to a model; vectors are made later, as for all rows. Left out: the formats.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import islice
from pathlib import Path
from typing import Protocol

from anyio import CancelScope, to_thread

from pagefault.clock import When, time_of
from pagefault.config import AgentSettings, zone_for, zone_of
from pagefault.errors import InTurnError, NotFoundError, UsageError
from pagefault.importers import ImportOptions
from pagefault.importers.items import (
    BadRecord,
    ImportedAgent,
    ImportedMessage,
    ImportItem,
    Omission,
    Remark,
)
from pagefault.importers.kinds import importer_of
from pagefault.importers.report import AgentTally, ImportReport, ImportTally
from pagefault.importers.sources import Source, open_source
from pagefault.importers.target import ImportTarget
from pagefault.importers.texts import agent_name, speaker_name
from pagefault.importers.values import ValueMaker
from pagefault.kernel import Kernel
from pagefault.kernel.importing import make_vectors
from pagefault.names import check_agent_name
from pagefault.quoting import inline
from pagefault.zones import zone_named

__all__ = ["ImportWatch", "ImportWishes", "SilentWatch", "import_source"]

DEFAULT_AGENT = "default"

_TOGETHER = 1000  # items that are read at a time


@dataclass(frozen=True, slots=True)
class ImportWishes:
    """The wishes of a caller. ``agent``: into which, made if there is none; None: the agents of the file, or
    ``default``. ``kind``: None: recognised by the content. ``me``: the person's name in the file; ``zone``:
    of times that name none, empty: the agent's. ``since``: a time as people write it; what is older stays
    out. ``trust``: a new agent takes the model and the instructions of the file. ``dry``: only report.
    ``is_new``: no agent may exist, and if the import fails, those that it made go again; ``messages``: False
    leaves out what was said."""

    agent: str | None = None
    kind: str | None = None
    me: str = ""
    zone: str = ""
    since: When = None
    trust: bool = False
    dry: bool = False
    is_new: bool = False
    messages: bool = True


class ImportWatch(Protocol):
    """Hears how it goes, in bytes."""

    def begin(self, what: str, total: int) -> None: ...
    def reach(self, done: int, total: int) -> None: ...


class SilentWatch:
    """Ignores all progress."""

    def begin(self, what: str, total: int) -> None: ...
    def reach(self, done: int, total: int) -> None: ...


async def import_source(
    kernel: Kernel,
    path: Path | str,
    defaults: AgentSettings,
    wishes: ImportWishes,
    watch: ImportWatch | None = None,
) -> ImportReport:
    """Import a file, a folder or a ZIP. ``defaults``: the settings of new agents.

    ``UsageError`` if it is of no kind that is known, or cannot be read at all; of one that is damaged further
    on, what came before is stored, and the report says so.
    """
    if wishes.agent is not None:
        check_agent_name(wishes.agent)
    with closing(await to_thread.run_sync(open_source, Path(path))) as source:
        kind, importer = await to_thread.run_sync(importer_of, source, wishes.kind)
        zone, since = await _times(kernel, defaults, wishes)
        run = _Import(kernel, kind, defaults, wishes, zone, since, kernel.clock.now())
        items = importer.read(source, ImportOptions(run.now, zone, wishes.me))
        try:
            await run.write(items, source, watch or SilentWatch(), importer.title)
        except BaseException:
            with CancelScope(shield=True):
                await run.undo()
            raise
    if not wishes.dry:
        make_vectors(kernel)
    agents = tuple(target.tally.report() for target in run.targets.values())
    whole = run.tally
    return ImportReport(
        kind, source.name, wishes.dry, agents, whole.omissions(), tuple(whole.bad), whole.bad_count,
        tuple(whole.remarks),
    )  # fmt: skip


async def _times(
    kernel: Kernel, defaults: AgentSettings, wishes: ImportWishes
) -> tuple[tzinfo, datetime | None]:
    """The zone of times that name none, and the time from which on to import."""
    if wishes.zone:
        zone: tzinfo = zone_named(wishes.zone)
    else:
        try:
            zone = zone_for(await kernel.record(wishes.agent or DEFAULT_AGENT))
        except NotFoundError:
            zone = zone_of(defaults)[0]
    return zone, time_of(wishes.since, kernel.clock.now(), zone)


@dataclass(slots=True)
class _Import:
    kernel: Kernel
    kind: str
    defaults: AgentSettings
    wishes: ImportWishes
    zone: tzinfo
    since: datetime | None
    now: datetime
    tally: ImportTally = field(default_factory=ImportTally)
    targets: dict[str, ImportTarget] = field(default_factory=dict[str, ImportTarget])
    _current: ImportTarget | None = None

    async def write(
        self, items: Iterator[ImportItem], source: Source, watch: ImportWatch, title: str
    ) -> None:
        """Write what an importer yields, to its end or to where it fails."""
        source_size = await to_thread.run_sync(lambda: source.size)
        watch.begin(f"importing {title}", source_size)
        more = True
        while more:
            more = await to_thread.run_sync(self._take, items)
            for target in self.targets.values():
                await target.flush(is_last=not more or target is not self._current)
            watch.reach(min(source.done, source.size), source.size)

    def _take(self, items: Iterator[ImportItem]) -> bool:
        """Take the next items; return whether there may be more."""
        try:
            taken = 0
            for item in islice(items, _TOGETHER):
                self._sort(item)
                taken += 1
            return taken == _TOGETHER
        except UsageError as error:
            if not any(target.has_any for target in self.targets.values()):
                raise
            self.tally.refuse(BadRecord("the rest", str(error)))
            return False

    def _sort(self, item: ImportItem) -> None:
        if isinstance(item, Omission):
            self.tally.omit(item)
        elif isinstance(item, Remark):
            self.tally.remark(item.text)
        elif isinstance(item, BadRecord):
            self.tally.refuse(BadRecord(inline(item.where), item.why))
        elif isinstance(item, ImportedAgent):
            self._current = self._target(item)
        elif isinstance(item, ImportedMessage) and not self.wishes.messages:
            self.tally.omit(Omission("message"))
        else:
            target = self._current = self._current or self._target(None)
            target.take(item)

    async def undo(self) -> None:
        """Delete the agents that were made, if no half of them is wanted."""
        for target in self.targets.values() if self.wishes.is_new else ():
            if target.tally.made:
                with suppress(NotFoundError, InTurnError):
                    await self.kernel.delete(target.tally.agent)

    def _target(self, about: ImportedAgent | None) -> ImportTarget:
        """The agent that items go to from here on: the caller's, or the one of the file by its name. Of
        several in a file the first has the caller's name, and the others have it before their own."""
        own, wanted = agent_name(about.name) if about else DEFAULT_AGENT, self.wishes.agent
        name = wanted or own
        if wanted and self.targets:
            name = agent_name(f"{wanted}-{own}")
        base, number = name, 2
        while name in self.targets:
            name, number = agent_name(f"{base[:60]}-{number}"), number + 1
        me = speaker_name(self.wishes.me).casefold() if self.wishes.me else ""
        tally = AgentTally(name)
        maker = ValueMaker(self.kind, tally, self.tally, self.zone, self.now, me, self.since)
        target = ImportTarget(
            self.kernel, self.kind, about, wanted is not None, maker, self.defaults, self.wishes.trust,
            self.wishes.dry, self.wishes.is_new,
        )  # fmt: skip
        self.targets[name] = target
        return target
