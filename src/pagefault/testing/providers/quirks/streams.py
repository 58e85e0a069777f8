"""Streams that are complete but deviate in form: framing, empty chunks, unknown fields, usage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pagefault.models import Completion, Usage
from pagefault.testing.providers import gemini
from pagefault.testing.providers.openai import delta, usage
from pagefault.testing.providers.quirks.quirk import Quirk, changed, stream_of
from pagefault.testing.providers.shapes import WIRES
from pagefault.testing.providers.turns import Body, Delivery, ProviderRequest, RawReply, Turn

__all__ = ["STREAMS"]

_KEEP_ALIVE = b": KEEP-ALIVE\n\n"


def _with_role(said: Completion, request: ProviderRequest) -> Turn:
    def grown(name: str, value: Body) -> Body:
        return {"role": "assistant", **value} if name == "delta" else value

    return RawReply(tuple(changed(chunk, grown) for chunk in stream_of(said, request)))


def _framed(change: Callable[[bytes], bytes]) -> Callable[[Completion, ProviderRequest], Turn]:
    """The stream with its bytes changed."""

    def make(said: Completion, request: ProviderRequest) -> Turn:
        wire = WIRES[request.shape]
        return RawReply(tuple(change(wire.frame(chunk)) for chunk in stream_of(said, request)))

    return make


def _kept_alive(said: Completion, request: ProviderRequest) -> Turn:
    mark = b"\n" if request.shape == "ollama" else _KEEP_ALIVE
    wire = WIRES[request.shape]
    return RawReply(tuple(part for chunk in stream_of(said, request) for part in (mark, wire.frame(chunk))))


def _one_byte_at_a_time(said: Completion, request: ProviderRequest) -> Turn:
    wire = WIRES[request.shape]
    whole = b"".join(wire.frame(chunk) for chunk in stream_of(said, request))
    return RawReply(tuple(whole[at : at + 1] for at in range(len(whole))))


def _at_once(said: Completion, request: ProviderRequest) -> Turn:
    wire = WIRES[request.shape]
    return RawReply((b"".join(wire.frame(chunk) for chunk in stream_of(said, request)),))


def _no_json(said: Completion, request: ProviderRequest) -> Turn:
    chunks = stream_of(said, request)
    return RawReply((*chunks[:2], "{oops", *chunks[2:]))


def _unknown_fields(said: Completion, request: ProviderRequest) -> Turn:
    def grown(name: str, value: Body) -> Body:
        arguments = name in ("input", "args", "arguments")  # which are the model's
        return value if arguments else {**value, "x_new": {"deep": [1]}, "x_none": None}

    return RawReply(tuple(changed(chunk, grown) for chunk in stream_of(said, request)))


def _azure(said: Completion, request: ProviderRequest) -> Turn:
    first: Body = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    return RawReply((first, *stream_of(said, request)))


def _content(value: object) -> Callable[[Completion, ProviderRequest], Turn]:
    """Chunks with a content that says nothing, between the others."""
    return lambda said, request: RawReply(
        tuple(part for chunk in stream_of(said, request) for part in (delta(content=value), chunk))
    )


def _parts(said: Completion, request: ProviderRequest) -> Turn:
    chunks = stream_of(replace(said, text=""), request)
    return RawReply((delta(content=[{"type": "text", "text": said.text}]), *chunks))


def _counted(said: Completion, request: ProviderRequest) -> Turn:
    so_far = [usage(Usage(70, number)) for number, _ in enumerate(stream_of(said, request))]
    chunks = zip(stream_of(said, request), so_far, strict=True)
    return RawReply(tuple({**chunk, "usage": chunk.get("usage") or counted} for chunk, counted in chunks))


def _pinged(said: Completion, request: ProviderRequest) -> Turn:
    chunks = stream_of(said, request)
    return RawReply(tuple(part for chunk in chunks for part in (chunk, {"type": "ping"})))


def _without_content(said: Completion, request: ProviderRequest) -> Turn:
    *chunks, last = stream_of(said, request)
    del last["candidates"][0]["content"]
    return RawReply((*chunks, last))


def _null_delta(said: Completion, request: ProviderRequest) -> Turn:
    nothing: Body = {**delta(), "choices": [{"index": 0, "delta": None}]}
    return RawReply((nothing, {**delta(), "choices": None}, *stream_of(said, request)))


def _new_reason(said: Completion, _: ProviderRequest) -> Turn:
    return Delivery(said, finish="eos")


_SSE = ("openai", "anthropic", "gemini")
_SILENT = Completion(usage=Usage(70, 0))

STREAMS = (
    Quirk(
        "keep-alives",
        "OpenRouter and proxies: comments or empty lines while a model thinks.",
        _kept_alive,
        otherwise={"gemini": "unavailable"},
        lasting=True,
    ),
    Quirk("one byte at a time", "Proxies cut packets within a character too.", _one_byte_at_a_time),
    Quirk("all at once", "Proxies buffer a stream until its end.", _at_once),
    Quirk("other line ends", "CR LF.", _framed(lambda data: data.replace(b"\n", b"\r\n"))),
    Quirk(
        "no space after data:",
        "Hand-written servers.",
        _framed(lambda data: data.replace(b"data: ", b"data:", 1)),
        shapes=_SSE,
        otherwise={"gemini": "unavailable"},
        lasting=True,
    ),
    Quirk(
        "no [DONE]",
        "Proxies and hand-written servers.",
        lambda said, request: RawReply(tuple(stream_of(said, request)), done=False),
        shapes=("openai",),
    ),
    Quirk("a line that is not JSON", "A line of the server's log in its stream.", _no_json, "retried"),
    Quirk("unknown fields", "Any server, after an update.", _unknown_fields),
    Quirk("chunks without choices", "Azure; also chunks with usage.", _azure, shapes=("openai",)),
    Quirk("no delta", "Proxies: null where an object should be.", _null_delta, shapes=("openai",)),
    Quirk("content null", "vLLM and others, in chunks with calls.", _content(None), shapes=("openai",)),
    Quirk("content empty", "The same, as an empty text.", _content(""), shapes=("openai",)),
    Quirk("content as parts", "Mistral and proxies: a list of parts.", _parts, shapes=("openai",)),
    Quirk(
        "role in each chunk",
        "Many servers.",
        _with_role,
        shapes=("openai",),
    ),
    Quirk(
        "usage missing",
        "Some servers.",
        lambda said, _: replace(said, usage=None),
        "no usage",
    ),
    Quirk(
        "usage in each chunk", "vLLM if it is requested, and proxies; Gemini.", _counted, shapes=("openai",)
    ),
    Quirk(
        "prompt cut silently",
        "Ollama and others, if it is larger than the window: only the reported input shows it.",
        lambda said, _: replace(said, usage=Usage(5, 9)),
        "usage as reported",
    ),
    Quirk("pings", "Anthropic, at any time.", _pinged, shapes=("anthropic",)),
    Quirk(
        "no beginning",
        "Proxies in front of Anthropic: the first event is missing.",
        lambda said, request: RawReply(tuple(stream_of(said, request)[1:])),
        "retried",
        ("anthropic",),
    ),
    Quirk(
        "end without content",
        "Gemini: the last chunk has a finish reason and no content.",
        _without_content,
        shapes=("gemini",),
    ),
    Quirk(
        "empty completion",
        "Weak models, and strong ones after a result: an empty answer.",
        lambda _, __: _SILENT,
        "empty",
    ),
    Quirk(
        "empty part",
        "Gemini: a part without a text.",
        lambda _, __: RawReply((gemini.chunk({"text": ""}, finish="STOP"),)),
        "empty",
        ("gemini",),
    ),
    Quirk(
        "unknown finish reason",
        "Servers with their own words.",
        _new_reason,
        shapes=("openai", "ollama"),
    ),
    Quirk(
        "cut by the limit",
        "The reply's limit ends the text.",
        lambda said, _: replace(said, text=said.text[:-3], calls=(), cut=True),
        "cut",
    ),
)
