"""For models: a scripted model for tests, and the conformance suite for model adapters.

``ScriptedModel`` streams the items of a list or a function and keeps the prompts it got. The suite has the
form of pytest classes but imports no pytest. It asserts everything that the agent relies on. Left out: the
requests (``model_requests``), and the sense of answers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from typing import Any, Literal, cast

from pagefault.errors import ContextLengthExceeded, ModelError, ModelSetupError, ModelUnavailable
from pagefault.models import (
    Call,
    Completion,
    Delta,
    FunctionSchema,
    Model,
    Prompt,
    PromptMessage,
    StreamItem,
    Usage,
)

__all__ = ["LATER", "PROMPT", "Fault", "Item", "ModelConformance", "ScriptedModel", "call", "end_of", "say"]

Item = Completion | str | Sequence[Call | tuple[str, dict[str, Any]]] | Exception
"""An item of a script: a completion, plain text, calls (also as name and arguments), or an error to raise."""


def call(name: str, /, *, heartbeat: bool = False, **args: Any) -> Call:
    """Return a call in ``memgpt`` style; it gets its id when it is streamed."""
    if heartbeat:
        args["request_heartbeat"] = True
    return Call("", name, json.dumps(args, ensure_ascii=False))


def say(text: str, heartbeat: bool = False) -> Call:
    """Return a call of ``send_message``."""
    return call("send_message", heartbeat=heartbeat, message=text)


class ScriptedModel:
    """A model that answers by its script, deterministically; ``prompts`` holds every prompt it was given.

    ``script`` is a list, of which each answer takes an item, or a function of the prompt; it may be set
    again. After the end of a list the model says "ok": through ``send_message`` if that is offered, else as
    plain text. Calls without an id get ``call_1``, ``call_2``, ... over the model's life. ``usage`` makes
    the usage of a completion without one. Deltas are ``piece`` characters long.
    """

    def __init__(
        self,
        script: Sequence[Item] | Callable[[Prompt], Item],
        window: int = 8192,
        name: str = "scripted",
        *,
        piece: int = 8,
        usage: Callable[[Prompt, Completion], Usage | None] | None = None,
    ) -> None:
        self.window = window
        self.name = name
        self.prompts: list[Prompt] = []
        self.script: list[Item] | Callable[[Prompt], Item] = script if callable(script) else list(script)
        self._piece = piece
        self._usage = usage
        self._calls = 0

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the next item of the script; an exception in it is raised."""
        self.prompts.append(prompt)
        item = self._next(prompt)
        if isinstance(item, Exception):
            raise item
        completion = self._complete(prompt, item)
        for piece in self._pieces(completion.thinking):
            yield Delta(piece, thinking=True)
        for piece in self._pieces(completion.text):
            yield Delta(piece)
        for index, made in enumerate(completion.calls):
            for piece in self._pieces(made.arguments):
                yield Delta(piece, index, made.name)
        yield completion

    def _next(self, prompt: Prompt) -> Item:
        if callable(self.script):
            return self.script(prompt)
        if self.script:
            return self.script.pop(0)
        speaks = not prompt.plain and any(f.name == "send_message" for f in prompt.functions)
        return [say("ok")] if speaks else "ok"

    def _complete(self, prompt: Prompt, item: Completion | str | Sequence[Any]) -> Completion:
        if isinstance(item, str):
            item = Completion(item)
        elif not isinstance(item, Completion):
            item = Completion(calls=tuple(c if isinstance(c, Call) else call(c[0], **c[1]) for c in item))
        done = replace(item, calls=tuple(self._numbered(made) for made in item.calls))
        return replace(done, usage=self._usage(prompt, done)) if self._usage and not done.usage else done

    def _numbered(self, made: Call) -> Call:
        if made.id:
            return made
        self._calls += 1
        return replace(made, id=f"call_{self._calls}")

    def _pieces(self, text: str) -> list[str]:
        return [text[start : start + self._piece] for start in range(0, len(text), self._piece)]


Fault = Literal["too_long", "refused", "overloaded", "cut"]
"""A fault of a provider: the prompt is larger than its window; the key is not accepted; it is overloaded,
also after retries; the stream breaks off in the middle."""

_SCHEMA = FunctionSchema(
    "note", "Keep a note.", {"type": "object", "properties": {"text": {"type": "string"}}}
)
PROMPT = Prompt((PromptMessage("system", "Be brief."), PromptMessage("user", "Hello")), (_SCHEMA,), 100)
LATER = replace(
    PROMPT,
    messages=(
        *PROMPT.messages,
        PromptMessage("user", "Are you there?"),
        PromptMessage("assistant", "", (Call("a", "note", "{}"), Call("b", "note", '{"text": "cut'))),
        PromptMessage("tool", "Kept it.", call_id="a", name="note"),
        PromptMessage("tool", "Error: that is no JSON.", call_id="b", name="note"),
        PromptMessage("user", "[alert] Memory is running low."),
        PromptMessage("assistant", "All is done."),
        PromptMessage("user", "Many thanks"),
    ),
)
_ARGUMENTS = ('{"text": "a \\"quoted\\" note, 字 and 😀"}', "{}", '{"text": ["not a text", {"deep": 1}]}')


