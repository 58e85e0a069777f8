"""The agents of a home: `agent list`, `show`, `create`, `delete`, `context`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pagefault.build import create_agent, make_model
from pagefault.cli.render import gauge, local, prompt_data, sizes_data, table
from pagefault.cli.session import Session, settings_of, zone_for
from pagefault.config import AgentSettings, parse_settings
from pagefault.errors import ModelError, UsageError
from pagefault.kernel import Kernel
from pagefault.models.tokens import HeuristicCounter
from pagefault.types import AgentRecord


def _data(record: AgentRecord) -> dict[str, Any]:
    settings = settings_of(record)
    return {
        "name": record.name,
        "model": settings.model,
        "window": _window(settings),
        "style": settings.style,
        "messages": record.last_seq,
        "created": local(record.created, zone_for(record)),
    }


def _window(settings: AgentSettings) -> int | None:
    """The window in tokens; None if it is the model's own and the model cannot be had here."""
    try:
        return settings.window or make_model(settings.model, None).window
    except ModelError:
        return None


def list_all(session: Session) -> None:
    async def work(kernel: Kernel) -> None:
        agents = [_data(record) for record in await kernel.agents()]
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
        data = _data(record) | {
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
    if persona is not None or sections:
        settings = _with_sections(settings, persona, sections)

    async def work(kernel: Kernel) -> None:
        record = await create_agent(kernel, name, settings)
        session.show(_data(record), f"Agent {name} is there; pagefault chat --agent {name} talks with it.")

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


def _with_sections(settings: AgentSettings, persona: str | None, given: Sequence[str]) -> AgentSettings:
    window = settings.window or make_model(settings.model, None).window
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
