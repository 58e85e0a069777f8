"""A reply is made of its own agent's turn, also if another agent has the name when the turn ends."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from conftest import Machine, served
from pagefault.config import parse_settings
from pagefault.errors import StaleAgentError
from pagefault.facade.agent import AsyncAgent
from pagefault.facade.handle import Handle
from pagefault.kernel.facts import remember
from pagefault.models import Completion, Prompt, Usage
from pagefault.testing.models import Item, ScriptedModel, call, say
from pagefault.types import Event
from test_server import WAYS

pytestmark = pytest.mark.anyio


def is_other(prompt: Prompt) -> bool:
    return "Hello other" in str(prompt)


def script(prompt: Prompt) -> Item:
    if is_other(prompt) or "mead" in str(prompt):
        return [say("Hello.")]
    return [call("archival_search", query="honey", heartbeat=True)]


def usage(prompt: Prompt, _: Completion) -> Usage:
    return Usage(7 if is_other(prompt) else 111, 1)


def tokens(way: str, answer: dict[str, Any]) -> int:
    """The tokens of the prompts, as an answer has them."""
    found = answer["usage"]
    return found[
        {"rest": "input", "chat": "prompt_tokens", "responses": "input_tokens"}.get(way, "prompt_tokens")
    ]


@pytest.mark.parametrize("way", [*WAYS, "facade"])
async def test_a_reply_is_of_the_agent_that_has_the_event(machine: Machine, way: str) -> None:
    async with machine.open(ScriptedModel(script, usage=usage)) as rig, served(rig.kernel) as server:
        kernel, found = rig.kernel, list[tuple[int, list[str]]]()
        await remember(kernel, "ana", "Ana makes mead of honey.")
        admission = kernel.scheduler.admission
        admission.most, admission.memory = 0, None  # the turn does not begin

        async def send() -> None:
            if way == "facade":
                reply = await AsyncAgent(Handle(rig, "ana")).send("Hi")
                found.append((reply.usage.input, [source.id for source in reply.sources]))
                return
            method, path, body = WAYS[way]
            answer = (await server.client.request(method, path, json=body)).json()
            sources = [source["id"] for source in answer["sources"]] if way == "rest" else ["p1"]
            found.append((tokens(way, answer), sources))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            with anyio.fail_after(60):
                while not await rig.events():  # noqa: ASYNC110  until it is stored
                    await anyio.sleep(0.01)
            await kernel.rename("ana", "eva")
            await kernel.create_agent("ana", parse_settings({"zone": "UTC"}))
            admission.most = 5
            await kernel.post("ana", Event("message", "Hello other"))
            await kernel.wake_waiting()
        assert found == [(222, ["p1"])]


async def test_an_event_is_not_stored_for_another_agent_that_got_the_name(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        kernel, first = rig.kernel, (await rig.kernel.record("ana")).id
        rig.kernel.scheduler.admission.most = 0  # no turn begins
        await kernel.rename("ana", "eva")
        await kernel.create_agent("ana", parse_settings({"zone": "UTC"}))
        with pytest.raises(StaleAgentError):
            await kernel.post("ana", Event("message", "for Eva"), first)
        stored = await kernel.post("eva", Event("message", "for Eva"), first)
        assert [event.id for event in await kernel.store.read(lambda tx: tx.events(first))] == [stored.id]
        second = (await kernel.record("ana")).id
        assert await kernel.store.read(lambda tx: tx.events(second)) == []
