"""The suite for model adapters that goes on with the requests: what is sent to a provider, and what never is.

It reads bodies of the shapes of OpenAI, Anthropic, Ollama and Gemini. Left out: which field says what.
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
    """A model under test and its provider: ``requests`` gives the bodies that came so far, as JSON values."""

    model: Model
    requests: Callable[[], Sequence[Mapping[str, Any]]]


class RequestConformance(ModelConformance):
    """Subclass it as ``class TestMine(RequestConformance)`` and override ``wired``; pytest does the rest."""

    wants_thinking_back = False
    """Thinking is signed, and is sent back to the provider that signed it."""

    def wired(self, *turns: Completion | Fault) -> AbstractAsyncContextManager[ServedModel]:
        """The model under test and its provider, which answers with ``turns``, one to a request."""
        raise NotImplementedError("return a context manager of ServedModel from wired()")

    def serving(self, *turns: Completion | Fault) -> AbstractAsyncContextManager[Model]:
        @asynccontextmanager
        async def serve() -> AsyncGenerator[Model]:
            async with self.wired(*turns) as served:
                yield served.model

        return serve()

    def sent(self, *prompts: Prompt) -> list[Mapping[str, Any]]:
        """The bodies of the requests that are made of the prompts."""

        async def run() -> list[Mapping[str, Any]]:
            async with self.wired(*[Completion("ok")] * len(prompts)) as served:
                for prompt in prompts:
                    assert [item async for item in served.model.stream(prompt)]
                return list(served.requests())

        return asyncio.run(run())

    def test_only_the_prompts_own_sentences_are_sent(self) -> None:
        (body,) = self.sent(LATER)
        texts = [message.text for message in LATER.messages]
        own = "\n".join([*texts, *(text for _, text in _leaves(LATER.functions[0].parameters))])
        own += LATER.functions[0].description + "".join(c.arguments for m in LATER.messages for c in m.calls)
        sentences = [text for _, text in _leaves(body) if " " in text]
        assert [text for text in sentences if text not in own and "malformed" not in text] == []
        assert [text for text in texts if text and not any(text in sentence for sentence in sentences)] == [
            text for text in texts if " " not in text and text
        ]

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
    """The prompt that follows a completion with one call."""
    said = PromptMessage("assistant", end.text, end.calls, echo=end.echo)
    result = PromptMessage("tool", "Kept.", call_id=end.calls[0].id, name=end.calls[0].name)
    return replace(PROMPT, messages=(*PROMPT.messages, said, result))


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """All texts in a JSON value, each with the names that lead to it; other values as text."""
    if isinstance(value, dict):
        for key, inner in cast("dict[str, object]", value).items():
            yield from _leaves(inner, f"{path}.{key}".removeprefix("."))
    elif isinstance(value, list | tuple):
        for inner in cast("list[object]", value):
            yield from _leaves(inner, path)
    else:
        yield path, str(value)


def _blocks(body: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Role and content of each piece of the messages, marks of the cache left out."""
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
