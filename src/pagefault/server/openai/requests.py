"""Requests of OpenAI's protocols: the one message in them that is new to the agent.

A client sends the whole conversation with each request. The agent remembers it, so only the last message of
the user enters it; instructions, sampling and the rest of the transcript are the agent's own matter. What
would change the meaning of the answer (a client's tools, a format, several choices) is refused, not ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pagefault.quoting import whole
from pagefault.server.problems import Problem

__all__ = [
    "ChatRequest",
    "ResponsesRequest",
    "UserMessage",
    "last_message",
    "refuse_unsupported",
    "unsupported",
]

_TOOLS = (
    "The agent has tools of its own and cannot call those of a client; leave {} out, and give the agent an "
    "MCP server that has them."
)
_REFUSED = {
    "tools": _TOOLS.format("tools"),
    "functions": _TOOLS.format("functions"),
    "mcp_servers": _TOOLS.format("mcp_servers"),
    "prompt": "The agent has its own prompt; leave prompt out.",
    "audio": "The agent answers in text; leave audio out.",
    "logprobs": "The agent has no log probabilities; leave logprobs out.",
    "web_search_options": "The agent searches by its own tools; leave web_search_options out.",
}
_TEXT_PARTS = ("text", "input_text")
_IMAGE_PARTS = ("image_url", "input_image")
_OTHERS = ("system", "developer")  # a client's instructions may stand behind the user's message


class _Request(BaseModel):
    """A request; fields that are not here are the agent's own matter and are ignored."""

    model_config = ConfigDict(extra="allow")

    stream: bool | None = False
    tools: list[Any] | None = Field(default=None, description="refused: the agent has its own")
    metadata: dict[str, str] | None = None


class StreamOptions(BaseModel):
    """Options of a streamed answer."""

    model_config = ConfigDict(extra="allow")

    include_usage: bool | None = None


class TextFormat(BaseModel):
    """The form of the answer; any but ``text`` is refused."""

    model_config = ConfigDict(extra="allow")

    type: str = "text"


class TextOptions(BaseModel):
    """Options of the text of a response."""

    model_config = ConfigDict(extra="allow")

    format: TextFormat | None = None


class ConversationRef(BaseModel):
    """A conversation, by its id."""

    model_config = ConfigDict(extra="allow")

    id: str = Field(max_length=512)


class ChatRequest(_Request):
    """``model`` is the agent; of ``messages`` only the last one of the user enters it."""

    model: str
    messages: list[dict[str, Any]]
    stream_options: StreamOptions | None = None
    n: int | None = None
    response_format: TextFormat | None = None


class ResponsesRequest(_Request):
    """``model`` is the agent; without it, the one that gave ``previous_response_id``."""

    model: str = ""
    input: str | list[dict[str, Any]] = ""
    background: bool | None = None
    previous_response_id: str | None = None
    conversation: Annotated[str, Field(max_length=512)] | ConversationRef | None = None
    text: TextOptions | None = None


class _ImageUrl(BaseModel):
    url: str


class _Part(BaseModel):
    type: str
    text: str = ""
    image_url: _ImageUrl | str | None = None

    @property
    def url(self) -> str:
        return self.image_url.url if isinstance(self.image_url, _ImageUrl) else self.image_url or ""


class _Message(BaseModel):
    role: str = ""
    type: str = "message"
    name: str | None = None
    content: str | list[_Part] | None = None


@dataclass(frozen=True, slots=True)
class UserMessage:
    """The message that enters the agent. ``name``: of who wrote it, as the client says; ``images``: as URLs,
    of which some are data."""

    text: str
    name: str = ""
    images: tuple[str, ...] = ()


def unsupported(param: str, detail: str) -> Problem:
    """The problem of a parameter that the agent cannot honour."""
    return Problem(400, "Unsupported", detail, param=param, code="unsupported_parameter")


def refuse_unsupported(request: ChatRequest | ResponsesRequest) -> None:
    """Raise a ``Problem`` if the request asks for what would be silently left out of the answer."""
    given = {"tools": request.tools} | (request.model_extra or {})
    for name, why in _REFUSED.items():
        if given.get(name):
            raise unsupported(name, why)
    if isinstance(request, ChatRequest):
        wanted, name = request.response_format, "response_format"
        if request.n not in (None, 1):
            raise unsupported("n", "The agent gives one answer, which it remembers; leave n out.")
    else:
        wanted, name = request.text and request.text.format, "text.format"
    if wanted and wanted.type != "text":
        raise unsupported(name, f"The agent answers in plain text; leave {name} out.")


def last_message(messages: str | Sequence[Mapping[str, Any]], param: str) -> UserMessage:
    """The last message of the user, which must be the last of all but for instructions."""
    if isinstance(messages, str):
        return _message(_Message(role="user", content=messages), param)
    spoken = [each for each in messages if each.get("role") not in _OTHERS]
    if not spoken:
        raise _wrong(param, "There is no message of the user in it; put one last.")
    try:
        last = _Message.model_validate(spoken[-1])
    except ValidationError:
        raise _wrong(param, "The last message is not readable; give its content as text or parts.") from None
    if last.type == "mcp_approval_response":
        raise unsupported(param, "Decide on a call at /api/v1/agents/NAME/approvals; its turn then goes on.")
    if last.role == "tool" or last.type.endswith("_output"):
        raise unsupported(param, "The agent's tools are run here, and it takes no results from a client.")
    if last.role != "user":
        raise _wrong(param, "The last message is not the user's, which alone enters the agent; put it last.")
    return _message(last, param)


def _message(message: _Message, param: str) -> UserMessage:
    content = message.content
    parts = [_Part(type="text", text=content)] if isinstance(content, str) else content or []
    for part in parts:
        if part.type not in _TEXT_PARTS + _IMAGE_PARTS:
            why = f"The agent takes text and images, and no part of type {part.type!a}; leave it out."
            raise unsupported(param, why)
    images = [part.url for part in parts if part.type in _IMAGE_PARTS]
    if not all(images):
        raise _wrong(param, "An image has no URL; give it as image_url.")
    text = "\n".join(part.text for part in parts if part.type in _TEXT_PARTS)
    if not text.strip() and not images:
        raise _wrong(param, "The user's message is empty; write something.")
    return UserMessage(whole(text), whole(message.name or ""), tuple(images))


def _wrong(param: str, detail: str) -> Problem:
    return Problem(400, "Wrong request", detail, param=param)
