"""Function calling for every model: by its provider's protocol, by calls written as text, or by JSON mode.

A wrapper of an adapter. Left out: the meaning of arguments, which the function executor validates.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from pagefault.errors import ToolsUnsupported
from pagefault.models import ModelWrapper, Notice, Prompt, StreamItem
from pagefault.models.endpoint import CallingMode
from pagefault.models.wrappers.function_calling.json_mode import JSONReader
from pagefault.models.wrappers.function_calling.text import TextReader

__all__ = ["FunctionCallingModel"]


@dataclass(slots=True)
class FunctionCallingModel(ModelWrapper):
    """Calls functions in a ``mode``: ``native`` is the provider's own protocol, with calls and thinking in
    plain text understood; ``json`` is JSON mode; ``auto`` is the first until the server reports that the
    model has no functions, then the second."""

    mode: CallingMode

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the answer to ``prompt``; raises ``ModelError`` and its subclasses only."""
        while True:
            json_mode = self.mode == "json" and bool(prompt.functions)
            reader = JSONReader(prompt) if json_mode else TextReader(prompt)
            try:
                async with aclosing(self.model.stream(reader.prompt)) as items:
                    async for item in items:
                        for shown in reader.take(item):
                            yield shown
                return
            except ToolsUnsupported as error:
                if json_mode or self.mode == "native":
                    raise
                refused = str(error).rstrip(".")
            self.mode = "json"
            yield Notice(f"{refused}. It is asked for JSON objects from now on.", restart=True)
