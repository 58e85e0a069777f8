"""``Agent`` and its parts: the synchronous faces, for scripts, threads and notebooks.

The same methods as the asynchronous ones, each of which blocks until it is done; the event loop is in a
thread of its own. Leaves out what the methods do.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pagefault.facade.agent import AsyncAgent
from pagefault.facade.archives import AsyncArchives
from pagefault.facade.blocking import Face, LoopThread, blocking, blocking_iterator
from pagefault.facade.memory import AsyncMemory
from pagefault.facade.parts import (
    AsyncDocuments,
    AsyncEvents,
    AsyncPassages,
    AsyncSections,
    AsyncSettings,
    AsyncTimers,
)
from pagefault.facade.past import AsyncPastAgent
from pagefault.facade.session import open as open_installation
from pagefault.facade.sharing import AsyncSharedSections

if TYPE_CHECKING:
    from typing import Unpack

    from pagefault.assembly import Parts
    from pagefault.facade.options import AgentOptions, OtherOptions
    from pagefault.models import Model

__all__ = [
    "Agent", "Archives", "Documents", "Events", "Memory", "Passages", "PastAgent", "Sections",
    "SharedSections", "StoredSettings", "Timers",
]  # fmt: skip


class Memory(Face[AsyncMemory]):
    """The agent's memory alone, for a loop of one's own."""

    append = blocking(AsyncMemory.append)
    conversation = blocking(AsyncMemory.conversation)
    search = blocking(AsyncMemory.search)
    get = blocking(AsyncMemory.get)
    add = blocking(AsyncMemory.add)
    update = blocking(AsyncMemory.update)
    delete = blocking(AsyncMemory.delete)
    list = blocking(AsyncMemory.list)
    file_command = blocking(AsyncMemory.file_command)


class Sections(Face[AsyncSections]):
    """The sections of the working context."""

    list = blocking(AsyncSections.list)
    read = blocking(AsyncSections.read)
    versions = blocking(AsyncSections.versions)
    write = blocking(AsyncSections.write)
    add = blocking(AsyncSections.add)
    remove = blocking(AsyncSections.remove)
    set_limit = blocking(AsyncSections.set_limit)


class Passages(Face[AsyncPassages]):
    """The passages of archival storage."""

    list = blocking(AsyncPassages.list)
    get = blocking(AsyncPassages.get)
    import_from = blocking(AsyncPassages.import_from)
    edit = blocking(AsyncPassages.edit)
    delete = blocking(AsyncPassages.delete)


class Documents(Face[AsyncDocuments]):
    """The documents that were loaded."""

    load = blocking(AsyncDocuments.load)
    list = blocking(AsyncDocuments.list)
    get = blocking(AsyncDocuments.get)
    page = blocking(AsyncDocuments.page)
    find = blocking(AsyncDocuments.find)
    delete = blocking(AsyncDocuments.delete)


class Archives(Face[AsyncArchives]):
    """The archives: those attached to the agent are listed, and all can be named."""

    create = blocking(AsyncArchives.create)
    list = blocking(AsyncArchives.list)
    get = blocking(AsyncArchives.get)
    rename = blocking(AsyncArchives.rename)
    delete = blocking(AsyncArchives.delete)
    attach = blocking(AsyncArchives.attach)
    detach = blocking(AsyncArchives.detach)
    load = blocking(AsyncArchives.load)
    insert = blocking(AsyncArchives.insert)
    passage = blocking(AsyncArchives.passage)
    delete_passage = blocking(AsyncArchives.delete_passage)
    search = blocking(AsyncArchives.search)
    documents = blocking(AsyncArchives.documents)
    document_page = blocking(AsyncArchives.document_page)
    delete_document = blocking(AsyncArchives.delete_document)


class SharedSections(Face[AsyncSharedSections]):
    """The shared sections: those attached to the agent are listed, and all can be named."""

    share = blocking(AsyncSharedSections.share)
    list = blocking(AsyncSharedSections.list)
    read = blocking(AsyncSharedSections.read)
    write = blocking(AsyncSharedSections.write)
    attach = blocking(AsyncSharedSections.attach)
    detach = blocking(AsyncSharedSections.detach)
    delete = blocking(AsyncSharedSections.delete)


class Timers(Face[AsyncTimers]):
    """The agent's timers."""

    list = blocking(AsyncTimers.list)
    add = blocking(AsyncTimers.add)
    remove = blocking(AsyncTimers.remove)


class Events(Face[AsyncEvents]):
    """The agent's inbox."""

    list = blocking(AsyncEvents.list)
    retry = blocking(AsyncEvents.retry)
    drop = blocking(AsyncEvents.drop)


class StoredSettings(Face[AsyncSettings]):
    """The agent's settings."""

    read = blocking(AsyncSettings.read)
    change = blocking(AsyncSettings.change)


class PastAgent(Face[AsyncPastAgent]):
    """The agent as it was at a position of its log."""

    sections = blocking(AsyncPastAgent.sections)
    history = blocking(AsyncPastAgent.history)
    passages = blocking(AsyncPastAgent.passages)
    context = blocking(AsyncPastAgent.context)
    diff = blocking(AsyncPastAgent.diff)


