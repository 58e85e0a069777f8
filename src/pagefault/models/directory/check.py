"""The check of a model: tiny requests for a word, for one function call, and for the colour of an image.

It uses the bare adapter, without retries, so that a fault is reported at once. Left out: whether answers make
sense.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

import anyio

from pagefault.errors import ModelError, RequestRefused, ToolsUnsupported
from pagefault.media import Media, MediaContent
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
from pagefault.models.bounds import BoundedModel
from pagefault.models.endpoint import CallingMode, CheckResult, ModelFinding, ObservedCalling
from pagefault.models.json_text import read_json
from pagefault.models.wrappers.function_calling import FunctionCallingModel
from pagefault.models.wrappers.function_calling.thinking import ends_late

__all__ = ["check"]

_TIMEOUT = 120.0  # seconds for one answer; a local server may have to load the model first
_REPLY = 1024  # tokens; a reasoning model thinks first
_MODES: tuple[Literal["text", "json"], ...] = ("text", "json")  # the first reads both text and protocol
_LATE = ModelFinding(late_thinking=True)
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
_RED = b64decode(  # 64 x 64 pixels, all of them red
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAIAAAAlC+aJAAAAS0lEQVR42u3PQQkAAAgAsetfWiP4FgYrsKZeS0BAQEBAQEBA"
    "QEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEDgsqnc8OJg6Ln3AAAAAElFTkSuQmCC"
)
_IMAGE = MediaContent(Media(sha256(_RED).hexdigest(), "image/png", "test.png", len(_RED), 64, 64), _RED)
_LOOK = "Which colour is the image? Reply with the one English word."
_SEE = Prompt((_SYSTEM, PromptMessage("user", _LOOK, images=(_IMAGE,))), (), _REPLY)


@dataclass(slots=True)
class _Answer:
    """An answer with the circumstances of its delivery."""

    whole: Completion = field(default_factory=Completion)
    pieces: int = 0
    first: float = 0.0
    by_protocol: bool = False
    late: bool = False


@dataclass(slots=True)
class _Findings:
    """Everything observed so far."""

    answers: list[_Answer]
    adapted: list[str] = field(default_factory=list[str])
    calling: ObservedCalling = "none"
    images: bool | None = None

    def result(self) -> CheckResult:
        wholes = [answer.whole for answer in self.answers]
        usages = [whole.usage for whole in wholes if whole.usage]
        notes = [note for whole in wholes for note in whole.notes]
        return CheckResult(
            answered_by=wholes[0].model,
            calling=self.calling,
            streams=any(answer.pieces > 1 for answer in self.answers),
            thinks=any(whole.thinking for whole in wholes),
            late_thinking=any(answer.late for answer in self.answers),
            images=self.images,
            first=self.answers[0].first,
            reported=len(usages) == len(wholes),
            input=sum(usage.input for usage in usages),
            output=sum(usage.output for usage in usages),
            cached=sum(usage.cached for usage in usages),
            written=sum(usage.written for usage in usages),
            adapted=tuple(dict.fromkeys([*self.adapted, *notes])),
        )


async def check(model: Model) -> CheckResult:
    """Check a bare adapter; never raises ``ModelError``."""
    try:
        said = await _ask(model, _SAY, "text")
    except ModelError as error:
        return CheckResult(str(error))
    findings = _Findings([said])
    await _check_calls(model, findings)
    await _check_images(model, findings)
    return findings.result()


async def _check_calls(model: Model, findings: _Findings) -> None:
    """Ask for a call in each mode until one is right."""
    for mode in _MODES:
        try:
            answer = await _ask(model, _CALL, mode)
        except ToolsUnsupported:
            findings.adapted.append("The server has no functions; JSON mode was tried.")
            continue
        except ModelError as error:
            findings.adapted.append(f"Asked for a call ({mode}): {error}")
            continue
        findings.answers.append(answer)
        if _has_right_call(answer.whole.calls):
            findings.calling = "native" if answer.by_protocol else mode
            return
        findings.adapted.append(f"Asked for a call ({mode}), it made none that is right.")


async def _check_images(model: Model, findings: _Findings) -> None:
    """Ask for the colour of an image; some servers leave images out without a word."""
    try:
        answer = await _ask(model, _SEE, "text")
    except RequestRefused:
        findings.images = False
    except ModelError as error:
        findings.adapted.append(f"Asked about an image: {error}")
    else:
        findings.answers.append(answer)
        findings.images = "red" in answer.whole.text.lower()


@dataclass(slots=True)
class _Observed(ModelWrapper):
    """The adapter; its answers are observed before text in them is read as thinking or calls."""

    answer: _Answer

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        begun = anyio.current_time()
        async with aclosing(self.model.stream(prompt)) as items:
            async for item in items:
                if isinstance(item, Delta):
                    self.answer.first = self.answer.first or anyio.current_time() - begun
                    self.answer.pieces += 1
                elif isinstance(item, Completion):
                    self.answer.by_protocol, self.answer.late = bool(item.calls), ends_late(item.text)
                yield item


async def _ask(model: Model, prompt: Prompt, mode: CallingMode) -> _Answer:
    answer = _Answer()
    observed = FunctionCallingModel(_Observed(model, answer), mode, _LATE)
    bounded = BoundedModel(observed, _TIMEOUT, "try again, or use another")
    async with aclosing(bounded.stream(prompt)) as items:
        async for item in items:
            if isinstance(item, Completion):
                answer.whole = item
            elif isinstance(item, Notice) and item.restart:
                answer.pieces = 0
    return answer


def _has_right_call(calls: Sequence[Call]) -> bool:
    """Return True if the executor could run one of the calls as meant; it reads numbers in text too."""
    for call in calls:
        try:
            arguments = read_json(call.arguments)
        except ValueError:
            continue
        if call.name == _ADD.name and arguments in ({"first": 2, "second": 3}, {"first": "2", "second": "3"}):
            return True
    return False
