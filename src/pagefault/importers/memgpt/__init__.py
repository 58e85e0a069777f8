"""Agents of MemGPT 0.1 to 0.4, which became Letta: folders, pickles and databases, as items.

    folders.py   agents of 0.1 and 0.2, a folder each;  pickles.py: their pickles, without running them
    databases.py agents of 0.3 to 0.5, in one SQLite database

``~/.memgpt`` may be given as a whole, the folder of one agent, or the database. Left out: API keys,
functions, and what lies in Chroma or LanceDB.
"""

from __future__ import annotations

from collections.abc import Iterator

from pagefault.importers import ImportItem, ImportOptions, Source
from pagefault.importers.memgpt.databases import database_items, databases_in
from pagefault.importers.memgpt.folders import agents_in, folder_items

__all__ = ["MemGPTImporter"]


class MemGPTImporter:
    """Reads what MemGPT kept of its agents."""

    title = "MemGPT 0.1 to 0.5"

    def recognises(self, source: Source) -> bool:
        return bool(agents_in(source) or databases_in(source))

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        del options
        for folder in agents_in(source):
            yield from folder_items(source, folder)
        for name in databases_in(source):
            yield from database_items(source, name)
