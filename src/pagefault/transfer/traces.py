"""Traces of deleted words in the files of a folder; those of a database are its own part."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from pagefault.storage.traces import checked_words, count_in

__all__ = ["checked_words", "traces_in"]


def traces_in(folder: Path, words: Sequence[str], known: Collection[str] = ()) -> Iterator[str]:
    """A sentence for each file under ``folder``, but those ``known`` by name in it, and word that it holds.
    Links are not followed."""
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if file.is_symlink() or not file.is_file() or str(name) in known:
            continue
        for word in words:
            if count := count_in(file, word):
                yield f"The file {name} holds {word!r} (places: {count:,})."
