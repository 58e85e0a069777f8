"""Answers of Chat Completions, whole or in chunks: pure functions of a reply and of speech as it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pagefault.server.openai.answers import ClientAnswer
from pagefault.server.openai.speech import SpeechDelta, SpeechDone
from pagefault.views.usage import Spending

__all__ = ["ChatChunks", "chat_usage", "completion"]


def chat_usage(spent: Spending) -> dict[str, Any]:
    """The tokens of a turn's requests, in the form of Chat Completions."""
    return {
        "prompt_tokens": spent.input,
        "completion_tokens": spent.output,
        "total_tokens": spent.input + spent.output,
        "prompt_tokens_details": {"cached_tokens": spent.cached, "cache_write_tokens": spent.written},
        "completion_tokens_details": {"reasoning_tokens": spent.thinking},
    }


def completion(id: str, model: str, created: int, answer: ClientAnswer) -> dict[str, Any]:
    """The whole answer, as one object."""
    message = {"role": "assistant", "content": answer.text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": _finish(answer), "logprobs": None}
    return {
        "id": id, "object": "chat.completion", "created": created, "model": model, "choices": [choice],
        "usage": chat_usage(answer.reply.usage), "pagefault": answer.facts(),
    }  # fmt: skip


@dataclass(slots=True)
class ChatChunks:
    """The chunks of one answer. A client can take nothing back: where speech was taken back, the new text
    comes behind the old one, after an empty line."""

    id: str
    model: str
    created: int
    with_usage: bool
    _item: int | None = None  # the text that was begun last

    def first(self) -> dict[str, Any]:
        return self._chunk({"role": "assistant", "content": ""})

    def step(self, step: SpeechDelta | SpeechDone) -> dict[str, Any] | None:
        """The chunk of a step of the speech; None if it adds nothing."""
        text = step.text if isinstance(step, SpeechDelta) else step.rest
        if text == "":
            return None
        lead = "\n" if step.item and step.item != self._item else ""
        if text is None:
            text, lead = step.text, "\n\n"
        self._item = step.item
        return self._chunk({"content": lead + text})

    def last(self, answer: ClientAnswer) -> list[dict[str, Any]]:
        """The chunks behind the speech: the notice of calls that wait, the end, the usage."""
        chunks = list[dict[str, Any]]()
        if answer.notice:
            chunks.append(self._chunk({"content": ("\n" if self._item is not None else "") + answer.notice}))
        chunks.append(self._chunk({}, _finish(answer)) | {"pagefault": answer.facts()})
        if self.with_usage:
            chunks.append(self._chunk({}) | {"choices": [], "usage": chat_usage(answer.reply.usage)})
        return chunks

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        chunk = {
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": [choice],
        }  # fmt: skip
        return chunk | ({"usage": None} if self.with_usage else {})


def _finish(answer: ClientAnswer) -> str:
    return "length" if answer.cut_short else "stop"
