"""Calls that wait for a decision, and functions that an agent may call without one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pagefault.approvals import Approval
from pagefault.kernel import Kernel
from pagefault.kernel import approvals as deciding
from pagefault.models.json_text import read_json
from pagefault.quoting import visible
from pagefault.types import AgentRecord, Output
from pagefault.views.asking import zone_shown

__all__ = ["ApprovalView", "GrantView", "approvals", "grants", "session_grants", "waiting_calls"]


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """A call that a person is to decide on. ``id``: of its message, by which it is decided; ``arguments``:
    all that it would be run with; ``event``: the number of the event in whose turn it is; times in the
    agent's zone, ``expires`` None: it waits for ever."""

    agent: str
    id: str
    name: str
    arguments: Mapping[str, Any]
    asked: datetime
    expires: datetime | None
    event: int

    def __str__(self) -> str:
        """The call on one line, its arguments whole, for a terminal: ``pay(to="Bo", amount=250)``."""
        given = (f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in self.arguments.items())
        return visible(f"{self.name}({', '.join(given)})", kept="")


@dataclass(frozen=True, slots=True)
class GrantView:
    """A function that an agent may call without being asked, since when, and who allowed it."""

    name: str
    at: datetime
    by: str


async def approvals(kernel: Kernel, name: str | None = None) -> tuple[ApprovalView, ...]:
    """The calls that wait for a decision, of one agent or of all; the oldest first."""
    found = await deciding.pending_approvals(kernel, name)
    records = {name: await kernel.record(name) for name in {name for name, _ in found}}
    return tuple(_view(records[name], each) for name, each in found)


async def grants(kernel: Kernel, name: str) -> tuple[GrantView, ...]:
    """The functions that an agent may call without being asked, by name."""
    zone = zone_shown(await kernel.record(name))
    found = await deciding.grants(kernel, name)
    return tuple(GrantView(grant.function, grant.at.astimezone(zone), grant.by) for grant in found)


async def session_grants(kernel: Kernel, name: str) -> tuple[str, ...]:
    """The functions that an agent may call without being asked while this process serves it, by name."""
    return tuple(await deciding.session_grants(kernel, name))


def waiting_calls(record: AgentRecord, output: Output) -> tuple[ApprovalView, ...]:
    """The calls that an output ``waiting`` lists."""
    zone = zone_shown(record)

    def at(moment: str) -> datetime:
        return datetime.fromisoformat(moment).astimezone(zone)

    return tuple(
        ApprovalView(
            record.name, each["id"], each["name"], each["arguments"], at(each["asked"]),
            each["expires"] and at(each["expires"]), each["event"],
        )
        for each in output.data.get("approvals", ())
    )  # fmt: skip


def _view(record: AgentRecord, approval: Approval) -> ApprovalView:
    zone, arguments = zone_shown(record), read_json(approval.arguments)
    return ApprovalView(
        record.name,
        approval.id,
        approval.function,
        arguments if isinstance(arguments, dict) else {},  # pyright: ignore[reportUnknownArgumentType]
        approval.asked.astimezone(zone),
        approval.expires and approval.expires.astimezone(zone),
        approval.event,
    )
