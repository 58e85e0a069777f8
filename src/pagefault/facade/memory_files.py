"""An agent's memory as files under ``/memories``, as Anthropic's memory tool asks for them.

``/memories/sections/NAME`` are the sections of the working context; they can be viewed and edited. Every
other file is one passage of archival storage, which has its path as title and tag, so that it is found by
searching too. Results and errors are worded as those of the SDK's own tool over a folder. Leaves out the SDK
(``facade.anthropic_tool``) and what a path is (``facade.memory_paths``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pagefault.errors import NotFoundError, UsageError
from pagefault.facade.memory_paths import ROOT, SECTIONS, TAG, parts_of, path_of, refuse_section
from pagefault.names import system_key

if TYPE_CHECKING:
    from pagefault.kernel import Kernel

__all__ = ["COMMANDS", "MemoryFiles"]

COMMANDS = ("view", "create", "str_replace", "insert", "delete", "rename", "clear")
_MOST_FILES = 1000  # in a listing
_MOST_SHOWN = 40_000  # characters of one view
_PAGE = 100


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it is stored: a section of a version, or a passage of an id."""

    path: str
    text: str
    passage: str = ""
    version: int = 0
    locked: bool = False


class MemoryFiles:
    """The files of one agent. Every method raises ``UsageError`` or another ``PagefaultError`` with a
    sentence for the model. Of two who edit one file at once the second is refused."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        self._kernel = kernel
        self._name = name

    async def view(self, path: str, lines: Sequence[int] | None = None) -> str:
        """The content of a file with line numbers, of ``lines`` from the first to the second (-1: the last),
        or the listing of a folder."""
        parts = parts_of(path)
        if (file := await self._file(parts)) is None:
            return await self._listing(path, parts)
        found = file.text.split("\n")
        first, last = 1, len(found)
        if lines is not None and len(lines) == 2:
            first, last = max(1, lines[0]), len(found) if lines[1] == -1 else lines[1]
        return f"Here's the content of {path} with line numbers:\n{_numbered(found[first - 1 : last], first)}"

    async def create(self, path: str, text: str) -> str:
        """Make a new file."""
        parts = parts_of(path)
        taken = f"File {path} already exists"
        await self._check_free(parts, path, taken)
        await self._store(parts, text, taken)
        return f"File created successfully at: {path}"

    async def str_replace(self, path: str, old: str, new: str) -> str:
        """Replace a text that occurs once."""
        file = await self._to_edit(path)
        if not old or (count := file.text.count(old)) == 0:
            raise UsageError(
                f"No replacement was performed, old_str `{old}` did not appear verbatim in {path}."
            )
        if count > 1:
            places = (file.text[:at].count("\n") + 1 for at in _places(file.text, old))
            raise UsageError(
                f"No replacement was performed. Multiple occurrences of old_str `{old}` in lines: "
                f"{', '.join(map(str, places))}. Please ensure it is unique"
            )
        changed = file.text[: file.text.index(old)].count("\n")
        text = file.text.replace(old, new)
        await self._write(file, text)
        first = max(0, changed - 2)
        return (
            "The memory file has been edited. Here is the snippet showing the change (with line numbers):\n"
            + _numbered(text.split("\n")[first : changed + 3], first + 1)
        )

    async def insert(self, path: str, line: int, text: str) -> str:
        """Insert a text behind a line; 0: at the beginning."""
        file = await self._to_edit(path)
        lines = file.text.split("\n")
        if lines[-1] == "":
            lines.pop()
        if not 0 <= line <= len(lines):
            raise UsageError(
                f"Invalid `insert_line` parameter: {line}. It should be within the range [0, {len(lines)}]."
            )
        lines.insert(line, text.rstrip("\n"))
        await self._write(file, "\n".join(lines) + "\n")
        return f"The file {path} has been edited."

    async def delete(self, path: str) -> str:
        """Delete a file, or a folder with all its files."""
        from pagefault.kernel.edits import delete_passage

        parts = parts_of(path)
        if not parts:
            raise UsageError("Cannot delete the /memories directory itself")
        refuse_section(parts)
        files = [file] if (file := await self._file(parts)) else await self._below(parts)
        if not files:
            raise NotFoundError(f"The path {path} does not exist")
        for each in files:
            await delete_passage(self._kernel, self._name, each.passage, exact=True)
        return f"Successfully deleted {path}"

    async def clear(self) -> str:
        """Delete all files; the sections stay."""
        from pagefault.kernel.edits import delete_passage

        while files := await self._passages(TAG, _MOST_FILES):
            for each in files:
                await delete_passage(self._kernel, self._name, each.passage)
        return f"All files below {ROOT} are deleted; the sections stay"

    async def rename(self, old: str, new: str) -> str:
        """Give a file, or all files of a folder, another path."""
        from pagefault.kernel.edits import delete_passage

        source, target = parts_of(old), parts_of(new)
        if not source:
            raise UsageError("Cannot rename the /memories directory itself")
        refuse_section(source)
        refuse_section(target)
        taken = f"The destination {new} already exists"
        await self._check_free(target, new, taken)
        files = [file] if (file := await self._file(source)) else await self._below(source)
        if not files:
            raise NotFoundError(f"The path {old} does not exist")
        if target[: len(source)] == source:
            raise UsageError(f"{new} is inside of {old}")
        for each in files:
            await self._store((*target, *each.path.split("/")[len(source) :]), each.text, taken)
            await delete_passage(self._kernel, self._name, each.passage, exact=True)
        return f"Successfully renamed {old} to {new}"

    # what is stored

    async def _file(self, parts: Sequence[str]) -> _File | None:
        if parts[:1] == (SECTIONS,):
            found = {file.path: file for file in await self._sections()}
            return found.get("/".join(parts))
        return next(iter(await self._passages(f"{TAG}/{'/'.join(parts)}", 1)), None) if parts else None

    async def _sections(self) -> list[_File]:
        from pagefault.views.memory import sections

        found = await sections(self._kernel, self._name)
        return [_File(f"{SECTIONS}/{s.name}", s.text, "", s.version, s.read_only) for s in found]

    async def _passages(self, tag: str, most: int) -> list[_File]:
        from pagefault.views.memory import search

        files, page, pages = list[_File](), 1, 1
        while page <= pages and len(files) < most:
            found = await search(
                self._kernel, self._name, tier="archival", tags=(tag,), page=page, size=min(most, _PAGE)
            )
            for hit in found:
                paths = [path for each in getattr(hit, "tags", ()) if (path := path_of(each))]
                files += [_File(paths[0], hit.text, hit.id)] if paths else []
            page, pages = page + 1, found.pages
        return files

    async def _below(self, parts: Sequence[str]) -> list[_File]:
        """The files in a folder, and in those below it."""
        files = [*await self._sections(), *await self._passages(TAG, _MOST_FILES)]
        within = "".join(f"{part}/" for part in parts)
        return sorted((file for file in files if file.path.startswith(within)), key=lambda file: file.path)

    async def _check_free(self, parts: Sequence[str], path: str, taken: str) -> None:
        refuse_section(parts)
        if not parts or await self._file(parts) or await self._below(parts):
            raise UsageError(taken)
        for end in range(1, len(parts)):
            if await self._file(parts[:end]):
                raise UsageError(f"{ROOT}/{'/'.join(parts[:end])} is a file, so {path} cannot be below it")

    async def _store(self, parts: Sequence[str], text: str, taken: str) -> None:
        """Store a new file; ``UsageError``, which says ``taken``, if another is stored there at this time."""
        from pagefault.kernel.edits import insert_once
        from pagefault.names import check_text
        from pagefault.types import Passage

        check_text(text)
        path = "/".join(parts)
        tag = f"{TAG}/{path}"
        passage = Passage(text, self._kernel.clock.now(), (TAG, tag), title=path)
        key = system_key(f"memory-file:{path}")
        if not (await insert_once(self._kernel, self._name, passage, key, lambda old: tag in old.tags))[1]:
            raise UsageError(taken)

    async def _to_edit(self, path: str) -> _File:
        parts = parts_of(path)
        if file := await self._file(parts):
            if file.locked:
                raise UsageError(f"The file {path} is read-only.")
            return file
        if not parts or await self._below(parts):
            raise UsageError(f"The path {path} is not a file.")
        raise NotFoundError(f"The path {path} does not exist. Please provide a valid path.")

    async def _write(self, file: _File, text: str) -> None:
        from pagefault.kernel.edits import edit_passage
        from pagefault.kernel.sections import edit_section
        from pagefault.names import check_text

        check_text(text)
        try:
            if file.passage:
                await edit_passage(self._kernel, self._name, file.passage, text, exact=True)
            else:
                section = file.path.partition("/")[2]
                await edit_section(self._kernel, self._name, section, text, version=file.version)
        except NotFoundError:
            raise UsageError(
                f"The file {ROOT}/{file.path} was changed by somebody else meanwhile; view it again."
            ) from None

    async def _listing(self, path: str, parts: Sequence[str]) -> str:
        files = await self._below(parts)
        if parts and not files and parts != (SECTIONS,):
            raise NotFoundError(f"The path {path} does not exist. Please provide a valid path.")
        sizes = dict[str, int]()
        for file in files:
            rest = file.path.split("/")[len(parts) :]
            if any(part.startswith(".") for part in rest):
                continue
            for end in range(1, min(2, len(rest)) + 1):
                key = "/".join(rest[:end]) + ("/" if end < len(rest) else "")
                sizes[key] = sizes.get(key, 0) + len(file.text.encode("utf-8", "replace"))
        base = path.rstrip("/")
        total = sum(len(file.text.encode("utf-8", "replace")) for file in files)
        shown = [f"{_size(total)}\t{base}", *(f"{_size(sizes[key])}\t{base}/{key}" for key in sorted(sizes))]
        head = f"Here're the files and directories up to 2 levels deep in {path}, excluding hidden items:"
        return _bounded("\n".join([head, *shown]))


def _places(text: str, part: str) -> list[int]:
    found, at = list[int](), text.find(part)
    while at != -1 and len(found) < _PAGE:
        found.append(at)
        at = text.find(part, at + 1)
    return found


def _numbered(lines: Sequence[str], first: int) -> str:
    return _bounded("\n".join(f"{number:>6}\t{line}" for number, line in enumerate(lines, first)))


def _bounded(text: str) -> str:
    if len(text) <= _MOST_SHOWN:
        return text
    shown = text[:_MOST_SHOWN]
    return f"{shown}…\n[cut at {_MOST_SHOWN:,} of {len(text):,} characters; view less of it with view_range]"


def _size(size: int) -> str:
    """A size as the SDK writes it: ``0B``, ``1.5K``."""
    power = min(3, max(0, (size.bit_length() - 1) // 10))
    scaled = size / 1024**power
    return f"{int(scaled) if scaled == int(scaled) else format(scaled, '.1f')}{'BKMG'[power]}"
