"""What servers say when they refuse, as errors of ours: who must act, and whether waiting may help.

One reading for all adapters, for the servers behind them say the same things in many words. The texts are
those that OpenAI, Anthropic, Gemini, Ollama, vLLM, llama.cpp, LM Studio and OpenRouter send.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pagefault.errors import (
    ContextLengthExceeded,
    ModelError,
    ModelSetupError,
    ModelUnavailable,
    ToolsUnsupported,
)
from pagefault.models import Completion
from pagefault.models.endpoint import Endpoint

__all__ = ["ErrorResponse", "model_error", "retry_after", "unanswered"]

_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size)|(prompt|input|request|messages?) (is |are )?too (long|large)"
    r"|prompt contains \d+ tokens|input token count|reduce the length|exceeds? the (available|maximum)"
    r" context|maximum (allowed )?(input|prompt) length",
    re.IGNORECASE,
)
_NO_TOOLS = re.compile(
    r"does not support (tools|function)|no endpoints found that support tool|enable-auto-tool-choice"
    r"|tools? param requires|tool (use|calling|choice) is not (supported|enabled)"
    r"|functions? (are|is) not supported|does not support tool",
    re.IGNORECASE,
)
_NO_CREDIT = re.compile(
    r"insufficient[ _](quota|credits?|balance|funds)|exceeded your current quota|credit balance is too low"
    r"|billing|payment required",
    re.IGNORECASE,
)
_WRONG_KEY = re.compile(r"authentication_error|invalid_api_key|API key not valid", re.IGNORECASE)
_FILTERED = re.compile(r"content[ _](filter|policy|management)|flagged|safety", re.IGNORECASE)
_BUSY = re.compile(
    r"overloaded|rate[ _]limit|too many requests|unavailable|try again|timed? ?out", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An error response of a server. ``status`` is None if it came in the middle of a stream; ``code`` is the
    server's own word for the kind of error, ``said`` its sentence."""

    where: str
    status: int | None
    code: str
    said: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


def model_error(refusal: ErrorResponse, endpoint: Endpoint) -> ModelError:
    """The error of ours: one sentence, without the key, with the mend if there is one."""
    where, status, said = refusal.where, refusal.status, _shown(refusal.said, endpoint.key)
    told, key = f"{refusal.code} {said}", endpoint.key_variable or "the key"
    wait = retry_after(refusal.headers)
    if _NO_TOOLS.search(told) and status in (None, 400, 404, 422, 500, 501):
        return ToolsUnsupported(f"{where} does not take functions: {said}")
    if "context_length_exceeded" in told or (
        (status == 413 or (status in (None, 400, 422, 500) and _TOO_LONG.search(told)))
        and "rate" not in refusal.code
    ):
        return ContextLengthExceeded(f"The prompt is too long for {where}: {said}")
    comes_back = status == 429 and wait is not None and "insufficient_quota" not in told
    if status == 402 or (status in (None, 400, 403, 429) and _NO_CREDIT.search(told) and not comes_back):
        return ModelSetupError(
            f"The account of {where} has no credit left; top it up, or use another model: {said}"
        )
    if status == 401 or _WRONG_KEY.search(told):
        return ModelSetupError(f"{where} does not accept the key; set {key} to a valid one.")
    if status == 403:
        return ModelSetupError(f"The key in {key} may not use {where}; use another key or model: {said}")
    if status == 404:
        return ModelSetupError(
            f"{where} is not there; check the model's name and the address (most end in /v1): {said}"
        )
    if status in (408, 409, 425, 429) or (status is not None and status >= 500):
        what = "is over its rate limit" if status == 429 else f"failed with status {status}"
        return ModelUnavailable(f"{where} {what}: {said}", wait)
    if status is None and (_BUSY.search(told) or not _FILTERED.search(told)):
        return ModelUnavailable(f"{where} broke off: {said}")
    if _FILTERED.search(told):
        return ModelError(f"A content filter of {where} refused the prompt; say it another way: {said}")
    return ModelError(f"{where} refused the request with status {status}: {said}")


def unanswered(name: str, completion: Completion, finish: str, limit: int) -> ModelError | None:
    """The error if a completion has nothing in it and its end says why: a filter, or the reply's limit.

    ``finish`` is ``content_filter`` or ``length``, as OpenAI calls them.
    """
    if completion.text.strip() or completion.calls:
        return None
    if finish == "content_filter":
        return ModelError(f"A content filter withheld the answer of {name}; say it another way.")
    if finish == "length":
        used = f"{name} used up its {limit:,} reply tokens with no answer"
        return ModelError(f"{used}; reserve more, or let it think less.")
    return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: ``retry-after-ms``, or ``retry-after`` in seconds or as a date."""
    lower = {name.lower(): value for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            return max(0.0, float(lower[name]) * unit)
        except (KeyError, ValueError):
            pass
    try:
        until = parsedate_to_datetime(lower["retry-after"])
    except (KeyError, ValueError):
        return None
    return max(0.0, (until.astimezone(UTC) - datetime.now(UTC)).total_seconds())


def _shown(said: str, key: str) -> str:
    """What the server says, on one line, shortened, without the key."""
    return " ".join((said.replace(key, "[key]") if key else said).split())[:300]
