"""Sources of imports: one file, a folder or a ZIP, as files by name that are read within bounds.

Names are used to find a file, never as a path to write to; links out of a folder are not followed. Bytes that
are read are counted, for a progress bar. Left out: what the files are.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from pagefault.errors import UsageError

__all__ = ["HEAD", "Source", "open_source"]

HEAD = 65_536
"""The bytes of a file that recognising looks at."""

MOST_FILES = 200_000
MOST_BYTES = 64 << 30
MOST_RATIO = 200
"""Of a file's size to its size in the ZIP, from ``RATIO_FROM`` bytes on: text does not shrink so."""
RATIO_FROM = 16 << 20
_DEEPEST = 12  # folders in one another
_ENDED = "The ZIP is damaged; export it again, or unpack it and import the folder."
_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


@dataclass
class Source:
    """Files by their names, which are relative with slashes. ``name``: of the file or folder itself;
    ``done``: the bytes read so far, of all or of those that are ``expected``."""

    path: Path
    done: int = 0
    expected: int | None = None
    _zip: zipfile.ZipFile | None = field(default=None, repr=False)
    _heads: dict[str, bytes] = field(default_factory=dict[str, bytes], repr=False)

    @cached_property
    def name(self) -> str:
        return os.fsencode(os.path.basename(os.path.abspath(self.path))).decode("utf-8", "replace")

    @cached_property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem if self.path.is_file() else self.name

    @cached_property
    def is_file(self) -> bool:
        """Return whether this is a single file, which is no ZIP."""
        return self._zip is None and self.path.is_file()

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The size of each file in bytes, by name, in the order of names."""
        if self.is_file:
            return {self.name: self.path.stat().st_size}
        found = self._members() if self._zip else dict(self._within())
        return dict(sorted(found.items()))

    @property
    def size(self) -> int:
        """The bytes that are to be read."""
        return sum(self.sizes.values()) if self.expected is None else self.expected

    def expect(self, names: Sequence[str]) -> None:
        """Say that these files will be read, and no others."""
        self.expected = sum(self.sizes.get(name, 0) for name in names)

    def files(self, suffix: str = "") -> list[str]:
        """The names of all files, or of those that end so, in order."""
        return [name for name in self.sizes if name.lower().endswith(suffix)]

    def head(self, name: str) -> bytes:
        """The beginning of a file; empty if it cannot be read."""
        if name not in self.sizes:
            return b""
        if name not in self._heads:
            try:
                with self._raw(name) as file:
                    self._heads[name] = file.read(HEAD)
            except (OSError, UsageError, *_FAULTS):
                self._heads[name] = b""
        return self._heads[name]

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; what is read is counted. ``UsageError`` if there is none of this name."""
        if name not in self.sizes:
            raise UsageError(
                f"{self.name} is a folder or a ZIP, and what is to be read is one file; give the file in it."
                if name == self.name
                else f"{self.name} has no file {name}."
            )
        return cast("BinaryIO", io.BufferedReader(_Counted(self, self._raw(name), name), 1 << 16))

    def local(self, name: str) -> Path | None:
        """The path of a file outside a ZIP, for a library that needs one; None in a ZIP."""
        return None if self._zip else self._path(name)

    def close(self) -> None:
        if self._zip:
            self._zip.close()

    def _raw(self, name: str) -> BinaryIO:
        try:
            if self._zip:
                return cast("BinaryIO", self._zip.open(name))
            return self._path(name).open("rb")
        except _FAULTS:
            raise UsageError(_ENDED) from None
        except OSError as error:
            raise UsageError(f"{name} cannot be read: {error.strerror or error}.") from None

    def _path(self, name: str) -> Path:
        return self.path if self.path.is_file() else self.path / name

    def _within(self) -> Iterator[tuple[str, int]]:
        count = 0
        for folder, folders, files in os.walk(self.path, onerror=_refuse_folder):
            depth = len(Path(folder).relative_to(self.path).parts)
            folders[:] = [] if depth >= _DEEPEST else sorted(each for each in folders if each[0] != ".")
            for file in files:
                path = Path(folder) / file
                about = path.lstat()
                if file[0] == "." or not stat.S_ISREG(about.st_mode):
                    continue
                count += 1
                if count > MOST_FILES:
                    raise UsageError(f"{self.name} has more than {MOST_FILES:,} files; give a folder in it.")
                yield path.relative_to(self.path).as_posix(), about.st_size

    def _members(self) -> dict[str, int]:
        assert self._zip is not None
        found = dict[str, int]()
        for member in self._zip.infolist():
            if member.is_dir() or "__MACOSX/" in member.filename:
                continue
            if member.flag_bits & 1:
                raise UsageError("The ZIP is encrypted; unpack it and import the folder.")
            ratio = member.file_size / max(1, member.compress_size)
            if member.file_size > RATIO_FROM and ratio > MOST_RATIO:
                raise UsageError(
                    f"{member.filename!a} in the ZIP is {ratio:,.0f} times as large as it is packed, as no "
                    "text is; unpack it and import the folder, if you trust it."
                )
            found[member.filename] = member.file_size
        if len(found) > MOST_FILES or sum(found.values()) > MOST_BYTES:
            raise UsageError(
                f"The ZIP has {len(found):,} files of {sum(found.values()):,} bytes, and {MOST_FILES:,} of "
                f"{MOST_BYTES:,} are the most; unpack it and import a folder of it."
            )
        return found


def _refuse_folder(error: OSError) -> None:
    raise UsageError(
        f"{error.filename} cannot be read: {error.strerror or error}; allow it, or import another folder."
    ) from None


class _Counted(io.RawIOBase):
    """A file whose bytes are counted as they are read; no more of them than it is said to have."""

    def __init__(self, source: Source, file: BinaryIO, name: str) -> None:
        self._source, self._file = source, file
        self._left = source.sizes[name] + (1 << 20)  # a file may grow while it is read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        try:
            data = self._file.read(min(len(buffer), self._left))
        except _FAULTS:
            raise UsageError(_ENDED) from None
        except OSError as error:
            raise UsageError(f"It cannot be read: {error.strerror or error}.") from None
        buffer[: len(data)] = data
        self._left -= len(data)
        self._source.done += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def open_source(path: Path) -> Source:
    """Open a file, folder or ZIP; ``UsageError`` if there is none, or it cannot be read within bounds."""
    try:
        if not path.is_dir() and not path.is_file():
            raise UsageError(f"{path} is neither a file nor a folder; give what an export wrote.")
        if path.is_file() and zipfile.is_zipfile(path):
            return Source(path, _zip=zipfile.ZipFile(path))
        if path.is_file():
            with path.open("rb"):
                pass
    except _FAULTS:
        raise UsageError(_ENDED) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from None
    return Source(path)
