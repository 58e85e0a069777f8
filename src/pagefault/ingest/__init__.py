"""Documents: from files, folders and URLs into an agent's archival storage.

    sources.py   what paths and URLs stand for; reading it within limits
    extract.py   which kind a file is; plain.py, pdf.py, markup.py read the kinds
    pages.py     a document's pages and headings
    chunk.py     pages to chunks
    load.py      all of it, and the agent is told

The libraries that read the formats are the extra ``pagefault[documents]``, imported where they are used.
"""

from pagefault.ingest.load import LoadReport, SourceResult, load
from pagefault.ingest.sources import Bytes, File, Skipped, Url, find

__all__ = ["Bytes", "File", "LoadReport", "Skipped", "SourceResult", "Url", "find", "load"]
