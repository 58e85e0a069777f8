"""The completion while it streams: its state, and the deltas of each chunk.

It takes JSON values as servers send them, which is not always as OpenAI does: anything may be missing, of
another type, or sent twice. Left out: calls written as text (``function_calling``), validating arguments.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pagefault.models import Call, Completion, Delta, Usage, own_id
from pagefault.models.json_text import read_json

__all__ = ["PartialCompletion"]

_LOST = 8  # reported tokens from which on an empty answer has lost something


@dataclass(slots=True)
class _PartialCall:
    id: str = ""
    name: str = ""
    arguments: str = ""

    @property
    def whole(self) -> bool:
        try:
            read_json(self.arguments)
        except ValueError:
            return False
        return True

    def take(self, piece: str) -> str:
        """Add a piece of the arguments; return its new part. Some servers repeat all so far each time."""
        if len(self.arguments) > 1 and piece.startswith(self.arguments) and self.arguments.startswith("{"):
            piece = piece[len(self.arguments) :]
        self.arguments += piece
        return piece


@dataclass(slots=True)
class PartialCompletion:
    """The completion as received so far. ``provider`` owns its echo; ``finish`` is the reason of its end."""

    provider: str
    text: str = ""
    thinking: str = ""
    calls: list[_PartialCall] = field(default_factory=list[_PartialCall])
    begun: bool = False
    finish: str | None = None
    usage: Usage | None = None
    model: str = ""
    notes: list[str] = field(default_factory=list[str])
    _details: list[Any] = field(default_factory=list[Any])  # OpenRouter's reasoning, to send back unchanged
    _at: dict[Any, int] = field(default_factory=dict[Any, int])  # the server's index of a call: ours

    @property
    def is_empty(self) -> bool:
        return not self.text.strip() and not self.calls

    def has_lost_calls(self) -> bool:
        """Return True if it ended properly but its content was lost on the way."""
        if not self.is_empty or not self.finish:
            return False
        spoken = self.usage.output - self.usage.thinking if self.usage else 0
        unseen = self.finish == "stop" and not self.thinking and spoken >= _LOST
        return self.finish in ("tool_calls", "function_call") or unseen

    def restarted(self, note: str) -> PartialCompletion:
        """Return an empty completion for the same prompt, asked again."""
        return PartialCompletion(self.provider, begun=True, notes=[*self.notes, note])

    def take(self, chunk: object) -> Sequence[Delta]:
        """Add a chunk of a stream, or a whole response; return its deltas."""
        self.begun = True
        fields = _mapping(chunk)
        if model := fields.get("model"):
            self.model = str(model)
        if usage := _mapping(fields.get("usage")):
            self.usage = _usage(usage)
        choices = _list(fields.get("choices"))
        if not choices:
            return ()
        choice = _mapping(choices[0])
        if finish := choice.get("finish_reason"):
            self.finish = str(finish)
        return self._take_message(_mapping(choice.get("delta") or choice.get("message")))

    def _take_message(self, new: Mapping[str, Any]) -> list[Delta]:
        deltas: list[Delta] = []
        get = new.get  # most pieces have one of these fields, and there are thousands of them
        if thought := get("reasoning_content") or get("reasoning"):
            deltas += self._take_thought(_text(thought))
        if details := get("reasoning_details"):
            self._details += _list(details)
        if text := _text(get("content")) or _text(get("refusal")):
            self.text += text
            deltas.append(Delta(text))
        if calls := get("tool_calls"):
            deltas += [delta for piece in _list(calls) for delta in self._take_call(_mapping(piece))]
        if legacy := _mapping(get("function_call")):
            deltas += self._take_call({"function": legacy})
        return deltas

    def _take_thought(self, thought: str) -> Sequence[Delta]:
        self.thinking += thought
        return (Delta(thought, thinking=True),) if thought else ()

    def _take_call(self, piece: Mapping[str, Any]) -> Sequence[Delta]:
        function = _mapping(piece.get("function")) or piece
        id, name = str(piece.get("id") or ""), str(function.get("name") or "")
        arguments = function.get("arguments")
        if arguments is not None and not isinstance(arguments, str):
            arguments = json.dumps(arguments, ensure_ascii=False)
        number = self._place(piece.get("index"), id, name)
        call = self.calls[number]
        call.id, call.name = call.id or id, call.name or name
        fresh = call.take(arguments or "")
        return (Delta(fresh, number, call.name),) if fresh else ()

    def _place(self, index: Any, id: str, name: str) -> int:
        """Return the number of the call that a piece belongs to; it may begin a new one."""
        number = self._at.get(index)
        if number is not None:
            call = self.calls[number]
            another = id != call.id if id and call.id else bool(name) and call.whole
            if not another:
                return number
        self.calls.append(_PartialCall())
        self._at[index] = len(self.calls) - 1
        return len(self.calls) - 1

    def completion(self) -> Completion:
        """Return the whole completion; every call has an id of its own."""
        calls: dict[str, Call] = {}
        for call in self.calls:
            id = own_id(call.id, calls)
            calls[id] = Call(id, call.name or "unnamed", call.arguments or "{}")
        return Completion(
            self.text,
            tuple(calls.values()),
            self.usage,
            self.thinking,
            self._echo(),
            cut=self.finish == "length",
            model=self.model,
            notes=tuple(self.notes),
        )

    def _echo(self) -> dict[str, Any] | None:
        if self._details:
            return {"provider": self.provider, "reasoning_details": self._details}
        if self.provider == "deepseek" and self.thinking and self.calls:
            return {"provider": self.provider, "reasoning_content": self.thinking}
        return None


def _usage(reported: Mapping[str, Any]) -> Usage:
    prompt, spent = (_mapping(reported.get(f"{kind}_tokens_details")) for kind in ("prompt", "completion"))
    usage = Usage(_number(reported.get("prompt_tokens")), _number(reported.get("completion_tokens")))
    cached = prompt.get("cached_tokens") or reported.get("prompt_cache_hit_tokens")
    return replace(usage, cached=_number(cached), thinking=_number(spent.get("reasoning_tokens")))


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def _text(value: object) -> str:
    """Return the text of a content: a text, or a list of parts with texts."""
    if isinstance(value, str):
        return value
    if not value:
        return ""
    return "".join(str(_mapping(part).get("text") or "") for part in _list(value))


def _mapping(value: object) -> Mapping[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
