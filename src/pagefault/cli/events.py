"""Events and timers: `event post`, `schedule list|add|remove`, and `run`, which serves them."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import TaskGroup
from rich.text import Text

from pagefault.build import open_kernel
from pagefault.cli.render import as_json, clip, data_of, fold, local, output_line, table
from pagefault.cli.screens import console
from pagefault.cli.session import Session
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.edits import add_timer, remove_timer
from pagefault.types import Event, EventKind, Output
from pagefault.views.agents import timer_view, timers

_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")
_INTERNAL = (EventKind.PRESSURE, EventKind.AGENT, EventKind.EDITED)
_LOOK_EVERY = 0.5  # seconds between looks for what other processes left


def post(session: Session, name: str, kind: str, text: str, key: str | None) -> None:
    if not _KIND.fullmatch(kind) or kind in _INTERNAL:
        raise UsageError(
            f"{kind!r} cannot be an event's kind; write message, alert, login, upload_finished, timer or a "
            "word of your own in lower case."
        )

    async def work(kernel: Kernel) -> None:
        event = await kernel.post(name, Event(kind, text, key))
        data = {
            "id": event.id,
            "kind": event.kind,
            "text": event.text,
            "key": event.key,
            "state": event.state,
        }
        said = "is in the inbox; `pagefault run` or the next chat serves it"
        session.show(data, f"Event {event.id} {said if event.state == 'pending' else 'is ' + event.state}.")

    session.run(work)


def list_schedules(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        found = await timers(kernel, name)
        rows = [[timer.id, local(timer.due), timer.cron or "once", clip(timer.note)] for timer in found]
        session.show(found, table([["id", "due", "cron", "note"], *rows]) if rows else "No timers are set.")

    session.run(work)


def add_schedule(
    session: Session, name: str, note: str, when: str | None, cron: str | None, catch_up: str
) -> None:
    if (when is None) == (cron is None):
        raise UsageError("Give either --when or --cron.")

    async def work(kernel: Kernel) -> None:
        made = timer_view(await add_timer(kernel, name, note, when=when, cron=cron, catch_up=catch_up))
        session.show(made, f"Scheduled as {made.id}; due {local(made.due)}.")

    session.run(work)


def remove_schedule(session: Session, name: str, id: str) -> None:
    async def work(kernel: Kernel) -> None:
        await remove_timer(kernel, name, id)
        session.show({"removed": id}, f"{id} is removed.")

    session.run(work)


def serve(session: Session, only: Sequence[str]) -> None:
    """Serve all agents until SIGINT or SIGTERM; show what those named (or all) do."""
    anyio.run(_serve, session, frozenset(only))


async def _serve(session: Session, only: frozenset[str]) -> None:
    async with (
        open_kernel(session.folder, installation=session.installation) as kernel,
        anyio.create_task_group() as tasks,
    ):
        for name in only:
            await kernel.record(name)  # a name that is not there is said at once
        tasks.start_soon(_until_signalled, tasks)
        watch = _Watch(kernel, tasks, only, session.json)
        while True:
            await watch.new_agents()
            await kernel.fire_timers()
            await kernel.wake_waiting()
            await anyio.sleep(_LOOK_EVERY)


async def _until_signalled(tasks: TaskGroup) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            tasks.cancel_scope.cancel()


@dataclass(slots=True)
class _Watch:
    """Shows the outputs of agents, also of those created later. It listens to an agent before the agent is
    served."""

    kernel: Kernel
    tasks: TaskGroup
    only: frozenset[str]
    json: bool
    _known: set[str] = field(default_factory=set[str])

    async def new_agents(self) -> None:
        for record in await self.kernel.agents():
            if record.name not in self._known and (not self.only or record.name in self.only):
                self._known.add(record.name)
                await self.tasks.start(self._listen, record.name)

    async def _listen(self, name: str, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        out, last = console(), ""
        async with self.kernel.listen(name) as outputs:
            task_status.started()
            async for output in outputs:
                if output.type == "alerted" and output.text == last:
                    continue  # what cannot be served is tried again and again
                last = output.text if output.type == "alerted" else last
                self._show(name, output, out)

    def _show(self, name: str, output: Output, out: Any) -> None:
        if self.json:
            print(as_json({"agent": name, **data_of(output)}), flush=True)
        elif output.type == "said":
            out.print(Text(f"{name}: {fold(output.text)}"))
        elif output.type not in ("delta", "retracted", "done"):
            out.print(Text(f"{name} {output_line(output)}", "dim"))
