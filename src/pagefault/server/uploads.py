"""Uploaded files as sources of documents, the same for all protocols.

A file's name is a client's: only its last part is used, without what shows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from fastapi import UploadFile

from pagefault.config import LoadingSettings
from pagefault.ingest import Bytes
from pagefault.ingest.sources import SourceContent

__all__ = ["UploadSource", "plain_file_name"]

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class UploadSource:
    """An uploaded file as a source. ``file``: its plain name, which names the document and says of what kind
    it may be."""

    upload: UploadFile
    file: str

    @property
    def name(self) -> str:
        return f"upload:{self.file}"

    @property
    def label(self) -> str:
        return PurePosixPath(self.file).stem

    async def read(self, limits: LoadingSettings) -> SourceContent:
        content = await Bytes(await self.upload.read(), self.label).read(limits)
        return SourceContent(content.data, self.file, self.upload.content_type or "")


def plain_file_name(name: str | None) -> str:
    """The last part of a path as a client gave it; ``file`` if nothing is left."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable()).strip()[:_LONGEST] or "file"
