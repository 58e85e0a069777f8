"""Agent files (``.af``), imported and exported as Letta's clients do.

Each import makes agents of its own, under names that are free. A file's model and instructions are taken by
no request; a client that names a model itself is heard. What was not taken is in ``notices``. Left out: the
files themselves (``importers``, ``exporters``).
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, File, Form, Request, UploadFile
from starlette.responses import StreamingResponse

from pagefault.config import AgentSettings
from pagefault.exporters import Losses, agent_file_text
from pagefault.importers.letta.names import agent_name, free_name
from pagefault.importers.letta.schema import agent_file
from pagefault.importers.report import AgentImport, ImportReport
from pagefault.importers.runner import ImportWishes, import_source
from pagefault.server.auth import Caller, Calling, options_of
from pagefault.server.letta.agents import check_reach, settings_with_model, wishes_of
from pagefault.server.letta.ids import letta_id
from pagefault.server.letta.records import LettaAgent
from pagefault.server.problems import Problem
from pagefault.server.uploads import plain_file_name

__all__ = ["routes"]

routes = APIRouter(prefix="/v1/agents", tags=["letta"])
"""The routes of agent files."""

JsonObject = dict[str, Any]

_LARGEST = 64 << 20  # bytes; a file is read as a whole
_COPY = "_copy"  # Letta's own ending

Text = Annotated[str | None, Form()]


@dataclass(frozen=True, slots=True)
class _Wishes:
    """The wishes of a client beside the file. Its secrets, embedders and projects have nothing here."""

    name: str | None
    model: str | None
    is_copy: bool
    with_messages: bool
    unused: tuple[str, ...]


@routes.post("/import")
async def import_agents(
    request: Request,
    caller: Calling,
    file: Annotated[UploadFile, File()],
    name: Text = None,
    override_name: Text = None,
    model: Text = None,
    override_model_handle: Text = None,
    append_copy_suffix: Annotated[bool, Form()] = True,
    strip_messages: Annotated[bool, Form()] = False,
    secrets: Text = None,
    env_vars_json: Text = None,
) -> JsonObject:
    """Make the agents of a file; return their ids, that of the first one first."""
    caller.require("admin")
    unused = ("secrets",) if secrets or env_vars_json else ()
    wishes = _Wishes(
        name or override_name, model or override_model_handle, append_copy_suffix, not strip_messages, unused
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / plain_file_name(file.filename)
        own = await anyio.to_thread.run_sync(_names_in, await _read(file), path)
        defaults, notices = await _defaults(caller, wishes, options_of(request).agent)
        report = await _imported(caller, path, own, defaults, wishes)
    ids = [letta_id("agent", (await caller.kernel.record(each.agent)).id) for each in report.agents]
    return {"agent_ids": ids, "notices": [*notices, *_notices(report)]}


async def _read(file: UploadFile) -> bytes:
    data = await file.read(_LARGEST + 1)
    if len(data) > _LARGEST:
        most = f"An agent file may have {_LARGEST >> 20} MB; leave messages out of it."
        raise Problem(413, "Too large", most)
    return data


def _names_in(data: bytes, path: Path) -> list[str]:
    """Write the file, and return the names of its agents; ``UsageError`` if it is none of Letta's."""
    path.write_bytes(data)
    return [each.name for each in agent_file(data.decode("utf-8-sig", "replace"), path.name).in_order]


async def _defaults(
    caller: Caller, wishes: _Wishes, defaults: AgentSettings
) -> tuple[AgentSettings, Sequence[str]]:
    """The settings of new agents, with the model that the client names."""
    reported = wishes_of(caller)
    values = defaults.model_dump(mode="json")
    settings = await settings_with_model(caller, values, wishes.model, defaults, reported)
    if wishes.unused:
        reported.report("Tools run on this server, with its own environment; the secrets are not kept.")
    return settings, reported.notices


async def _imported(
    caller: Caller, path: Path, own: Sequence[str], defaults: AgentSettings, wishes: _Wishes
) -> ImportReport:
    """Import the file under names that are free, all agents or none."""
    kernel = caller.kernel
    taken = {record.name for record in await kernel.agents()}
    wanted = wishes.name or f"{own[0] if own else 'agent'}{_COPY if wishes.is_copy else ''}"
    free = free_name(agent_name(wanted) or "agent", taken)
    check_reach(caller, free)
    asked = ImportWishes(agent=free, kind="letta", is_new=True, messages=wishes.with_messages)
    return await import_source(kernel, path, defaults, asked)


def _notices(report: ImportReport) -> list[str]:
    """The sentences about what was left out of a file."""
    names = dict[str, list[str]]()
    for each in report.omitted:
        names.setdefault(each.kind, []).append(each.name or f"{each.count:,}")
    sentences = [f"Not imported: {kind} {', '.join(found)}." for kind, found in names.items()]
    sentences += [f"Skipped: {record.where}: {record.why}." for record in report.bad]
    return [*(sentence for agent in report.agents for sentence in _left_out(agent)), *sentences]


def _left_out(agent: AgentImport) -> list[str]:
    if not agent.left_out:
        return []
    named = ", ".join(agent.left_out)
    return [f"Agent {agent.agent} has this installation's own in place of the file's {named}; set yours."]


@routes.get("/{agent_id}/export")
async def export_agent(
    agent: LettaAgent, caller: Calling, scrub_messages: bool = False, use_legacy_format: bool = False
) -> StreamingResponse:
    """Return an agent as an agent file of v2."""
    caller.require("admin")
    if use_legacy_format:
        raise Problem(400, "Not written", "The format of v1 is not written; leave use_legacy_format out.")
    pieces = agent_file_text(caller.kernel, agent.name, Losses(), messages=not scrub_messages)
    first = await anext(pieces)  # here, so that what fails at once is a problem
    return StreamingResponse(_sent(first, pieces), media_type="application/json")


async def _sent(first: str, pieces: AsyncGenerator[str]) -> AsyncGenerator[bytes]:
    async with aclosing(pieces):
        yield first.encode("utf-8", "replace")
        async for piece in pieces:
            yield piece.encode("utf-8", "replace")
