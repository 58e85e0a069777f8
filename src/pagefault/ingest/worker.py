"""The child process that reads documents: requests on standard input, pages and chunks on standard output.

A request is a line of JSON and the document's bytes; the answer is lines of JSON, data and nothing else. The
process bounds itself in time and memory, and ends with its parent. It has nothing but what the parent gives
it: no key, no database. Left out: starting and ending it (``reader``).
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from types import TracebackType
from typing import IO, Any

from pagefault.errors import UsageError
from pagefault.ingest.bounds import Bounds, is_out_of_memory
from pagefault.ingest.chunk import chunks
from pagefault.ingest.extract import extract, media_of, part_with_reason
from pagefault.ingest.formats.code import grammar
from pagefault.ingest.pages import clean
from pagefault.ingest.reading import Reading, ReadingOptions
from pagefault.models.tokens import HeuristicCounter

__all__ = ["main"]

_GRACE = 5.0  # seconds after the parent's own limit, should the parent be gone
_DEEP = "It is nested too deeply; save it in a plainer form."


def main() -> None:
    """Answer requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this process
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints does not write into the answers
    if hasattr(os, "nice"):
        os.nice(10)  # turns of agents come first

    def send(answer: Mapping[str, Any]) -> None:
        answers.write(
            json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
        )

    def failed(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        send({"failed": f"{kind.__name__}: {str(error)[:200]}"})
        answers.flush()

    sys.excepthook = failed
    while line := source.readline():
        request = json.loads(line)
        bounds = Bounds(**request["bounds"])
        data = source.read(request["size"])
        _restrict(bounds)
        _end_with_parent(True)
        reading = Reading(bounds, ReadingOptions(**request["options"]))
        reading.file, reading.first_row = request["file"], request["first_row"]
        _answer(data, request["file"], request["declared"], reading, send, answers)
        _end_with_parent(False)
        faulthandler.cancel_dump_traceback_later()
        answers.flush()


def _answer(
    data: bytes,
    file: str,
    declared: str,
    reading: Reading,
    send: Callable[[Mapping[str, Any]], None],
    answers: IO[bytes],
) -> None:
    def on_page(done: int, total: int) -> None:
        send({"done": done, "total": total})
        answers.flush()

    reading.on_page = on_page
    try:
        media = media_of(file, declared, data, reading.options.kind)
        read = extract(data, media, reading)
        counter, language = HeuristicCounter(), grammar(media)
        for page, leaf in enumerate(read.leaves, 1):
            found = chunks(leaf, page, counter, markdown=read.markdown, grammar=language)
            cut = [(chunk.section, chunk.start, chunk.stop) for chunk in found]
            send(
                {"text": leaf.text, "heading": leaf.headings[0].path if leaf.headings else "", "chunks": cut}
            )
        for part in (part_with_reason(each, reading.options.kind) for each in read.parts):
            about = {"part": clean(part.name)[:1000], "declared": clean(part.declared)[:200]}
            send(about | {"why": part.why, "skip": part.skip, "size": len(part.data)})
            answers.write(part.data)
        send({"title": read.title[:1000], "media": media, "notes": read.notes})
    except UsageError as error:
        send({"refused": str(error)})
    except (MemoryError, OSError, ImportError) as error:
        if not is_out_of_memory(error):
            raise
        send({"refused": reading.bounds.out_of_memory})
    except RecursionError:
        send({"refused": _DEEP})


def _restrict(bounds: Bounds) -> None:
    """Bound memory, and processor time from now on, by what the system has for it; and time in any case."""
    faulthandler.dump_traceback_later(bounds.patience + _GRACE, exit=True, file=sys.stderr)
    if find_spec("resource") is None:  # Windows
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime + bounds.seconds) + 1
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, bounds.memory << 20),
    ):
        _lower(resource.setrlimit, resource.getrlimit(limit)[1], limit, most)


def _lower(setrlimit: Callable[[int, tuple[int, int]], None], hard: int, limit: int, most: int) -> None:
    try:
        setrlimit(limit, (most if hard < 0 else min(most, hard), hard))
    except (OSError, ValueError):  # macOS takes no limit on the address space
        return


def _end_with_parent(wanted: bool) -> None:
    """Have Linux send the signal that ends this process when the other end of standard input is closed, even
    in the middle of a library's C code. Elsewhere the bounds of time do."""
    if sys.platform != "linux":
        return
    import fcntl

    flags = fcntl.fcntl(0, fcntl.F_GETFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_ASYNC if wanted else flags & ~os.O_ASYNC)


if __name__ == "__main__":
    main()
