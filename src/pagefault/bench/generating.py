"""Deep memory retrieval on a log of one's own: question and answer pairs that a model makes from it.

As the paper made those of its data: from a session, a question that the user could ask later about what was
said, with its answer. They are written as records in the data's own format, to be read, corrected and run
again. Leaves out whether a question is a good one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, cast

from json_repair import repair_json

from pagefault.bench.prompts import PAIR
from pagefault.errors import UsageError
from pagefault.kernel import Kernel
from pagefault.models import Completion, Model, Prompt, PromptMessage
from pagefault.models.tokens import Counter
from pagefault.storage import SESSION_GAP
from pagefault.types import Message, Role
from pagefault.views.history import rows_after

__all__ = ["generate"]

_REPLY = 256  # tokens
_SPEAKERS = {Role.ASSISTANT: "Speaker 1", Role.USER: "Speaker 2"}


async def generate(
    kernel: Kernel, agent: str, model: Model, counter: Counter, count: int, seed: int, file: Path
) -> int:
    """Write ``count`` records (fewer if the model gives no pair) to ``file``; returns how many.

    ``UsageError`` if the agent has fewer than two sessions, or no pair could be made.
    """
    sessions = _sessions(await rows_after(kernel, agent, roles=tuple(_SPEAKERS)))
    if len(sessions) < 2:
        raise UsageError(
            f"Agent {agent} has had fewer than two sessions; there is nothing to ask about later."
        )
    dialogs = [{"dialog": [_turn(row) for row in session]} for session in sessions]
    drawing, made = random.Random(seed), list[str]()
    for number in range(count):
        session = drawing.choice(sessions[:-1])
        pair = await _pair(model, session, counter)
        if pair:
            asked = {"idx": number, "previous_dialogs": dialogs, "self_instruct": pair}
            made.append(json.dumps(asked, ensure_ascii=False))
    if not made:
        raise UsageError(f"{model.name} made no question from the log of {agent}; choose another --model.")
    _write(file, made)
    return len(made)


def _write(file: Path, lines: Sequence[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", "utf-8")


def _sessions(rows: Sequence[Message]) -> list[list[Message]]:
    numbers: list[int] = []
    for row, before in zip(rows, [None, *rows], strict=False):
        apart = before is not None and row.at - before.at > SESSION_GAP
        numbers.append((numbers[-1] if numbers else 0) + apart)
    grouped = groupby(zip(numbers, rows, strict=True), key=lambda entry: entry[0])
    return [[row for _, row in group] for _, group in grouped]


def _turn(row: Message) -> dict[str, str]:
    return {"speaker": _SPEAKERS[row.role], "text": row.text}


async def _pair(model: Model, session: Sequence[Message], counter: Counter) -> dict[str, str] | None:
    """A question of B with A's answer, None if the model gives none; of a long session its newest part."""
    left = model.window - 2 * _REPLY - counter.count(PAIR)
    lines: list[str] = []
    for row in reversed(session):
        line = f"{'A' if row.role is Role.ASSISTANT else 'B'}: {row.text}"
        left -= counter.count(line) + 1
        if left < 0 and lines:
            break
        lines.insert(0, line)
    messages = (PromptMessage("system", PAIR), PromptMessage("user", "\n".join(lines)))
    async for item in model.stream(Prompt(messages, (), _REPLY)):
        if isinstance(item, Completion):
            found: Any = repair_json(item.text, return_objects=True)
            values = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
            pair = {name: str(values.get(name) or "").strip() for name in ("B", "A")}
            return pair if all(pair.values()) else None
    return None
