"""Conversations of the research data sets LoCoMo and REALTALK: lists ``session_1``, ``session_2`` and so on.

Left out: questions, summaries, and the bytes of images, of which the caption is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pagefault.importers import ImportOptions, Source
from pagefault.importers.items import BadRecord, ImportedMessage, ImportItem
from pagefault.importers.json_items import Unreadable, json_items, json_outline
from pagefault.importers.texts import date_of, listed, mapping, text_field, with_attachments

__all__ = ["LocomoImporter"]

_SESSION = re.compile(r"session_(\d{1,6})")
_FORMS = ("%I:%M %p on %d %B, %Y", "%d.%m.%Y, %H:%M:%S", "%d.%m.%Y, %H:%M")


class LocomoImporter:
    """Reads LoCoMo and REALTALK."""

    title = "a conversation of LoCoMo or REALTALK"

    def recognises(self, source: Source) -> bool:
        return any(_prefix(source, name) is not None for name in _files(source)[:3])

    def read(self, source: Source, options: ImportOptions) -> Iterator[ImportItem]:
        for name in _files(source):
            prefix = _prefix(source, name)
            for number, (_, value) in enumerate(json_items(source, name, prefix or ""), 1):
                if isinstance(value, Unreadable):
                    yield BadRecord(f"sample {number} of {name}", value.why)
                    continue
                sample = mapping(value)
                session = text_field(sample, "sample_id") or f"{source.stem} {number}"
                yield from _sample(mapping(sample.get("conversation")) or sample, session, options.now)


def _files(source: Source) -> list[str]:
    return source.files() if source.is_file else source.files(".json")


def _prefix(source: Source, name: str) -> str | None:
    """The place of a file's samples; None if it has none."""
    places = json_outline(source, name)
    for prefix in ("item", ""):
        for sessions in (f"{prefix}.conversation.session_1", f"{prefix}.session_1"):
            if f"{sessions}.item.speaker".lstrip(".") in places:
                return prefix
    return None


def _sample(talk: dict[str, Any], session: str, now: datetime) -> Iterator[ImportItem]:
    names = [name for name in talk if _SESSION.fullmatch(name) and isinstance(talk[name], list)]
    for name in sorted(names, key=lambda each: int(each.rpartition("_")[2])):
        whole = _date(text_field(talk, f"{name}_date_time"), now)
        for number, turn in enumerate(listed(talk[name]), 1):
            where = f"turn {number} of {name} of {session}"
            text, speaker = text_field(turn, "text", "clean_text"), text_field(turn, "speaker")
            captions = [text_field(turn, "blip_caption")] if text_field(turn, "blip_caption") else []
            text = with_attachments(text, captions)
            if not text or not speaker:
                yield BadRecord(where, "It has no text, or no speaker.")
                continue
            at = _date(text_field(turn, "date_time"), now) or whole
            id = text_field(turn, "dia_id") or f"{name}:{number}"
            yield ImportedMessage(text, "other", speaker, at, session, id)


def _date(written: str, now: datetime) -> datetime | None:
    for form in _FORMS:
        try:
            return date_of(datetime.strptime(written, form), now)  # noqa: DTZ007  # it names no zone
        except ValueError:
            continue
    return date_of(written, now)
