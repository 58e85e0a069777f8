"""The inputs of a request to an agent: messages to post, decisions on calls. Pure.

An input that cannot be used as it is meant is refused with a sentence: an agent that gets half of a message
would answer another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pagefault.quoting import inline
from pagefault.server.letta.bodies import MessageBody, TurnBody
from pagefault.server.letta.ids import read_id
from pagefault.server.problems import Problem
from pagefault.types import Event, EventKind, Message

__all__ = ["CallDecision", "MessageInput", "decisions_of", "inputs_of"]

NOTICE = "notice"
"""The kind of the events that messages of the role ``system`` become."""


@dataclass(frozen=True, slots=True)
class MessageInput:
    """An event to post, and the addresses of the images that come with it."""

    event: Event
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallDecision:
    """A decision on a call. ``call``: its id for the model; ``message``: the number of its row, or of the
    first that was asked for with it; one of the two is given."""

    approved: bool
    call: str = ""
    message: int = 0
    note: str = ""


def inputs_of(body: TurnBody, key: str | None = None) -> list[MessageInput | CallDecision]:
    """The inputs of a request in their order. Messages of one user that follow one another are one event.
    ``key``: of the whole request, for the events that have none of their own."""
    refusals = {
        "client_tools": "Tools of the client cannot be called here; leave client_tools out, and give the "
        "agent an MCP server that has them.",
        "override_model": "A request cannot choose the model; change that of the agent.",
        "override_system": "A request cannot choose the instructions; change those of the agent.",
    }
    for name, sentence in refusals.items():
        if getattr(body, name):
            raise Problem(501, "Not there yet", sentence)
    messages = list(body.messages or ())
    if body.input is not None:
        if messages:
            raise _wrong("Give input or messages, not both.")
        messages = [MessageBody(role="user", content=body.input)]
    found = list[MessageInput | CallDecision]()
    for message in messages:
        found += _inputs(message)
    if not found:
        raise _wrong("There is no message; give input or messages.")
    joined = _joined(found)
    return [_with_key(each, key, number) for number, each in enumerate(joined)] if key else joined


def _with_key(given: MessageInput | CallDecision, key: str, number: int) -> MessageInput | CallDecision:
    if isinstance(given, CallDecision) or given.event.key:
        return given
    own = f"{key}/{number}" if number else key
    return replace(given, event=replace(given.event, key=own))


def _inputs(message: MessageBody) -> list[MessageInput | CallDecision]:
    if message.type == "approval":
        return list(_decisions(message))
    if message.type not in (None, "message"):
        raise Problem(
            501, "Not there yet",
            f"Messages of the type {inline(message.type)} are not taken; tools run on the server.",
        )  # fmt: skip
    kind = {"user": EventKind.MESSAGE, "system": NOTICE}.get(message.role or "user")
    if kind is None:
        raise _wrong(
            f"A message of the role {inline(message.role or '')} cannot be sent; write user or system."
        )
    if message.content is None:
        raise _wrong("A message has no content; give its text.")
    text, images = _parts(message.content)
    return [MessageInput(Event(kind, text, message.otid or None, message.name or None), images)]


def _parts(content: str | Sequence[Any]) -> tuple[str, tuple[str, ...]]:
    """The text of a message and the addresses of its images; ``Problem`` for parts that are neither."""
    if isinstance(content, str):
        return content, ()
    texts, images = list[str](), list[str]()
    for part in content:
        given: Mapping[str, Any] = cast("Mapping[str, Any]", part) if isinstance(part, Mapping) else {}
        kind, text = str(given.get("type", "text")), given.get("text")
        if kind == "image":
            images.append(_address(given.get("source")))
        elif kind == "text" and isinstance(text, str):
            texts.append(text)
        else:
            what = f"Content of the type {inline(kind)} is not taken here; send text and images."
            raise Problem(501, "Not there yet", what)
    return "\n".join(texts), tuple(images)


def _address(source: Any) -> str:
    """The address of an image; one that is sent as base64 gets a ``data:`` address."""
    given: Mapping[str, Any] = cast("Mapping[str, Any]", source) if isinstance(source, Mapping) else {}
    url, data, media = given.get("url"), given.get("data"), given.get("media_type")
    if "file_id" in given:
        raise Problem(501, "Not there yet", "Images by file_id are not taken here; send url or base64 data.")
    if isinstance(url, str):
        return url
    if isinstance(data, str) and isinstance(media, str):
        return f"data:{media};base64,{data}"
    raise _wrong("An image has a source with url, or with media_type and data (base64); give one of the two.")


def _decisions(message: MessageBody) -> Iterable[CallDecision]:
    if not message.approvals:
        if message.approve is None or not message.approval_request_id:
            raise _wrong("The approval has no approvals; give one for each call.")
        number = read_id("message", message.approval_request_id).number
        yield CallDecision(message.approve, message=number, note=message.reason or "")
    for each in message.approvals or ():
        call, approve, reason = each.get("tool_call_id"), each.get("approve"), each.get("reason")
        if each.get("type", "approval") != "approval":
            raise Problem(
                501, "Not there yet", "Results of the client's tools are not taken; tools run on the server."
            )
        if not isinstance(call, str) or not isinstance(approve, bool):
            raise _wrong("An approval has a tool_call_id, and approve as true or false.")
        yield CallDecision(approve, call, note=reason if isinstance(reason, str) else "")


def _are_one(one: MessageInput, other: MessageInput) -> bool:
    return (one.event.kind, one.event.sender) == (other.event.kind, other.event.sender)


def _joined(inputs: Sequence[MessageInput | CallDecision]) -> list[MessageInput | CallDecision]:
    made = list[MessageInput | CallDecision]()
    for each in inputs:
        last = made[-1] if made else None
        if isinstance(each, MessageInput) and isinstance(last, MessageInput) and _are_one(last, each):
            text = "\n\n".join(filter(None, (last.event.text, each.event.text)))
            made[-1] = MessageInput(replace(last.event, text=text), last.images + each.images)
        else:
            made.append(each)
    return made


def decisions_of(
    decisions: Sequence[CallDecision], waiting: Sequence[Message]
) -> list[tuple[Message, CallDecision]]:
    """The calls that wait and are decided on, with the decision on each."""
    made = list[tuple[Message, CallDecision]]()
    for each in decisions:
        calls = [row for row in waiting if (row.call_id or row.id) == each.call]
        if each.message:  # an old client decides on all that were asked for together
            together = any(row.seq == each.message for row in waiting)
            calls = list(waiting) if together else []
        if not calls:
            raise Problem(
                400, "Wrong request",
                f"No call {inline(each.call or 'of this message')} waits for a decision; the agent's "
                "pending_approval has those that do.",
            )  # fmt: skip
        made += [(row, each) for row in calls]
    return made


def _wrong(sentence: str) -> Problem:
    return Problem(400, "Wrong request", sentence)
