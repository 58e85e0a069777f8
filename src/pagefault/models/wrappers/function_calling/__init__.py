"""Calling functions, whatever a model can: its provider's protocol, calls written as text, or JSON mode.

A model around a model. Left out: what arguments mean, which is the function executor's to say.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from pagefault.errors import ToolsUnsupported
from pagefault.models import Completion, Delta, Model, Notice, Prompt, StreamItem
from pagefault.models.endpoint import CallingMode
from pagefault.models.wrappers.function_calling.json_mode import JSONMode
from pagefault.models.wrappers.function_calling.text import TextSplitter

__all__ = ["FunctionCallingModel"]


class FunctionCallingModel:
    """``native``: the provider's own protocol, with calls and thinking in plain text understood; ``json``:
    JSON mode; ``auto``: the first until the server says that the model has no functions, then the other."""

    def __init__(self, model: Model, mode: CallingMode) -> None:
        self.name = model.name
        self.window = model.window
        self._native = model
        self._json = JSONMode(model)
        self._mode = mode

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the answer to ``prompt``; raises ``ModelError`` and its subclasses only."""
        if self._mode != "json":
            try:
                async with aclosing(self._split(prompt)) as items:
                    async for item in items:
                        yield item
                return
            except ToolsUnsupported as error:
                if self._mode == "native":
                    raise
                refused = str(error).rstrip(".")
            self._mode = "json"
            yield Notice(f"{refused}. It is asked for JSON objects from now on.", restart=True)
        async with aclosing(self._json.stream(prompt)) as items:
            async for item in items:
                yield item

    async def _split(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        splitter = TextSplitter(prompt.functions)
        async with aclosing(self._native.stream(prompt)) as items:
            async for item in items:
                if isinstance(item, Delta) and item.call is None and not item.thinking:
                    for piece in splitter.feed(item.text):
                        yield piece
                elif isinstance(item, Completion):
                    for piece in splitter.end():
                        yield piece
                    yield splitter.completion(item)
                elif isinstance(item, Delta) and item.call is not None:
                    yield replace(item, call=item.call + splitter.written)
                else:
                    yield item
