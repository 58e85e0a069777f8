"""The importers by kind: those shipped, in the order in which they are asked, and those of plug-ins.

A shipped one is imported when it is asked; a plug-in after all of ours. A plug-in that is a function of a
path yields passages (``passages.import_from``); it recognises nothing, so it has to be named.
"""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

from pagefault.errors import UsageError
from pagefault.importers import Importer, ImportOptions, Source
from pagefault.importers.items import ImportedPassage, ImportItem
from pagefault.plugins import Plugins
from pagefault.types import Passage

__all__ = ["OWN", "SHIPPED", "importer_of", "kinds"]

OWN = "pagefault"
"""The kind of our own exports, which ``transfer`` stores."""

SHIPPED = {
    "chatgpt": "chatgpt:ChatGptImporter",
    "claude": "claude:ClaudeImporter",
    "telegram": "telegram:TelegramImporter",
    "discord": "discord:DiscordImporter",
    "slack": "slack:SlackImporter",
    "locomo": "locomo:LocomoImporter",
    "whatsapp": "whatsapp:WhatsAppImporter",
    "mbox": "mbox:MboxImporter",
    "letta": "letta:LettaImporter",
    "memgpt": "memgpt:MemGPTImporter",
    "mem0": "mem0:Mem0Importer",
    "jsonl": "jsonl:JsonlImporter",
}
"""By kind: the module and the class. Formats that are the same as a wider one come before it."""

_END = object()
_UTF_16 = (BOM_UTF16_LE, BOM_UTF16_BE)


def kinds() -> list[str]:
    """The names of all kinds, with ours."""
    return [OWN, *SHIPPED, *sorted(Plugins("importers"))]


def importer_of(source: Source, kind: str | None) -> tuple[str, Importer]:
    """The kind of a source and its importer: the one named, or the first that recognises it; ``UsageError``
    if there is none."""
    if kind is not None:
        return kind, _importer(kind)
    for name in (*SHIPPED, *sorted(Plugins("importers"))):
        if (importer := _importer(name)).recognises(source):
            return name, importer
    _check_text(source)
    raise UsageError(
        f"{source.name} is of no kind that can be imported; if it is of one of these, name it with --as: "
        f"{', '.join(kinds())}."
    )


def _check_text(source: Source) -> None:
    """Refuse what is of no kind for a reason that can be said."""
    if not any(source.sizes.values()):
        raise UsageError(f"{source.name} is empty; export it again.")
    if source.is_file and source.head(source.name)[:2] in _UTF_16:
        raise UsageError(f"{source.name} is text in UTF-16; save it as UTF-8, and import that.")


def _importer(kind: str) -> Importer:
    if kind in SHIPPED:
        module, _, name = SHIPPED[kind].partition(":")
        return getattr(import_module(f"pagefault.importers.{module}"), name)()
    if kind in (found := Plugins("importers")):
        return _PluginImporter(found, kind)
    raise UsageError(f"There is no kind {kind!r} of import; there are {', '.join(kinds())}.")


class _PluginImporter:
    """An importer of another package, whose errors name it."""

    def __init__(self, found: Plugins, name: str) -> None:
        self.title = name
        self._guarded: Callable[[Callable[[], Any]], Any] = partial(found.guarded, name)
        loaded = found[name]()
        self._importer: Importer | None = None
        if hasattr(loaded, "recognises"):
            self._importer = self._guarded(loaded)
            self.title = str(getattr(self._importer, "title", name))
        self._function: Callable[..., Any] = loaded

    def recognises(self, source: Source) -> bool:
        importer = self._importer
        return bool(importer is not None and self._guarded(lambda: importer.recognises(source)))

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        importer = self._importer
        if importer is None:
            passages: list[Passage] = self._function(source.path)
            yield from map(_imported, enumerate(passages, 1))
            return
        items: Iterator[ImportItem] = self._guarded(lambda: iter(importer.read(source, options)))
        while (item := self._guarded(lambda: next(items, _END))) is not _END:
            yield item


def _imported(numbered: tuple[int, Passage]) -> ImportedPassage:
    number, passage = numbered
    return ImportedPassage(passage.text, passage.at, passage.tags, passage.title, place=str(number))
