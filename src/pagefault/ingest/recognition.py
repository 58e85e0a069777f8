"""Text recognition of pages that are pictures, by ``tesseract`` where it is installed (``--ocr``).

A page goes to it as a grey picture on standard input; it gets no file, and ends with this process. Left out:
where words stand on the page.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from functools import cache
from shutil import which
from typing import Any

from pagefault.errors import UsageError
from pagefault.ingest.pages import clean

__all__ = ["Recognition"]

_DOTS = 300  # per inch
_MOST_DOTS = 25_000_000  # of a page
_LANGUAGES = 5  # if more are installed, English only: each takes its time
_DEATH = 1  # PR_SET_PDEATHSIG


class Recognition:
    """Recognises pages until ``seconds`` have passed; ``UsageError`` if tesseract is not installed."""

    def __init__(self, seconds: float) -> None:
        if not (program := which("tesseract")):
            raise UsageError(
                "Text recognition needs the program tesseract; install it (tesseract-ocr), or "
                "load without --ocr."
            )
        self._program = program
        self._until = time.monotonic() + seconds

    def text(self, page: Any) -> str | None:
        """Return the text of a page of a PDF, None if the time is over or the program fails."""
        left = self._until - time.monotonic()
        if left <= 0:
            return None
        try:
            done = subprocess.run(
                [self._program, "stdin", "stdout", "--dpi", str(_DOTS), "-l", _languages(self._program)],
                input=_picture(page),
                capture_output=True,
                timeout=left,
                env=os.environ | {"OMP_THREAD_LIMIT": "1"},
                check=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return clean(done.stdout.decode("utf-8", "replace")).strip()


def _picture(page: Any) -> bytes:
    """Return a page as a portable grey map."""
    scale = min(_DOTS / 72, (_MOST_DOTS / max(1.0, page.get_width() * page.get_height())) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)
    try:
        rows = memoryview(bitmap.buffer).cast("B")
        lines = (rows[row * bitmap.stride :][: bitmap.width] for row in range(bitmap.height))
        return b"P5 %d %d 255\n" % (bitmap.width, bitmap.height) + b"".join(lines)
    finally:
        bitmap.close()


@cache
def _languages(program: str) -> str:
    """Return the languages that are installed, as tesseract takes them."""
    try:
        listed = subprocess.run([program, "--list-langs"], capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return "eng"
    names = listed.stdout.decode("utf-8", "replace").split("\n")[1:]
    found = [name.strip() for name in names if name.strip() and name.strip() not in ("osd", "equ")]
    return "+".join(found) if 0 < len(found) <= _LANGUAGES else "eng"


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DEATH, signal.SIGKILL)
