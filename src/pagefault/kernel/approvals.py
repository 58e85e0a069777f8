"""Approvals for people: the calls that wait, decisions on them, and what is allowed from now on.

Left out: the transactions (``deciding``), and how a turn goes on (``agent``).
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from pagefault.approvals import Approval, Grant, Remember, function_of
from pagefault.errors import FunctionError, NotFoundError, StaleAgentError, UsageError
from pagefault.kernel import Kernel
from pagefault.kernel.deciding import Answer, decide, expire
from pagefault.kernel.sending import outputs_until_closed
from pagefault.kernel.slot import AgentSlot, listening
from pagefault.names import check_text
from pagefault.quoting import inline
from pagefault.storage import Transaction
from pagefault.types import AgentId, Event, Output

__all__ = ["Remember", "answer", "grants", "pending_approvals", "revoke", "session_grants", "settle"]

_MOST = 1000
"""Calls that are listed at once, of all agents."""


async def pending_approvals(kernel: Kernel, name: str | None = None) -> list[tuple[str, Approval]]:
    """The calls that wait for a decision, of one agent or of all, the oldest first, each with the agent's
    name."""
    if name is not None:
        agent = (await kernel.record(name)).id
        own = await kernel.store.read(lambda tx: tx.approvals(agent))
        return [(name, each) for each in own if not each.decision]
    found = await kernel.store.read(
        lambda tx: [(tx.agent_by_id(agent), each) for agent, each in tx.undecided(_MOST)]
    )
    return [(record.name, each) for record, each in found if record]


async def answer(
    kernel: Kernel,
    name: str,
    id: str,
    approved: bool,
    *,
    note: str = "",
    arguments: Mapping[str, Any] | None = None,
    remember: Remember = "once",
    by: str = "",
    only: AgentId | None = None,
) -> AsyncGenerator[Output]:
    """Decide on a call and, if the turn goes on then and this kernel runs turns, yield the outputs that come
    of it; the last is ``done``, or ``waiting`` if others are to be decided on.

    ``note``: the model reads it with the result. ``arguments``: run it with these instead. ``by``: who
    decides, unless it is who the kernel acts for. ``only``: this agent, and no other that got the name
    meanwhile. ``NotFoundError`` if no such call waits, ``UsageError`` if it was decided on before or expired,
    or if the arguments are not those of the function.
    """
    agent, number, made = await _answer(kernel, name, id, approved, note, arguments, remember, by, only)
    async with listening(agent.listeners) as outputs:
        after = await kernel.store.read(lambda tx: _last_seq(tx, agent.record.id, name))
        event = await _decided(kernel, agent, number, made)
        if event.state == "waiting" or kernel.scheduler.is_running:
            async for output in outputs_until_closed(kernel.store, agent, event, outputs, after):
                yield output


async def settle(
    kernel: Kernel, name: str, id: str, approved: bool, *, note: str = "", remember: Remember = "once",
    by: str = "",
) -> None:  # fmt: skip
    """Decide on a call as ``answer`` does, and let the turn go on by itself; nothing of it is waited for."""
    agent, number, made = await _answer(kernel, name, id, approved, note, None, remember, by, None)
    await _decided(kernel, agent, number, made)


async def _answer(
    kernel: Kernel, name: str, id: str, approved: bool, note: str, arguments: Mapping[str, Any] | None,
    remember: Remember, by: str, only: AgentId | None,
) -> tuple[AgentSlot, int, Answer]:  # fmt: skip
    """The agent, the number of the call and the decision, after what has expired was put aside."""
    _check(approved, note, arguments, remember)
    agent, number, now = await kernel.find(name), _number(id), kernel.clock.now()
    if only not in (None, agent.record.id):
        raise StaleAgentError(name)
    agent_id = agent.record.id
    changed = None if arguments is None else await _changed(kernel, agent, number, arguments)
    if await kernel.store.write(lambda tx: expire(tx, agent_id, now)):
        kernel.scheduler.wake(agent)
    return agent, number, Answer(approved, note, changed, remember, by or kernel.store.by)


async def _decided(kernel: Kernel, agent: AgentSlot, number: int, made: Answer) -> Event:
    """The event whose turn goes on, or waits for further decisions."""
    id, now = agent.record.id, kernel.clock.now()
    event, decided = await kernel.store.write(lambda tx: decide(tx, id, number, made, now))
    if made.remember == "session":
        kernel.assembly.allowed[id].add(decided.name)
    if event.state == "active":
        kernel.scheduler.wake(agent)
    return event


def _last_seq(tx: Transaction, agent: AgentId, name: str) -> int:
    if (record := tx.agent_by_id(agent)) is None:
        raise StaleAgentError(name)
    return record.last_seq


def _check(approved: bool, note: str, arguments: Mapping[str, Any] | None, remember: str) -> None:
    check_text(note)
    if remember not in ("once", "session", "always"):
        raise UsageError(f"remember is 'once', 'session' or 'always', not {remember!r}.")
    if not approved and (remember != "once" or arguments is not None):
        raise UsageError("Only an approval can be remembered or have other arguments, not a refusal.")


def _number(id: str) -> int:
    """The number in an id like ``m12``."""
    if not re.fullmatch(r"m\d{1,15}", id, re.ASCII):
        raise UsageError(f"{inline(id, 64)} is no id of a call; it is like m12, as what waits is listed.")
    return int(id[1:])


async def _changed(kernel: Kernel, agent: AgentSlot, number: int, arguments: Mapping[str, Any]) -> str:
    """Other arguments as they are stored, if the function takes them."""
    id = agent.record.id
    waiting = await kernel.store.read(lambda tx: tx.approvals(id))
    name = next((each.function for each in waiting if each.number == number), "")
    try:
        text = json.dumps(dict(arguments), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"The arguments are not JSON values ({error}); give a dict of them.") from None
    executor = (await kernel.scheduler.loaded(agent)).program.executor
    if name and name not in executor.functions:
        raise UsageError(f"There is no {name} in this program; its arguments can be changed where it is.")
    try:
        if name:
            executor.prepare(name, text)
    except FunctionError as error:
        raise UsageError(f"The call cannot be run with these arguments: {error}") from None
    return text


async def grants(kernel: Kernel, name: str) -> list[Grant]:
    """The functions that an agent may call without being asked, for good; those of the session are not
    listed."""
    agent = (await kernel.record(name)).id
    return await kernel.store.read(lambda tx: tx.grants(agent))


async def session_grants(kernel: Kernel, name: str) -> list[str]:
    """The functions that an agent may call without being asked as long as this kernel is open, by name; other
    processes have theirs."""
    agent = (await kernel.record(name)).id
    return sorted({function_of(each) for each in kernel.assembly.allowed.get(agent, ())})


async def revoke(kernel: Kernel, name: str, function: str) -> None:
    """Ask again before calls of a function, from the next one on; ``NotFoundError`` if none was allowed."""
    agent = (await kernel.record(name)).id
    allowed = kernel.assembly.allowed[agent]
    of_session = {each for each in allowed if function_of(each) == function}
    allowed -= of_session

    def work(tx: Transaction) -> list[bool]:
        names = [grant.name for grant in tx.grants(agent) if grant.function == function]
        return [tx.revoke(agent, name) for name in names]

    if not await kernel.store.write(work) and not of_session:
        known = "`pagefault approval grants` lists what is"
        raise NotFoundError(f"{inline(function, 64)} is not allowed for good; {known}.")
