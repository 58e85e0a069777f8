"""The agents of a home: `agent list`, `show`, `create`, `delete`, `context`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pagefault.cli.render import gauge, local, prompt_data, sizes_data, table
from pagefault.cli.session import Session, settings_of, zone_for
from pagefault.config import AgentSettings, parse_settings
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.models.tokens import HeuristicCounter
from pagefault.types import AgentRecord


async def _data(kernel: Kernel, record: AgentRecord) -> dict[str, Any]:
    settings = settings_of(record)
    return {
        "name": record.name,
        "model": settings.model,
        "window": await _window(kernel, settings),
        "style": settings.style,
        "messages": record.last_seq,
        "created": local(record.created, zone_for(record)),
    }


async def _window(kernel: Kernel, settings: AgentSettings) -> int | None:
    """The window in tokens; None if the model's name is none."""
    try:
        return settings.bounded((await kernel.models.window(settings.model, settings.window))[0])
    except UsageError:
        return None


def list_all(session: Session) -> None:
    async def work(kernel: Kernel) -> None:
        agents = [await _data(kernel, record) for record in await kernel.agents()]
        rows = [[str(value) for value in agent.values()] for agent in agents]
        head = ["name", "model", "window", "style", "messages", "created"]
        session.show(agents, table([head, *rows]) if rows else "There are no agents yet.")

    session.run(work)


def show(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        record = await kernel.record(name)
        sections, timers, pending = await kernel.store.read(
            lambda tx: (
                tx.sections(record.id),
                tx.schedules(record.id),
                tx.events(record.id, state="pending"),
            )
        )
        count = HeuristicCounter().count
        data = await _data(kernel, record) | {
            "settings": dict(record.settings),
            "waiting": len(pending),
            "timers": len(timers),
            "sections": [
                {
                    "name": s.name,
                    "description": s.description,
                    "tokens": count(s.text),
                    "limit": s.limit,
                    "read_only": s.read_only,
                    "version": s.version,
                    "text": s.text,
                }
                for s in sections
            ],
        }
        facts = [[key, str(value)] for key, value in data.items() if key not in ("settings", "sections")]
        parts = [
            f"{s.name} ({count(s.text):,} of {s.limit:,} tokens)\n{s.text or '(empty)'}" for s in sections
        ]
        session.show(data, "\n\n".join([table(facts), *parts]))

    session.run(work)


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
        window, _ = await kernel.models.window(settings.model, settings.window)
        declared = persona is not None or sections
        whole = _with_sections(settings, window, persona, sections) if declared else settings
        record = await kernel.create_agent(name, whole)
        session.show(
            await _data(kernel, record),
            f"Agent {name} is there; pagefault chat --agent {name} talks with it.",
        )

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


def context(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        process = await kernel.process(name)
        sizes, prompt = process.memory.sizes(), process.prompt()
        data = prompt_data(prompt) | {"sizes": sizes_data(sizes)}
        lines = [gauge(sizes)]
        for message in prompt.messages:
            lines.append(f"\n--- {' '.join(filter(None, (message.role, message.name)))}")
            lines += [message.text] if message.text else []
            lines += [f"→ {call.name} {call.arguments}" for call in message.calls]
        lines.append(f"\n--- functions\n{', '.join(f.name for f in prompt.functions)}")
        session.show(data, "\n".join(lines))

    session.run(work)
