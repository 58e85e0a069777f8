"""Rows of the log as Letta's messages: pure, but for the ids that they are given.

A row is one message, or none, or two: a result on which a person decided says so in a message of its own.
Speech is an ``assistant_message``; the call of ``send_message`` that it came from is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from pagefault.message_meta import StopName
from pagefault.server.letta.ids import letta_id
from pagefault.types import AgentId, Message, Role

__all__ = ["LettaMessage", "approval_request", "messages_of", "run_usage", "stop_reason"]

LettaMessage = dict[str, Any]
"""A message as JSON values."""

_SPEECH = "send_message"
_STOP_REASONS: dict[str, str] = {
    StopName.MODEL_FAILED: "llm_api_error", StopName.CANCELLED: "cancelled", StopName.MAX_STEPS: "max_steps",
}  # fmt: skip
"""The reasons by the names of alerts."""


def messages_of(agent: AgentId, row: Message, waiting: Collection[int] = ()) -> list[LettaMessage]:
    """The messages that one row is. ``waiting``: numbers of calls that wait for a decision, which are asked
    for together (``approval_request``) and left out here."""
    if row.role is Role.RESULT:
        return _returned(agent, row)
    if row.role is Role.CALL and (row.name == _SPEECH or row.seq in waiting):
        return []
    content = _content(row)
    return [_message(agent, row, **content)] if content else []


def _content(row: Message) -> LettaMessage | None:
    """The type of the row's message, and what that has beside the fields of all; None if it is none."""
    match row.role:
        case Role.USER:
            return {"message_type": "user_message", "content": row.text, "name": row.speaker or None}
        case Role.ASSISTANT:
            return {"message_type": "assistant_message", "content": row.text}
        case Role.THOUGHT if row.text:
            source = "reasoner_model" if row.name == "thinking" else "non_reasoner_model"
            return {"message_type": "reasoning_message", "reasoning": row.text, "source": source}
        case Role.CALL:
            return {"message_type": "tool_call_message", **_calls([row])}
        case Role.SUMMARY:
            return {"message_type": "summary_message", "summary": row.text}
        case Role.EVENT | Role.ALERT:
            return {"message_type": "system_message", "content": row.text, "name": row.speaker or None}
        case _:
            return None


def _returned(agent: AgentId, row: Message) -> list[LettaMessage]:
    refused = row.meta.decision not in ("", "approved")
    failed, made = row.meta.failed or refused, list[LettaMessage]()
    call_id = row.call_id or ""
    if row.meta.decision:
        reason = row.text if refused else None
        approval = {"type": "approval", "tool_call_id": call_id, "approve": not refused, "reason": reason}
        made.append(
            _message(
                agent, row, message_type="approval_response_message", approvals=[approval],
                approve=not refused, reason=reason, name=row.meta.decided_by or None,
            )
        )  # fmt: skip
    if row.name == _SPEECH and not failed:
        return made
    returned: LettaMessage = {
        "tool_call_id": call_id, "status": "error" if failed else "success", "tool_return": row.text,
        "stdout": None, "stderr": None,
    }  # fmt: skip
    message = {"message_type": "tool_return_message", "name": row.name, **returned}
    message["tool_returns"] = [{"type": "tool", **returned}]
    return [*made, _message(agent, row, len(made), **message)]


def approval_request(agent: AgentId, calls: Sequence[Message]) -> LettaMessage:
    """The message that asks for a decision on these calls of one completion, of which there is one at
    least."""
    return _message(agent, calls[0], message_type="approval_request_message", **_calls(calls))


def _calls(rows: Sequence[Message]) -> LettaMessage:
    calls = [
        {"name": row.name or "", "arguments": row.text, "tool_call_id": row.call_id or row.id} for row in rows
    ]
    return {"tool_call": calls[0], "tool_calls": calls}


def _message(agent: AgentId, row: Message, part: int = 0, **content: Any) -> LettaMessage:
    return message_fields(
        letta_id("message", agent, row.seq, part),
        row.at,
        run=letta_id("run", agent, row.event) if row.event else None,
        step=letta_id("step", agent, row.completion) if row.completion else None,
        seq=row.seq,
    ) | content  # fmt: skip


def message_fields(
    id: str, at: datetime, *, run: str | None, step: str | None = None, seq: int | None = None
) -> LettaMessage:
    """The fields that messages of all types have."""
    return {
        "id": id, "date": at.isoformat(), "name": None, "otid": None, "sender_id": None, "step_id": step,
        "is_err": None, "seq_id": seq, "run_id": run,
    }  # fmt: skip


def stop_reason(rows: Iterable[Message], *, waits: bool = False) -> str:
    """The reason why a turn of these rows came to its end."""
    if waits:
        return "requires_approval"
    stops = [row for row in rows if row.role is Role.ALERT and row.meta.stop]
    if not stops:
        return "end_turn"
    return _STOP_REASONS.get(stops[-1].name or "", "error")


def run_usage(agent: AgentId, rows: Iterable[Message], events: Iterable[int] = ()) -> LettaMessage:
    """The usage of the requests in these rows."""
    usages = [each.usage for row in rows for each in row.usage]
    prompt, completion = sum(each.input for each in usages), sum(each.output for each in usages)
    return {
        "message_type": "usage_statistics",
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "step_count": len(usages),
        "cached_input_tokens": sum(each.cached for each in usages),
        "cache_write_tokens": sum(each.written for each in usages),
        "reasoning_tokens": sum(each.thinking for each in usages),
        "context_tokens": usages[-1].input if usages else None,
        "run_ids": [letta_id("run", agent, event) for event in events],
    }
