"""A web service that has an agent for each of its users, in a FastAPI application of yours.

    pip install fastapi uvicorn && uvicorn --app-dir examples/apps web:app
    curl localhost:8000/messages -H 'X-Forwarded-Email: ana@example.org' --json '{"text": "I live in Porto."}'

The proxy before it logs people in and sets the header (oauth2-proxy does so); nobody else may reach this.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import NAMESPACE_URL, uuid5

from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from pagefault import AsyncAgent, Event
from pagefault import open as open_pagefault


class Message(BaseModel):
    text: str = Field(max_length=100_000)
    key: str | None = None  # a message that comes again with the same key is answered once


@asynccontextmanager
async def opened(app: FastAPI) -> AsyncGenerator[None]:
    async with open_pagefault() as app.state.pf:
        yield


async def agent_of(request: Request, x_forwarded_email: Annotated[str, Header()]) -> AsyncAgent:
    name = uuid5(NAMESPACE_URL, f"mailto:{x_forwarded_email.lower()}").hex  # an address is no agent's name
    return await request.app.state.pf.agent(name)


User = Annotated[AsyncAgent, Depends(agent_of)]
app = FastAPI(lifespan=opened)


@app.post("/messages")
async def send(message: Message, agent: User) -> dict[str, str]:
    reply = await agent.send(Event("message", message.text, message.key))
    if reply.text or not reply.alerts:
        return {"text": reply.text}
    raise HTTPException(502, reply.alerts[0])  # the model failed


@app.post("/stream")
async def stream(message: Message, agent: User) -> StreamingResponse:
    outputs = agent.stream(Event("message", message.text, message.key))
    said = (o.text async for o in outputs if o.data.get("of") == "said")  # pieces of speech, not of thoughts
    return StreamingResponse(said, media_type="text/plain")


@app.get("/messages")
async def history(agent: User, before: str | None = None) -> list[dict[str, str]]:
    return [{"id": row.id, "role": row.role, "text": row.text} for row in await agent.history(before=before)]
