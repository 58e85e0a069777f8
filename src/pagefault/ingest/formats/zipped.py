"""Archives of documents (ZIP): each file in one is a document of its own.

Nothing is written to disk, and the names in an archive are names only. Left out: other kinds of archives.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import PurePosixPath
from zipfile import ZipFile, ZipInfo

from pagefault.errors import UsageError
from pagefault.ingest.characters import decode
from pagefault.ingest.packed import BROKEN, opened
from pagefault.ingest.pages import Extracted, ReadPart
from pagefault.ingest.reading import Reading

__all__ = ["archive"]

_MOST_MEMBERS = 2_000


def archive(data: bytes, reading: Reading) -> Extracted:
    """Read an archive: no page of its own, and its files as parts."""
    try:
        with opened(data, members_encrypted=True) as held:
            members = [each for each in held.infolist() if _is_document(each)]
            if len(members) > _MOST_MEMBERS:
                raise UsageError(f"It holds {len(members):,} files; unpack it, and load the folder.")
            parts = tuple(_parts(held, members, reading))
    except BROKEN as error:
        raise UsageError(f"It is not an archive that can be read ({error}); it may be damaged.") from None
    if not parts:
        raise UsageError("There is no file in it.")
    return Extracted("", (), parts=parts)


def _is_document(member: ZipInfo) -> bool:
    """Return False for folders, and for what is hidden, as in a folder on disk."""
    steps = PurePosixPath(member.filename.replace("\\", "/")).parts
    hidden = any((step.startswith(".") and step.strip(".")) or step == "__MACOSX" for step in steps)
    return not (member.is_dir() or hidden)


def _name(member: ZipInfo) -> str:
    """Return the name of a member; the older ones, which have no character set, are decoded as text is."""
    if member.flag_bits & 0x800 or member.filename.isascii():
        return member.filename
    return decode(member.filename.encode("cp437", "replace"))


def _parts(held: ZipFile, members: list[ZipInfo], reading: Reading) -> Iterator[ReadPart]:
    for number, member in enumerate(members, 1):
        reading.on_page(number, len(members))
        name = _name(member)
        if stat.S_ISLNK(member.external_attr >> 16):
            yield ReadPart(name, skip="It is a link; name what it leads to.")
        elif member.flag_bits & 1:
            yield ReadPart(
                name, why="It is encrypted; unpack the archive with its password, and load the file."
            )
        else:
            try:
                yield ReadPart(name, data=held.read(member))
            except BROKEN as error:
                yield ReadPart(name, why=f"It cannot be unpacked ({error}); the archive may be damaged.")
