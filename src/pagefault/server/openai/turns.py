"""One request, one turn: the message is posted, and its outputs are read for a client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from fastapi import Request

from pagefault.errors import NotFoundError
from pagefault.kernel.streams import following
from pagefault.server.auth import Caller, options_of
from pagefault.server.openai.answers import ClientAnswer
from pagefault.server.openai.identity import conversation_of, key_of, refuse_task, sender_of
from pagefault.server.openai.ids import answer_id
from pagefault.server.openai.requests import UserMessage
from pagefault.server.openai.speech import SpeechDelta, SpeechDone, SpeechReader
from pagefault.server.posting import checked_event, posted_outputs, sent_images
from pagefault.server.problems import Problem
from pagefault.server.sse import held
from pagefault.tenancy import KeyRole
from pagefault.types import UNCOMMITTED, AgentId, Event, EventKind, Output
from pagefault.views.reply import reply_of

__all__ = ["ClientTurn", "checked_agent", "followed_turn", "posted_turn"]


@dataclass(slots=True)
class ClientTurn:
    """The turn of an event, as its outputs are read. ``id``: the answer's, with the protocol's own prefix."""

    caller: Caller
    agent: str
    agent_id: AgentId
    event: Event
    id: str
    outputs: AsyncGenerator[Output]
    speech: SpeechReader = field(default_factory=SpeechReader)
    _committed: list[Output] = field(default_factory=list[Output])

    async def steps(self) -> AsyncIterator[SpeechDelta | SpeechDone]:
        """The steps of the speech as they come, until the turn is over or waits."""
        async with aclosing(self.outputs):
            async for output in self.outputs:
                if output.type not in UNCOMMITTED:
                    self._committed.append(output)
                for step in self.speech.read(output):
                    yield step

    async def answer(self) -> ClientAnswer:
        """The answer when the steps are at their end; those that were not taken are waited for."""
        async for _ in self.steps():
            pass
        return ClientAnswer(await reply_of(self.caller.kernel, self.agent_id, self._committed))

    @property
    def created(self) -> int:
        """The time of the event, in seconds since 1970."""
        return int(self.event.at.timestamp()) if self.event.at else 0


async def checked_agent(caller: Caller, name: str, role: KeyRole = "chat") -> None:
    """Raise a ``Problem`` if there is no agent of this name that the caller may reach in this role."""
    caller.require(role)
    try:
        await caller.check(name)
    except (Problem, NotFoundError):
        why = f"There is no agent {name!a} that this key may reach; /v1/models lists those there are."
        raise Problem(404, "Not found", why, param="model", code="model_not_found") from None


async def posted_turn(
    request: Request,
    caller: Caller,
    agent: str,
    message: UserMessage,
    *,
    stream: bool,
    prefix: str,
    conversation: str = "",
) -> ClientTurn:
    """Post the message of a request to an agent; a ``Problem`` if the request is none for its memory."""
    refuse_task(request.headers, stream=stream)
    key = key_of(request.headers, conversation or conversation_of(request.headers))
    sender = sender_of(request.headers, message.name, caller, options_of(request).user_secret)
    event = checked_event(caller, Event(EventKind.MESSAGE, message.text, key, sender))
    event = replace(event, contents=await sent_images(caller, message.images, param="image_url"))
    id, stored, outputs = await held(posted_outputs(caller, agent, event))
    return ClientTurn(caller, agent, id, stored, answer_id(id, stored, prefix), outputs)


async def followed_turn(caller: Caller, agent: str, number: int) -> ClientTurn:
    """The turn of an event that was posted before."""
    id, event, outputs = await held(following(caller.kernel, agent, number))
    return ClientTurn(caller, agent, id, event, answer_id(id, event), outputs)
