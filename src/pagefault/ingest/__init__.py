"""Documents: from files, folders and URLs into an agent's archival storage.

    sources.py   paths and URLs to sources; reading them within limits
    reader.py    the child process that reads documents;  worker.py: that process itself
    extract.py   the kind of a file;  formats/: all kinds; plain.py, pdf.py, markup.py, html/ read some
    packed.py    packed files and XML, checked before they are read
    reading.py   a document at work: its options, and notes for the report
    pages.py     a document's pages and headings;  bounds.py: how much there may be of them
    chunk.py     pages to chunks;  parts.py: documents within documents
    tables.py    large tables, cut into parts;  table_loading.py: their parts, one after another
    report.py    the report of a load, and the observer of its progress
    loading.py   all of it, and an event for the agent
    attaching.py a file to the event that brings it;  transcripts.py: WebVTT and SubRip

The libraries that read the formats are the extra ``pagefault[documents]``, imported where they are used. The
public names are loaded when they are first used: the child process needs few of them. Left out: text
recognition, and links of documents, which are never fetched.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pagefault.ingest.loading import load
    from pagefault.ingest.reading import ReadingOptions
    from pagefault.ingest.report import LoadReport, SourceResult
    from pagefault.ingest.sources import Bytes, File, Skipped, Url, find

__all__ = ["Bytes", "File", "LoadReport", "ReadingOptions", "Skipped", "SourceResult", "Url", "find", "load"]

_HOMES = {"LoadReport": "report", "ReadingOptions": "reading", "SourceResult": "report", "load": "loading"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'pagefault.ingest' has no attribute {name!r}")
        home = _HOMES.get(name, "sources")
        return getattr(import_module(f"pagefault.ingest.{home}"), name)
