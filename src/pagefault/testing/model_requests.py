"""The conformance suite for the requests of model adapters: the content that is sent, and nothing else.

It reads bodies of the shapes of OpenAI, Anthropic, Ollama and Gemini. Left out: the meaning of each field.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, cast

from pagefault.models import Call, Completion, Model, Prompt, PromptMessage
from pagefault.testing.models import LATER, PROMPT, Fault, ModelConformance, end_of

__all__ = ["RequestConformance", "ServedModel"]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model under test with its provider: ``requests`` returns the bodies so far, as JSON values."""

    model: Model
    requests: Callable[[], Sequence[Mapping[str, Any]]]


class RequestConformance(ModelConformance):
    """Subclass it as ``class TestMine(RequestConformance)`` and override ``wired``; pytest does the rest."""

    wants_thinking_back = False
    """Thinking is signed, and sent back to the provider that signed it."""

    def wired(self, *turns: Completion | Fault) -> AbstractAsyncContextManager[ServedModel]:
        """Return the model under test and its provider, which answers with ``turns``, one per request."""
        raise NotImplementedError("return a context manager of ServedModel from wired()")

    def serving(self, *turns: Completion | Fault) -> AbstractAsyncContextManager[Model]:
        @asynccontextmanager
        async def serve() -> AsyncGenerator[Model]:
            async with self.wired(*turns) as served:
                yield served.model

        return serve()

    def sent(self, *prompts: Prompt) -> list[Mapping[str, Any]]:
        """Return the bodies of the requests for the prompts."""

        async def run() -> list[Mapping[str, Any]]:
            async with self.wired(*[Completion("ok")] * len(prompts)) as served:
                for prompt in prompts:
                    assert [item async for item in served.model.stream(prompt)]
                return list(served.requests())

        return asyncio.run(run())

    def test_only_the_prompts_own_sentences_are_sent(self) -> None:
        (body,) = self.sent(LATER)
        sentences = [text for _, text in _leaves(body) if " " in text]
        own = _texts_of(LATER)
        assert [text for text in sentences if text not in own and "malformed" not in text] == []

    def test_all_sentences_of_the_prompt_are_sent(self) -> None:
        (body,) = self.sent(LATER)
        sent = "\n".join(text for _, text in _leaves(body))
        assert [message.text for message in LATER.messages if message.text not in sent] == []

    def test_no_schema_is_declared_strict(self) -> None:
        (body,) = self.sent(LATER)
        assert [path for path, _ in _leaves(body) if "strict" in path] == []

    def test_only_the_first_message_is_of_the_system(self) -> None:
        (body,) = self.sent(LATER)
        roles = [role for role, _ in _blocks(body)]
        assert "system" not in roles[1:]
        assert {"system", "developer"} & set(roles[1:]) == set()

    def test_a_prompt_that_goes_on_is_sent_as_one_that_goes_on(self) -> None:
        ends = (2, 3, 6, 7, 8, len(LATER.messages))  # also where nothing was answered in between
        prompts = [replace(LATER, messages=LATER.messages[:end]) for end in ends]
        bodies = self.sent(*prompts)
        for before, after in pairwise(bodies):
            assert _head(before) == _head(after)
            assert _blocks(after)[: len(_blocks(before))] == _blocks(before)

    def test_what_a_provider_wants_back_is_sent_back(self) -> None:
        thought = Completion("Four.", (Call("c", "note", '{"text": "4"}'),), thinking="Two and two.")
        (items,) = self.ask(PROMPT, thought)
        end = end_of(items)
        assert bool(end.echo) == self.wants_thinking_back
        if end.echo:
            json.dumps(end.echo)  # it is stored
            (body,) = self.sent(_after(end))
            wanted = [text for path, text in _leaves(end.echo) if path.endswith(("signature", "thinking"))]
            there = [text for _, text in _leaves(body)]
            assert [text for text in wanted if text not in there] == []

    def test_the_thinking_of_another_provider_is_not_sent(self) -> None:
        thought = {"thinking": "Aha-elsewhere", "id": "i-elsewhere", "signature": "s-elsewhere"}
        details = {"thought_signature": "d-elsewhere"}
        parts = [thought, {"text": 5, "details": details}, {"call": "c", "details": details}]
        echo = {"provider": "elsewhere", "parts": parts, "reasoning_details": parts}
        end = Completion("Four.", (Call("c", "note", "{}"),), echo=echo)
        (body,) = self.sent(_after(end))
        assert [text for _, text in _leaves(body) if "elsewhere" in text] == []


def _after(end: Completion) -> Prompt:
    """Return the prompt that follows a completion with one call."""
    said = PromptMessage("assistant", end.text, end.calls, echo=end.echo)
    result = PromptMessage("tool", "Kept.", call_id=end.calls[0].id, name=end.calls[0].name)
    return replace(PROMPT, messages=(*PROMPT.messages, said, result))


def _texts_of(prompt: Prompt) -> str:
    """Return all texts of a prompt with one function."""
    (function,) = prompt.functions
    calls = [call.arguments for message in prompt.messages for call in message.calls]
    schema = [text for _, text in _leaves(function.parameters)]
    return "\n".join([*(message.text for message in prompt.messages), *calls, function.description, *schema])


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield all texts in a JSON value, each with the names that lead to it; other values as text."""
    if isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            yield from _leaves(inner, f"{path}.{key}".removeprefix("."))
    elif isinstance(value, list | tuple):
        for inner in cast("list[object]", value):
            yield from _leaves(inner, path)
    else:
        yield path, str(value)


def _blocks(body: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return role and content of each piece of the messages, without marks of the cache."""
    found: list[tuple[str, Any]] = []
    for message in body.get("messages") or body.get("contents") or ():
        content = message.get("content", message.get("parts"))
        rest = {key: value for key, value in message.items() if key not in ("role", "content", "parts")}
        pieces = cast("list[Any]", content) if isinstance(content, list) else [content]
        found += [(str(message["role"]), _unmarked(piece)) for piece in pieces]
        if rest:
            found.append((str(message["role"]), rest))
    return found


def _head(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _unmarked(value) for key, value in body.items() if key not in ("messages", "contents")}


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: _unmarked(inner) for key, inner in items if key != "cache_control"}
    return [_unmarked(inner) for inner in cast("list[Any]", value)] if isinstance(value, list) else value
