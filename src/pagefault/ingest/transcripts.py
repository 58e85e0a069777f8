"""Transcripts: WebVTT and SubRip files to lines of time, speaker and words.

A file without times is taken as it is. What is within a cue is words, whatever it looks like; marks of layout
are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import PurePosixPath

from pagefault.ingest.characters import decode

__all__ = ["is_transcript", "transcript"]

_SUFFIXES = (".vtt", ".srt")
_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{2})[.,]\d{1,3}"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}")
_SPEAKER = re.compile(r"<v(?:\.[^\s>]{0,99})?\s+([^>]{1,99})>")
_TAG = re.compile(r"</?(?:[bciuv]|ruby|rt|lang|font|\d[\d:.]*)(?:[.\s][^<>]{0,199})?>")

_PLACE = re.compile(r"\{\\an?\d{1,2}\}")  # where a cue stands on the screen


def is_transcript(name: str, data: bytes) -> bool:
    """Return whether a file is a transcript, by its beginning or its name."""
    return data.startswith((b"WEBVTT", b"\xef\xbb\xbfWEBVTT")) or (
        PurePosixPath(name).suffix.lower() in _SUFFIXES and b"-->" in data
    )


def transcript(data: bytes, decoder: Callable[[bytes], str] = decode) -> str:
    """The words of a transcript, a line for each cue: ``00:01:05 Eva: Good morning``."""
    text = decoder(data).replace("\r\n", "\n").replace("\r", "\n")
    return "\n".join(_cues(text)) or text.strip()


def _cues(text: str) -> Iterator[str]:
    said = ""
    for block in re.split(r"\n[ \t]*\n", text):
        lines = block.split("\n")
        at = next((number for number, line in enumerate(lines[:3]) if _TIMES.match(line)), None)
        if at is None:
            continue
        words = " ".join(map(_words, lines[at + 1 :])).strip()
        if words and words != said:  # captions that roll say the same again
            found = _TIMES.match(lines[at])
            hours, minutes, seconds = found.groups()[:3] if found else ("0", "0", "0")
            said = words
            yield f"{int(hours or 0):02}:{int(minutes):02}:{seconds} {words}"


def _words(line: str) -> str:
    spoken = _SPEAKER.sub(lambda found: f"{' '.join(found[1].split())}: ", line)
    return " ".join(unescape(_TAG.sub("", _PLACE.sub("", spoken))).split())
