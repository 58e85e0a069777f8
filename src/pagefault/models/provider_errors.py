"""Error responses of servers as our errors, which say who must act and whether a retry may help.

One table of rules for all adapters, because servers say the same things in many words. The texts are those
of OpenAI, Anthropic, Gemini, Ollama, vLLM, llama.cpp, LM Studio and OpenRouter. The errors of connections
that fail without a response are here too. Left out: the exceptions of client libraries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from pagefault.connections import failure_of
from pagefault.connections.rate_headers import retry_after
from pagefault.errors import (
    BodyTooLarge,
    ContextLengthExceeded,
    ImagesUnsupported,
    ModelError,
    ModelSetupError,
    ModelUnavailable,
    ModelUnreachable,
    RequestRefused,
    ToolsUnsupported,
)
from pagefault.models import Completion
from pagefault.models.endpoint import Endpoint
from pagefault.redaction import redacted

__all__ = [
    "ErrorResponse",
    "cut_off",
    "filtered",
    "model_error",
    "shortened",
    "timed_out",
    "unanswered",
    "unreachable",
]

_LONGEST = 10_000  # characters of a server's sentence that are looked at
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
_NO_IMAGES = re.compile(
    r"(images?|image_url|vision)( inputs?)?( modality)? (is|are) (not|only) (supported|enabled)"
    r"|(not|n't) support (the )?(image|vision|multi-?modal)|support image input|required for image input"
    r"|not a multi-?modal model|at most 0 image|unknown variant `image_url`|content must be a string"
    r"|only 'text' content|text-only (model|server)",
    re.IGNORECASE,
)
_ONE_IMAGE = re.compile(
    r"\b(animated|larger|smaller|exceed\w*|formats?|dimensions?|pixels|resolution|corrupt\w*)\b"
    r"|(?<!image/)\b(gif|webp|png|jpe?g|svg|bmp|tiff|heic)\b",
    re.IGNORECASE,
)
"""The words of a refusal that is about one image, not about all."""
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

    @property
    def words(self) -> str:
        return f"{self.code} {self.said}"

    def has(self, pattern: re.Pattern[str], *statuses: int | None) -> bool:
        """Return True if the words match, and the status is one of these (or any, if none is given)."""
        return (not statuses or self.status in statuses) and bool(pattern.search(self.words))


def _takes_no_functions(response: ErrorResponse) -> bool:
    return response.has(_NO_TOOLS, None, 400, 404, 422, 500, 501)


def _takes_no_images(response: ErrorResponse) -> bool:
    about_all = not response.has(_ONE_IMAGE)
    return about_all and response.has(_NO_IMAGES, None, 400, 404, 415, 422, 500, 501)


def _is_too_long(response: ErrorResponse) -> bool:
    if "context_length_exceeded" in response.words:
        return True
    return response.has(_TOO_LONG, None, 400, 422, 500) and "rate" not in response.code


def _has_no_credit(response: ErrorResponse) -> bool:
    if response.status == 402:
        return True
    comes_back = response.status == 429 and retry_after(response.headers) is not None
    if comes_back and "insufficient_quota" not in response.words:
        return False
    return response.has(_NO_CREDIT, None, 400, 403, 429)


def _has_wrong_key(response: ErrorResponse) -> bool:
    return response.status == 401 or response.has(_WRONG_KEY)


def _may_pass(response: ErrorResponse) -> bool:
    return response.status in (408, 409, 425, 429) or (response.status is not None and response.status >= 500)


def _broke_off(response: ErrorResponse) -> bool:
    return response.status is None and (response.has(_BUSY) or not response.has(_FILTERED))


# The first rule that applies makes the error. In the texts {key} is the variable of the key.
_RULES: tuple[tuple[Callable[[ErrorResponse], bool], type[ModelError], str], ...] = (
    (_takes_no_functions, ToolsUnsupported, "{where} does not take functions: {said}"),
    (_takes_no_images, ImagesUnsupported, "{where} does not take images: {said}"),
    (
        lambda response: response.status == 413 and "rate" not in response.code,
        BodyTooLarge,
        "The prompt is too long for {where}: {said}",
    ),
    (_is_too_long, ContextLengthExceeded, "The prompt is too long for {where}: {said}"),
    (
        _has_no_credit,
        ModelSetupError,
        "The account of {where} has no credit left; add credit, or use another model: {said}",
    ),
    (_has_wrong_key, ModelSetupError, "{where} does not accept the key; set {key} to a valid one."),
    (
        lambda response: response.status == 403,
        ModelSetupError,
        "The key in {key} has no access to {where}; use another key or model: {said}",
    ),
    (
        lambda response: response.status == 404,
        ModelSetupError,
        "{where} was not found; check the model's name and the address (most end in /v1): {said}",
    ),
    (
        lambda response: response.status == 429,
        ModelUnavailable,
        "{where} is over its rate limit; wait, or use another model: {said}",
    ),
    (_may_pass, ModelUnavailable, "{where} failed with status {status}; try again later: {said}"),
    (_broke_off, ModelUnavailable, "{where} broke off its answer; try again: {said}"),
    (
        lambda response: response.has(_FILTERED),
        RequestRefused,
        "A content filter of {where} refused the prompt; rephrase it: {said}",
    ),
    (lambda _: True, RequestRefused, "{where} refused the request with status {status}: {said}"),
)


def model_error(response: ErrorResponse, endpoint: Endpoint) -> ModelError:
    """Return the error for a response: one sentence, without the key, with the fix if there is one."""
    response = replace(response, said=shortened(response.said, endpoint.key, *endpoint.headers.values()))
    if endpoint.withheld and response.status in (401, 403):
        return ModelSetupError(f"{response.where} wants a key, and {endpoint.withheld}.")
    kind, text = next((kind, text) for applies, kind, text in _RULES if applies(response))
    sentence = text.format(
        where=response.where,
        key=endpoint.key_variable or "the key",
        status=response.status,
        said=response.said,
    )
    if issubclass(kind, ModelUnavailable):
        return kind(sentence, retry_after(response.headers))
    return kind(sentence)


def timed_out(where: str, seconds: float) -> ModelUnavailable:
    """Return the error of a server that sent nothing for so long."""
    return ModelUnavailable(
        f"{where} did not answer within {seconds:g} s; try again, or set a longer timeout in config.toml."
    )


def cut_off(where: str) -> ModelUnavailable:
    """Return the error of an answer without its end."""
    return ModelUnavailable(f"The answer of {where} was cut off; try again.")


def unreachable(
    where: str, error: BaseException, fix: str = "check the network and the address"
) -> ModelUnreachable | ModelSetupError:
    """Return the error of a failed connection, with the reason behind ``error`` if it is known."""
    if failure := failure_of(error):
        kind = ModelUnreachable if failure.may_pass else ModelSetupError
        return kind(failure.sentence(where))
    return ModelUnreachable(f"{where} cannot be reached; {fix}.")


def filtered(where: str) -> ModelError:
    """Return the error of an answer that a content filter withheld."""
    return ModelError(f"A content filter withheld the answer of {where}; rephrase the question.")


def unanswered(name: str, completion: Completion, finish: str, limit: int) -> ModelError | None:
    """Return the error of an empty completion whose end has a known reason; None for all others.

    ``finish`` is ``content_filter`` or ``length``, in OpenAI's words.
    """
    if completion.text.strip() or completion.calls:
        return None
    if finish == "content_filter":
        return filtered(name)
    if finish == "length":
        used = f"{name} used up its {limit:,} reply tokens with no answer"
        return ModelError(f"{used}; increase the setting reserve, or reduce thinking.")
    return None


def shortened(said: str, *secrets: str) -> str:
    """Return a server's sentence on one line, truncated, without secrets."""
    return " ".join(redacted(said[:_LONGEST], *secrets).split())[:300]
