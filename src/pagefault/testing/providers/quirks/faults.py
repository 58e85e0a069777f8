"""Error responses and broken connections of providers, in their own words."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

from pagefault.models import Completion
from pagefault.testing.providers import gemini
from pagefault.testing.providers.quirks.quirk import Quirk, by_shape, stream_of
from pagefault.testing.providers.shapes import WIRES
from pagefault.testing.providers.turns import Body, Delivery, ProviderRequest, RawReply, Turn, refuse

__all__ = ["FAULTS"]

_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_BUSY = "Rate limit reached; please try again later."
_QUOTA = "You exceeded your current quota, please check your plan and billing details."


def _every(turn: Turn) -> dict[str, Turn]:
    return dict.fromkeys(("openai", "anthropic", "ollama", "gemini"), turn)


def _error_in_stream(said: Completion, request: ProviderRequest) -> Turn:
    error = WIRES[request.shape].refusal(refuse(529 if request.shape == "anthropic" else 503, "Overloaded"))
    chunks = stream_of(said, request)
    return RawReply((*chunks[: len(chunks) // 2], error), done=False)


def _late_overflow(said: Completion, request: ProviderRequest) -> Turn:
    error: Body = {
        "error": {"code": 400, "message": "Context size has been exceeded.", "type": "invalid_request_error"}
    }
    return RawReply((*stream_of(said, request)[:2], error), done=False)


def _reset_late(said: Completion, request: ProviderRequest) -> Turn:
    chunks = stream_of(said, request)
    return RawReply(tuple(chunks[: len(chunks) // 2]), reset=True)


def _now(_: Completion, __: ProviderRequest) -> Turn:
    return refuse(429, _BUSY, retry_after=format_datetime(datetime.now(UTC), usegmt=True))


def _gemini_error(status: int, code: str, message: str, **detail: object) -> RawReply:
    body: Body = {"error": {"code": status, "message": message, "status": code, "details": [detail]}}
    return RawReply(status=status, body=body)


_GOOGLE_BUSY = _gemini_error(
    429,
    "RESOURCE_EXHAUSTED",
    _QUOTA,
    retryDelay="0.02s",
    **{"@type": "type.googleapis.com/google.rpc.RetryInfo"},
)
_GOOGLE_SPENT = _gemini_error(
    429, "RESOURCE_EXHAUSTED", _QUOTA,
    violations=[{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
    **{"@type": "type.googleapis.com/google.rpc.QuotaFailure"},
)  # fmt: skip
_GOOGLE_KEY = _gemini_error(
    400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", reason="API_KEY_INVALID",
    domain="googleapis.com", **{"@type": "type.googleapis.com/google.rpc.ErrorInfo"},
)  # fmt: skip
_NO_MODEL = {
    "openai": refuse(404, "The model `gpt-test` does not exist.", code="model_not_found"),
    "anthropic": refuse(404, "model: claude-test"),
    "ollama": refuse(404, "model 'qwen-test' not found"),
    "gemini": refuse(404, "models/gemini-test is not found for API version v1beta."),
}

_WORDINGS: dict[str, tuple[int, str, str]] = {
    "OpenAI": (
        400, "context_length_exceeded",
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    ),
    "vLLM": (
        400, "",
        "'max_tokens' or 'max_completion_tokens' is too large: 1000. This model's maximum context length is "
        "8192 tokens and your request has 8000 input tokens.",
    ),
    "llama.cpp": (
        400, "exceed_context_size_error",
        "the request exceeds the available context size, try increasing it",
    ),
    "LM Studio": (
        400, "",
        "Trying to keep the first 9000 tokens when context the overflows. However, the model is loaded with "
        "context length of only 4096 tokens, which is not enough.",
    ),
    "OpenRouter": (
        400, "",
        "This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens.",
    ),
    "Groq": (413, "request_too_large", "Please reduce the length of the messages or completion."),
}  # fmt: skip


def _too_long(who: str) -> Quirk:
    status, code, message = _WORDINGS[who]
    make = by_shape(openai=refuse(status, message, code=code))
    return Quirk(f"context overflow, {who}", f"The wording of {who}.", make, "too long", ("openai",))


FAULTS = (
    Quirk(
        "rate limit, seconds",
        "429 with the seconds to wait.",
        by_shape(**_every(refuse(429, _BUSY, retry_after="0.02"))),
        "retried",
    ),
    Quirk("rate limit, date", "429 with the time to wait for, as a date.", _now, "retried"),
    Quirk(
        "rate limit, milliseconds",
        "OpenAI, Azure: 429 with the milliseconds to wait.",
        by_shape(**_every(refuse(429, _BUSY, retry_after_ms="20"))),
        "retried",
        ("openai", "anthropic"),
    ),
    Quirk(
        "rate limit, in the body",
        "Gemini has the time to wait in the body, and calls it a quota.",
        by_shape(gemini=_GOOGLE_BUSY),
        "retried",
        ("gemini",),
    ),
    Quirk(
        "server error",
        "500 without a reason.",
        by_shape(**_every(refuse(500, "Internal server error"))),
        "retried",
    ),
    Quirk(
        "bad gateway",
        "A proxy answers with a page of HTML.",
        by_shape(**_every(RawReply(status=502, body=_PAGE))),
        "retried",
    ),
    Quirk(
        "unavailable",
        "503; llama.cpp while it loads a model.",
        by_shape(**_every(refuse(503, "Loading model"))),
        "retried",
    ),
    Quirk(
        "overloaded",
        "529 of Anthropic and of proxies in front of it.",
        by_shape(**_every(refuse(529, "Overloaded"))),
        "retried",
        ("openai", "anthropic"),
    ),
    Quirk(
        "error in mid-stream",
        "An error replaces the rest of the stream; any provider under load.",
        _error_in_stream,
        "retried",
    ),
    Quirk(
        "silence",
        "The connection is open and nothing arrives.",
        by_shape(**_every(RawReply(held=True))),
        "retried",
        wait=0.5,
    ),
    Quirk(
        "reset before the first byte",
        "The server restarts, or a proxy times out.",
        by_shape(**_every(RawReply(reset=True))),
        "retried",
    ),
    Quirk("reset in mid-stream", "The connection is reset.", _reset_late, "retried"),
    Quirk(
        "cut in mid-stream",
        "The stream ends without the final chunk of HTTP.",
        lambda said, _: Delivery(said, cut=True),
        "retried",
    ),
    Quirk(
        "end without a reason",
        "The stream ends properly but without a finish reason: a proxy timed out.",
        lambda said, _: Delivery(said, finish=None),
        "retried",
    ),
    Quirk(
        "HTML for a stream",
        "A captive portal, or a wrong address: 200 with a page of HTML.",
        by_shape(**_every(RawReply(body=_PAGE))),
        "unavailable",
        lasting=True,
    ),
    *map(_too_long, _WORDINGS),
    Quirk(
        "context overflow",
        "The prompt is larger than the window; each provider's wording.",
        by_shape(
            openai=refuse(500, "The prompt is too long for the model."),
            anthropic=refuse(400, "prompt is too long: 210000 tokens > 200000 maximum"),
            ollama=refuse(400, "the input length exceeds the context length"),
            gemini=refuse(
                400, "The input token count (40000) exceeds the maximum number of tokens allowed (32768)."
            ),
        ),
        "too long",
    ),
    Quirk(
        "request too large",
        "413 of Anthropic.",
        by_shape(anthropic=refuse(413, "Request exceeds the maximum size")),
        "too long",
        ("anthropic",),
    ),
    Quirk(
        "context overflow in mid-stream",
        "llama.cpp, when the reply fills the window.",
        _late_overflow,
        "too long",
        ("openai",),
    ),
    Quirk(
        "wrong key",
        "401; Gemini uses 400.",
        by_shape(**{**_every(refuse(401, "Incorrect API key provided")), "gemini": _GOOGLE_KEY}),
        "setup",
    ),
    Quirk(
        "forbidden",
        "403: the key has no access to the model.",
        by_shape(**_every(refuse(403, "No access."))),
        "setup",
    ),
    Quirk(
        "no credit",
        "402, or another status with a message about credit.",
        by_shape(
            openai=refuse(429, _QUOTA, code="insufficient_quota"),
            anthropic=refuse(400, "Your credit balance is too low to access the Anthropic API."),
            ollama=refuse(402, "Payment required"),
            gemini=_GOOGLE_SPENT,
        ),
        "setup",
    ),
    Quirk("no such model", "404 with the name.", by_shape(**_NO_MODEL), "setup"),
    Quirk(
        "filtered prompt",
        "A content filter refuses the prompt: Azure, Gemini.",
        by_shape(
            openai=refuse(
                400, "The response was filtered by the content management policy.", code="content_filter"
            ),
            gemini=RawReply(({"promptFeedback": {"blockReason": "SAFETY"}, "modelVersion": "gemini-test"},)),
        ),
        "filtered",
        ("openai", "gemini"),
    ),
    Quirk(
        "filtered answer",
        "The finish reason is a content filter, and the answer is empty.",
        lambda _, request: Delivery(
            Completion(),
            finish={"openai": "content_filter", "anthropic": "refusal", "gemini": "SAFETY"}[request.shape],
        ),
        "filtered",
        ("openai", "anthropic", "gemini"),
    ),
    Quirk(
        "malformed call",
        "Gemini drops a call that it could not write.",
        lambda _, __: RawReply((gemini.chunk(finish="MALFORMED_FUNCTION_CALL"),)),
        "retried",
        ("gemini",),
    ),
)
