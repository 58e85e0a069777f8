"""Subtitles and captions (SRT, VTT): a line for each cue, with its time and who speaks."""

from __future__ import annotations

from pagefault.ingest.pages import Extracted, clean, paginate
from pagefault.ingest.reading import Reading
from pagefault.ingest.transcripts import transcript

__all__ = ["captions"]


def captions(data: bytes, reading: Reading) -> Extracted:
    """Read captions."""
    text = clean(transcript(data, reading.decode))
    reading.check(len(text))
    return Extracted("", tuple(paginate(text, (), markdown=False)))
