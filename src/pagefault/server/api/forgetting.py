"""Forgetting over the REST: planned, and done; legal holds, by which it is refused."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from pagefault.kernel.forgetting import ForgetReceipt, Tombstone, holding
from pagefault.kernel.forgetting.asking import ask_to_forget, tombstones
from pagefault.server.api.values import AgentCaller, Done, ItemList, Name, RequestBody
from pagefault.server.auth import Caller
from pagefault.server.problems import Problem
from pagefault.shared import is_shared

__all__ = ["ToForget", "forget_for", "routes"]

routes = APIRouter(prefix="/agents/{name}", tags=["forgetting"])
"""The routes of forgetting."""


class ToForget(RequestBody):
    """The things to forget: each that meets all that is given. ``query``: a text that it contains literally,
    apart from case and white space; ``until`` is exclusive, except that a date without a time is included.
    ``dry_run``: change nothing, and list all that would be changed."""

    query: str = ""
    ids: list[str] = Field(default_factory=list[str])
    speaker: str = ""
    since: str | None = None
    until: str | None = None
    dry_run: bool = False


@routes.post("/forget")
async def forget(name: Name, body: ToForget, caller: AgentCaller) -> ForgetReceipt:
    """Forget a text, ids, a speaker or a time, everywhere, for good; return the receipt."""
    return await forget_for(caller, name, body)


@routes.get("/tombstones")
async def list_tombstones(name: Name, caller: AgentCaller) -> ItemList[Tombstone]:
    """List the forgettings so far: when, at whose word, how many items of each kind; the oldest first."""
    return ItemList(items=list(await tombstones(caller.kernel, name)))


class Hold(RequestBody):
    """A legal hold. ``why``: for whoever is refused."""

    why: str


@routes.put("/hold")
async def hold(name: Name, body: Hold, caller: AgentCaller) -> Done:
    """Let nothing of the agent be forgotten or deleted, by nobody, until the hold is lifted."""
    caller.require("admin")
    await holding.hold(caller.kernel, name, body.why)
    return Done(done=True)


@routes.delete("/hold")
async def lift_hold(name: Name, caller: AgentCaller) -> Done:
    """Let the agent be forgotten and deleted again."""
    caller.require("admin")
    return Done(done=await holding.lift_hold(caller.kernel, name))


async def forget_for(caller: Caller, name: str, body: ToForget) -> ForgetReceipt:
    """Forget it, or plan that, if the caller may; ``Problem`` if that would change agents that the caller may
    not reach."""
    caller.require("admin")
    if caller.is_limited:
        await _check_reach(caller, await _asked(caller, name, body, dry_run=True))
    return await _asked(caller, name, body, dry_run=body.dry_run)


async def _asked(caller: Caller, name: str, body: ToForget, *, dry_run: bool) -> ForgetReceipt:
    return await ask_to_forget(
        caller.kernel, name, body.query, ids=body.ids, speaker=body.speaker, since=body.since,
        until=body.until, dry_run=dry_run,
    )  # fmt: skip


async def _check_reach(caller: Caller, planned: ForgetReceipt) -> None:
    """Raise a ``Problem`` if agents would be changed that the caller may not reach."""
    agents = {owner for owner in planned.owners if not is_shared(owner)}
    if agents - await caller.reached(agents):
        raise Problem(
            403, "Forbidden",
            "This would change forks or copies that this key may not reach; use a key for all agents.",
        )  # fmt: skip
