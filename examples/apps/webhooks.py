"""A daemon that serves timers, and delivers what agents say by webhook: signed, retried, in order.

WEBHOOK_URL=https://example.org/hook WEBHOOK_SECRET=whsec_... python examples/apps/webhooks.py ana
"""

import asyncio
import hmac
import json
import os
import signal
import sys
import time
from base64 import b64decode, b64encode
from contextlib import suppress

import anyio
import httpx2

import pagefault
from pagefault.config import home_folder

URL, SECRET = os.environ["WEBHOOK_URL"], b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))


async def delivered(client: httpx2.AsyncClient, id: str, body: str) -> bool:
    at = str(int(time.time()))
    mac = b64encode(hmac.digest(SECRET, f"{id}.{at}.{body}".encode(), "sha256")).decode()
    signed = {"webhook-id": id, "webhook-timestamp": at, "webhook-signature": f"v1,{mac}"}
    with suppress(httpx2.HTTPError):
        return (await client.post(URL, content=body, headers=signed)).is_success
    return False


async def follow(client: httpx2.AsyncClient, agent: pagefault.AsyncAgent) -> None:
    """Deliver what the agent says, from where the last run came to; each until it is taken."""
    place = anyio.Path(home_folder(None), f"webhooks-{agent.name}.position")
    after, pause = int(await place.read_text()) if await place.exists() else 0, 0.5
    async for output in agent.listen(after):
        id = f"{agent.name}-{output.position}"
        body = json.dumps({"agent": agent.name, "position": output.position, "text": output.text})
        while output.type == "said" and not await delivered(client, id, body):
            print(f"{id} was not taken; again in {pause:g} s", flush=True)
            await asyncio.sleep(pause)
            pause = min(2 * pause, 300)
        after, pause = max(after, output.position), 0.5
        await place.with_suffix(".new").write_text(str(after))
        await place.with_suffix(".new").replace(place)


async def main(*names: str) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, signal.raise_signal, signal.SIGINT)
    async with pagefault.open() as pf, httpx2.AsyncClient() as client, asyncio.TaskGroup() as tasks:
        for agent in [await pf.agent(name, timers=True) for name in names]:
            tasks.create_task(follow(client, agent))
        await pf.serve()


with suppress(KeyboardInterrupt):
    asyncio.run(main(*sys.argv[1:]))