class ModelConformance:
    """Subclass it as ``class TestMine(ModelConformance)`` and override ``serving``; pytest does the rest.

    The provider behind the model must be scripted: a server on loopback. The two flags are for protocols
    that cannot carry everything.
    """

    arguments_are_text = True
    """Arguments are sent as text, so they may be broken."""
    reports_cached = True
    """Usage includes the tokens read from the provider's cache."""

    def serving(self, *turns: Completion | Fault) -> AbstractAsyncContextManager[Model]:
        """Return the model under test while its provider answers with ``turns``, one per request."""
        raise NotImplementedError("return a context manager of your model from serving()")

    def ask(self, prompt: Prompt, *turns: Completion | Fault) -> list[list[StreamItem]]:
        """Return the model's stream for each of the turns, all asked with the same prompt."""

        async def run() -> list[list[StreamItem]]:
            async with self.serving(*turns) as model:
                return [[item async for item in model.stream(prompt)] for _ in turns]

        return asyncio.run(run())

    def check(self, prompt: Prompt, turn: Completion) -> Completion:
        """Return the completion streamed for ``turn``; it comes once and last, and deltas add up to it."""
        (items,) = self.ask(prompt, turn)
        end = items[-1]
        assert isinstance(end, Completion)
        deltas = [cast("Delta", item) for item in items[:-1]]
        assert all(isinstance(item, Delta) for item in deltas)
        pieces: dict[object, list[Delta]] = {}
        for delta in deltas:
            pieces.setdefault("thinking" if delta.thinking else delta.call, []).append(delta)
        texts = {kind: "".join(delta.text for delta in of_kind) for kind, of_kind in pieces.items()}
        assert texts.pop(None, "") == end.text
        assert texts.pop("thinking", "") == end.thinking
        assert set(texts) <= set(range(len(end.calls)))
        for index, made in enumerate(end.calls):
            assert (texts.get(index) or "{}") == made.arguments
            assert {delta.name for delta in pieces.get(index, ())} <= {made.name}
        return end

    def error_of(self, fault: Fault) -> Exception:
        """Return the error that the model raises for a fault of its provider."""
        try:
            self.ask(PROMPT, fault)
        except ModelError as error:
            return error
        raise AssertionError(f"the provider's fault {fault!r} did not raise ModelError")

    def test_it_has_a_name_and_a_window(self) -> None:
        async def run() -> None:
            async with self.serving() as model:
                assert model.name
                assert model.window > 0

        asyncio.run(run())

    def test_text_arrives_whole(self) -> None:
        text = "One line,\nanother; 你好, 😀 and \u2028 between.\n" * 20
        assert self.check(PROMPT, Completion(text)).text == text

    def test_calls_arrive_whole_and_in_order_with_ids_of_their_own(self) -> None:
        calls = tuple(Call(f"id_{n}", "note", arguments) for n, arguments in enumerate(_ARGUMENTS))
        got = self.check(PROMPT, Completion("I keep three.", calls))
        assert got.text == "I keep three."
        assert [c.name for c in got.calls] == ["note"] * 3
        assert [json.loads(c.arguments) for c in got.calls] == [json.loads(text) for text in _ARGUMENTS]
        assert len({c.id for c in got.calls}) == 3

    def test_broken_arguments_are_handed_on(self) -> None:
        broken = '{"text": "no end' if self.arguments_are_text else '{"txet": 1}'
        (made,) = self.check(PROMPT, Completion(calls=(Call("id", "note", broken),))).calls
        assert made.arguments == broken

    def test_reported_usage_arrives(self) -> None:
        usage = Usage(input=1200, output=30, cached=1024 if self.reports_cached else 0)
        assert self.check(PROMPT, Completion("ok", usage=usage)).usage == usage

    def test_thinking_comes_apart_from_the_text(self) -> None:
        got = self.check(PROMPT, Completion("Four.", thinking="Two and two,\nlet me see. " * 3))
        assert (got.text, got.thinking) == ("Four.", "Two and two,\nlet me see. " * 3)

    def test_a_completion_that_ran_into_its_limit_says_so(self) -> None:
        got = self.check(PROMPT, Completion("It is", cut=True))
        assert (got.text, got.cut) == ("It is", True)
        assert not self.check(PROMPT, Completion("It is.")).cut

    def test_a_history_with_calls_and_results_is_accepted(self) -> None:
        assert self.check(LATER, Completion("Welcome.")).text == "Welcome."
        assert self.check(replace(PROMPT, functions=()), Completion("No functions.")).text == "No functions."

    def test_a_model_keeps_nothing_from_one_prompt_to_the_next(self) -> None:
        first, second = self.ask(PROMPT, Completion("one"), Completion("two"))
        assert [end_of(first).text, end_of(second).text] == ["one", "two"]

    def test_faults_are_errors_of_ours_in_one_sentence(self) -> None:
        kinds: dict[Fault, type[ModelError]] = {
            "too_long": ContextLengthExceeded,
            "refused": ModelSetupError,
            "overloaded": ModelUnavailable,
            "cut": ModelUnavailable,
        }
        for fault, kind in kinds.items():
            error = self.error_of(fault)
            assert type(error) is kind, fault
            assert str(error)
            assert "\n" not in str(error)

    def test_a_stream_may_be_left_and_the_model_asked_again(self) -> None:
        async def run() -> None:
            async with self.serving(Completion("never mind " * 200), Completion("again")) as model:
                async with aclosing(model.stream(PROMPT)) as stream:
                    assert isinstance(await anext(stream), Delta)
                assert end_of([item async for item in model.stream(PROMPT)]).text == "again"

        asyncio.run(run())


def end_of(items: Sequence[StreamItem]) -> Completion:
    """Return the completion at the end of a stream."""
    assert isinstance(items[-1], Completion)
    return items[-1]
