"""Rows of the log as messages of Letta's agent files: the counterpart of ``importers.letta.messages``. Pure.

Thought, speech and calls of one completion are one message there. An agent that speaks through
``send_message`` does so in the file. What a row of a user could be mistaken for is packed, so that it is read
as it was said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pagefault.exporters.reading import Losses
from pagefault.importers.letta.packed import unpacked
from pagefault.types import Message, Role

__all__ = ["MessageWriter"]

JsonObject = dict[str, Any]

_SPEECH = "send_message"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # as providers take it
_OWN = (Role.THOUGHT, Role.ASSISTANT, Role.CALL)
_LOST = {
    Role.SUMMARY: "summaries of the conversation (its messages are there)",
    Role.ALERT: "alerts of the system",
    Role.PREFETCH: "lookups of memory",
}


@dataclass(slots=True)
class MessageWriter:
    """Makes the messages of an agent, one row after another. ``speaks_by_function``: the agent does."""

    speaks_by_function: bool
    model: str | None
    losses: Losses
    count: int = 0
    _open: list[Message] = field(default_factory=list[Message])
    _call_ids: dict[str, str] = field(default_factory=dict[str, str])

    def system(self, text: str, at: str) -> JsonObject:
        """The message of the system instructions, which is the first."""
        return self._message("system", at, [_text(text)])

    def take(self, row: Message) -> Iterator[tuple[JsonObject, int]]:
        """Take the next row; yield the messages that are whole now, with the number of a row of each."""
        if row.meta.media:
            self.losses.add("images and files in messages", len(row.meta.media))
        if row.role in _OWN and self._open and not _belong(self._open[-1], row):
            yield from self.end()
        if row.role in _OWN:
            if not (row.role is Role.CALL and row.name == _SPEECH):
                self._open.append(row)
            return
        yield from self.end()
        if row.role in _LOST:
            self.losses.add(_LOST[row.role])
        elif row.role is Role.RESULT:
            if row.name != _SPEECH:
                yield self._result(row), row.seq
        else:
            yield self._said(row), row.seq

    def end(self) -> Iterator[tuple[JsonObject, int]]:
        """Yield the message of the agent that was not whole yet, and what answers its speech."""
        rows, self._open = self._open, []
        if not rows:
            return
        thoughts = [_reasoning(row.text) for row in rows if row.role is Role.THOUGHT]
        speech = [row for row in rows if row.role is Role.ASSISTANT]
        calls = [
            self._call(row.name or "", row.text, self._id_of(row)) for row in rows if row.role is Role.CALL
        ]
        content, spoken = [*thoughts], list[JsonObject]()
        if self.speaks_by_function:
            spoken = [
                self._call(_SPEECH, _dumped({"message": row.text}), f"call-s{row.seq}") for row in speech
            ]
        else:
            content += [_text(row.text) for row in speech]
        at, seq = rows[0].at.isoformat(), rows[0].seq
        yield self._message("assistant", at, content, tool_calls=[*calls, *spoken] or None), seq
        for call in spoken:
            said = _returned("Sent message successfully.", False, at)
            yield self._answer(call["id"], _SPEECH, said, False, at), seq

    def _said(self, row: Message) -> JsonObject:
        at, text, speaker = row.at.isoformat(), row.text, row.speaker
        if row.role is Role.EVENT:
            named = {"name": speaker} if speaker else {}
            packed = _dumped({"type": "system_alert", "message": text, **named, "time": _time(row)})
            return self._message("user", at, [_text(packed)])
        if unpacked(text) is None and (not speaker or _PLAIN_NAME.fullmatch(speaker)):
            return self._message("user", at, [_text(text)], name=speaker or None)
        named = {"name": speaker} if speaker else {}
        packed = _dumped({"type": "user_message", "message": text, **named, "time": _time(row)})
        return self._message("user", at, [_text(packed)])

    def _result(self, row: Message) -> JsonObject:
        at, failed = row.at.isoformat(), row.meta.failed
        id = self._call_ids.get(row.call_id or "", row.call_id or f"call-{row.seq}")
        return self._answer(id, row.name or "", _returned(row.text, failed, _time(row)), failed, at)

    def _answer(self, id: str, name: str, text: str, failed: bool, at: str) -> JsonObject:
        status = "error" if failed else "success"
        returned = {
            "tool_call_id": id,
            "status": status,
            "stdout": None,
            "stderr": None,
            "func_response": text,
        }
        return self._message(
            "tool", at, [_text(text)], name=name or None, tool_call_id=id, tool_returns=[returned]
        )

    def _id_of(self, row: Message) -> str:
        """The id of a call, the same for its result; providers want one."""
        id = row.call_id or f"call-{row.seq}"
        self._call_ids[row.call_id or ""] = id
        return id

    @staticmethod
    def _call(name: str, arguments: str, id: str) -> JsonObject:
        return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}

    def _message(self, role: str, at: str, content: list[JsonObject], **more: Any) -> JsonObject:
        id = f"message-{self.count}"
        self.count += 1
        return {
            "type": "message", "id": id, "role": role, "content": content, "name": None, "otid": None,
            "sender_id": None, "batch_item_id": None, "group_id": None,
            "model": self.model if role == "assistant" else None, "agent_id": "agent-0", "tool_calls": None,
            "tool_call_id": None, "tool_returns": [], "created_at": at, "approve": None,
            "approval_request_id": None, "denial_reason": None, "approvals": [],
        } | more  # fmt: skip


def _belong(last: Message, row: Message) -> bool:
    """Return whether two rows of the agent are of one completion, as far as is known."""
    if last.completion is not None or row.completion is not None:
        return last.completion == row.completion
    ranks = {Role.THOUGHT: 0, Role.ASSISTANT: 1, Role.CALL: 2}
    return last.at == row.at and ranks[last.role] <= ranks[row.role] and last.role is not Role.ASSISTANT


def _text(text: str) -> JsonObject:
    return {"type": "text", "text": text}


def _reasoning(text: str) -> JsonObject:
    return {"type": "reasoning", "is_native": True, "reasoning": text, "signature": None}


def _returned(text: str, failed: bool, time: str) -> str:
    return _dumped({"status": "Failed" if failed else "OK", "message": text, "time": time})


def _time(row: Message) -> str:
    return row.at.strftime("%Y-%m-%d %I:%M:%S %p UTC+0000")


def _dumped(value: JsonObject) -> str:
    return json.dumps(value, ensure_ascii=False)
