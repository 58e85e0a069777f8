"""Sections that agents share: `section share`, `list`, `show`, `edit`, `attach`, `detach`, `delete`.

Also `outbox list`, `retry` and `drop`: changes on their way to what is shared.
"""

from __future__ import annotations

from collections.abc import Sequence

from pagefault.cli.render import clip, local, table
from pagefault.cli.session import Session
from pagefault.kernel import Kernel, shared_sections
from pagefault.kernel.parked import drop_effect, retry_effect
from pagefault.views import sharing as views
from pagefault.views.agents import check_agents


def share(
    session: Session,
    name: str,
    agents: Sequence[str],
    *,
    description: str | None,
    limit: int | None,
    text: str | None,
    read_only: bool,
) -> None:
    async def work(kernel: Kernel) -> None:
        await shared_sections.share(
            kernel, name, agents, description=description, limit=limit, text=text, read_only=read_only
        )
        rights = " read-only" if read_only else ""
        said = f"Section {name} is shared{rights} by {', '.join(agents)}."
        session.show(await views.shared_section(kernel, name), said)

    session.run(work)


def list_all(session: Session, agent: str | None) -> None:
    async def work(kernel: Kernel) -> None:
        found = await views.shared_sections(kernel, agent)
        head = ["name", "tokens", "agents", "text"]
        rows = [
            [each.name, f"{each.tokens} of {each.limit}", str(len(each.agents)), clip(each.text)]
            for each in found
        ]
        none = f"Agent {agent} has no shared section." if agent else "There are no shared sections yet."
        session.show(found, table([head, *rows]) if rows else none)

    session.run(work)


def show(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        found = await views.shared_section(kernel, name)
        about = f": {found.description}" if found.description else ""
        lines = [f"{name}{about} ({found.tokens} of {found.limit} tokens, version {found.version})"]
        lines += [found.text or "(empty)", ""]
        for holder in found.agents:
            marks = ["read-only"] * holder.read_only + ["an edit is on its way"] * holder.is_behind
            lines.append(holder.agent + (f" ({', '.join(marks)})" if marks else ""))
        session.show(found, "\n".join(lines if found.agents else [*lines, "It is attached to no agent."]))

    session.run(work)


def edit(session: Session, name: str, text: str) -> None:
    async def work(kernel: Kernel) -> None:
        await shared_sections.edit(kernel, name, text)
        found = await views.shared_section(kernel, name)
        behind = [holder.agent for holder in found.agents if holder.is_behind]
        late = f" {', '.join(behind)} will have it later." if behind else ""
        session.show(found, f"Section {name} is edited for {len(found.agents)} agents.{late}")

    session.run(work)


def attach(session: Session, name: str, agents: Sequence[str], *, read_only: bool) -> None:
    async def work(kernel: Kernel) -> None:
        await views.shared_section(kernel, name)
        await check_agents(kernel, agents)
        for agent in agents:
            await shared_sections.attach(kernel, name, agent, read_only=read_only)
        rights = " read-only" if read_only else ""
        said = f"Section {name} is attached{rights} to {', '.join(agents)}."
        session.show(await views.shared_section(kernel, name), said)

    session.run(work)


def detach(session: Session, name: str, agents: Sequence[str]) -> None:
    async def work(kernel: Kernel) -> None:
        await views.shared_section(kernel, name)
        await check_agents(kernel, agents)
        for agent in agents:
            await shared_sections.detach(kernel, name, agent)
        said = f"Section {name} is detached from {', '.join(agents)}."
        session.show(await views.shared_section(kernel, name), said)

    session.run(work)


def delete(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        await shared_sections.delete(kernel, name)
        session.show({"deleted": name}, f"Section {name} is deleted.")

    session.run(work)


def list_effects(session: Session, only_parked: bool) -> None:
    async def work(kernel: Kernel) -> None:
        found = await views.effects(kernel, parked=only_parked)
        head = ["sender", "number", "change", "of", "since", "state"]
        rows = [
            [e.sender, str(e.number), e.kind, e.target, local(e.at), "parked" if e.parked else "on its way"]
            for e in found
        ]
        aside = [f"{e.sender}: change {e.number} is parked: {e.parked}" for e in found if e.parked]
        said = "\n".join([table([head, *rows]), *aside])
        session.show(
            found, said if rows else f"No changes are {'parked' if only_parked else 'on their way'}."
        )

    session.run(work)


def retry(session: Session, sender: str, number: int) -> None:
    async def work(kernel: Kernel) -> None:
        sent = await retry_effect(kernel, sender, number)
        session.show({"retried": number, "number": sent}, f"Change {number} is sent again as {sent}.")

    session.run(work)


def drop(session: Session, sender: str, number: int) -> None:
    async def work(kernel: Kernel) -> None:
        await drop_effect(kernel, sender, number)
        session.show({"dropped": number}, f"Change {number} is dropped.")

    session.run(work)
