"""Answers of the Responses protocol, whole or as a numbered stream of events that can be taken up again.

The number of an event follows from the committed texts alone: each character counts one, and so does each
event that is no text. So any server finds the place behind a number in the log, in the middle of a text too,
and keeps nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pagefault.server.openai.answers import ClientAnswer
from pagefault.server.openai.speech import SpeechDelta, SpeechDone
from pagefault.views.approvals import ApprovalView
from pagefault.views.usage import Spending

__all__ = ["ResponseEvents", "ResponseHead", "response_object"]

_AROUND = 5  # events of a text that are no text


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The parts of a response that are known from the beginning. Those that a client gave are not stored,
    and are not in a response that is asked for again."""

    id: str
    model: str
    created: int
    background: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    previous: str | None = None
    conversation: str = ""


def response_object(head: ResponseHead, answer: ClientAnswer | None) -> dict[str, Any]:
    """The response as one object; without an answer its turn is not over."""
    alert = answer.cut_short if answer else ""
    done = answer is not None and answer.is_complete
    return {
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "status": "failed" if alert else "completed" if done else "in_progress",
        "error": {"code": "server_error", "message": alert} if alert else None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": head.model,
        "output": _output(head, answer) if answer else [],
        "parallel_tool_calls": True,
        "previous_response_id": head.previous,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "truncation": "disabled",
        "usage": _usage(answer.reply.usage) if answer and done else None,
        "user": None,
        "metadata": dict(head.metadata),
        "background": head.background,
        "conversation": {"id": head.conversation} if head.conversation else None,
        "completed_at": None,
    } | ({"pagefault": answer.facts()} if answer else {})


def _output(head: ResponseHead, answer: ClientAnswer) -> list[dict[str, Any]]:
    said = [output.text for output in answer.reply.outputs if output.type == "said"]
    return [message_item(head, number, text) for number, text in enumerate(said)] + [
        approval_item(call) for call in answer.reply.waiting
    ]


def message_item(
    head: ResponseHead, number: int, text: str | None, status: str = "completed"
) -> dict[str, Any]:
    """A text of the agent as an item of the output; without content if it is only begun."""
    content = [] if text is None else [_part(text)]
    id = f"msg_{head.id.removeprefix('resp_')}_{number}"
    return {"id": id, "type": "message", "role": "assistant", "status": status, "content": content}


def approval_item(call: ApprovalView) -> dict[str, Any]:
    """A call that waits for a decision as an item of the output."""
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    return {
        "id": call.id, "type": "mcp_approval_request", "server_label": "pagefault", "name": call.name,
        "arguments": arguments,
    }  # fmt: skip


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(spent: Spending) -> dict[str, Any]:
    return {
        "input_tokens": spent.input,
        "input_tokens_details": {"cached_tokens": spent.cached, "cache_write_tokens": spent.written},
        "output_tokens": spent.output,
        "output_tokens_details": {"reasoning_tokens": spent.thinking},
        "total_tokens": spent.input + spent.output,
    }


@dataclass(slots=True)
class ResponseEvents:
    """The events of one response, in order, those behind ``after``."""

    head: ResponseHead
    after: int = -1
    _next: int = 2  # the number of the text's first event
    _shown: int = 0  # characters of the text that is open
    _open: bool = False

    def begin(self) -> Iterator[dict[str, Any]]:
        response = response_object(self.head, None)
        yield from self._event("response.created", 0, response=response)
        yield from self._event("response.in_progress", 1, response=response)

    def step(self, step: SpeechDelta | SpeechDone) -> Iterator[dict[str, Any]]:
        """The events of a step of the speech."""
        at = {"item_id": message_item(self.head, step.item, None)["id"], "output_index": step.item}
        yield from self._opened(step.item, at)
        if isinstance(step, SpeechDelta):
            yield from self._delta(step.text, at)
            return
        if step.rest:
            yield from self._delta(step.rest, at)
        number = self._next + 2 + len(step.text)
        at_part = at | {"content_index": 0}
        text, part, whole = step.text, _part(step.text), message_item(self.head, step.item, step.text)
        yield from self._event("response.output_text.done", number, **at_part, text=text, logprobs=[])
        yield from self._event("response.content_part.done", number + 1, **at_part, part=part)
        yield from self._event("response.output_item.done", number + 2, output_index=step.item, item=whole)
        self._next, self._shown, self._open = self._next + _AROUND + len(step.text), 0, False

    def end(self, answer: ClientAnswer, unfinished: int) -> Iterator[dict[str, Any]]:
        """The last events; ``unfinished``: the number of the text that would come next, or is open. The
        requests for decisions take no numbers: after the decision the texts go on where they were."""
        if self._open:
            item = message_item(self.head, unfinished, "", "incomplete")
            yield from self._event(
                "response.output_item.done", self._next, output_index=unfinished, item=item
            )
        response = response_object(self.head, answer)
        waiting = answer.reply.waiting
        number = self._next - 1 if waiting else self._next
        yield from self._approvals(waiting, number, unfinished)
        kind = {"failed": "response.failed", "completed": "response.completed"}.get(response["status"])
        was_seen = number == self.after and not waiting
        if kind and not was_seen:  # the place is behind it if a longer text was taken back
            yield {"type": kind, "sequence_number": max(number, self.after), "response": response}

    def _approvals(self, calls: Sequence[ApprovalView], number: int, first: int) -> Iterator[dict[str, Any]]:
        for index, call in enumerate(calls, first):
            for kind in ("response.output_item.added", "response.output_item.done"):
                item = approval_item(call)
                yield {"type": kind, "sequence_number": number, "output_index": index, "item": item}

    def _opened(self, item: int, at: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if self._open:
            return
        self._open = True
        begun = message_item(self.head, item, None, "in_progress")
        yield from self._event("response.output_item.added", self._next, output_index=item, item=begun)
        yield from self._event(
            "response.content_part.added", self._next + 1, **at, content_index=0, part=_part("")
        )

    def _delta(self, text: str, at: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The number of a delta is that of its last character; of one that was seen in part the rest is
        left."""
        self._shown += len(text)
        number = self._next + 1 + self._shown
        text = text[max(0, self.after - (number - len(text))) :]
        yield from self._event(
            "response.output_text.delta", number, **at, content_index=0, delta=text, logprobs=[]
        )

    def _event(self, kind: str, number: int, **fields: Any) -> Iterator[dict[str, Any]]:
        if number > self.after:
            yield {"type": kind, "sequence_number": number, **fields}
