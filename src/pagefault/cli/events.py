"""Events and timers: `event post|attach|list|retry|drop`, `schedule list|add|remove`; `run` serves them."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import anyio
from anyio.abc import TaskGroup
from rich.text import Text

from pagefault.cli.render import as_json, clip, data_of, fold, local, output_line, table
from pagefault.cli.screens import console
from pagefault.cli.session import Session
from pagefault.errors import UsageError
from pagefault.images import with_media
from pagefault.ingest.attaching import AttachedKind, attached
from pagefault.kernel import Kernel
from pagefault.kernel.edits import add_timer, remove_timer
from pagefault.kernel.parked import drop_event, retry_event
from pagefault.types import Event, EventKind, Output
from pagefault.views.agents import timer_view, timers
from pagefault.views.events import events

_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")
_INTERNAL = (EventKind.PRESSURE, EventKind.AGENT, EventKind.EDITED)


def post(session: Session, name: str, kind: str, text: str, key: str | None, sender: str | None) -> None:
    if not _KIND.fullmatch(kind) or kind in _INTERNAL:
        raise UsageError(
            f"{kind!r} cannot be an event's kind; write message, overheard, alert, login, upload_finished, "
            "timer or a word of your own in lower case."
        )

    async def work(kernel: Kernel) -> None:
        event = await kernel.post(name, Event(kind, text, key, sender))
        data = {
            "id": event.id,
            "kind": event.kind,
            "text": event.text,
            "key": event.key,
            "sender": event.sender,
            "state": event.state,
        }
        said = "is in the inbox; `pagefault run` or the next chat serves it"
        session.show(data, f"Event {event.id} {said if event.state == 'pending' else 'is ' + event.state}.")

    session.run(work)


def attach(session: Session, name: str, source: str, text: str, kind: str | None) -> None:
    kinds: dict[str, AttachedKind] = {each: each for each in get_args(AttachedKind)}
    chosen = kinds.get(kind or "")
    if kind and not chosen:
        raise UsageError(f"{kind!r} is no kind of attached file; write {', '.join(kinds)}.")

    async def work(kernel: Kernel) -> None:
        await kernel.record(name)
        event = await attached(kernel, name, source, text=text, kind=chosen, typed=True)
        posted = await kernel.post(name, event)
        shown = with_media(posted.text, posted.media)
        data = {"id": posted.id, "kind": posted.kind, "text": shown, "state": posted.state}
        said = (
            f"Event {posted.id} ({posted.kind}) is in the inbox; `pagefault run` or the next chat serves it."
        )
        session.show(data, said)

    session.run(work)


def list_events(session: Session, name: str | None, only_parked: bool) -> None:
    """Show the events that are open or parked, of one agent or of all."""

    async def work(kernel: Kernel) -> None:
        found = await events(kernel, name, parked=only_parked)
        head = ["agent", "id", "kind", "state", "attempts", "text"]
        rows = [[e.agent, str(e.id), e.kind, e.state, str(e.attempts), clip(e.text)] for e in found]
        aside = [f"{e.agent}: event {e.id} is parked: {e.parked}" for e in found if e.state == "parked"]
        said = "\n".join([table([head, *rows]), *aside])
        session.show(found, said if rows else f"No events {'are parked' if only_parked else 'wait'}.")

    session.run(work)


def retry(session: Session, name: str, id: str) -> None:
    async def work(kernel: Kernel) -> None:
        posted = await retry_event(kernel, name, _event_number(id))
        said = f"Event {id} is posted again as event {posted.id}; `pagefault run` or the next chat serves it."
        session.show({"retried": id, "id": posted.id}, said)

    session.run(work)


def drop(session: Session, name: str, id: str) -> None:
    async def work(kernel: Kernel) -> None:
        await drop_event(kernel, name, _event_number(id))
        session.show({"dropped": id}, f"Event {id} is dropped.")

    session.run(work)


def _event_number(id: str) -> int:
    if not re.fullmatch(r"\d{1,15}", id):
        raise UsageError(f"{id!r} is not the id of an event; `pagefault event list` shows them.")
    return int(id)


def list_schedules(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        found = await timers(kernel, name)
        rows = [[timer.id, local(timer.due), timer.cron or "once", clip(timer.note)] for timer in found]
        aside = [f"{timer.id} is parked: {timer.parked}" for timer in found if timer.parked]
        said = "\n".join([table([["id", "due", "cron", "note"], *rows]), *aside])
        session.show(found, said if rows else "No timers are set.")

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
    with session.naming_damage():
        anyio.run(_serve, session, frozenset(only))


async def _serve(session: Session, only: frozenset[str]) -> None:
    async with (
        session.serving(session.installation) as kernel,
        kernel.listen_all(here=not only) as outputs,
        anyio.create_task_group() as tasks,
    ):
        for name in only:
            await kernel.record(name)  # a name that is not there is said at once
        tasks.start_soon(_until_signalled, tasks)
        tasks.start_soon(kernel.serve)
        watch = _Watch(session.json)
        async for name, output in outputs:
            if not only or name in only:
                watch.show(name, output)


async def _until_signalled(tasks: TaskGroup) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            tasks.cancel_scope.cancel()


@dataclass(slots=True)
class _Watch:
    """Shows the outputs of agents. An alert that an agent repeats is shown once: what cannot be served is
    tried again and again."""

    json: bool
    _out: Any = field(default_factory=console)
    _last: dict[str, str] = field(default_factory=dict[str, str])

    def show(self, name: str, output: Output) -> None:
        if output.type == "alerted":
            if self._last.get(name) == output.text:
                return
            self._last[name] = output.text
        if self.json:
            print(as_json({"agent": name, **data_of(output)}), flush=True)
        elif output.type == "said":
            self._out.print(Text(f"{name}: {fold(output.text)}"))
        elif output.type not in ("delta", "retracted", "done"):
            self._out.print(Text(f"{name} {output_line(output)}", "dim"))
