"""``Agent``: the synchronous face of an agent, for scripts, threads and notebooks.

The same methods as ``AsyncAgent``, each of which blocks until it is done; the event loop is in a thread of
its own. Leaves out what the methods do.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pagefault.facade.agent import AsyncAgent
from pagefault.facade.blocking import Face, LoopThread, blocking, blocking_iterator
from pagefault.facade.session import open as open_installation

if TYPE_CHECKING:
    from typing import Unpack

    from pagefault.assembly import Parts
    from pagefault.facade.options import AgentOptions

__all__ = ["Agent"]


class Agent(Face[AsyncAgent]):
    """One agent by name, made if there is none. ``options`` are its settings (``AgentOptions`` lists them): a
    new agent takes them over the installation's defaults; of one that exists those given are changed.

    ``home``, ``database``, ``tools`` and ``parts`` are those of ``pagefault.open``. Close it, or use it in a
    ``with`` statement; the end of the program closes it too. Threads may share it.
    """

    def __init__(
        self,
        name: str = "default",
        *,
        home: Path | str | None = None,
        database: str | None = None,
        tools: Sequence[Callable[..., Any]] = (),
        parts: Parts | None = None,
        **options: Unpack[AgentOptions],
    ) -> None:
        loop = LoopThread()
        try:
            opened = loop.open(open_installation(home, database=database, tools=tools, parts=parts))
            super().__init__(loop.call(lambda: opened.agent(name, **options)), loop)
        except BaseException:
            loop.close()
            raise
        atexit.register(self.close)

    @property
    def name(self) -> str:
        """The agent's name."""
        return self._inner.name

    def __repr__(self) -> str:
        return f"<Agent {self.name!r}>"

    send = blocking(AsyncAgent.send)
    stream = blocking_iterator(AsyncAgent.stream)
    post = blocking(AsyncAgent.post)
    listen = blocking_iterator(AsyncAgent.listen)
    cancel = blocking(AsyncAgent.cancel)
    flush = blocking(AsyncAgent.flush)
    delete = blocking(AsyncAgent.delete)

    def close(self) -> None:
        """Stop the agent and close the database; an open turn is carried on at the next start."""
        atexit.unregister(self.close)
        self._loop.close()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
