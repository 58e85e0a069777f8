"""The check of media: bytes are those that their hash says, and what rows refer to is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from pagefault.images import is_intact
from pagefault.media import Media, MediaContent, loaded
from pagefault.message_meta import meta_of
from pagefault.storage.row_transfer import MEDIA, OWNED, Row, TransferRows, TransferTable
from pagefault.types import AgentId

__all__ = ["media_faults", "row_of_media_faults"]

_ABOUT = ("media_type", "size", "width", "height")
_REFERRING = {"messages": ("seq", "meta", "m"), "inbox": ("number", "media", "event ")}


def row_of_media_faults(row: Row) -> Iterator[str]:
    """The sentence about a row of ``MEDIA`` whose bytes are not what it says."""
    values = cast("dict[str, Any]", dict(zip(MEDIA.columns, row, strict=True)))
    data = values.pop("data")
    content = MediaContent(Media(name="", **values), data)
    if not is_intact(content):
        yield f"The bytes of media {values['hash'][:12]} are others than it says."


def media_faults(rows: TransferRows, agent: AgentId) -> Iterator[str]:
    """A sentence for each row whose media are not there."""
    there = dict[object, Row]()
    about = [MEDIA.column(name) for name in _ABOUT]
    for batch in rows.rows(agent, MEDIA):
        there |= {row[MEDIA.column("hash")]: tuple(row[column] for column in about) for row in batch}
    for table in OWNED:
        if table.name in _REFERRING:
            for called, media in _references(rows, agent, table):
                stored = there.get(media.hash)
                if stored is None:
                    yield f"The bytes of {media.name!r}, which {called} has, are missing."
                elif stored != tuple(getattr(media, name) for name in _ABOUT):
                    yield f"The bytes of {media.name!r}, which {called} has, are of another type or size."


def _references(rows: TransferRows, agent: AgentId, table: TransferTable) -> Iterator[tuple[str, Media]]:
    number, column, called = _REFERRING[table.name]
    of, at = table.column(number), table.column(column)
    for batch in rows.rows(agent, table):
        for row in batch:
            for media in _referred(column, row[at]):
                yield f"{called}{row[of]}", media


def _referred(column: str, stored: object) -> tuple[Media, ...]:
    if not stored or "hash" not in str(stored):
        return ()
    return loaded(str(stored)) if column == "media" else meta_of(json.loads(str(stored))).media
