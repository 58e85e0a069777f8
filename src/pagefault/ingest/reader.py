"""The reader of documents: a child process that may hang, crash or grow, and is ended then.

One process reads the documents of one load, one after another; a new one is started after it was ended. It is
given the bytes and its bounds, and none of the environment but what Python needs; what it answers is checked
like any other input. Left out: reading itself (``worker``).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from threading import Lock
from typing import IO, cast

import anyio
import anyio.to_thread

from pagefault.errors import UsageError
from pagefault.ingest.bounds import Bounds, raising
from pagefault.ingest.chunk import Chunk
from pagefault.ingest.pages import MOST_UNPACKED, ReadPart
from pagefault.ingest.reading import ReadingOptions
from pagefault.ingest.sources import SourceContent
from pagefault.quoting import inline

__all__ = ["DocumentReader", "ReadDocument"]

# The process imports from where this one does, and nothing from the current folder.
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from pagefault.ingest.worker import main; main()"
)
_KEPT = frozenset((
    "PATH", "HOME", "LANG", "TZ", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "TESSDATA_PREFIX", "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
))  # fmt: skip
_ANSWER = 64 << 20  # bytes of an answer beside its text
_NOTES, _NOTE = 40, 400  # of one document; characters of each
_WINDOWLESS = 0x08000000  # CREATE_NO_WINDOW


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A document as read: its title (may be empty), media type, pages (text, first heading), chunks, notes on
    what was not read as it stands."""

    title: str
    media: str
    leaves: tuple[tuple[str, str], ...]
    chunks: tuple[Chunk, ...]
    notes: tuple[str, ...] = ()
    parts: tuple[ReadPart, ...] = ()


class DocumentReader:
    """Reads documents one at a time; ``close`` ends the process. ``on_page`` is called from a thread."""

    def __init__(
        self, bounds: Bounds, on_page: Callable[[int, int], None], options: ReadingOptions | None = None
    ) -> None:
        self._bounds = bounds
        self._options = options or ReadingOptions()
        self._on_page = on_page
        self._process: subprocess.Popen[bytes] | None = None
        self._at_work = Lock()

    async def read(self, content: SourceContent) -> ReadDocument:
        """Read a document; ``UsageError`` has the reason if that fails. Cancelling ends the process."""
        try:
            with anyio.fail_after(self._bounds.patience):
                return await anyio.to_thread.run_sync(self._ask, content, abandon_on_cancel=True)
        except TimeoutError:
            raise UsageError(self._bounds.out_of_time) from None
        finally:
            if self._at_work.locked() and self._process:
                self._process.kill()

    async def close(self) -> None:
        """End the process."""
        if process := self._process:
            process.kill()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._end)

    def _end(self) -> None:
        with self._at_work:
            self._reap()

    def _ask(self, content: SourceContent) -> ReadDocument:
        """Send a request and gather the answer; runs in a thread."""
        with self._at_work:
            self._process = process = self._process or _start()
            about = {"file": content.file, "declared": content.declared, "size": len(content.data)}
            about |= {"first_row": content.first_row}
            source, answers = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
            try:
                about |= {"bounds": asdict(self._bounds), "options": asdict(self._options)}
                source.write(json.dumps(about).encode() + b"\n")
                source.write(content.data)
                source.flush()
                return self._gather(answers)
            except (OSError, ValueError):  # it ended, or answers what is no answer
                raise UsageError(self._outcome(self._reap())) from None

    def _gather(self, answers: IO[bytes]) -> ReadDocument:
        """Read an answer, which is believed no more than a document; ``ValueError`` if it is none."""
        leaves, cut, parts = list[tuple[str, str]](), list[Chunk](), list[ReadPart]()
        left, unpacked = _ANSWER + 8 * self._bounds.characters, MOST_UNPACKED
        while (line := answers.readline(left)).endswith(b"\n"):
            left -= len(line)
            match json.loads(line):
                case {"done": int(done), "total": int(total)}:
                    self._on_page(done, total)
                case {"text": str(text), "heading": str(heading), "chunks": [*places]}:
                    text.encode()  # ValueError for half a surrogate pair
                    leaves.append((text, heading))
                    cut += _chunks(text, len(leaves), cast(list[object], places))
                case {"part": str(part), "declared": str(media), "size": int(size)} as about:
                    if not 0 <= size <= unpacked:
                        break
                    unpacked -= size
                    parts.append(
                        ReadPart(part, media, answers.read(size), str(about["why"]), str(about["skip"]))
                    )
                case {"title": str(title), "media": str(media), "notes": [*notes]}:
                    said = tuple(inline(str(note), _NOTE) for note in cast(list[object], notes)[:_NOTES])
                    return ReadDocument(title, media, tuple(leaves), tuple(cut), said, tuple(parts))
                case {"refused": str(why)}:
                    raise UsageError(why)
                case {"failed": str(fault)}:
                    self._reap()
                    raise UsageError(f"Its reader failed ({fault}); please report that, with the file.")
                case _:
                    break
        raise ValueError("not an answer")

    def _reap(self) -> int:
        """End the process, if there is one, and return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                cast(IO[bytes], pipe).close()
        return process.wait()

    def _outcome(self, code: int) -> str:
        """Return the sentence for an exit code."""
        if -code == getattr(signal, "SIGXCPU", 0):
            return self._bounds.out_of_time
        return (
            f"Its reader crashed (exit code {code}): it is damaged, or needs more than "
            f"{self._bounds.memory:,} MB of memory; {raising('memory')}"
        )


def _start() -> subprocess.Popen[bytes]:
    if not sys.executable:
        raise UsageError(
            "Documents are read by a second Python, and this program does not say where Python is; "
            "load them by the command line."
        )
    kept = [name for name in os.environ if name in _KEPT or name.startswith(("LC_", "PYTHON"))]
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _CHILD, json.dumps(sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in kept},
        creationflags=_WINDOWLESS if sys.platform == "win32" else 0,
    )


def _chunks(text: str, page: int, places: Sequence[object]) -> Iterator[Chunk]:
    for place in places:
        match place:
            case [str(section), int(start), int(stop)] if 0 <= start <= stop <= len(text):
                yield Chunk(text[start:stop], page, section, start, stop)
            case _:
                raise ValueError("not a place in the text")
