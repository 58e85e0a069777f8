"""Sources of documents: files, folders, URLs and given bytes; each is found, then read within limits.

A source's ``name`` identifies its document: the absolute path, the URL, ``stdin:TITLE``. Left out: the kinds
of files (``extract``).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

import anyio
import anyio.to_thread

from pagefault.errors import UsageError
from pagefault.ingest.extract import is_known

__all__ = ["Bytes", "DocumentSource", "File", "Skipped", "SourceContent", "Url", "find"]

LARGEST_FILE = 512 << 20  # bytes
LARGEST_DOWNLOAD = 128 << 20
_DOWNLOAD_TIME = 300.0  # seconds in all
_WAIT = 20.0  # seconds for a connection, and between two pieces
_MOST_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class SourceContent:
    """The bytes of a source. ``file`` is a file's name, for its suffix; ``declared`` is the media type that a
    server declared."""

    data: bytes
    file: str
    declared: str = ""


class DocumentSource(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str:
        """The title to use if the document has none."""
        ...

    async def read(self) -> SourceContent:
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

    async def read(self) -> SourceContent:
        def work() -> bytes:
            about = self.path.stat()
            if not stat.S_ISREG(about.st_mode):
                raise UsageError("It is not a file; give a file, a folder, a URL or -.")
            _check_size(about.st_size, LARGEST_FILE)
            return self.path.read_bytes()

        return SourceContent(await anyio.to_thread.run_sync(work), self.path.name)


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes that the caller has, e.g. from standard input."""

    data: bytes
    label: str

    @property
    def name(self) -> str:
        return f"stdin:{self.label}"

    async def read(self) -> SourceContent:
        _check_size(len(self.data), LARGEST_FILE)
        return SourceContent(self.data, "")


@dataclass(frozen=True, slots=True)
class Url:
    """A page or file on the web. User name and password in the address are used, and not stored."""

    address: str

    @property
    def name(self) -> str:
        parts = urlsplit(self.address)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))

    @property
    def label(self) -> str:
        parts = urlsplit(self.name)
        return PurePosixPath(unquote(parts.path)).stem or parts.netloc

    async def read(self) -> SourceContent:
        import httpx2

        client = httpx2.AsyncClient(follow_redirects=True, max_redirects=_MOST_REDIRECTS, timeout=_WAIT)
        try:
            with anyio.fail_after(_DOWNLOAD_TIME):
                async with client, client.stream("GET", self.address) as response:
                    if response.is_error:
                        raise UsageError(f"The server answers {response.status_code}; check the address.")
                    data = bytearray()
                    async for piece in response.aiter_bytes():
                        data += piece
                        _check_size(len(data), LARGEST_DOWNLOAD)
                    file = PurePosixPath(unquote(response.url.path)).name
                    return SourceContent(bytes(data), file, response.headers.get("content-type", ""))
        except TimeoutError:
            raise UsageError(f"It was not read within {_DOWNLOAD_TIME:g} s; try again.") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise UsageError(f"It cannot be fetched ({why}); check the address.") from None


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry of a folder that is not loaded, and the reason."""

    name: str
    why: str


def find(targets: Sequence[str]) -> Iterator[DocumentSource | Skipped]:
    """Yield the sources of paths and URLs; of a folder all files of known kinds below it, in order of path.
    ``UsageError`` for a URL that is neither http nor https."""
    for target in targets:
        scheme, colon, _ = target.partition("://")
        if colon and scheme.isalnum():
            yield _url(target)
        elif (path := Path(target).expanduser().absolute()).is_dir():
            yield from _within(path)
        else:
            yield File(path)


def _url(address: str) -> Url:
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise UsageError(f"{address} is not an address ({error}); check it.") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{address} cannot be fetched; only http and https addresses are.")
    return Url(address)


def _within(folder: Path) -> Iterator[DocumentSource | Skipped]:
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
            elif not is_known(name):
                yield Skipped(File(path).name, "Its kind is unknown; name it to load it as text.")
            else:
                yield File(path)
    for error in closed:
        yield Skipped(File(Path(error.filename)).name, f"The folder cannot be read: {error.strerror}.")


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise UsageError(f"It is larger than {most >> 20:,} MB; split it.")
