"""Streams of a key that is revoked end when it is looked up again, in every protocol."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest

from conftest import Machine, served
from pagefault.kernel.tenancy import create_key, keys, revoke_key
from pagefault.server.revoking import KeyWatch
from pagefault.testing.models import ScriptedModel, say
from test_server import Gate, HaltingModel

pytestmark = pytest.mark.anyio

AGENT = "/api/v1/agents/ana"


async def sent_until_end(answer: httpx2.Response) -> list[str]:
    return [line async for line in answer.aiter_lines() if line.startswith(("event: ", "data: "))]


@pytest.mark.parametrize("way", ["rest", "openai", "letta"])
async def test_the_streams_of_a_revoked_key_end_with_an_error(machine: Machine, way: str) -> None:
    gate = Gate()
    model = HaltingModel([[say("Hello Ann, how are you?")], [say("Hello Bo, how are you?")]], gate, Gate())
    async with machine.open(model) as rig, served(rig.kernel, recheck=0.02) as server, server.live() as url:
        secret = await create_key(rig.kernel, "ci", role="admin")
        async with httpx2.AsyncClient(base_url=url, headers={"authorization": f"Bearer {secret}"}) as client:
            path, body = f"{AGENT}/messages", dict[str, Any](text="Hi")
            if way == "openai":
                messages = [{"role": "user", "content": "Hi"}]
                path, body = "/v1/chat/completions", {"model": "ana", "messages": messages, "stream": True}
            if way == "letta":
                id = (await client.get("/v1/agents/")).json()[0]["id"]
                path, body = f"/v1/agents/{id}/messages/stream", {"input": "Hi"}
            headers = {"accept": "text/event-stream"}
            async with client.stream("POST", path, json=body, headers=headers, timeout=60) as answer:
                assert answer.status_code == 200
                await gate.reached.wait()
                await revoke_key(rig.kernel, "ci")
                sent = await sent_until_end(answer)
        assert "The key of this stream was revoked" in sent[-1]
        assert "how are you?" not in "".join(sent)
        gate.opened.set()
        await rig.kernel.idle("ana")  # the turn itself goes on
        rows = await rig.log()
        assert any("how are you?" in row.text for row in rows)


async def test_a_key_is_looked_up_once_however_many_streams_it_has(machine: Machine) -> None:
    async with machine.open(ScriptedModel([])) as rig:
        await create_key(rig.kernel.within("firm"), "ci")
        (key,) = await keys(rig.kernel.within("firm"))
        now, ended, looks = 0.0, list[int](), list[float]()

        async def sleep(_: float) -> None:
            await anyio.lowlevel.checkpoint()

        watch = KeyWatch(rig.kernel, 5.0, lambda: (looks.append(now), now)[1], sleep)

        async def stream(number: int) -> None:
            await watch.until_revoked(key)
            ended.append(number)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                for number in range(3):
                    tasks.start_soon(stream, number)
                while len(looks) < 30:
                    await anyio.lowlevel.checkpoint()
                await revoke_key(rig.kernel.within("firm"), "ci")
                rig.clock.advance(1)
                await create_key(rig.kernel.within("firm"), "ci")  # another of that name
                while len(looks) < 60:
                    await anyio.lowlevel.checkpoint()
                assert ended == []  # nobody asked again: no time has passed
                now = 5.0
        assert sorted(ended) == [0, 1, 2]
