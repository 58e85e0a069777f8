"""What a model can do, found out by asking it: one tiny request, and one call of a function.

It asks the bare adapter, without retries, so that what is wrong is said at once. Left out: whether what a
model says makes sense.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal

import anyio

from pagefault.errors import ModelError, ToolsUnsupported
from pagefault.models import (
    Call,
    Completion,
    Delta,
    FunctionSchema,
    Model,
    ModelWrapper,
    Notice,
    Prompt,
    PromptMessage,
    StreamItem,
)
from pagefault.models.endpoint import CallingMode, CheckResult, ObservedCalling
from pagefault.models.wrappers.function_calling import FunctionCallingModel

__all__ = ["check"]

_PATIENCE = 120.0  # seconds for one answer; a local server may have to load the model first
_REPLY = 1024  # tokens; a reasoning model thinks first
_ADD = FunctionSchema(
    "add_numbers",
    "Add two whole numbers.",
    {
        "type": "object",
        "properties": {"first": {"type": "integer"}, "second": {"type": "integer"}},
        "required": ["first", "second"],
    },
)
_SYSTEM = PromptMessage("system", "You are being tested. Do exactly what you are asked, and nothing else.")
_SAY = Prompt((_SYSTEM, PromptMessage("user", "Reply with the one word: pong")), (), _REPLY)
_CALL = Prompt(
    (_SYSTEM, PromptMessage("user", "Call add_numbers with first 2 and second 3.")), (_ADD,), _REPLY
)


async def check(model: Model) -> CheckResult:
    """Ask a bare adapter; never raises ``ModelError``."""
    try:
        said = await _asked(model, _SAY, "native")
    except ModelError as error:
        return CheckResult(str(error))
    answers, adapted = [said], list[str]()
    calling: ObservedCalling = "none"
    modes: tuple[Literal["native", "json"], ...] = ("native", "json")
    for mode in modes:
        try:
            answer = await _asked(model, _CALL, mode)
        except ToolsUnsupported:
            adapted.append("The server takes no functions; JSON mode was tried.")
            continue
        except ModelError as error:
            adapted.append(f"Asked for a call ({mode}): {error}")
            continue
        answers.append(answer)
        if any(map(_is_right, answer.whole.calls)):
            calling = "text" if mode == "native" and not answer.by_protocol else mode
            break
        adapted.append(f"Asked for a call ({mode}), it made none that is right.")
    wholes = [answer.whole for answer in answers]
    usages = [whole.usage for whole in wholes if whole.usage]
    return CheckResult(
        answered_by=wholes[0].model,
        calling=calling,
        streams=any(answer.pieces > 1 for answer in answers),
        thinks=any(whole.thinking for whole in wholes),
        first=said.first,
        reported=len(usages) == len(wholes),
        input=sum(usage.input for usage in usages),
        output=sum(usage.output for usage in usages),
        cached=sum(usage.cached for usage in usages),
        written=sum(usage.written for usage in usages),
        adapted=tuple(dict.fromkeys([*adapted, *(note for whole in wholes for note in whole.notes)])),
    )


@dataclass(slots=True)
class _Answer:
    """An answer, and how it came."""

    whole: Completion = field(default_factory=Completion)
    pieces: int = 0
    first: float = 0.0
    by_protocol: bool = False


@dataclass(slots=True)
class _Watched(ModelWrapper):
    """The adapter, its answers noted as they come from it, before any text in them is understood."""

    answer: _Answer

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        begun = anyio.current_time()
        async with aclosing(self.model.stream(prompt)) as items:
            async for item in items:
                if isinstance(item, Delta):
                    self.answer.first = self.answer.first or anyio.current_time() - begun
                    self.answer.pieces += 1
                elif isinstance(item, Completion):
                    self.answer.by_protocol = bool(item.calls)
                yield item


async def _asked(model: Model, prompt: Prompt, mode: CallingMode) -> _Answer:
    answer = _Answer()
    with anyio.move_on_after(_PATIENCE) as scope:
        async with aclosing(FunctionCallingModel(_Watched(model, answer), mode).stream(prompt)) as items:
            async for item in items:
                if isinstance(item, Completion):
                    answer.whole = item
                elif isinstance(item, Notice) and item.restart:
                    answer.pieces = 0
    if scope.cancelled_caught:
        raise ModelError(f"{model.name} gave no whole answer within {_PATIENCE:g} s.")
    return answer


def _is_right(call: Call) -> bool:
    """Whether the executor could run it as it is meant; it reads numbers written as text too."""
    try:
        arguments: object = json.loads(call.arguments)
    except ValueError:
        return False
    return call.name == _ADD.name and arguments in ({"first": 2, "second": 3}, {"first": "2", "second": "3"})
