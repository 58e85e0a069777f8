"""The archives of a home: `archive create`, `list`, `show`, `attach`, `detach`, `rename`, `delete`.

What is in one is shown and changed by ``memory`` and ``documents``.
"""

from __future__ import annotations

from collections.abc import Sequence

from pagefault.cli.render import clip, data_of, local, table
from pagefault.cli.session import Session
from pagefault.kernel import Kernel, archives
from pagefault.views import archives as views
from pagefault.views.agents import check_agents


def create(session: Session, name: str, description: str) -> None:
    async def work(kernel: Kernel) -> None:
        await archives.create(kernel, name, description)
        how = f"`pagefault archive attach {name} --agent NAME` gives it to an agent."
        session.show(await views.archive(kernel, name), f"Archive {name} is created; {how}")

    session.run(work)


def list_all(session: Session, agent: str | None) -> None:
    async def work(kernel: Kernel) -> None:
        found = await views.archives(kernel, agent)
        head = ["name", "passages", "documents", "agents", "description"]
        rows = [
            [each.name, *map(str, (each.passages, each.documents, len(each.agents))), clip(each.description)]
            for each in found
        ]
        none = f"No archive is attached to agent {agent}." if agent else "There are no archives yet."
        session.show(found, table([head, *rows]) if rows else none)

    session.run(work)


def show(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        found = await views.archive(kernel, name)
        agents = (f"{agent} (read-only)" if agent in found.readers else agent for agent in found.agents)
        facts = data_of(found) | {"created": local(found.created), "agents": ", ".join(agents) or "(none)"}
        del facts["readers"]
        session.show(found, table([[key, str(value)] for key, value in facts.items()]))

    session.run(work)


def attach(session: Session, name: str, agents: Sequence[str], *, read_only: bool) -> None:
    async def work(kernel: Kernel) -> None:
        await views.archive(kernel, name)
        await check_agents(kernel, agents)
        for agent in agents:
            await archives.attach(kernel, name, agent, read_only=read_only)
        rights = " read-only" if read_only else ""
        said = f"Archive {name} is attached{rights} to {', '.join(agents)}."
        session.show(await views.archive(kernel, name), said)

    session.run(work)


def detach(session: Session, name: str, agents: Sequence[str]) -> None:
    async def work(kernel: Kernel) -> None:
        await views.archive(kernel, name)
        await check_agents(kernel, agents)
        for agent in agents:
            await archives.detach(kernel, name, agent)
        said = f"Archive {name} is detached from {', '.join(agents)}."
        session.show(await views.archive(kernel, name), said)

    session.run(work)


def rename(session: Session, name: str, new: str) -> None:
    async def work(kernel: Kernel) -> None:
        await archives.rename(kernel, name, new)
        session.show(await views.archive(kernel, new), f"Archive {name} is called {new} now.")

    session.run(work)


def delete(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        await archives.delete(kernel, name)
        session.show({"deleted": name}, f"Archive {name} is deleted.")

    session.run(work)
