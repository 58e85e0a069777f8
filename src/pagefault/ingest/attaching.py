"""Attaching: an image, a file or a transcript to the event that brings it to an agent.

The content decides what it is, not its name. An image comes with the event; the words of a transcript are
its text; any other file is loaded into archival storage, and the event names the document. What cannot be
read is one sentence, and no event. Addresses are fetched here, once, within the walls of ``fetching``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, cast, get_args

import anyio.to_thread

from pagefault.addresses import clean_url
from pagefault.config import LoadingSettings
from pagefault.errors import ArgumentTypeError, UsageError
from pagefault.functions.results import brief, counted, document_line
from pagefault.images import Image, from_data_url, image_type, read_image, returned_media
from pagefault.ingest.loading import load
from pagefault.ingest.sources import Bytes, Skipped, SourceContent, find
from pagefault.ingest.transcripts import is_transcript, transcript
from pagefault.kernel import Kernel
from pagefault.media import MediaContent
from pagefault.names import check_text
from pagefault.quoting import inline
from pagefault.types import Document, Event, EventKind
from pagefault.views.documents import document_page

__all__ = ["AttachedKind", "ImageSource", "attached", "images_of"]

ImageSource = MediaContent | Image | bytes | str | Path
"""An image that is sent: as bytes, by its path, or by its address (``https:`` or ``data:``)."""

AttachedKind = Literal["image", "file", "transcript"]

_NAMED = 12  # documents of one file, a message with what is attached to it, that the event names


async def images_of(
    kernel: Kernel, sources: Sequence[ImageSource] | ImageSource, *, typed: bool = False
) -> tuple[MediaContent, ...]:
    """The images of a message; ``UsageError`` says which cannot be taken, and why. ``typed``: a person wrote
    the addresses, and may mean this machine or its network."""
    listed = sources if isinstance(sources, list | tuple) else [cast("ImageSource", sources)]
    return tuple([await _image(kernel, source, typed) for source in listed])


async def attached(
    kernel: Kernel,
    name: str,
    source: ImageSource,
    *,
    called: str = "",
    text: str = "",
    kind: AttachedKind | None = None,
    sender: str | None = None,
    typed: bool = False,
) -> Event:
    """The event, not posted yet, that brings a file to the agent of this name. ``called``: the file's name,
    by default its own; ``text``: what to say with it; ``kind``: by default, what its content is."""
    check_text(text)
    if kind is not None and kind not in (kinds := get_args(AttachedKind)):
        raise UsageError(f"kind is {', '.join(kinds)} or left out, and not {kind!r}.")
    read = await _read(kernel, source, called, typed)
    kind = kind or _kind(read)
    if kind == "image":
        return Event(EventKind.IMAGE, text, sender=sender, contents=(read_image(read.data, read.file),))
    if kind == "transcript":
        said = await anyio.to_thread.run_sync(_transcript, read)
    else:
        said = await _document(kernel, name, read)
    event = Event(kind, "\n".join(filter(None, (text, said))), sender=sender)
    check_text(event.text)
    return event


def _kind(read: SourceContent) -> AttachedKind:
    if image_type(read.data):
        return "image"
    return "transcript" if is_transcript(read.file, read.data) else "file"


async def _image(kernel: Kernel, source: ImageSource, typed: bool) -> MediaContent:
    read = await _read(kernel, source, "", typed)
    return read_image(read.data, read.file)


async def _read(kernel: Kernel, source: ImageSource, called: str, typed: bool) -> SourceContent:
    """The bytes of a source with the name of its file; ``UsageError`` names what cannot be read."""
    if isinstance(source, str | Path):
        return await _located(kernel, os.fspath(source), called, typed)
    if isinstance(source, Image):
        return await _read(kernel, source.source, called or source.name, typed)
    if isinstance(source, bytes | bytearray | memoryview):
        return await _within(kernel, bytes(source), called)
    if (shown := returned_media(source)) is not None:
        return await _within(kernel, shown.data, called or shown.media.name)
    raise ArgumentTypeError(f"An image is a path, bytes or an address, and {source!r} is none.")


async def _within(kernel: Kernel, data: bytes, called: str) -> SourceContent:
    """Bytes that the caller has; they may be as many as those of a file."""
    return SourceContent((await Bytes(data, called).read(kernel.loading)).data, called)


async def _located(kernel: Kernel, given: str, called: str, typed: bool) -> SourceContent:
    """The bytes at a path or an address."""
    if given[:5].lower() == "data:":
        return await _within(kernel, from_data_url(given), called)
    if await anyio.to_thread.run_sync(_is_folder, given):
        raise UsageError(f"{inline(given)} is a folder; attach a file, or load the folder.")
    try:
        (found,) = (each for each in find([given], typed=typed) if not isinstance(each, Skipped))
        content = await found.read(kernel.loading)
    except (UsageError, OSError, ValueError) as error:
        why = f"{error.strerror or error}." if isinstance(error, OSError) else error
        name = brief(clean_url(given) if "://" in given else given, 200)
        raise UsageError(f"{name} cannot be attached: {why}") from None
    return replace(content, file=called or content.file, name=content.name or found.name)


def _is_folder(path: str) -> bool:
    with suppress(OSError):  # too long a path
        return Path(os.path.expanduser(path)).is_dir()
    return False


def _transcript(read: SourceContent) -> str:
    words = transcript(read.data)
    if not words:
        raise UsageError(f"{inline(read.file) or 'The transcript'} has no words; attach another file.")
    return "\n".join(filter(None, (inline(read.file), words)))


@dataclass(frozen=True, slots=True)
class _ReadFile:
    """A source of a document that was read already."""

    content: SourceContent

    @property
    def name(self) -> str:
        """Bytes have their hash in it, so that files of one name are several documents."""
        return self.content.name or f"attached:{sha256(self.content.data).hexdigest()[:16]}:{self.label}"

    @property
    def label(self) -> str:
        return inline(self.content.file) or "file"

    async def read(self, limits: LoadingSettings) -> SourceContent:
        del limits  # it is within them
        return self.content


async def _document(kernel: Kernel, name: str, read: SourceContent) -> str:
    source = _ReadFile(read)
    report = await load(kernel, name, [source], announce=False)
    documents = [item.document for item in report.items if item.document]
    if not documents:
        why = next((item.why for item in report.items if item.why), "There is no document in it.")
        raise UsageError(f"{source.label} cannot be attached: {why}")
    lines = [await _loaded_line(kernel, name, each) for each in documents[:_NAMED]]
    more = len(documents) - len(lines)
    lines += [f"and {counted(more, 'more document')}, see document_list"] if more else []
    return "\n".join(filter(None, (f"{source.label} {lines[0]}", *lines[1:], report.notice)))


async def _loaded_line(kernel: Kernel, name: str, document: Document) -> str:
    page = await document_page(kernel, name, document.id)
    return document_line(document.id, document.title, document.pages, page.text)
