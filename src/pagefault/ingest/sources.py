"""Sources of documents: files, folders, URLs and given bytes; each is found, then read within limits.

A source's ``name`` identifies its document: the absolute path, the URL, ``stdin:TITLE``. Left out: the kinds
of files (``extract``), and connections (``fetching``).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote, urlsplit

import anyio.to_thread

from pagefault.addresses import clean_url, is_near
from pagefault.config import LoadingSettings
from pagefault.errors import UsageError
from pagefault.ingest.bounds import raising
from pagefault.ingest.extract import unknown

__all__ = ["Bytes", "DocumentSource", "File", "Skipped", "SourceContent", "Url", "check_size", "find"]


@dataclass(frozen=True, slots=True)
class SourceContent:
    """The bytes of a source. ``file`` is a file's name, for its suffix; ``declared`` is the media type that a
    server declared; ``name`` is the source's, if it turned out to be another one by reading; ``first_row``:
    the number of a table's first row, if rows before it are another source."""

    data: bytes
    file: str
    declared: str = ""
    name: str = ""
    first_row: int = 1


class DocumentSource(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str:
        """The title to use if the document has none."""
        ...

    async def read(self, limits: LoadingSettings) -> SourceContent:
        """Return the content; ``UsageError`` or ``OSError`` if that fails."""
        ...


@dataclass(frozen=True, slots=True)
class File:
    """A file, by its absolute path."""

    path: Path

    @property
    def name(self) -> str:
        return os.fsencode(self.path).decode("utf-8", "replace")

    @property
    def label(self) -> str:
        return PurePosixPath(self.name).stem

    async def read(self, limits: LoadingSettings) -> SourceContent:
        def work() -> bytes:
            about = self.path.stat()
            if not stat.S_ISREG(about.st_mode):
                raise UsageError("It is not a file; give a file, a folder, a URL or -.")
            check_size(about.st_size, limits)
            with self.path.open("rb") as file:
                data = file.read((limits.file << 20) + 1)  # some files are longer than they say, or grow
            check_size(len(data), limits)
            return data

        return SourceContent(await anyio.to_thread.run_sync(work), self.path.name)


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes that the caller has, e.g. from standard input."""

    data: bytes
    label: str

    @property
    def name(self) -> str:
        return f"stdin:{self.label}"

    async def read(self, limits: LoadingSettings) -> SourceContent:
        check_size(len(self.data), limits)
        return SourceContent(self.data, "")


@dataclass(frozen=True, slots=True)
class Url:
    """A page or file on the web. User name and password in the address are used, and not stored. ``typed``:
    by a person, who may mean this machine or its network."""

    address: str
    typed: bool = False

    @property
    def name(self) -> str:
        return clean_url(self.address, marked=True)

    @property
    def label(self) -> str:
        parts = urlsplit(self.name)
        return PurePosixPath(unquote(parts.path)).stem or parts.netloc

    async def read(self, limits: LoadingSettings) -> SourceContent:
        from pagefault.ingest.fetching import fetch

        found = await fetch(self.address, limits, near=self.typed and is_near(self.address))
        file = PurePosixPath(unquote(urlsplit(found.url).path)).name
        return SourceContent(found.data, file, found.declared, clean_url(found.url, marked=True))


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry of a folder that is not loaded, and the reason."""

    name: str
    why: str


def find(
    targets: Sequence[str], *, typed: bool = False, kind: str = ""
) -> Iterator[DocumentSource | Skipped]:
    """Yield the sources of paths and URLs; of a folder all files of known kinds below it, in order of path.
    ``UsageError`` for a URL that is neither http nor https. ``typed``: a person wrote the targets."""
    for target in targets:
        scheme, colon, _ = target.partition("://")
        if colon and scheme.isalnum():
            yield _url(target, typed)
        elif (path := Path(os.path.expanduser(target)).absolute()).is_dir():
            yield from _within(path, kind)
        else:
            yield File(path)


def _url(address: str, typed: bool) -> Url:
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise UsageError(f"{clean_url(address)} is not an address ({error}); check it.") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{clean_url(address)} cannot be fetched; only http and https addresses are.")
    return Url(address, typed)


def _within(folder: Path, kind: str) -> Iterator[DocumentSource | Skipped]:
    """Yield the sources in a folder. Hidden files and folders are ignored; links are not followed, so that
    the walk stays in the folder."""
    closed: list[OSError] = []
    for place, folders, files in os.walk(folder, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in sorted([*links, *(name for name in files if not name.startswith("."))]):
            path = Path(place, name)
            if path.is_symlink():
                yield Skipped(File(path).name, "It is a link; name it to load it.")
            elif why := unknown(name, kind):
                yield Skipped(File(path).name, why)
            else:
                yield File(path)
    for error in closed:
        yield Skipped(File(Path(error.filename)).name, f"The folder cannot be read: {error.strerror}.")


def check_size(size: int, limits: LoadingSettings) -> None:
    """Raise ``UsageError`` if a file is larger than allowed."""
    if size > limits.file << 20:
        raise UsageError(f"It is larger than {limits.file:,} MB; {raising('file')}")
