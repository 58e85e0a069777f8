"""Plug-ins: parts that other packages offer, found by their entry points and imported when one is used.

    group                  name                          is called as
    pagefault.models       provider of --model NAME:...  (model, window, endpoint, options): AdapterFactory
    pagefault.embedders    NAME or NAME:... (embedder)   (model): an Embedder; model is empty for NAME
    pagefault.stores       NAME://... (database)         (url): a Store
    pagefault.commands     pagefault NAME                a typer.Typer, or a function with typed parameters
    pagefault.importers    import --as NAME, or by what  (): an importers.Importer; or of a path, called by
                           it recognises                 passages.import_from(NAME): yields Passage values

Installed packages are looked through only when a name is not one of ours, or to list them. A plug-in cannot
replace a part of ours, and one that fails raises a ``PluginError`` that names it. Left out: the seams
themselves, which are the protocols above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal

from pagefault.errors import PagefaultError, PluginError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUPS", "Group", "Plugin", "Plugins", "plugins"]

Group = Literal["models", "embedders", "stores", "commands", "importers"]
GROUPS: tuple[Group, ...] = ("models", "embedders", "stores", "commands", "importers")


@dataclass(frozen=True, slots=True)
class Plugin:
    """A plug-in as installed. ``package``: the distribution with its version; ``target``: its code."""

    group: Group
    name: str
    package: str
    target: str


class Plugins(Mapping[str, Callable[..., Any]]):
    """The plug-ins of one group by name: a value, when it is called, imports its plug-in and returns it.

    A plug-in that is a class or a function comes wrapped, so that an error in its call names it too.
    """

    def __init__(self, group: Group) -> None:
        self._group: Group = group

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return partial(self._load, _entries(self._group)[name])

    def __iter__(self) -> Iterator[str]:
        return iter(_entries(self._group))

    def __len__(self) -> int:
        return len(_entries(self._group))

    def guarded(self, name: str, work: Callable[[], Any]) -> Any:
        """Do something with the code of a plug-in; an error in it becomes a ``PluginError`` that names it."""
        return self._guarded(_entries(self._group)[name], work)

    def _load(self, entry: EntryPoint) -> Any:
        loaded = self._guarded(entry, entry.load)
        if self._group == "commands" or hasattr(loaded, "recognises"):  # Typer reads its parameters
            return loaded

        def make(*arguments: Any) -> Any:
            made = self._guarded(entry, partial(loaded, *arguments))
            return self._guarded(entry, lambda: list(made)) if self._group == "importers" else made

        return make

    def _guarded(self, entry: EntryPoint, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except PagefaultError:
            raise
        except Exception as error:
            raise PluginError(
                f"The plug-in {entry.name} (pagefault.{self._group}, of {_package(entry)}) failed with "
                f"{type(error).__name__}: {error}; upgrade that package, or uninstall it."
            ) from error


def plugins() -> list[Plugin]:
    """All plug-ins that are installed, by group and name; none is imported."""
    return [
        Plugin(group, name, _package(entry), entry.value)
        for group in GROUPS
        for name, entry in sorted(_entries(group).items())
    ]


@cache
def _entries(group: Group) -> Mapping[str, EntryPoint]:
    from importlib.metadata import entry_points  # it takes as long to import as all of this package

    return {entry.name: entry for entry in reversed(tuple(entry_points(group=f"pagefault.{group}")))}


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