class Agent(Face[AsyncAgent]):
    """One agent by name, made if there is none. ``model`` and ``options`` (``OtherOptions`` lists them) are
    its settings: a new agent takes them over the installation's defaults; of one that exists those given are
    changed. ``model`` may also be a model of your own.

    ``home``, ``database``, ``tools``, ``parts``, ``deps`` and ``tenant`` are those of ``pagefault.open``.
    Close it, or use it in a ``with`` statement; the end of the program closes it too. Threads may share it.
    """

    def __init__(
        self,
        name: str = "default",
        *,
        home: Path | str | None = None,
        database: str | None = None,
        tools: Sequence[Callable[..., Any]] = (),
        model: str | Model | None = None,
        parts: Parts | None = None,
        deps: object = None,
        tenant: str = "",
        **options: Unpack[OtherOptions],
    ) -> None:
        settings: AgentOptions = {**options, "model": model} if isinstance(model, str) else {**options}
        own = None if isinstance(model, str) else model
        loop = LoopThread()
        try:
            opened = loop.open(
                open_installation(
                    home, database=database, tools=tools, model=own, parts=parts, deps=deps, tenant=tenant
                )
            )
            agent = loop.call(lambda: opened.agent(name, **settings))
        except BaseException:
            loop.close()
            raise
        self._begin(agent, loop)
        atexit.register(self.close)

    def _begin(self, agent: AsyncAgent, loop: LoopThread) -> None:
        super().__init__(agent, loop)
        self.memory = Memory(agent.memory, loop)
        self.sections = Sections(agent.sections, loop)
        self.passages = Passages(agent.passages, loop)
        self.documents = Documents(agent.documents, loop)
        self.timers = Timers(agent.timers, loop)
        self.events = Events(agent.events, loop)
        self.settings = StoredSettings(agent.settings, loop)
        self.archives = Archives(agent.archives, loop)
        self.shared_sections = SharedSections(agent.shared_sections, loop)

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._inner.name

    def __repr__(self) -> str:
        return f"<Agent {self.name!r}>"

    send = blocking(AsyncAgent.send)
    attach = blocking(AsyncAgent.attach)
    media = blocking(AsyncAgent.media)
    stream = blocking_iterator(AsyncAgent.stream)
    post = blocking(AsyncAgent.post)
    listen = blocking_iterator(AsyncAgent.listen)
    outputs = blocking(AsyncAgent.outputs)
    cancel = blocking(AsyncAgent.cancel)
    sleep = blocking(AsyncAgent.sleep)
    undo = blocking(AsyncAgent.undo)
    rewind = blocking(AsyncAgent.rewind)
    edit = blocking(AsyncAgent.edit)
    retry = blocking(AsyncAgent.retry)
    approvals = blocking(AsyncAgent.approvals)
    approve = blocking(AsyncAgent.approve)
    grants = blocking(AsyncAgent.grants)
    revoke = blocking(AsyncAgent.revoke)
    history = blocking(AsyncAgent.history)
    search = blocking(AsyncAgent.search)
    remember = blocking(AsyncAgent.remember)
    export = blocking(AsyncAgent.export)
    import_from = blocking(AsyncAgent.import_from)
    export_to = blocking(AsyncAgent.export_to)
    audit = blocking(AsyncAgent.audit)
    forget = blocking(AsyncAgent.forget)
    tombstones = blocking(AsyncAgent.tombstones)
    keep_to_rules = blocking(AsyncAgent.keep_to_rules)
    hold = blocking(AsyncAgent.hold)
    lift_hold = blocking(AsyncAgent.lift_hold)
    context = blocking(AsyncAgent.context)
    flush = blocking(AsyncAgent.flush)
    usage = blocking(AsyncAgent.usage)
    usage_by = blocking(AsyncAgent.usage_by)
    trace = blocking(AsyncAgent.trace)
    diff = blocking(AsyncAgent.diff)
    rename = blocking(AsyncAgent.rename)
    delete = blocking(AsyncAgent.delete)

    def at(self, position: int | str) -> PastAgent:
        """The agent as it was when its log ended with this row (``m12``): what it knew then, read-only."""
        return PastAgent(self._inner.at(position), self._loop)

    def fork(self, name: str, *, at: int | str | None = None) -> Agent:
        """Copy the agent to a new one of this name, and return that. ``at``: as it was at a position
        (``m12``).

        Timers and what waits in the inbox stay with this one; archives and shared sections are shared. A turn
        that is open is waited for. ``UsageError`` if the name is taken, or the tenant may have no more. In a
        script it is open as long as this one, and closing it closes both.
        """
        forked = self._loop.call(lambda: self._inner.fork(name, at=at))
        agent = Agent.__new__(Agent)
        agent._begin(forked, self._loop)
        return agent

    def close(self) -> None:
        """Stop the agent and close the database; an open turn is carried on at the next start."""
        atexit.unregister(self.close)
        self._loop.close()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
