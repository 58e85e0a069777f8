"""Approvals: `approval list`, `approve`, `refuse`, `grants`, `revoke`; and the question in a chat.

A call is shown with all of its arguments, in a frame that no text in them can leave: each is JSON on lines
that are cut to the width of the terminal and marked, and what could control the terminal is written out.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from shutil import get_terminal_size

from rich.cells import chop_cells

from pagefault.approvals import Remember
from pagefault.cli.render import clip, local, plain, table
from pagefault.cli.session import Session
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.kernel import approvals as deciding
from pagefault.views import approvals as views
from pagefault.views.approvals import ApprovalView

__all__ = ["Verdict", "approve", "ask", "call_text", "list_all", "list_grants", "refuse", "revoke"]

_NARROWEST = 20
_CHOICES = "y = yes, n = no, s = yes for this session, a = always; a note may follow"
_ANSWERS: dict[str, tuple[bool, Remember]] = {
    "y": (True, "once"),
    "yes": (True, "once"),
    "n": (False, "once"),
    "no": (False, "once"),
    "s": (True, "session"),
    "session": (True, "session"),
    "a": (True, "always"),
    "always": (True, "always"),
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer of a person to the question."""

    approved: bool
    remember: Remember = "once"
    note: str = ""


def call_text(call: ApprovalView, width: int | None = None) -> str:
    """A call that waits, with its arguments whole, ``width`` cells wide."""
    room = max(_NARROWEST, (width or get_terminal_size().columns) - 3)
    until = f", until {local(call.expires)}" if call.expires else ""
    lines = [f"{plain(call.agent)} wants to call {plain(call.name)} ({call.id}{until}):"]
    for name, value in call.arguments.items():
        written = plain(f"{name} = {json.dumps(value, ensure_ascii=False)}")
        lines += [f"│ {piece}" for piece in chop_cells(written, room)]
    return "\n".join(lines if call.arguments else [*lines, "│ (no arguments)"])


async def ask(
    call: ApprovalView, show: Callable[[str], None], line: Callable[[str], Awaitable[str | None]]
) -> Verdict | None:
    """Show a call and ask until there is an answer; None if the person leaves the question."""
    show(call_text(call))
    show(_CHOICES)
    while (typed := await line("Run it? ")) is not None:
        word, _, note = typed.strip().partition(" ")
        if word.lower() in _ANSWERS:
            approved, remember = _ANSWERS[word.lower()]
            return Verdict(approved, remember, note.strip())
        show(_CHOICES)
    return None


def list_all(session: Session, name: str | None) -> None:
    async def work(kernel: Kernel) -> None:
        found = await views.approvals(kernel, name)
        said = "\n".join(map(call_text, found)) if found else "No call waits for a decision."
        session.show(found, said)

    session.run(work)


def approve(
    session: Session, name: str, id: str, *, note: str, arguments: str | None, always: bool, by: str
) -> None:
    async def work(kernel: Kernel) -> None:
        changed = None if arguments is None else _object(arguments)
        remember: Remember = "always" if always else "once"
        await _decide(kernel, name, id, True, note=note, arguments=changed, remember=remember, by=by)
        more = " from now on" if always else ""
        data = {"agent": name, "id": id, "decision": "approved"}
        session.show(data, f"{id} is approved{more}; the program that has the tool runs it.")

    session.run(work)


def refuse(session: Session, name: str, id: str, *, note: str, by: str) -> None:
    async def work(kernel: Kernel) -> None:
        await _decide(kernel, name, id, False, note=note, arguments=None, remember="once", by=by)
        data = {"agent": name, "id": id, "decision": "refused"}
        session.show(data, f"{id} is refused; `pagefault run` or the program of {name} goes on.")

    session.run(work)


async def _decide(
    kernel: Kernel,
    name: str,
    id: str,
    approved: bool,
    *,
    note: str,
    arguments: dict[str, object] | None,
    remember: Remember,
    by: str,
) -> None:
    outputs = deciding.answer(
        kernel, name, id, approved, note=note, arguments=arguments, remember=remember, by=by
    )
    async for _ in outputs:
        pass


def _object(arguments: str) -> dict[str, object]:
    try:
        value: object = json.loads(arguments)
    except ValueError:
        value = None
    if isinstance(value, dict):
        return value  # pyright: ignore[reportUnknownVariableType]
    raise UsageError(f'{clip(arguments, 40)} is no JSON object; write --arguments \'{{"path": "a"}}\'.')


def list_grants(session: Session, name: str) -> None:
    async def work(kernel: Kernel) -> None:
        found = await views.grants(kernel, name)
        rows = [[grant.name, local(grant.at), grant.by] for grant in found]
        said = table([["function", "since", "by"], *rows]) if rows else f"{name} has to ask for every call."
        session.show(found, said)

    session.run(work)


def revoke(session: Session, name: str, function: str) -> None:
    async def work(kernel: Kernel) -> None:
        await deciding.revoke(kernel, name, function)
        session.show({"agent": name, "revoked": function}, f"{name} has to ask for {function} again.")

    session.run(work)
