"""Documents: from files, folders and URLs into an agent's archival storage.

    sources.py   paths and URLs to sources; reading them within limits
    extract.py   the kind of a file; plain.py, pdf.py, markup.py, html/ read the kinds
    pages.py     a document's pages and headings
    chunk.py     pages to chunks
    load.py      all of it, and an event for the agent

The libraries that read the formats are the extra ``pagefault[documents]``, imported where they are used.
Left out: text recognition, and links of documents, which are never fetched.
"""

from pagefault.ingest.load import LoadReport, SourceResult, load
from pagefault.ingest.sources import Bytes, File, Skipped, Url, find

__all__ = ["Bytes", "File", "LoadReport", "Skipped", "SourceResult", "Url", "find", "load"]
