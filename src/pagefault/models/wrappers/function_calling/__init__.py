"""Function calling for every model: by its provider's protocol, by calls written as text, or by JSON mode.

A wrapper of an adapter. By default text is text; calls in it are read only for a model that was found to
write them so, or by setting. Left out: the meaning of arguments, which the function executor validates.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from pagefault.errors import ModelError, ToolsUnsupported
from pagefault.models import Completion, Delta, ModelWrapper, Notice, Prompt, StreamItem
from pagefault.models.endpoint import CallingMode, ModelFinding
from pagefault.models.wrappers.function_calling.json_mode import JSONReader, SpokenReader, in_json_mode
from pagefault.models.wrappers.function_calling.text import TextReader
from pagefault.models.wrappers.function_calling.thinking import ThinkingReader, ends_late
from pagefault.models.wrappers.function_calling.unseen import UnseenFunctions

__all__ = ["FunctionCallingModel"]


_MOST_HELD = 500_000  # characters of a call that are waited for
_HINT = (
    "The answer looks like a call or thinking of {name} that its server did not recognise, and was left as "
    "text; `pagefault models check` finds out, and its agents read them from then on."
)


_FROM_NOW_ON = "It is asked for JSON objects from now on."
_DROPPED = (
    "The server of {name} drops functions without a word: {why}. {then} A chat template with functions, or "
    "another model, would do better."
)
_NO_TEMPLATE = "its chat template has none"
_FEW_TOKENS = "the tokens that it reports are those of the messages alone"


async def _keeps_all() -> bool:
    return False


@dataclass(slots=True)
class FunctionCallingModel(ModelWrapper):
    """Calls functions in a ``mode``: ``native`` is the provider's own protocol, ``text`` that and calls
    written as text, ``json`` JSON mode; ``auto`` is as ``finding`` says of the model, and JSON mode as soon
    as the server reports that the model has no functions, or is found to drop them: by ``drops_functions``,
    which asks it, or by the tokens that it reports."""

    mode: CallingMode
    finding: ModelFinding = field(default_factory=ModelFinding)
    drops_functions: Callable[[], Awaitable[bool]] = _keeps_all
    _unseen: UnseenFunctions = field(default_factory=UnseenFunctions)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamItem]:
        """Stream the answer to ``prompt``; raises ``ModelError`` and its subclasses only."""
        learnt: list[str] = []
        if turned := await self._template_check(prompt, learnt):
            yield turned
        while True:
            reader, thinking = self._reader(prompt), ThinkingReader(prompt, late=self.finding.late_thinking)
            try:
                held = 0  # characters since anything was passed on
                async with aclosing(self.model.stream(reader.prompt)) as items:
                    async for item in items:
                        held += len(item.text)
                        for read in self._read(prompt, item, thinking, learnt):
                            if isinstance(read, Notice) and read.restart:
                                reader = self._reader(prompt)
                            for shown in reader.take(read):
                                held = 0
                                yield shown
                        if held > _MOST_HELD:
                            raise ModelError(f"{self.name} wrote a call without end; use another model.")
                return
            except ToolsUnsupported as error:
                if self.mode != "auto" or self._mode == "json":
                    raise
                refused = str(error).rstrip(".")
            self.finding = replace(self.finding, calling="json")
            yield Notice(f"{refused}. {_FROM_NOW_ON}", restart=True)

    def _read(
        self, prompt: Prompt, item: StreamItem, thinking: ThinkingReader, learnt: list[str]
    ) -> Sequence[StreamItem]:
        """Return the items that stand for this one, its thinking apart; a completion has what was learnt."""
        if not isinstance(item, Completion):
            return thinking.take(item)
        unseen = self._is_unknown(prompt) and self._unseen.noticed(prompt, item)
        notices = [self._turned(learnt, _FEW_TOKENS)] if unseen else []
        return (*notices, *thinking.take(replace(item, notes=(*item.notes, *learnt))))

    async def _template_check(self, prompt: Prompt, learnt: list[str]) -> Notice | None:
        if self._is_unknown(prompt) and await self.drops_functions():
            return self._turned(learnt, _NO_TEMPLATE)
        return None

    def _is_unknown(self, prompt: Prompt) -> bool:
        return self._mode == "" and bool(prompt.functions)

    def _turned(self, learnt: list[str], why: str) -> Notice:
        """Turn to JSON mode, and report it once."""
        self.finding = replace(self.finding, calling="json")
        learnt.append(_DROPPED.format(name=self.name, why=why, then=_FROM_NOW_ON))
        return Notice(learnt[-1])

    @property
    def _mode(self) -> str:
        return self.mode if self.mode != "auto" else self.finding.calling

    def _reader(self, prompt: Prompt) -> JSONReader | SpokenReader | TextReader | PlainReader:
        mode = self._mode
        if mode == "json" and prompt.functions:
            return SpokenReader(in_json_mode(prompt)) if prompt.plain else JSONReader(prompt)
        if mode == "text" and not prompt.plain:
            return TextReader(prompt)
        return PlainReader(prompt, "" if mode or prompt.plain else self.model.name)


@dataclass(slots=True)
class PlainReader:
    """Takes text as text. What would be a call if the model was one that writes them as text is noticed, once
    nothing is known of the model, for which ``unknown`` is its name then."""

    prompt: Prompt
    unknown: str

    def take(self, item: StreamItem) -> Sequence[StreamItem]:
        """Return the items that stand for this one."""
        if not self.unknown or not isinstance(item, Completion) or not self._looks_marked(item):
            return (item,)
        hint = _HINT.format(name=self.unknown)
        return (Notice(hint), replace(item, notes=(*item.notes, hint)))

    def _looks_marked(self, whole: Completion) -> bool:
        reader = TextReader(self.prompt)
        reader.take(Delta(whole.text))
        read = reader.take(replace(whole, calls=()))[-1]
        return ends_late(whole.text) or (isinstance(read, Completion) and bool(read.calls))
