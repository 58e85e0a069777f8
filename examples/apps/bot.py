"""A bot for Telegram that listens to its groups, knows who said what, and answers when it is spoken to.

    TELEGRAM_TOKEN=... TELEGRAM_NAME=my_bot python examples/apps/bot.py

BotFather, in Telegram, makes a bot with its token; `/setprivacy` there lets it read what is said in groups.
"""

import asyncio
import os
from typing import Any

import httpx2

import pagefault
from pagefault.names import shown_sender

NAME = os.environ["TELEGRAM_NAME"]
API = f"{os.environ.get('TELEGRAM_API', 'https://api.telegram.org')}/bot{os.environ['TELEGRAM_TOKEN']}/"


async def take_in(pf: pagefault.Pagefault, update: int, message: dict[str, Any]) -> None:
    """Post a message to the agent of its chat. From then on it is safe; with its key it is one event."""
    text, chat = message["text"], message["chat"]
    to_us = chat["type"] == "private" or f"@{NAME}" in text
    sender = shown_sender(message["from"]["first_name"]) or "somebody"  # without brackets, dates and the like
    agent = await pf.agent(f"chat{chat['id']}")
    kind, text = "message" if to_us else "overheard", text.replace(f"@{NAME}", "").strip()
    await agent.post(pagefault.Event(kind, text, f"update-{update}", sender))


async def hear(pf: pagefault.Pagefault, client: httpx2.AsyncClient) -> None:
    offset = 0
    while True:
        asked = await client.get("getUpdates", params={"offset": offset, "timeout": 50})
        for update in asked.raise_for_status().json()["result"]:
            offset = update["update_id"] + 1
            if "text" in update.get("message", {}):
                await take_in(pf, update["update_id"], update["message"])


async def speak(pf: pagefault.Pagefault, client: httpx2.AsyncClient) -> None:
    async for agent, output in pf.listen():
        if output.type == "said":
            answer = {"chat_id": int(agent.removeprefix("chat")), "text": output.text}
            (await client.post("sendMessage", json=answer)).raise_for_status()


async def main() -> None:
    client = httpx2.AsyncClient(base_url=API, timeout=60)
    async with pagefault.open() as pf, client, asyncio.TaskGroup() as tasks:
        tasks.create_task(speak(pf, client))
        tasks.create_task(hear(pf, client))
        tasks.create_task(pf.serve())  # what was left when it was stopped


asyncio.run(main())
