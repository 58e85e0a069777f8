"""Agents of Letta: agent files (``.af``), of any version, as items.

    schema.py    the file as values, without secrets, source code and addresses
    messages.py  stored messages as rows;  packed.py: what older agents pack as JSON
    names.py     names and handles;  kept.py: values that are kept in metadata
    agents.py    the agents of a file, each with its sections, documents and messages

Left out: Letta's archival memory, which its files do not have.
"""

from __future__ import annotations

from collections.abc import Iterator

from pagefault.importers import ImportItem, ImportOptions, Source
from pagefault.importers.letta.agents import items_of
from pagefault.importers.letta.schema import agent_file, looks_like_agent_file
from pagefault.importers.reading import whole_text

__all__ = ["LettaImporter"]


class LettaImporter:
    """Reads Letta's agent files."""

    title = "Letta agent file"

    def recognises(self, source: Source) -> bool:
        return source.is_file and looks_like_agent_file(source.head(source.name))

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        del options  # its times name their zone, and it says who is who
        yield from items_of(agent_file(whole_text(source, source.name), source.name))
