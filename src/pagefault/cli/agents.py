"""The agents of a home: `agent list`, `show`, `create`, `set`, `delete`, `context`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pagefault.cli.render import clip, data_of, gauge, local, table
from pagefault.cli.session import Session
from pagefault.config import AgentSettings, parse_settings
from pagefault.errors import UsageError
from pagefault.kernel import Kernel, parked
from pagefault.views import agents
from pagefault.views.approvals import approvals
from pagefault.views.memory import SectionView


def list_all(session: Session) -> None:
    async def work(kernel: Kernel) -> None:
        found = await agents.agents(kernel)
        head = ["name", "model", "window", "style", "messages", "created"]
        rows = [
            [each.name, each.model, str(each.window), each.style, str(each.messages), local(each.created)]
            for each in found
        ]
        aside = [f"{each.name} is parked: {each.parked}" for each in found if each.parked]
        aside += [f"{each.name} is held: {each.held}" for each in found if each.held]
        aside += [each.spent for each in found if each.spent]
        aside += [
            f"{name} waits for a decision; `pagefault approval list {name}` shows the calls."
            for name in dict.fromkeys(call.agent for call in await approvals(kernel))
        ]
        said = "\n".join([table([head, *rows]), *aside])
        session.show(found, said if rows else "There are no agents yet.")

    session.run(work)


def show(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        found = await agents.agent(kernel, name)
        data = data_of(found) | {"created": local(found.created)}
        facts = [[key, str(value)] for key, value in data.items() if key not in ("settings", "sections")]
        facts.append(["settings", _changed(found.settings)])
        parts = [table(facts), *(section_text(section) for section in found.sections)]
        session.show(found, "\n\n".join(parts))

    session.run(work)


def _changed(settings: Mapping[str, Any]) -> str:
    """The settings that are not the defaults, as ``agent set`` takes them; the sections are shown below."""
    usual = AgentSettings().model_dump(mode="json")
    changed = [(k, v) for k, v in settings.items() if k != "sections" and v != usual.get(k)]
    shown = [(key, value if isinstance(value, str) else json.dumps(value)) for key, value in changed]
    return ", ".join(f"{key}={clip(value, 60)}" for key, value in shown) or "(the defaults)"


def section_text(section: SectionView) -> str:
    """A section with its use and limit."""
    lock = ", read-only" if section.read_only else ""
    use = f"{section.tokens:,} of {section.limit:,} tokens{lock}"
    return f"{section.name} ({use})\n{section.text or '(empty)'}"


def create(
    session: Session,
    name: str,
    wanted: dict[str, Any],
    persona: str | None,
    sections: Sequence[str],
    others: Sequence[str],
) -> None:
    """Create an agent from the installation's defaults and what is wanted instead."""
    defaults = session.installation.agent.model_dump(mode="json")
    settings = parse_settings(defaults | wanted | dict(map(_setting, others)))

    async def work(kernel: Kernel) -> None:
        window, _ = await kernel.window(settings)
        declared = persona is not None or sections
        whole = _with_sections(settings, window, persona, sections) if declared else settings
        await kernel.create_agent(name, whole)
        tenant = f" --tenant {kernel.tenant}" if kernel.tenant else ""
        said = f"Agent {name} is created; `pagefault chat --agent {name}{tenant}` talks with it."
        session.show(await agents.summary(kernel, name), said)

    session.run(work)


def change(session: Session, name: str, given: Sequence[str]) -> None:
    """Change settings of an agent that there is; they hold from its next event on."""
    wanted = dict(map(_setting, given))

    async def work(kernel: Kernel) -> None:
        record = await kernel.record(name)
        await kernel.change_settings(name, parse_settings(dict(record.settings) | wanted))
        text = f"Changed for agent {name}: {', '.join(sorted(wanted))}."
        session.show(await agents.summary(kernel, name), text)

    session.run(work)


def _setting(given: str) -> tuple[str, Any]:
    """``KEY=VALUE``, the value as JSON if it is JSON, else as text."""
    key, equals, value = given.partition("=")
    if not equals:
        raise UsageError(f"{given!r} is not a setting; write KEY=VALUE.")
    try:
        return key.strip(), json.loads(value)
    except ValueError:
        return key.strip(), value


def _with_sections(
    settings: AgentSettings, window: int, persona: str | None, given: Sequence[str]
) -> AgentSettings:
    sections = {s.name: s.model_dump(mode="json") for s in settings.declared_sections(window)}
    for item in given:
        name, _, rest = item.partition(":")
        limit, _, description = rest.partition(":")
        if not limit.isdecimal():
            raise UsageError(f"{item!r} is not a section; write NAME:TOKENS or NAME:TOKENS:DESCRIPTION.")
        section = sections.setdefault(name, {"name": name}) | {"limit": int(limit)}
        sections[name] = section | ({"description": description} if description else {})
    if persona is not None:
        sections.setdefault("persona", {"name": "persona"})["text"] = persona
    return parse_settings(settings.model_dump(mode="json") | {"sections": list(sections.values())})


def delete(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        await kernel.delete(name)
        session.show({"deleted": name}, f"Agent {name} is deleted.")

    session.run(work)


def release(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        await parked.release(kernel, name)
        session.show({"released": name}, f"Agent {name} is released; `pagefault run` or a chat serves it.")

    session.run(work)


def context(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        found = await agents.context(kernel, name)
        session.show(found, _context_text(found))

    session.run(work)


def _context_text(found: agents.ContextView) -> str:
    lines = [gauge(found.sizes)]
    for message in found.messages:
        lines.append(f"\n--- {' '.join(filter(None, (message.role, message.name)))}")
        lines += [message.text] if message.text else []
        lines += [f"→ {call.name} {call.arguments}" for call in message.calls]
    lines.append(f"\n--- functions\n{', '.join(f['name'] for f in found.functions)}")
    return "\n".join(lines)
